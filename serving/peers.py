"""How a site hands requests to other sites while it has no healthy server of a model, with mutual TLS.

Requests of peers come in by a listener of their own, whose routes lead to local servers only: no request travels twice.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from serving.certificates import PEER_SECRET, peer_name
from serving.cluster import ENVOY_API, ENVOY_GROUP

Manifest = dict[str, Any]
PEER_PORT = 8443
"""Port of the listener for other sites, in the cluster and in front of it."""
PEER_LISTENER = "peers"
PEER_CAS = "peer-cas"
"""ConfigMap with the authorities of all other sites, which the listener trusts."""
CA_KEY = "ca.crt"
LARGEST_WEIGHT = 1_000_000
"""Largest weight in the Gateway API."""


def backend_name(site: str) -> str:
    """Return the name of the Backend that stands for another site."""
    return f"peer-{site}"


def authority_name(site: str) -> str:
    """Return the name of the ConfigMap with another site's authority."""
    return f"peer-ca-{site}"


def peer_certificate_reference() -> Manifest:
    """Return the reference to the Secret with the certificate that a site shows to its peers."""
    return {"group": "", "kind": "Secret", "name": PEER_SECRET}


def peer_objects(
    namespace: str, domain: str, authorities: Mapping[str, object], addresses: Mapping[str, Sequence[object]]
) -> dict[str, Manifest]:
    """Return the objects of the other sites by role: `ca-<site>` and, needing it, `backend-<site>`.

    Args:
        namespace: Namespace of the Gateway.
        domain: Public name of all sites.
        authorities: PEM certificate of each other site's authority; may be an output.
        addresses: Static public addresses of each other site's load balancer. Names would split a route's servers into
            several clusters of Envoy, and with them the order of who is asked first (envoyproxy/gateway 1.9).
    """
    found: dict[str, Manifest] = {}
    for site, authority in authorities.items():
        found[f"ca-{site}"] = _config_map(authority_name(site), namespace, authority)
        found[f"backend-{site}"] = {
            "apiVersion": ENVOY_API,
            "kind": "Backend",
            "metadata": {"name": backend_name(site), "namespace": namespace},
            "spec": {
                "fallback": True,
                "endpoints": [{"ip": {"address": each, "port": PEER_PORT}} for each in addresses[site]],
                "tls": {
                    "sni": peer_name(site, domain),
                    "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": authority_name(site)}],
                    "clientCertificateRef": peer_certificate_reference(),
                    "minVersion": "1.3",
                },
            },
        }
    return found


def trusted_authorities(namespace: str, bundle: object) -> Manifest:
    """Return the ConfigMap of the authorities that the listener for peers trusts.

    Args:
        namespace: Namespace of the Gateway.
        bundle: Their PEM certificates, one after the other; may be an output.
    """
    return _config_map(PEER_CAS, namespace, bundle)


def client_validation(domain: str, sites: Sequence[str]) -> Manifest:
    """Return what the listener for peers asks of a client's certificate: to be one of the other sites' own."""
    return {
        "mode": "RequireAndVerify",
        "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": PEER_CAS}],
        "subjectAltNames": {"dnsNames": [{"type": "Exact", "value": peer_name(site, domain)} for site in sites]},
    }


def fallback_backends(weights: Mapping[str, int]) -> list[Manifest]:
    """Return the references to other sites for a route's rule, after the local servers.

    Weights among the sites are those of DNS; a drained site gets nothing. They are as large as can be because Envoy
    Gateway 1.9 answers 503 for the share of a local Service without any ready pod, by its weight among all.

    Args:
        weights: Share of DNS answers by site.
    """
    largest = max(weights.values(), default=0)
    return [
        {
            "group": ENVOY_GROUP,
            "kind": "Backend",
            "name": backend_name(site),
            "port": PEER_PORT,
            "weight": round(LARGEST_WEIGHT * weight / largest),
        }
        for site, weight in weights.items()
        if weight > 0
    ]


def _config_map(name: str, namespace: str, authority: object) -> Manifest:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {CA_KEY: authority}}
