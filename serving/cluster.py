"""What the nodes, pods, Services and routes of a cluster agree on."""

POOL_LABEL = "tricorn.dev/pool"
"""Node label whose value is the name of the node's pool."""
GPU_RESOURCE = "nvidia.com/gpu"
"""Resource that GPU pods ask for, also the key of the taint that keeps other pods off GPU nodes."""
GRPC_PORT = 8500
HTTP_PORT = 8501


def server_name(model: str, version: int) -> str:
    """Return the name of a model version's Deployment and Service."""
    return f"{model}-v{version}"
