"""Detached Ed25519 signatures of bundle manifests: who vouches for a model version.

`<version>.sig` lies beside `<version>.json` and is JSON: `format` 1, `key` "sha256:" and the SHA-256 of the signer's
raw public key (32 bytes) in hexadecimal, `signature` the 64 bytes in base64. What is signed are the manifest's
exact bytes, and the manifest names the archive by its SHA-256.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

FORMAT = 1
BEGIN = "-----BEGIN "
_MAX_BYTES = 4096
"""More than any key or signature file; nothing larger is read."""


class SignatureError(ValueError):
    """A key cannot be used or a signature does not hold; the text says which, why, and what to do."""


def load_signer(value: str) -> Ed25519PublicKey:
    """Return a public key.

    Args:
        value: PEM text, or the path of a PEM file.

    Raises:
        SignatureError: If it is no Ed25519 public key.
    """
    if value.lstrip().startswith(BEGIN):
        return _parse(value.encode(), "the PEM text")
    try:
        return _parse(Path(value).read_bytes()[:_MAX_BYTES], value)
    except (OSError, ValueError) as error:
        if isinstance(error, SignatureError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise SignatureError(f"{value} cannot be read: {reason}; name the PEM file of a public key") from None


def key_id(key: Ed25519PublicKey) -> str:
    """Return "sha256:" and the SHA-256 of a raw public key."""
    return f"sha256:{hashlib.sha256(key.public_bytes_raw()).hexdigest()}"


def check_signature(manifest: Path, content: bytes, signers: Sequence[Ed25519PublicKey]) -> str:
    """Check a manifest's signature and return the id of the key that made it.

    Args:
        manifest: Path of `<version>.json`; its signature is the `<version>.sig` beside it.
        content: The manifest's bytes.
        signers: Keys that are trusted.

    Raises:
        SignatureError: If it is missing, malformed, by another key, or of other bytes.
    """
    file = manifest.with_suffix(".sig")
    try:
        with file.open("rb") as stream:
            key, signature = _read(stream.read(_MAX_BYTES + 1))
    except FileNotFoundError:
        raise SignatureError(
            f"{file}: {manifest.name} is not signed, and only signed versions are trusted here; have a trusted signer "
            f"run `python -m model_export sign {manifest}`"
        ) from None
    except OSError as error:
        raise SignatureError(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SignatureError(f"{file}: is no signature file of format {FORMAT}; sign {manifest.name} again") from None
    known = {key_id(each): each for each in signers}
    if key not in known:
        raise SignatureError(
            f"{file}: is signed with the key {key:.80}, which is not trusted here; trusted are {', '.join(known)}"
        )
    try:
        known[key].verify(signature, content)
    except InvalidSignature:
        raise SignatureError(
            f"{file}: the signature is not of these bytes of {manifest.name}, so one of both was altered; restore them "
            "from where they were published"
        ) from None
    return key


def _parse(pem: bytes, name: str) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise SignatureError(f"{name} is no Ed25519 public key in PEM; `python -m model_export keygen` makes a pair")
    return key


def _read(text: bytes) -> tuple[str, bytes]:
    content = json.loads(text)
    if not isinstance(content, Mapping) or set(content) != {"format", "key", "signature"}:
        raise ValueError("other keys")
    key, signature = content["key"], base64.b64decode(content["signature"], validate=True)
    if content["format"] != FORMAT or not isinstance(key, str) or len(signature) != 64:
        raise ValueError("other values")
    return key, signature
