"""Signing keys: a PEM file of one's own, or a program that asks a key management service.

A signer is any program that reads the bytes to sign from its standard input and writes the 64 raw bytes of the Ed25519
signature to its standard output; the key never leaves the service. For Google Cloud KMS it is a few lines around
`gcloud kms asymmetric-sign` with a key of the algorithm EC_SIGN_ED25519; for AWS KMS around `aws kms sign` with a key
of ECC_NIST_EDWARDS25519, message type RAW and algorithm ED25519_SHA_512, base64-decoding the answer. AWS KMS takes
messages of up to 4096 bytes, so a longer manifest needs another signer. What a signer returns is verified before it is
written.
"""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from model_export.bundles.signatures import SIGNATURE_BYTES
from model_export.errors import ExportError

Signer = Callable[[bytes], bytes]
"""Bytes to their Ed25519 signature, uint8 [64]."""
_SIGNER_TIMEOUT_S = 120


def keygen(out: Path) -> str:
    """Make a key, write it to a file that only its owner may read, and return the public key in PEM.

    Raises:
        ExportError: If the file exists or cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        # Exclusive, and with its mode from the first moment: no other user can open it in between.
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ExportError(f"--out: {out} exists; keys are never overwritten, give another file") from None
    except OSError as error:
        raise ExportError(f"--out: {out} cannot be written: {error.strerror}") from None
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def key_of_file(file: Path) -> tuple[Signer, Ed25519PublicKey]:
    """Return the signer and the public key of a PKCS #8 PEM file.

    Raises:
        ExportError: If others may read it, or it is no Ed25519 private key without a passphrase.
    """
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077:
            raise ExportError(f"--key: {file} may be read by others (mode {mode:04o}); run `chmod 600 {file}`")
        key = load_pem_private_key(file.read_bytes(), password=None)
    except OSError as error:
        raise ExportError(f"--key: {file} cannot be read: {error.strerror}; `keygen` makes a key") from None
    except ExportError:
        raise
    except TypeError:
        raise ExportError(f"--key: {file} has a passphrase; use --signer with a program that asks for it") from None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ExportError(f"--key: {file} is no Ed25519 private key in PKCS #8 PEM; `keygen` makes one")
    return key.sign, key.public_key()


def signer_of_command(command: str) -> Signer:
    """Return the signer that a program is; `command` is split like a shell does, but no shell runs it.

    Raises:
        ExportError: When it is used: if the program is missing, fails, or answers with other than 64 bytes.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ExportError(f"--signer: {command!r} is no command: {error}") from None
    if not words:
        raise ExportError("--signer: is empty; give the program that signs")

    def sign(content: bytes) -> bytes:
        try:
            done = subprocess.run(words, input=content, capture_output=True, timeout=_SIGNER_TIMEOUT_S)
        except OSError as error:
            raise ExportError(f"--signer: {words[0]} cannot be run: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise ExportError(f"--signer: {words[0]} gave no answer in {_SIGNER_TIMEOUT_S} s") from None
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["it gave no reason"]
            raise ExportError(f"--signer: {words[0]} ended with code {done.returncode}: {said[-1]}")
        if len(done.stdout) != SIGNATURE_BYTES:
            raise ExportError(
                f"--signer: {words[0]} wrote {len(done.stdout)} bytes; it must write the {SIGNATURE_BYTES} raw bytes "
                "of the signature, neither base64 nor a line end"
            )
        return done.stdout

    return sign
