"""Two sites whose gateways stand in for each other, as Kubernetes objects, and the certificates they need."""

import base64
from dataclasses import dataclass

from localcloud.certmanager import issuers, signing, specs
from serving.routes import gateway_objects, model_routes
from serving.settings import Ingress

NAMESPACE = "serving"
GATEWAY_API, ENVOY_API = "gateway.networking.k8s.io/v1", "gateway.envoyproxy.io/v1alpha1"
PUBLIC_PORT, PEER_PORT = 18080, 18443
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


def config_map(name, text):
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": text}}


def cluster_objects(site, peer, own, peer_authority):
    """Return everything in a site's cluster; `own` is its peer certificate."""
    found = gateway_objects(NAMESPACE, Ingress(port=PUBLIC_PORT))
    reference = [{"group": "", "kind": "Secret", "name": "peer"}]
    found["gateway"]["spec"]["listeners"].append(
        {"name": "peers", "port": PEER_PORT, "protocol": "HTTPS", "tls": {"certificateRefs": reference}}
    )
    routes = model_routes("scenes", NAMESPACE, site.name, {1: 100}, default=True, request_timeout_ms=5000)
    public, inward = (
        model_routes("scenes", NAMESPACE, site.name, {1: 100}, default=True, request_timeout_ms=5000)["grpc-route"]
        for _ in range(2)
    )
    public["spec"]["parentRefs"][0]["sectionName"] = "public"
    public["spec"]["rules"][0]["backendRefs"].append(
        {"group": "gateway.envoyproxy.io", "kind": "Backend", "name": f"peer-{peer.name}"}
    )
    # The header names who answered: only the gateway next to the server knows, so the peer's must win.
    public["spec"]["rules"][0]["filters"] = []
    inward["metadata"]["name"] = "scenes-peers"
    inward["spec"]["parentRefs"][0]["sectionName"] = "peers"
    policy = routes["traffic-policy"]
    policy["spec"]["targetRefs"] = [
        {"group": "gateway.networking.k8s.io", "kind": "GRPCRoute", "name": name} for name in ("scenes", "scenes-peers")
    ]
    backend_tls = {
        "sni": f"{peer.name}.peer.example.test",
        "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": f"peer-ca-{peer.name}"}],
        "clientCertificateRef": {"group": "", "kind": "Secret", "name": "peer"},
    }
    backend = {"fallback": True, "endpoints": [{"ip": {"address": peer.public, "port": PEER_PORT}}], "tls": backend_tls}
    gateway = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "serving"}
    validation = {
        "mode": "RequireAndVerify", "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "peer-cas"}]
    }  # fmt: skip
    client = {"targetRefs": [{**gateway, "sectionName": "peers"}], "tls": {"clientValidation": validation}}
    ports = [{"name": "grpc", "port": 8500, "targetPort": 8500, "appProtocol": "kubernetes.io/h2c"}]

    def made(version, kind, name, spec):
        return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}

    return [
        *found.values(), public, inward, policy,
        made("v1", "Service", "scenes-v1", {"clusterIP": site.service, "ports": ports}),
        made(ENVOY_API, "Backend", f"peer-{peer.name}", backend),
        made(ENVOY_API, "ClientTrafficPolicy", "peers", client),
        secret("peer", own), config_map("peer-cas", peer_authority), config_map(f"peer-ca-{peer.name}", peer_authority),
        *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in (NAMESPACE, "envoy-gateway-system")),
    ]  # fmt: skip
