"""cert-manager objects: the identity that a site's gateway shows to its peers, and the public certificate.

No private key is in any of them: cert-manager makes the keys inside the cluster and keeps them in Secrets there.
"""

from dataclasses import dataclass
from typing import Any

Manifest = dict[str, Any]
CERT_MANAGER_NAMESPACE = "cert-manager"
CERT_MANAGER_ACCOUNT = "cert-manager"
"""Service account of cert-manager's controller."""
PEER_AUTHORITY = "peer-ca"
"""Certificate, Secret and Issuer of a site's own authority. The public part is in the status of the request that
cert-manager makes for each revision, `<certificate>-<revision>`."""
PEER_SECRET = "peer"  # noqa: S105 - the name of a Secret
PUBLIC_SECRET = "serving-tls"  # noqa: S105 - the name of a Secret
ACME_ISSUER = "acme"
_API = "cert-manager.io/v1"
_GROUP = "cert-manager.io"
_AUTHORITY_DURATION = "87600h"
_AUTHORITY_RENEWAL = "720h"
_DURATION = "2160h"
_RENEWAL = "720h"


def peer_name(site: str, domain: str) -> str:
    """Return the name that a site's gateway shows to its peers; it is in no DNS."""
    return f"{site}.peer.{domain}"


def peer_identity_objects(namespace: str, site: str, domain: str) -> dict[str, Manifest]:
    """Return the objects by role, each needing the one before: `selfsigned`, `authority`, `issuer`, `certificate`.

    Every site has an authority of its own, so that none can be made to speak for another by what leaks from a third.

    Args:
        namespace: Namespace of the Gateway.
        site: Name of the site.
        domain: Public name of all sites.
    """
    key = {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"}
    return {
        "selfsigned": _object("Issuer", "peer-selfsigned", namespace, {"selfSigned": {}}),
        "authority": _object(
            "Certificate",
            PEER_AUTHORITY,
            namespace,
            {
                "isCA": True,
                "commonName": f"{site} peer CA",
                "secretName": PEER_AUTHORITY,
                # Longer than a cluster lives: a new authority would have to reach every other site first.
                "duration": _AUTHORITY_DURATION,
                "renewBefore": _AUTHORITY_RENEWAL,
                "privateKey": key,
                "issuerRef": _issuer("peer-selfsigned"),
            },
        ),
        "issuer": _object("Issuer", PEER_AUTHORITY, namespace, {"ca": {"secretName": PEER_AUTHORITY}}),
        "certificate": _object(
            "Certificate",
            PEER_SECRET,
            namespace,
            {
                "secretName": PEER_SECRET,
                "dnsNames": [peer_name(site, domain)],
                "usages": ["server auth", "client auth"],
                "duration": _DURATION,
                "renewBefore": _RENEWAL,
                "privateKey": key,
                "issuerRef": _issuer(PEER_AUTHORITY),
            },
        ),
    }


@dataclass(frozen=True, kw_only=True)
class Acme:
    """How a certificate authority on the internet is asked."""

    server: str
    """URL of its directory."""
    email: str
    """Where it writes to."""
    zone_id: object
    """Route 53 zone of the domain."""
    region: str
    """AWS region that calls are signed for; Route 53 itself has none."""
    role_arn: object | None
    """Role that may write the challenge, taken with the cluster's own tokens; None for credentials of the nodes."""


def public_certificate_objects(namespace: str, site: str, domain: str, acme: Acme) -> dict[str, Manifest]:
    """Return the objects by role: `issuer` and, needing it, `certificate`.

    The challenge is a DNS record (DNS-01): one over HTTP would be answered by whichever site the name leads to.

    Args:
        namespace: Namespace of the Gateway.
        site: Name of the site; the certificate is also for `<site>.<domain>`.
        domain: Public name of all sites.
        acme: The authority and the zone.
    """
    route53: Manifest = {"hostedZoneID": acme.zone_id, "region": acme.region}
    if acme.role_arn is not None:
        route53 |= {
            "role": acme.role_arn,
            "auth": {"kubernetes": {"serviceAccountRef": {"name": CERT_MANAGER_ACCOUNT}}},
        }
    account = {
        "server": acme.server,
        "email": acme.email,
        "privateKeySecretRef": {"name": "acme-account"},
        "solvers": [{"dns01": {"route53": route53}}],
    }
    return {
        # For the whole cluster: only such an issuer may use the controller's service account.
        "issuer": _object("ClusterIssuer", ACME_ISSUER, None, {"acme": account}),
        "certificate": _object(
            "Certificate",
            PUBLIC_SECRET,
            namespace,
            {
                "secretName": PUBLIC_SECRET,
                "dnsNames": [domain, f"{site}.{domain}"],
                "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
                "issuerRef": _issuer(ACME_ISSUER, "ClusterIssuer"),
            },
        ),
    }


def _issuer(name: str, kind: str = "Issuer") -> Manifest:
    return {"group": _GROUP, "kind": kind, "name": name}


def _object(kind: str, name: str, namespace: str | None, spec: Manifest) -> Manifest:
    place = {"namespace": namespace} if namespace else {}
    # What comes next needs it to work, not only to be there.
    metadata = {"name": name, **place, "annotations": {"pulumi.com/waitFor": "condition=Ready"}}
    return {"apiVersion": _API, "kind": kind, "metadata": metadata, "spec": spec}
