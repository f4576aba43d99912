"""Signs a bundle version: writes `<version>.sig` beside its manifest."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from model_export.bundles.keys import Signer
from model_export.bundles.signatures import SUFFIX, key_id, to_text
from model_export.errors import ExportError
from model_export.files import write_whole
from model_export.manifest import read_manifest
from model_export.verify import check_archive


def sign(manifest_file: Path, signer: Signer, key: Ed25519PublicKey) -> str:
    """Sign a version whose archive is there and unaltered; return what was done, in words.

    Args:
        manifest_file: Path of `<version>.json`.
        signer: Makes the signature.
        key: The signer's public key; the signature is checked with it before it is written.

    Raises:
        ExportError: If the bundle is not what its manifest says, or the signature is not by this key.
    """
    content = manifest_file.read_bytes() if manifest_file.is_file() else b""
    manifest = read_manifest(manifest_file)
    check_archive(manifest_file.parent / manifest.archive, manifest.digest_hex, manifest.size)
    signature = signer(content)
    try:
        key.verify(signature, content)
    except InvalidSignature:
        raise ExportError(
            f"--signer: the signature is not by the key {key_id(key)}; give the public key of the key it signs with"
        ) from None
    file = manifest_file.with_suffix(SUFFIX)
    write_whole(file, to_text(key, signature).encode())
    return f"{file}: {manifest.name} version {manifest.version} signed with the key {key_id(key)}"
