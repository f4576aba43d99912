"""What an autoscaler does next, decided from pools, nodes and pods. Pure functions."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.nodes.fitting import Amounts, admits, amounts, requests, take
from localcloud.nodes.shapes import POOL_ANNOTATION, capacity, pool_labels, zones
from localcloud.store import Cluster, Pool

Object = dict[str, Any]
IDLE_S = 60.0
"""How long a node above the minimum stays without pods before it goes."""
YOUNG_S = 30.0
"""How long a new node is expected to take the pods it was added for."""
_OVER = ("Succeeded", "Failed")


@dataclass
class Decision:
    """What to do for one cluster."""

    add: list[tuple[Pool, str]] = field(default_factory=list)
    """Machines to add: pool and zone."""
    remove: list[Object] = field(default_factory=list)
    """Nodes to remove."""
    refused: list[tuple[Object, str]] = field(default_factory=list)
    """Pods that a new machine would help and that get none, with the reason."""
    problems: dict[str, str] = field(default_factory=dict)
    """Message by id of a pool that could not get a machine it needs."""


@dataclass
class _Bin:
    """Room on a machine that is there but has not taken its pods yet, or that is about to be added."""

    labels: Mapping[str, str]
    taints: list[Object]
    free: Amounts


def nodes_of(pool: Pool, nodes: list[Object]) -> list[Object]:
    """Return a pool's nodes."""
    return [each for each in nodes if (each["metadata"].get("annotations") or {}).get(POOL_ANNOTATION) == pool.id]


def is_waiting(pod: Object) -> bool:
    """Return whether the scheduler found no node for the pod."""
    if pod["spec"].get("nodeName") or pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(
        each["type"] == "PodScheduled" and each["status"] == "False" and each.get("reason") == "Unschedulable"
        for each in conditions
    )


def decide(
    cluster: Cluster,
    pools: list[Pool],
    nodes: list[Object],
    pods: list[Object],
    idle_s: Mapping[str, float],
    age_s: Mapping[str, float],
    take_machine: Callable[[str, str], str],
) -> Decision:
    """Decide what to add and remove.

    Args:
        cluster: The cluster.
        pools: Its pools that are not being deleted.
        nodes: All its Nodes.
        pods: All its pods.
        idle_s: For how long each node has been without pods, by name; absent for nodes with pods.
        age_s: How long ago each node was added, by name.
        take_machine: Takes a machine of a type in a zone; returns an empty string, or why there is none.
    """
    decision = Decision()
    counts = {pool.id: len(nodes_of(pool, nodes)) for pool in pools}
    for pool in pools:
        while counts[pool.id] < int(pool.spec.get("min") or 0):
            problem = _add(decision, cluster, pool, nodes, take_machine)
            if problem:
                decision.problems[pool.id] = problem
                break
            counts[pool.id] += 1
    bins = _coming(nodes, pods, age_s) + [_new_bin(cluster, pool, zone) for pool, zone in decision.add]
    for pod in sorted((each for each in pods if is_waiting(each)), key=lambda each: each["metadata"]["uid"]):
        if not _place(pod, bins):
            _grow(decision, cluster, pools, nodes, counts, bins, pod, take_machine)
    if not decision.add:
        decision.remove = _idle(pools, nodes, idle_s)
    return decision


def _coming(nodes: list[Object], pods: list[Object], age_s: Mapping[str, float]) -> list[_Bin]:
    result = []
    for node in nodes:
        name = node["metadata"]["name"]
        if age_s.get(name, YOUNG_S) >= YOUNG_S or node["spec"].get("unschedulable"):
            continue
        free: Amounts | None = amounts((node.get("status") or {}).get("allocatable") or {})
        for pod in pods:
            if pod["spec"].get("nodeName") == name and (pod.get("status") or {}).get("phase") not in _OVER:
                free = take(free or {}, requests(pod))
        # Taints of a node that is only starting go away by themselves.
        taints = [
            each for each in node["spec"].get("taints") or [] if not each["key"].startswith("node.kubernetes.io/")
        ]
        result.append(_Bin(node["metadata"].get("labels") or {}, taints, free or {}))
    return result


def _new_bin(cluster: Cluster, pool: Pool, zone: str) -> _Bin:
    return _Bin(pool_labels(pool, cluster, zone), list(pool.spec.get("taints") or []), amounts(capacity(pool)))


def _place(pod: Object, bins: list[_Bin]) -> bool:
    for each in bins:
        if admits(pod, each.labels, each.taints):
            left = take(each.free, requests(pod))
            if left is not None:
                each.free = left
                return True
    return False


def _grow(
    decision: Decision,
    cluster: Cluster,
    pools: list[Pool],
    nodes: list[Object],
    counts: dict[str, int],
    bins: list[_Bin],
    pod: Object,
    take_machine: Callable[[str, str], str],
) -> None:
    """Add a machine for the pod from the smallest pool that could host it and can get one; spot before on-demand."""
    reasons = []
    order = sorted(
        pools,
        key=lambda p: (int(p.spec.get("gpus") or 0), not p.spec.get("spot"), float(p.spec["vcpus"]), p.id),
    )
    for pool in order:
        usable = [zone for zone in zones(pool, cluster) if _place(pod, [_new_bin(cluster, pool, zone)])]
        if not usable:
            continue
        limit = int(pool.spec.get("max") or 0)
        if counts[pool.id] >= limit:
            reasons.append(f"pool {pool.name} is at its maximum of {limit}")
            continue
        problem = _add(decision, cluster, pool, nodes, take_machine, usable)
        if not problem:
            counts[pool.id] += 1
            bins.append(_new_bin(cluster, *decision.add[-1]))
            _place(pod, bins[-1:])
            return
        decision.problems[pool.id] = problem
        reasons.append(problem)
    if reasons:
        decision.refused.append((pod, "; ".join(reasons)))


def _add(
    decision: Decision,
    cluster: Cluster,
    pool: Pool,
    nodes: list[Object],
    take_machine: Callable[[str, str], str],
    usable: list[str] | None = None,
) -> str:
    """Take a machine in the pool's emptiest zone that has one; return why that was not possible, empty when it was."""
    present = [
        (each["metadata"].get("labels") or {}).get("topology.kubernetes.io/zone") for each in nodes_of(pool, nodes)
    ]
    present += [zone for other, zone in decision.add if other.id == pool.id]
    problems = []
    for zone in sorted(usable or zones(pool, cluster), key=lambda zone: (present.count(zone), zone)):
        problem = take_machine(zone, str(pool.spec["machine_type"]))
        if not problem:
            decision.add.append((pool, zone))
            return ""
        problems.append(problem)
    return f"pool {pool.name}: " + "; ".join(problems)


def _idle(pools: list[Pool], nodes: list[Object], idle_s: Mapping[str, float]) -> list[Object]:
    result: list[Object] = []
    for pool in pools:
        mine = nodes_of(pool, nodes)
        spare = max(0, len(mine) - int(pool.spec.get("min") or 0))
        idle = (each for each in reversed(mine) if idle_s.get(each["metadata"]["name"], 0.0) >= IDLE_S)
        result.extend(itertools.islice(idle, spare))
    return result


def busy_nodes(pods: list[Object]) -> set[str]:
    """Return the names of nodes with pods that a DaemonSet did not put there."""
    return {
        pod["spec"]["nodeName"]
        for pod in pods
        if pod["spec"].get("nodeName")
        and (pod.get("status") or {}).get("phase") not in _OVER
        and not any(owner["kind"] == "DaemonSet" for owner in pod["metadata"].get("ownerReferences") or [])
    }
