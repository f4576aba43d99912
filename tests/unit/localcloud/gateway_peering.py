"""Two sites whose gateways stand in for each other, as Kubernetes objects, and the certificates they need."""

import base64
from dataclasses import dataclass

from localcloud.certmanager import issuers, signing, specs
from serving.gateway import GATEWAY_NAMESPACE, Peering, gateway_objects
from serving.peers import PEER_PORT, peer_objects, trusted_authorities
from serving.routes import model_routes
from serving.settings import Ingress

NAMESPACE = "serving"
DOMAIN = "example.test"
PUBLIC_PORT = 18080
__all__ = ["METHOD", "PEER_PORT", "PUBLIC_PORT"]
METHOD = "/tensorflow.serving.PredictionService/Predict"


@dataclass(frozen=True)
class Pair:
    """A certificate with its key and its authority, as a TLS Secret holds them."""

    certificate: str
    key: str
    authority: str


@dataclass
class Site:
    """A site: its name, public address, ClusterIP of its one server, and the server's pod address."""

    name: str
    public: str
    service: str
    pod: str


def request(spec, key):
    owner = {
        "metadata": {"name": "c", "namespace": NAMESPACE, "uid": "u"},
        "spec": {"issuerRef": {"name": "i"}, **spec},
    }
    return specs.request_of(owner, 1, signing.signing_request(spec, key))["spec"]


def authority(name):
    """Return a new authority of a site's own."""
    key = signing.new_key({"algorithm": "ECDSA"})
    asked = request({"commonName": name, "isCA": True, "duration": "87600h"}, key)
    certificate = signing.text([signing.sign(asked, None, key)])
    return Pair(certificate, signing.key_text(key, "PKCS1"), certificate)


def leaf(signer, name, **spec):
    """Return a certificate for a name, signed by an authority."""
    key = signing.new_key({"algorithm": "ECDSA"})
    usages = ["digital signature", "key encipherment", "server auth", "client auth"]
    asked = request({"dnsNames": [name], "usages": usages, **spec}, key)
    around = issuers.Surroundings(
        lambda *_: {"tls.crt": signer.certificate, "tls.key": signer.key}, lambda: None, lambda *_: True
    )
    issuer = {"metadata": {"namespace": NAMESPACE}, "spec": {"ca": {"secretName": "ca"}}}
    issued = issuers.issue(issuer, asked, None, around)
    return Pair(issued.certificate, signing.key_text(key, "PKCS1"), issued.authority)


def secret(name, pair):
    data = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": pair.authority}
    return {
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }  # fmt: skip


def cluster_objects(site, peer, own, peer_authority, *, callers=None):
    """Return everything in a site's cluster that its gateway looks at; `own` is its peer certificate."""
    peering = Peering(domain=DOMAIN, sites=(peer.name,))
    routes = model_routes(
        "scenes", NAMESPACE, site.name, {1: 100}, default=True, request_timeout_ms=5000, callers=callers,
        peers={peer.name: 50},
    )  # fmt: skip
    ports = [
        {"name": "grpc", "port": 8500, "targetPort": 8500, "appProtocol": "kubernetes.io/h2c"},
        {"name": "http", "port": 8501, "targetPort": 8501},
    ]
    service, spec = {"name": "scenes-v1", "namespace": NAMESPACE}, {"clusterIP": site.service, "ports": ports}
    return [
        *gateway_objects(NAMESPACE, Ingress(port=PUBLIC_PORT), site=site.name, peering=peering).values(),
        *routes.values(),
        *peer_objects(NAMESPACE, DOMAIN, {peer.name: peer_authority}, {peer.name: [peer.public]}).values(),
        trusted_authorities(NAMESPACE, peer_authority),
        {"apiVersion": "v1", "kind": "Service", "metadata": service, "spec": spec},
        secret("peer", own),
        *(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            for name in (NAMESPACE, GATEWAY_NAMESPACE)
        ),
    ]  # fmt: skip
