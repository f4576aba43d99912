"""What the nodes, pods, Services and routes of a cluster agree on."""

from collections.abc import Mapping
from typing import Any

POOL_LABEL = "tricorn.dev/pool"
"""Node label whose value is the name of the node's pool."""
GPU_RESOURCE = "nvidia.com/gpu"
"""Resource that GPU pods ask for, also the key of the taint that keeps other pods off GPU nodes."""
GRPC_PORT = 8500
HTTP_PORT = 8501
GATEWAY_GROUP = "gateway.networking.k8s.io"
GATEWAY_API = f"{GATEWAY_GROUP}/v1"
ENVOY_GROUP = "gateway.envoyproxy.io"
ENVOY_API = f"{ENVOY_GROUP}/v1alpha1"


def server_name(model: str, version: int) -> str:
    """Return the name of a model version's Deployment and Service."""
    return f"{model}-v{version}"


def topology_spread(selector: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the constraints that spread pods over zones and over nodes, as far as there are several.

    Args:
        selector: Labels of the pods.
    """
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selector},
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]
