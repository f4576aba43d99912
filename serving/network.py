"""Who may talk to whom in the namespace of the model servers: nobody, except what is listed here.

Policies are per pod, so that the init container that pulls a bundle and the server share what is allowed.
"""

from collections.abc import Mapping
from typing import Any

from serving.cluster import GRPC_PORT, HTTP_PORT
from serving.gateway import GATEWAY_NAMESPACE

Manifest = dict[str, Any]
MONITORING_LABEL = "tricorn.dev/monitoring"
"""Label, with the value `true`, of namespaces whose pods may read metrics."""
_DNS_PORT = 53
_LINK_LOCAL = "169.254.0.0/16"
_NODE_LOCAL_DNS = "169.254.20.10/32"
# Where pods of each cloud get their identity, as (address, port). EKS Pod Identity agent:
# https://docs.aws.amazon.com/eks/latest/userguide/pod-id-agent-setup.html. GKE metadata server, with and without
# Dataplane V2: https://cloud.google.com/kubernetes-engine/docs/how-to/workload-identity. Azure's is on the internet.
_IDENTITY = {"s3": [("169.254.170.23/32", 80)], "gcs": [("169.254.169.254/32", 80), ("169.254.169.252/32", 988)]}
# A store that is not a cloud's may be on any port.
_STORE_PORTS = {"http": {"protocol": "TCP", "port": 1, "endPort": 65535}}
# On GKE with Cloud DNS the metadata server answers DNS too; no namespace selector matches it (tektoncd/operator#4000).
_RESOLVERS = {"gcs": ["169.254.169.254/32"]}


def default_deny(namespace: str) -> Manifest:
    """Return the policy that closes a namespace to everything, in and out."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "default-deny", "namespace": namespace},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    }


def server_traffic(selector: Mapping[str, str], store_kind: str) -> Manifest:
    """Return the spec of a model version's policy.

    In: the gateway, and metrics for namespaces with the label `tricorn.dev/monitoring: "true"`. Out: DNS, HTTPS to
    stores anywhere but on the node (any TCP port for a store of kind `http`), and where the cloud gives a pod its
    identity.

    Args:
        selector: Labels of the version's pods.
        store_kind: Kind of the model store, which decides where identities come from.
    """
    gateway = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": GATEWAY_NAMESPACE}}}
    monitoring = {"namespaceSelector": {"matchLabels": {MONITORING_LABEL: "true"}}}
    system = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
    resolvers = [_block(each) for each in (_NODE_LOCAL_DNS, *_RESOLVERS.get(store_kind, ()))]
    store = _STORE_PORTS.get(store_kind, _port(443))
    egress = [
        {"to": [system, *resolvers], "ports": [_port(_DNS_PORT, "UDP"), _port(_DNS_PORT)]},
        {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": [_LINK_LOCAL]}}], "ports": [store]},
    ]
    egress += [{"to": [_block(address)], "ports": [_port(port)]} for address, port in _IDENTITY.get(store_kind, ())]
    return {
        "podSelector": {"matchLabels": dict(selector)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {"from": [gateway], "ports": [_port(GRPC_PORT), _port(HTTP_PORT)]},
            {"from": [monitoring], "ports": [_port(HTTP_PORT)]},
        ],
        "egress": egress,
    }


def _port(number: int, protocol: str = "TCP") -> Manifest:
    return {"protocol": protocol, "port": number}


def _block(cidr: str) -> Manifest:
    return {"ipBlock": {"cidr": cidr}}
