"""Envoy's secrets for a translated Gateway: the certificates and authorities that its TLS contexts name.

The translator's output names secrets without their content, which Envoy Gateway sends apart. The content is found again
by the names that Envoy Gateway gives: `<namespace>/<Secret>` for a certificate, `<namespace>/<policy>/ca.crt` for the
authorities of a ClientTrafficPolicy, `<name>/<namespace>-ca` for those of a Backend or a BackendTLSPolicy.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
_CERTIFICATE, _AUTHORITY = "certificate", "authority"
_SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 - a type's name
_AUTHORITY_KEY = "ca.crt"
_SYSTEM_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True, order=True)
class SecretName:
    """A secret that a TLS context names; `role` is certificate or authority, since the names of the two can collide."""

    role: str
    name: str


def references(value: object) -> Iterator[tuple[SecretName, Object]]:
    """Yield every secret that Envoy resources name, with the object that holds its `sdsConfig`."""
    if isinstance(value, dict):
        for key, member in value.items():
            if key == "tlsCertificateSdsSecretConfigs":
                for each in member:
                    yield SecretName(_CERTIFICATE, each["name"]), each
            elif key == "validationContextSdsSecretConfig":
                yield SecretName(_AUTHORITY, member["name"]), member
            else:
                yield from references(member)
    elif isinstance(value, list):
        for member in value:
            yield from references(member)


def resources(wanted: Sequence[SecretName], objects: Callable[[str], Sequence[Object]]) -> dict[SecretName, Object]:
    """Return Envoy's secret for each name whose content is there.

    Args:
        wanted: What TLS contexts name.
        objects: Returns the cluster's objects of a kind.
    """
    found = {}
    for each in wanted:
        content = _certificate(each.name, objects) if each.role == _CERTIFICATE else _authority(each.name, objects)
        if content is not None:
            found[each] = {"@type": _SECRET, "name": each.name, **content}
    return found


def _certificate(name: str, objects: Callable[[str], Sequence[Object]]) -> Object | None:
    namespace, _, secret = name.partition("/")
    data = _data(objects("Secret"), namespace, secret)
    if not data.get("tls.crt") or not data.get("tls.key"):
        return None
    chain, key = (_inline(data[each]) for each in ("tls.crt", "tls.key"))
    return {"tlsCertificate": {"certificateChain": chain, "privateKey": key}}


def _authority(name: str, objects: Callable[[str], Sequence[Object]]) -> Object | None:
    parts = name.split("/")
    if len(parts) == 3 and parts[2] == _AUTHORITY_KEY:
        namespace, owner = parts[0], _find(objects("ClientTrafficPolicy"), parts[0], parts[1])
        validation = ((owner or {}).get("spec", {}).get("tls") or {}).get("clientValidation") or {}
    elif len(parts) == 2 and parts[1].endswith("-ca"):
        namespace = parts[1].removesuffix("-ca")
        backend = _find(objects("Backend"), namespace, parts[0])
        policy = _find(objects("BackendTLSPolicy"), namespace, parts[0])
        validation = (
            ((backend or {}).get("spec") or {}).get("tls") or ((policy or {}).get("spec") or {}).get("validation") or {}
        )
    else:
        return None
    if validation.get("wellKnownCACertificates"):
        return {"validationContext": {"trustedCa": {"filename": _SYSTEM_AUTHORITIES}}}
    texts = []
    for reference in validation.get("caCertificateRefs") or []:
        place = reference.get("namespace") or namespace
        kind = reference.get("kind") or "ConfigMap"
        if text := _data(objects(kind), place, reference["name"]).get(_AUTHORITY_KEY):
            texts.append(text.strip())
    if not texts:
        return None
    return {"validationContext": {"trustedCa": _inline("\n".join(texts) + "\n")}}


def _data(objects: Sequence[Object], namespace: str, name: str) -> Mapping[str, str]:
    found = _find(objects, namespace, name) or {}
    data = found.get("data") or {}
    if found.get("kind") != "Secret":
        return dict(data)
    return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}


def _find(objects: Sequence[Object], namespace: str, name: str) -> Object | None:
    wanted = (namespace, name)
    return next((o for o in objects if (o["metadata"].get("namespace"), o["metadata"]["name"]) == wanted), None)


def _inline(text: str) -> Object:
    return {"inlineString": text}
