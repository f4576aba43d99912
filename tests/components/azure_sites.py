"""Recordings of Azure sites and GPU pools; the same arguments are recorded once per run of the tests."""

from __future__ import annotations

from typing import Any

from components._capacity import CapacityPolicy, plans
from components._hardening import Hardening
from components.aks_gpu_pool import AksGpuPool, AksGpuPoolArgs
from tests.components import recording
from tests.components.clusters import CLOUDS

_RECORDED: dict[str, recording.Recording] = {}


def site(hardening: Hardening | None = None, **changes: Any) -> recording.Recording:
    """Record a serving cluster on Azure with these arguments."""
    key = repr((hardening, sorted(changes.items())))
    if key not in _RECORDED:
        _RECORDED[key] = recording.run(lambda: CLOUDS["azure"].declare(hardening=hardening, **changes))
    return _RECORDED[key]


def pools(**spec: Any) -> list[recording.Row]:
    """Record the agent pools of a policy, as a serving cluster declares them; default four T4 nodes on demand."""
    policy = CapacityPolicy(**{"gpu_class": "T4-class", "max_nodes": 4, **spec})

    def build() -> None:
        for plan in plans("azure", policy):
            AksGpuPool(
                f"site-t4{plan.suffix}",
                AksGpuPoolArgs(
                    resource_group_name="group",
                    cluster_name="cluster",
                    subnet_id="subnet",
                    pool="t4",
                    gpu_class=plan.gpu_class,
                    min_nodes=plan.min_nodes,
                    max_nodes=plan.max_nodes,
                    spot=plan.spot,
                    machine_types=plan.machine_types,
                    zones=plan.zones,
                    reservation_id=plan.reservation_id,
                ),
            )

    return recording.run(build).all("azure-native:containerservice:AgentPool")
