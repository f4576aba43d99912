"""The run's own certificate authority, which signs every server certificate of the local clouds."""

from __future__ import annotations

import datetime
import ipaddress
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from localcloud.paths import RunPaths

_VALID_DAYS = 3650
# A clock that is set back a little must not make a fresh certificate invalid.
_BACKDATED = datetime.timedelta(days=1)


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=file.parent, suffix=".part")  # created with mode 0600
    with os.fdopen(handle, "w") as stream:
        stream.write(text)
    os.replace(part, file)


def authority_file(paths: RunPaths) -> Path:
    """Return the file with the authority's certificate (PEM), which clients trust."""
    return paths.certificate_authority / "ca.crt"


def ensure_certificate_authority(paths: RunPaths) -> None:
    """Make the run's authority unless it exists: `ca.crt` and, with mode 0600, `ca.key`."""
    certificate_file, key_file = authority_file(paths), paths.certificate_authority / "ca.key"
    if certificate_file.exists() and key_file.exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tricorn local run")])
    builder = (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(certificates=True), critical=True)
    )
    write_private(key_file, _key_text(key))
    write_private(certificate_file, _pem(builder.sign(key, hashes.SHA256())))


def issue(
    paths: RunPaths,
    common_name: str,
    *,
    organizations: Sequence[str] = (),
    addresses: Sequence[str] = (),
    names: Sequence[str] = (),
    server: bool,
) -> tuple[str, str]:
    """Sign a certificate for a new key with the run's authority; it is valid for ten years.

    Args:
        paths: The run; its authority must exist.
        common_name: Who or what the certificate is for.
        organizations: Organizations of the subject, which Kubernetes reads as groups.
        addresses: IP addresses that a server is reached at.
        names: DNS names that a server is reached at.
        server: Whether it proves a server; otherwise a client.

    Returns:
        The certificate and its private key, both as PEM text.

    Raises:
        FileNotFoundError: If the run has no authority.
    """
    authority = x509.load_pem_x509_certificate(authority_file(paths).read_bytes())
    signer = serialization.load_pem_private_key((paths.certificate_authority / "ca.key").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)  # noqa: S101 - made above
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        + [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
    )
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        _builder(subject, authority.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    alternatives: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
    alternatives += [x509.DNSName(each) for each in names]
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return _pem(builder.sign(signer, hashes.SHA256())), _key_text(key)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=_VALID_DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=certificates, crl_sign=certificates, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
