"""GPU nodes of an AKS cluster."""

import re
from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_azure_native as azure_native

from components._aks_profiles import zone_problems
from components._base import coerce, reject, token
from components._gpu_catalog import CATALOG, candidates, refusal
from components._kubernetes import GPU_TAINT_VALUE
from components._limits import pool_problems, scalable_problems
from components._naming import physical, stack_scope, tags
from serving.cluster import GPU_RESOURCE, POOL_LABEL

DISK_GIB = 150
"""Room for the GPU server image (about 8 GiB unpacked) and several bundles."""
SPOT_KEY = "kubernetes.azure.com/scalesetpriority"
"""Label and taint that AKS adds to spot nodes itself; left out here they would show as drift."""
_RESERVATION_GROUP = (
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Compute/capacityReservationGroups/[^/]+"
)


@dataclass(frozen=True, kw_only=True)
class AksGpuPoolArgs:
    """Arguments of `AksGpuPool`."""

    resource_group_name: pulumi.Input[str]
    """Resource group of the cluster."""
    cluster_name: pulumi.Input[str]
    """Physical name of the cluster."""
    subnet_id: pulumi.Input[str]
    """Subnet of the nodes. A change replaces the pool."""
    pool: str
    """Value of the node label `tricorn.dev/pool`: up to 8 lower-case letters and digits, a letter first."""
    gpu_class: str
    """GPU class, e.g. `T4-class`. A change replaces the pool, new nodes first."""
    max_nodes: int
    """Most nodes; at least 1."""
    min_nodes: Optional[int] = None
    """Fewest nodes. Default 0."""
    spot: Optional[bool] = None
    """Buy interruptible capacity. Default False. A change replaces the pool."""
    machine_types: Optional[list[str]] = None
    """VM sizes of the catalog, the best first; a pool has one size, so the first is used. Default the cheapest.

    A change of the first replaces the pool, new nodes first.
    """
    zones: Optional[list[str]] = None
    """Zones of the nodes, of `1`, `2` and `3`. Default none asked for. A change replaces the pool."""
    reservation_id: Optional[str] = None
    """ARM id of a capacity reservation group; the cluster's identity needs `Contributor` on it. Default none.

    A change replaces the pool.
    """
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        bad = [*pool_problems("pool", self.pool), *scalable_problems(self.min_nodes, self.max_nodes)]
        reason = refusal("azure", self.gpu_class)
        if reason is not None:
            bad.append(("gpuClass", reason))
        else:
            bad += _machine_problems(self.machine_types)
        bad += zone_problems(self.zones)
        if self.reservation_id is not None:
            if re.fullmatch(_RESERVATION_GROUP, self.reservation_id, re.IGNORECASE) is None:
                bad.append(
                    ("reservationId", f"must be the ARM id of a capacityReservationGroup, got {self.reservation_id!r}")
                )
            if self.spot:
                bad.append(("reservationId", "is for on-demand nodes only; a spot pool cannot use reserved capacity"))
        reject("AksGpuPool", bad)


class AksGpuPool(pulumi.ComponentResource):
    """An agent pool of GPU machines, tainted so that only GPU pods run there.

    AKS installs the driver; the device plugin is the cluster's business (`NvidiaDevicePlugin`). Zones are asked for
    only by name: many GPU sizes are in none (Azure/AKS#1444). The autoscaler owns the count. Needs vCPU quota of the
    family and the feature `EncryptionAtHost` of `Microsoft.Compute`.
    """

    pool_name: pulumi.Output[str]
    """Physical name of the agent pool, at most 12 letters and digits."""

    def __init__(self, name: str, args: AksGpuPoolArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(AksGpuPool), name, {}, opts)
        a = coerce(AksGpuPoolArgs, args)
        service = azure_native.containerservice
        size = (a.machine_types or [candidates("azure", a.gpu_class)[0].machine_type])[0]
        spot = bool(a.spot)
        taints = [f"{GPU_RESOURCE}={GPU_TAINT_VALUE}:NoSchedule"]
        labels = {POOL_LABEL: a.pool}
        if spot:
            taints.append(f"{SPOT_KEY}=spot:NoSchedule")
            labels[SPOT_KEY] = "spot"
        pool = service.AgentPool(
            f"{name}-nodes",
            # The name holds what cannot be changed in place, so that a replacement can be made before the old one goes.
            agent_pool_name=physical(
                "azure",
                "agent_pool",
                a.pool,
                stack_scope(name, size, str(spot), *(a.zones or []), a.reservation_id or ""),
            ),
            resource_group_name=a.resource_group_name,
            resource_name_=a.cluster_name,
            mode="User",
            vm_size=size,
            availability_zones=a.zones,
            capacity_reservation_group_id=a.reservation_id,
            os_type="Linux",
            os_disk_size_gb=DISK_GIB,
            enable_auto_scaling=True,
            count=a.min_nodes or 0,
            min_count=a.min_nodes or 0,
            max_count=a.max_nodes,
            # A surge node would need GPU quota and capacity of its own; spot pools have none and refuse these settings.
            upgrade_settings=(
                None if spot else service.AgentPoolUpgradeSettingsArgs(max_surge="0", max_unavailable="1")
            ),
            enable_encryption_at_host=True,
            enable_node_public_ip=False,
            gpu_profile=service.GPUProfileArgs(driver="Install"),
            # Ubuntu's GPU driver is not signed for Secure Boot.
            security_profile=service.AgentPoolSecurityProfileArgs(enable_secure_boot=False),
            scale_set_priority="Spot" if spot else "Regular",
            scale_set_eviction_policy="Delete" if spot else None,
            spot_max_price=-1.0 if spot else None,
            node_taints=taints,
            node_labels=labels,
            vnet_subnet_id=a.subnet_id,
            tags=tags("AksGpuPool", a.labels),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["count", "orchestratorVersion"]),
        )
        self.pool_name = pool.name
        self.register_outputs({"pool_name": self.pool_name})


def _machine_problems(machine_types: Optional[list[str]]) -> list[tuple[str, str]]:
    """Problems of the sizes: only whole GPUs of the catalog; parts of an A10 have too little memory and no MIG."""
    known = [each.machine_type for clouds in CATALOG.values() for each in clouds.get("azure", ())]
    return [
        ("machineTypes", f"{each!r} is not a size of the catalog; use one of {', '.join(known)}")
        for each in machine_types or []
        if each not in known
    ]
