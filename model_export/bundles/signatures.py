"""Signature files: `<version>.sig` beside `<version>.json`, an Ed25519 signature of the manifest's exact bytes.

The file is JSON: `format` 1, `key` "sha256:" and the SHA-256 of the signer's raw public key (32 bytes) in hexadecimal,
`signature` the 64 bytes in base64. A stack whose settings name `signers` takes no version without one.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from model_export.errors import ExportError

FORMAT = 1
SUFFIX = ".sig"
SIGNATURE_BYTES = 64


def key_id(key: Ed25519PublicKey) -> str:
    """Return "sha256:" and the SHA-256 of a raw public key."""
    return f"sha256:{hashlib.sha256(key.public_bytes_raw()).hexdigest()}"


def read_public_key(file: Path, field: str) -> Ed25519PublicKey:
    """Read a public key from a PEM file.

    Args:
        file: The file.
        field: What the file was given as, for the error.

    Raises:
        ExportError: If it cannot be read or is no Ed25519 public key.
    """
    try:
        key = load_pem_public_key(file.read_bytes())
    except OSError as error:
        raise ExportError(f"{field}: {file} cannot be read: {error.strerror}; give a PEM file") from None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ExportError(f"{field}: {file} is no Ed25519 public key in PEM; give what `keygen` printed")
    return key


def to_text(key: Ed25519PublicKey, signature: bytes) -> str:
    """Return the text of a signature file."""
    content = {"format": FORMAT, "key": key_id(key), "signature": base64.b64encode(signature).decode()}
    return json.dumps(content, indent=2) + "\n"


def read_signature(file: Path) -> tuple[str, bytes]:
    """Return the id of the key and the signature, uint8 [64], of a signature file.

    Raises:
        ExportError: If it is missing or malformed.
    """
    try:
        content = json.loads(file.read_bytes())
        key, signature = content["key"], base64.b64decode(content["signature"], validate=True)
        if content["format"] != FORMAT or not isinstance(key, str) or len(signature) != SIGNATURE_BYTES:
            raise ValueError
    except FileNotFoundError:
        raise ExportError(
            f"{file}: there is no such signature; sign the version with `sign {file.with_suffix('.json')}`"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise ExportError(
            f"{file}: no signature file of format {FORMAT}; remove it and sign the version again"
        ) from None
    return key, signature


def check_signature(manifest: Path, content: bytes, key: Ed25519PublicKey) -> str:
    """Check that a key signed a manifest and return the key's id.

    Args:
        manifest: Path of `<version>.json`.
        content: Its bytes.
        key: The signer's public key.

    Raises:
        ExportError: If the signature is missing, malformed, by another key, or of other bytes.
    """
    file = manifest.with_suffix(SUFFIX)
    signer, signature = read_signature(file)
    if signer != key_id(key):
        raise ExportError(
            f"{file}: signed with the key {signer}, not with {key_id(key)}; give that signer's public key"
        )
    try:
        key.verify(signature, content)
    except InvalidSignature:
        raise ExportError(
            f"{file}: the signature is not of these bytes of {manifest.name}, one of both was altered; pull both again"
        ) from None
    return signer
