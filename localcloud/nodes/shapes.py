"""Node, condition and lease objects of the simulated machines. Pure functions."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import time

from localcloud.addresses import pod_network
from localcloud.nodes.api import Object
from localcloud.nodes.status import timestamp
from localcloud.store import Cluster, Pool

POOL_ANNOTATION = "localcloud.tricorn.dev/pool"
"""Node annotation with the id of the node's pool."""
GPU = "nvidia.com/gpu"
NODE_ADDRESSES = 2048
"""How many addresses at the end of the pods' network belong to nodes."""
_SIMULATED = {f"{GPU}.product": "Simulated-on-CPU", "localcloud.tricorn.dev/gpu": "simulated"}
_PODS_PER_NODE = "110"
_LEASE_S = 40
_SHORT = 40


def short_name(pool_id: str, name: str) -> str:
    """Return the first part of the names of a pool's nodes: RFC 1123, unique by pool."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:_SHORT].rstrip("-") or "pool"
    return f"{slug}-{hashlib.sha256(pool_id.encode()).hexdigest()[:5]}"


def zones(pool: Pool, cluster: Cluster) -> list[str]:
    """Return the zones a pool may use; a pool that names none uses its region's first."""
    return list(pool.spec.get("zones") or []) or [f"{cluster.region}-a"]


def pool_labels(pool: Pool, cluster: Cluster, zone: str) -> dict[str, str]:
    """Return the labels of a pool's nodes in a zone, without the host name."""
    labels = {str(key): str(value) for key, value in (pool.spec.get("labels") or {}).items()}
    labels |= {
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "node.kubernetes.io/instance-type": str(pool.spec["machine_type"]),
        "topology.kubernetes.io/region": cluster.region,
        "topology.kubernetes.io/zone": zone,
    }
    return labels | (_SIMULATED if int(pool.spec.get("gpus") or 0) else {})


def capacity(pool: Pool) -> dict[str, str]:
    """Return what a pool's nodes offer to pods."""
    found = {
        "cpu": f"{float(pool.spec['vcpus']):g}",
        "memory": f"{int(float(pool.spec['memory_gib']) * 1024)}Mi",
        "ephemeral-storage": "100Gi",
        "pods": _PODS_PER_NODE,
    }
    return found | ({GPU: str(int(pool.spec["gpus"]))} if int(pool.spec.get("gpus") or 0) else {})


def node_object(pool: Pool, cluster: Cluster, zone: str, number: int, address: str) -> Object:
    """Return the Node that a new machine registers."""
    name = f"{short_name(pool.id, pool.name)}-{number}"
    offered = capacity(pool)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": pool_labels(pool, cluster, zone) | {"kubernetes.io/hostname": name},
            "annotations": {POOL_ANNOTATION: pool.id},
        },
        "spec": {
            "providerID": f"localcloud://{pool.cloud}/{zone}/{name}",
            "taints": [
                {"key": each["key"], "value": each.get("value") or "", "effect": each["effect"]}
                for each in pool.spec.get("taints") or []
            ],
        },
        "status": {
            "capacity": offered,
            "allocatable": offered,
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            "conditions": [_condition("Ready", "False", "KubeletNotReady", "the machine is starting")],
            "nodeInfo": {
                "architecture": "amd64", "operatingSystem": "linux",
                "kubeletVersion": f"v{cluster.version.removeprefix('v')}", "kubeProxyVersion": "",
                "kernelVersion": "", "osImage": "simulated machine",
                "containerRuntimeVersion": "localcloud://1", "machineID": "", "systemUUID": "", "bootID": "",
            },
        },
    }  # fmt: skip


def free_address(cluster: Cluster, nodes: list[Object]) -> str:
    """Return a simulated address for a new node, from the end of the pods' network.

    Raises:
        RuntimeError: If every address is taken.
    """
    taken = {a["address"] for node in nodes for a in (node.get("status") or {}).get("addresses") or []}
    last = int(pod_network(cluster.cloud, cluster.number).broadcast_address)
    for value in range(last - NODE_ADDRESSES + 1, last):
        address = str(ipaddress.IPv4Address(value))
        if address not in taken:
            return address
    raise RuntimeError(f"every node address of cluster {cluster.name} is taken")


def free_number(pool: Pool, nodes: list[Object]) -> int:
    """Return the lowest number that no node of the pool bears."""
    prefix = short_name(pool.id, pool.name) + "-"
    names = {node["metadata"]["name"] for node in nodes}
    return next(n for n in range(len(names) + 1) if f"{prefix}{n}" not in names)


def heartbeat(node: Object) -> Object:
    """Return the status of a node that is well."""
    simulated = (
        " (simulated; its GPUs compute on the CPU)" if GPU in node["status"].get("capacity", {}) else " (simulated)"
    )
    return {
        "conditions": [
            _condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "memory available"),
            _condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "disk available"),
            _condition("PIDPressure", "False", "KubeletHasSufficientPID", "process ids available"),
            _condition("Ready", "True", "KubeletReady", "the node agent is ready" + simulated),
        ]
    }


def is_ready(node: Object) -> bool:
    """Return whether a node's Ready condition is true."""
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def lease(node: Object) -> Object:
    """Return a node's lease, renewed now."""
    metadata = node["metadata"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": metadata["name"], "namespace": "kube-node-lease", "ownerReferences": [owner]},
        "spec": {
            "holderIdentity": metadata["name"],
            "leaseDurationSeconds": _LEASE_S,
            "renewTime": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime()),
        },
    }


def _condition(kind: str, status: str, reason: str, message: str) -> Object:
    now = timestamp()
    return {
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastHeartbeatTime": now, "lastTransitionTime": now,
    }  # fmt: skip
