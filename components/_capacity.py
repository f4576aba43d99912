"""GPU capacity of a cluster, the same words for every cloud."""

import math
from dataclasses import dataclass
from typing import Optional

from components._base import reject
from components._gpu_catalog import candidates, has_machines, machine_problem, resolve
from components._limits import Problems

SPOT_SUFFIX = "spot"
DEFAULT_MIN_NODES = 0


@dataclass(frozen=True, kw_only=True)
class CapacityPolicy:
    """One policy for GPU nodes; every cloud turns it into one or two node pools."""

    gpu_class: str
    """GPU class, e.g. `T4-class`; the cloud's catalog maps it to machine types."""
    max_nodes: int
    """Most nodes of each kind in the cluster, all zones together; at least 1."""
    accept: Optional[list[str]] = None
    """Classes to use, in this order, on a cloud that has no such GPU. Default none: it is refused."""
    min_nodes: Optional[int] = None
    """Fewest nodes in the cluster, all zones together. Default 0."""
    spot_percent: Optional[int] = None
    """Part of `max_nodes` bought as interruptible capacity, 0 to 100. Default 0."""
    on_demand_fallback: Optional[bool] = None
    """Let on-demand nodes take the place of spot nodes that cannot be had. Default True.

    No cloud has one limit for two pools: while both kinds can be had, up to `max_nodes` on-demand nodes and the spot
    nodes can run together.
    """
    machine_types: Optional[list[str]] = None
    """Machine types of the catalog to use, in this order. Default all of the class, cheapest first."""
    zones: Optional[list[str]] = None
    """Zones of the nodes. Default those of the cluster."""
    reservation_id: Optional[str] = None
    """Capacity that is paid for already, used by the on-demand nodes. Default none."""
    reservation_kind: Optional[str] = None
    """`on-demand`, or `capacity-block` on AWS. Default on-demand."""

    def __post_init__(self) -> None:
        least = self.min_nodes or DEFAULT_MIN_NODES
        bad = []
        if self.max_nodes < 1:
            bad.append(("maxNodes", f"must be >= 1, got {self.max_nodes}"))
        if not 0 <= least <= self.max_nodes:
            bad.append(("minNodes", f"must be from 0 to maxNodes ({self.max_nodes}), got {least}"))
        if not 0 <= (self.spot_percent or 0) <= 100:
            bad.append(("spotPercent", f"must be from 0 to 100, got {self.spot_percent}"))
        if self.reservation_kind not in (None, "on-demand", "capacity-block"):
            bad.append(("reservationKind", f"must be on-demand or capacity-block, got {self.reservation_kind!r}"))
        reject("CapacityPolicy", bad)


@dataclass(frozen=True)
class PoolPlan:
    """One node pool of a policy on one cloud: nodes that are all on demand or all spot."""

    suffix: str
    """Added to the pool's name; empty for the on-demand pool."""
    spot: bool
    min_nodes: int
    max_nodes: int
    gpu_class: str
    """The class in force, one that the cloud has."""
    machine_types: list[str]
    """Interchangeable machine types, in order of preference."""
    zones: Optional[list[str]]
    reservation_id: Optional[str]
    """Only on the on-demand pool."""
    reservation_kind: Optional[str]


def plans(cloud: str, policy: CapacityPolicy) -> tuple[PoolPlan, ...]:
    """Turn a policy into node pools of a cloud: on demand first, then spot; one that can have no node is left out.

    A cloud without a catalog, where the nodes exist already, gets none.

    Raises:
        ValueError: If the cloud cannot have what the policy wants; the text lists what it has.
    """
    if not has_machines(cloud):
        return ()
    problems = policy_problems(cloud, policy)
    if problems:
        raise ValueError("; ".join(reason for _, reason in problems))
    gpu_class = resolve(cloud, policy.gpu_class, policy.accept)
    least = policy.min_nodes or DEFAULT_MIN_NODES
    on_demand, spot = _most(policy)
    machines = policy.machine_types or [each.machine_type for each in candidates(cloud, gpu_class)]

    def plan(suffix: str, is_spot: bool, low: int, high: int) -> PoolPlan:
        reserved = (None, None) if is_spot else (policy.reservation_id, policy.reservation_kind)
        return PoolPlan(suffix, is_spot, low, high, gpu_class, list(machines), policy.zones, *reserved)

    # Nodes that are always there are bought on demand: spot nodes can vanish all at once.
    low = min(least, on_demand)
    found = []
    if on_demand:
        found.append(plan("", False, low, on_demand))
    if spot:
        found.append(plan(f"-{SPOT_SUFFIX}", True, least - low, spot))
    return tuple(found)


def policy_problems(cloud: str, policy: CapacityPolicy) -> Problems:
    """What a cloud cannot have of a policy, as pairs of argument name and reason; nothing where nodes exist already."""
    if not has_machines(cloud):
        return []
    try:
        gpu_class = resolve(cloud, policy.gpu_class, policy.accept)
    except ValueError as error:
        return [("gpuClass", str(error))]
    bad: Problems = []
    if policy.machine_types is not None:
        reason = machine_problem(cloud, gpu_class, policy.machine_types)
        if reason is not None:
            bad.append(("machineTypes", reason))
    if policy.reservation_kind == "capacity-block" and cloud != "aws":
        bad.append(("reservationKind", f"capacity-block is a kind of AWS; {cloud} has on-demand reservations only"))
    if policy.reservation_id is not None and not _most(policy)[0]:
        bad.append(
            (
                "reservationId",
                "is used by on-demand nodes, and this policy has none; lower the spot share or allow them",
            )
        )
    return bad


def _most(policy: CapacityPolicy) -> tuple[int, int]:
    """Most on-demand and most spot nodes."""
    spot = math.ceil(policy.max_nodes * (policy.spot_percent or 0) / 100)
    return (policy.max_nodes if policy.on_demand_fallback is not False else policy.max_nodes - spot), spot
