"""GPU capacity of a cluster, the same words for every cloud."""

import math
from dataclasses import dataclass
from typing import Optional

from components._base import reject

SPOT_SUFFIX = "spot"
DEFAULT_MIN_NODES = 0


@dataclass(frozen=True, kw_only=True)
class GpuPoolSpec:
    """One policy for GPU nodes; every cloud turns it into one or two node pools."""

    gpu_class: str
    """GPU class, e.g. `T4-class`; the cloud's catalog maps it to machine types."""
    max_nodes: int
    """Most nodes of each kind in the cluster, all zones together; at least 1."""
    min_nodes: Optional[int] = None
    """Fewest nodes in the cluster, all zones together. Default 0."""
    spot_percent: Optional[int] = None
    """Part of `max_nodes` bought as interruptible capacity, 0 to 100. Default 0."""
    on_demand_fallback: Optional[bool] = None
    """Let on-demand nodes take the place of spot nodes that cannot be had. Default True.

    No cloud has one limit for two pools: while both kinds can be had, up to `max_nodes` on-demand nodes and the spot
    nodes can run together.
    """

    def __post_init__(self) -> None:
        least = self.min_nodes or DEFAULT_MIN_NODES
        bad = []
        if self.max_nodes < 1:
            bad.append(("maxNodes", f"must be >= 1, got {self.max_nodes}"))
        if not 0 <= least <= self.max_nodes:
            bad.append(("minNodes", f"must be from 0 to maxNodes ({self.max_nodes}), got {least}"))
        if not 0 <= (self.spot_percent or 0) <= 100:
            bad.append(("spotPercent", f"must be from 0 to 100, got {self.spot_percent}"))
        reject("GpuPoolSpec", bad)


@dataclass(frozen=True)
class PoolShare:
    """One node pool of a policy: nodes that are all on demand or all spot."""

    suffix: str
    """Added to the pool's name; empty for the on-demand pool."""
    spot: bool
    min_nodes: int
    max_nodes: int


def shares(spec: GpuPoolSpec) -> tuple[PoolShare, ...]:
    """Split a policy into node pools: on demand first, then spot; a pool that can have no node is left out."""
    least = spec.min_nodes or DEFAULT_MIN_NODES
    spot = math.ceil(spec.max_nodes * (spec.spot_percent or 0) / 100)
    on_demand = spec.max_nodes if spec.on_demand_fallback is not False else spec.max_nodes - spot
    found = []
    if on_demand:
        # Nodes that are always there are bought on demand: spot nodes can vanish all at once.
        found.append(PoolShare("", False, min(least, on_demand), on_demand))
    if spot:
        found.append(PoolShare(f"-{SPOT_SUFFIX}", True, 0 if on_demand else least, spot))
    return tuple(found)
