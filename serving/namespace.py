"""What a cluster needs once before model servers: namespace, service account, the pull script, closed by default."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serving.network import default_deny

Manifest = dict[str, Any]
PULLER = "bundle-puller"
"""Name of the ConfigMap with the pull script."""
PULL_SCRIPT = "pull.sh"
SERVER_PRIORITY = "model-server"
"""PriorityClass of the model servers: above whatever names none."""
_PRIORITY = 100_000
_POD_SECURITY = "pod-security.kubernetes.io"


def pull_script() -> str:
    """Return the script that fetches a bundle in the init container."""
    return (Path(__file__).parent / PULL_SCRIPT).read_text(encoding="utf-8")


def namespace_objects(namespace: str, service_account: str, annotations: Mapping[str, object]) -> dict[str, Manifest]:
    """Return the objects by role; `priority` is one for the whole cluster, the others are the namespace's own.

    Args:
        namespace: Namespace of the model servers; enforces the Pod Security standard `restricted`.
        service_account: Service account of the model servers.
        annotations: Its annotations, such as Azure's client id; values may be outputs.
    """
    metadata = {"namespace": namespace}
    return {
        "namespace": {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": namespace,
                "labels": {
                    f"{_POD_SECURITY}/enforce": "restricted",
                    f"{_POD_SECURITY}/warn": "restricted",
                    f"{_POD_SECURITY}/audit": "restricted",
                },
            },
        },
        "service-account": {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {**metadata, "name": service_account, "annotations": dict(annotations)},
            "automountServiceAccountToken": False,
        },
        "puller": {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {**metadata, "name": PULLER},
            "data": {PULL_SCRIPT: pull_script()},
        },
        "default-deny": default_deny(namespace),
        "priority": {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": SERVER_PRIORITY},
            "value": _PRIORITY,
            "description": "Servers of models; they may push out batch work",
        },
    }
