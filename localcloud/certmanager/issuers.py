"""Issuers of cert-manager: which are ready, why others are not, and how each signs."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509

from localcloud.certmanager.signing import PrivateKey, Signer, SigningError, load_signer, sign, text

Object = dict[str, Any]
CLUSTER_NAMESPACE = "cert-manager"
"""Namespace in which a ClusterIssuer's Secrets are."""
_NEEDED_BY_SOLVER = {
    "route53": (),
    "cloudDNS": ("project",),
    "azureDNS": ("subscriptionID", "resourceGroupName", "hostedZoneName"),
}


@dataclass(frozen=True)
class State:
    """Whether an issuer is ready, with cert-manager's reason and message."""

    ready: bool
    reason: str
    message: str


class NotIssued(Exception):
    """A request cannot be signed now, or never; `final` tells which."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


@dataclass(frozen=True)
class Issued:
    """What a CertificateRequest reports: the certificate with its chain, and the authority's root, both PEM."""

    certificate: str
    authority: str


@dataclass(frozen=True)
class Surroundings:
    """What issuers look at beyond themselves.

    Attributes:
        secret: Returns the data of a Secret by namespace and name, decoded; None where there is none.
        acme: Signs in place of an ACME server.
        answers_for: Tells whether the DNS service of a solver, such as `route53`, answers for a name.
    """

    secret: Callable[[str, str], Mapping[str, str] | None]
    acme: Callable[[], Signer]
    answers_for: Callable[[str, str], bool]


def state(issuer: Object, around: Surroundings) -> State:
    """Return the state of an Issuer or ClusterIssuer."""
    spec = issuer["spec"]
    if "selfSigned" in spec:
        return State(True, "IsReady", "")
    if "ca" in spec:
        try:
            _signer(issuer, around)
        except SigningError as error:
            return State(False, "ErrGetKeyPair", f"Error getting keypair for CA issuer: {error}")
        return State(True, "KeyPairVerified", "Signing CA verified")
    if "acme" in spec:
        return State(True, "ACMEAccountRegistered", "The ACME account was registered with the ACME server")
    kinds = ", ".join(sorted(spec)) or "nothing"
    return State(False, "NotSupported", f"the local clouds issue by selfSigned, ca and acme, not by {kinds}")


def issue(issuer: Object, asked: Mapping[str, Any], key: PrivateKey | None, around: Surroundings) -> Issued:
    """Sign the request of a CertificateRequest's spec.

    Raises:
        NotIssued: If it cannot be signed, or not yet.
    """
    found = state(issuer, around)
    if not found.ready:
        raise NotIssued(f"Referenced issuer does not have a Ready status condition: {found.message}")
    spec = issuer["spec"]
    try:
        if "selfSigned" in spec:
            own = text([sign(asked, None, key)])
            return Issued(own, own)
        if "ca" in spec:
            signer = _signer(issuer, around)
            certificate = sign(asked, signer)
            # As cert-manager: the chain without the root, and the root (or the highest known one) apart.
            chain = [signer.certificate, *signer.chain]
            return Issued(text([certificate, *(each for each in chain if not _is_root(each))]), text(chain[-1:]))
        _refuse_unsolvable(spec["acme"], asked, around)
        return Issued(text([sign(asked, around.acme())]), "")
    except SigningError as error:
        raise NotIssued(str(error), final=True) from None


def namespace_of(issuer: Object) -> str:
    """Return the namespace of an issuer's Secrets."""
    return issuer["metadata"].get("namespace") or CLUSTER_NAMESPACE


def _signer(issuer: Object, around: Surroundings) -> Signer:
    name = issuer["spec"]["ca"]["secretName"]
    data = around.secret(namespace_of(issuer), name)
    if data is None:
        raise SigningError(f'secrets "{name}" not found')
    if not data.get("tls.crt") or not data.get("tls.key"):
        raise SigningError(f'no data for "tls.crt" or "tls.key" in secret {namespace_of(issuer)}/{name}')
    return load_signer(data["tls.crt"], data["tls.key"])


def _is_root(certificate: x509.Certificate) -> bool:
    return certificate.subject == certificate.issuer


def _refuse_unsolvable(acme: Mapping[str, Any], asked: Mapping[str, Any], around: Surroundings) -> None:
    """Refuse names that no solver of an ACME issuer could prove."""
    request = x509.load_pem_x509_csr(base64.b64decode(asked["request"]))
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise NotIssued("an ACME certificate needs dnsNames", final=True) from None
    for name in names.get_values_for_type(x509.DNSName):
        solver = choose_solver(acme.get("solvers") or [], name)
        if solver is None:
            raise NotIssued(
                "Failed to determine a valid solver configuration for the set of domains on the Order: "
                f"no configured challenge solvers can be used for this challenge ({name})",
                final=True,
            )
        _check_solver(solver, name, around)


def choose_solver(solvers: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    """Return the solver that cert-manager takes for a name: an exact name, the longest zone, then any; DNS-01 only."""
    best: tuple[int, Mapping[str, Any]] | None = None
    for solver in solvers:
        if "dns01" not in solver and ("http01" not in solver or name.startswith("*.")):
            continue
        selector = solver.get("selector") or {}
        plain = name.removeprefix("*.")
        zones = [z for z in selector.get("dnsZones") or [] if plain == z or plain.endswith(f".{z}")]
        if name in (selector.get("dnsNames") or []):
            rank = 1 << 16
        elif zones:
            rank = max(map(len, zones))
        elif selector.get("dnsNames") or selector.get("dnsZones"):
            continue
        else:
            rank = 0
        if best is None or rank > best[0]:
            best = (rank, solver)
    return best[1] if best else None


def _check_solver(solver: Mapping[str, Any], name: str, around: Surroundings) -> None:
    if "dns01" not in solver:
        raise NotIssued(f"{name}: HTTP-01 asks the name, which leads to any of several clusters; use dns01")
    kinds = [kind for kind in solver["dns01"] if kind not in ("cnameStrategy",)]
    kind = kinds[0] if kinds else ""
    if kind not in _NEEDED_BY_SOLVER:
        raise NotIssued(f"{name}: the local clouds solve DNS-01 by {', '.join(_NEEDED_BY_SOLVER)}, not by {kind!r}")
    missing = [field for field in _NEEDED_BY_SOLVER[kind] if not solver["dns01"][kind].get(field)]
    if missing:
        raise NotIssued(f"{name}: solver {kind} lacks {', '.join(missing)}")
    if not around.answers_for(kind, name.removeprefix("*.")):
        raise NotIssued(f"{name}: {kind} has no zone for it, so that the challenge cannot be published")
