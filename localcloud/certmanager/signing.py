"""Keys, signing requests and certificates for what cert-manager's objects ask for."""

from __future__ import annotations

import base64
import datetime
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from localcloud.certmanager.specs import DEFAULT_DURATION_S, EXTENDED_USAGES, KEY_USAGES, seconds, usages

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_CURVES: dict[int, type[ec.EllipticCurve]] = {256: ec.SECP256R1, 384: ec.SECP384R1, 521: ec.SECP521R1}
_SUBJECT = {
    "organizations": NameOID.ORGANIZATION_NAME,
    "organizationalUnits": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "countries": NameOID.COUNTRY_NAME,
    "localities": NameOID.LOCALITY_NAME,
    "provinces": NameOID.STATE_OR_PROVINCE_NAME,
}


class SigningError(Exception):
    """A key pair cannot be used, or a request cannot be signed; the text says why."""


@dataclass(frozen=True)
class Signer:
    """A certificate authority: its certificate, the chain above it (without the root), and its key."""

    certificate: x509.Certificate
    key: PrivateKey
    chain: Sequence[x509.Certificate] = ()


@dataclass(frozen=True)
class Names:
    """The names a certificate is for, each kind sorted."""

    common_name: str
    dns: tuple[str, ...]
    addresses: tuple[str, ...]
    uris: tuple[str, ...]
    emails: tuple[str, ...]

    @classmethod
    def wanted(cls, spec: Mapping[str, Any]) -> Names:
        """Return the names that a Certificate asks for."""
        addresses = sorted(str(ipaddress.ip_address(each)) for each in spec.get("ipAddresses") or [])
        texts = (tuple(sorted(spec.get(key) or [])) for key in ("uris", "emailAddresses"))
        return cls(spec.get("commonName") or "", tuple(sorted(spec.get("dnsNames") or [])), tuple(addresses), *texts)

    @classmethod
    def of(cls, certificate: x509.Certificate | x509.CertificateSigningRequest) -> Names:
        """Return the names of a certificate or of a request for one."""
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        name = str(common[0].value) if common else ""
        try:
            found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return cls(name, (), (), (), ())
        return cls(
            name,
            tuple(sorted(found.get_values_for_type(x509.DNSName))),
            tuple(sorted(str(each) for each in found.get_values_for_type(x509.IPAddress))),
            tuple(sorted(found.get_values_for_type(x509.UniformResourceIdentifier))),
            tuple(sorted(found.get_values_for_type(x509.RFC822Name))),
        )


def new_key(wanted: Mapping[str, Any]) -> PrivateKey:
    """Make a private key as `spec.privateKey` asks for: RSA with 2048 bits by default."""
    algorithm = wanted.get("algorithm") or "RSA"
    if algorithm == "ECDSA":
        return ec.generate_private_key(_CURVES[wanted.get("size") or 256]())
    if algorithm == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=wanted.get("size") or 2048)


def fits(key: PrivateKey, wanted: Mapping[str, Any]) -> bool:
    """Return whether a key is of the kind and size that `spec.privateKey` asks for."""
    algorithm, size = wanted.get("algorithm") or "RSA", wanted.get("size") or 0
    if isinstance(key, rsa.RSAPrivateKey):
        return algorithm == "RSA" and key.key_size == (size or 2048)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return algorithm == "ECDSA" and key.curve.key_size == (size or 256)
    return bool(algorithm == "Ed25519")


def key_text(key: PrivateKey, encoding: str) -> str:
    """Return a key as PEM; `encoding` is PKCS1 (the default of cert-manager) or PKCS8."""
    traditional = encoding != "PKCS8" and not isinstance(key, ed25519.Ed25519PrivateKey)
    form = serialization.PrivateFormat.TraditionalOpenSSL if traditional else serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def signing_request(spec: Mapping[str, Any], key: PrivateKey) -> str:
    """Return base64 of the PEM request for the certificate that a Certificate asks for."""
    names = Names.wanted(spec)
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, names.common_name)] if names.common_name else []
    for field, oid in _SUBJECT.items():
        attributes += [x509.NameAttribute(oid, each) for each in (spec.get("subject") or {}).get(field) or []]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    alternatives: list[x509.GeneralName] = [x509.DNSName(each) for each in names.dns]
    alternatives += [x509.IPAddress(ipaddress.ip_address(each)) for each in names.addresses]
    alternatives += [x509.UniformResourceIdentifier(each) for each in names.uris]
    alternatives += [x509.RFC822Name(each) for each in names.emails]
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=not attributes)
    return encode(builder.sign(key, _digest(key)).public_bytes(serialization.Encoding.PEM).decode())


def sign(asked: Mapping[str, Any], signer: Signer | None, key: PrivateKey | None = None) -> x509.Certificate:
    """Sign the request of a CertificateRequest's spec.

    Args:
        asked: The spec.
        signer: Who signs; None for a certificate that signs itself.
        key: Private key of the request, where it signs itself.

    Raises:
        SigningError: If the request is broken.
    """
    try:
        request = x509.load_pem_x509_csr(base64.b64decode(asked["request"]))
    except ValueError as error:
        raise SigningError(f"spec.request is no PEM certificate signing request: {error}") from None
    if not request.is_signature_valid:
        raise SigningError("spec.request: the signature does not fit its key")
    own = signer.key if signer is not None else key
    if own is None:
        raise SigningError("a certificate that signs itself needs the private key of its request")
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    life = seconds(asked["duration"]) if asked.get("duration") else DEFAULT_DURATION_S
    ends = now + datetime.timedelta(seconds=life)
    issuer = signer.certificate.subject if signer is not None else request.subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(issuer)
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=bool(asked.get("isCA")), path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(request.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own.public_key()), critical=False)
    )
    named = {KEY_USAGES[each] for each in usages(asked) if each in KEY_USAGES}
    if named:
        bits = {each: each in named for each in {*KEY_USAGES.values()}}
        builder = builder.add_extension(x509.KeyUsage(**bits, encipher_only=False, decipher_only=False), critical=True)
    extended = [x509.ObjectIdentifier(EXTENDED_USAGES[each]) for each in usages(asked) if each in EXTENDED_USAGES]
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    for extension in request.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            builder = builder.add_extension(extension.value, critical=extension.critical)
    return builder.sign(own, _digest(own))


def load_signer(certificates: str, key: str) -> Signer:
    """Return the authority whose chain and key are PEM text.

    Raises:
        SigningError: If the two do not belong together, or the certificate is not an authority's.
    """
    chain, private = load_pair(certificates, key)
    try:
        constraints = chain[0].extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        constraints = x509.BasicConstraints(ca=False, path_length=None)
    if not constraints.ca:
        raise SigningError("certificate is not a CA")
    return Signer(chain[0], private, chain[1:])


def load_pair(certificates: str, key: str) -> tuple[list[x509.Certificate], PrivateKey]:
    """Return the certificates and the key of a TLS Secret.

    Raises:
        SigningError: If they cannot be read or do not belong together.
    """
    chain, private = load_certificates(certificates), load_key(key)
    if _public(private.public_key()) != _public(chain[0].public_key()):
        raise SigningError("the private key does not belong to the certificate")
    return chain, private


def load_certificates(certificates: str) -> list[x509.Certificate]:
    """Return the certificates in PEM text, at least one.

    Raises:
        SigningError: If they cannot be read.
    """
    try:
        return x509.load_pem_x509_certificates(certificates.encode())
    except ValueError as error:
        raise SigningError(f"the certificate cannot be read: {error}") from None


def load_key(key: str) -> PrivateKey:
    """Return the private key in PEM text.

    Raises:
        SigningError: If it cannot be read.
    """
    try:
        private = serialization.load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError):
        raise SigningError("the private key cannot be read") from None
    if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise SigningError("the private key is of an unknown kind")
    return private


def text(certificates: Sequence[x509.Certificate]) -> str:
    """Return certificates as PEM."""
    return "".join(each.public_bytes(serialization.Encoding.PEM).decode() for each in certificates)


def encode(plain: str) -> str:
    """Return base64 of a text."""
    return base64.b64encode(plain.encode()).decode()


def _public(key: Any) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_bytes(serialization.Encoding.DER, form))


def _digest(key: PrivateKey) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
