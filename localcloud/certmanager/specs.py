"""What a Certificate asks for: its defaults, what cert-manager refuses, and when a certificate must be issued again.

Pure functions over the fields of cert-manager.io/v1.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]
Seconds = float
DEFAULT_DURATION_S: Seconds = 90 * 86400.0
_SHORTEST_DURATION_S: Seconds = 3600.0
_SHORTEST_RENEW_BEFORE_S: Seconds = 300.0
_LONGEST_COMMON_NAME = 64
_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|ns|m|s)")
_DNS_NAME = re.compile(r"^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
_ALGORITHM_SIZES = {"RSA": (2048, 8192), "ECDSA": (256, 521)}
_CURVES = (256, 384, 521)
EXTENDED_USAGES = {
    "server auth": "1.3.6.1.5.5.7.3.1",
    "client auth": "1.3.6.1.5.5.7.3.2",
    "code signing": "1.3.6.1.5.5.7.3.3",
    "email protection": "1.3.6.1.5.5.7.3.4",
    "timestamping": "1.3.6.1.5.5.7.3.8",
    "ocsp signing": "1.3.6.1.5.5.7.3.9",
    "any": "2.5.29.37.0",
}
KEY_USAGES = {
    "signing": "digital_signature",
    "digital signature": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment",
    "data encipherment": "data_encipherment",
    "key agreement": "key_agreement",
    "cert sign": "key_cert_sign",
    "crl sign": "crl_sign",
}


def seconds(duration: str) -> Seconds:
    """Return the length of a duration as Go writes it, such as `2160h` or `1h30m`.

    Raises:
        ValueError: If it is none.
    """
    parts = _PART.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f"{duration!r} is no duration such as 2160h")
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def issuer_of(spec: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return group, kind and name of the issuer that a Certificate or a CertificateRequest names."""
    reference = spec.get("issuerRef") or {}
    return reference.get("group") or "cert-manager.io", reference.get("kind") or "Issuer", reference.get("name", "")


def usages(spec: Mapping[str, Any]) -> list[str]:
    """Return the usages of a certificate, cert-manager's defaults included."""
    found = list(spec.get("usages") or ["digital signature", "key encipherment"])
    return [*found, "cert sign"] if spec.get("isCA") and "cert sign" not in found else found


def problems(spec: Mapping[str, Any]) -> list[str]:
    """Return what cert-manager's webhook refuses in a Certificate."""
    bad = [*_name_problems(spec), *_key_problems(spec.get("privateKey") or {})]
    group, kind, name = issuer_of(spec)
    if not name:
        bad.append("spec.issuerRef.name: Required value: must be specified")
    if group == "cert-manager.io" and kind not in ("Issuer", "ClusterIssuer"):
        bad.append(f"spec.issuerRef.kind: Invalid value: {kind!r}: must be one of Issuer or ClusterIssuer")
    unknown = [each for each in spec.get("usages") or [] if each not in KEY_USAGES and each not in EXTENDED_USAGES]
    bad += [f"spec.usages: Invalid value: {each!r}: unknown keyusage" for each in unknown]
    return bad + _time_problems(spec)


def _name_problems(spec: Mapping[str, Any]) -> list[str]:
    bad = []
    common_name = spec.get("commonName") or ""
    if len(common_name) > _LONGEST_COMMON_NAME:
        bad.append(f"spec.commonName: Too long: may not be more than {_LONGEST_COMMON_NAME} bytes")
    if not any(spec.get(key) for key in ("commonName", "dnsNames", "ipAddresses", "uris", "emailAddresses")):
        bad.append(
            "spec: Invalid value: at least one of commonName, dnsNames, emailAddresses, ipAddresses or uris must be set"
        )
    for each in spec.get("dnsNames") or []:
        if not _DNS_NAME.match(each):
            bad.append(f"spec.dnsNames: Invalid value: {each!r}: is no DNS name")
    for each in spec.get("ipAddresses") or []:
        try:
            ipaddress.ip_address(each)
        except ValueError:
            bad.append(f"spec.ipAddresses: Invalid value: {each!r}: invalid IP address")
    return bad


def _key_problems(key: Mapping[str, Any]) -> list[str]:
    algorithm, size = key.get("algorithm") or "RSA", key.get("size") or 0
    lowest, highest = _ALGORITHM_SIZES.get(algorithm, (0, 0))
    if algorithm == "ECDSA" and size and size not in _CURVES:
        return [f"spec.privateKey.size: Unsupported value: {size}: supported values: {', '.join(map(str, _CURVES))}"]
    if algorithm == "RSA" and size and not lowest <= size <= highest:
        return [f"spec.privateKey.size: Invalid value: {size}: must be between {lowest} and {highest}"]
    return []


def _time_problems(spec: Mapping[str, Any]) -> list[str]:
    bad = []
    try:
        duration = seconds(spec["duration"]) if spec.get("duration") else DEFAULT_DURATION_S
        before = seconds(spec["renewBefore"]) if spec.get("renewBefore") else None
    except ValueError as error:
        return [f"spec.duration: Invalid value: {error}"]
    if duration < _SHORTEST_DURATION_S:
        bad.append("spec.duration: Invalid value: certificate duration must be greater than 1h0m0s")
    if before is not None and before < _SHORTEST_RENEW_BEFORE_S:
        bad.append("spec.renewBefore: Invalid value: certificate renewBefore must be greater than 5m0s")
    if before is not None and before >= duration:
        bad.append("spec.renewBefore: Invalid value: certificate duration must be greater than renewBefore")
    if before is not None and spec.get("renewBeforePercentage") is not None:
        bad.append("spec.renewBefore: Invalid value: renewBefore and renewBeforePercentage are mutually exclusive")
    return bad


def renewal_time(
    spec: Mapping[str, Any], not_before: datetime.datetime, not_after: datetime.datetime
) -> datetime.datetime:
    """Return when a certificate must be renewed: by default after two thirds of its life."""
    life = not_after - not_before
    before = life / 3
    percentage = spec.get("renewBeforePercentage")
    if spec.get("renewBefore") and (wanted := datetime.timedelta(seconds=seconds(spec["renewBefore"]))) < life:
        before = wanted
    elif percentage and 0 < percentage < 100:
        before = life * percentage / 100
    return (not_after - before).replace(microsecond=0)


def request_of(certificate: Object, revision: int, request: str) -> Object:
    """Return the CertificateRequest of a Certificate's revision.

    Args:
        certificate: The Certificate.
        revision: Number of the issuance, from 1.
        request: Base64 of the PEM certificate signing request.
    """
    metadata, spec = certificate["metadata"], certificate["spec"]
    asked: Object = {"issuerRef": spec["issuerRef"], "request": request, "usages": usages(spec)}
    asked |= {key: spec[key] for key in ("duration", "isCA") if spec.get(key)}
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "CertificateRequest",
        "metadata": {
            "name": request_name(metadata["name"], revision),
            "namespace": metadata["namespace"],
            "annotations": {
                "cert-manager.io/certificate-name": metadata["name"],
                "cert-manager.io/certificate-revision": str(revision),
            },
            "ownerReferences": [
                {
                    "apiVersion": "cert-manager.io/v1", "kind": "Certificate", "name": metadata["name"],
                    "uid": metadata["uid"], "controller": True, "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": asked,
    }  # fmt: skip


def request_name(certificate: str, revision: int) -> str:
    """Return the name of the CertificateRequest of a Certificate's revision."""
    return f"{certificate}-{revision}"


def same_request(certificate: Object, request: Object) -> bool:
    """Return whether a CertificateRequest asks for what the Certificate now says, names excepted."""
    spec, asked = certificate["spec"], request["spec"]
    return (
        issuer_of(spec) == issuer_of(asked)
        and usages(spec) == list(asked.get("usages") or [])
        and bool(spec.get("isCA")) == bool(asked.get("isCA"))
        and _length(spec) == _length(asked)
    )


def _length(spec: Mapping[str, Any]) -> Seconds:
    return seconds(spec["duration"]) if spec.get("duration") else DEFAULT_DURATION_S
