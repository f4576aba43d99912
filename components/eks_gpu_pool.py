"""GPU nodes of an EKS cluster."""

import re
from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_aws as aws

from components._base import coerce, reject, token
from components._eks_machines import ami_type, machine_problems
from components._eks_nodes import REPAIR, launch_template, template_of
from components._gpu_catalog import candidates, refusal
from components._kubernetes import GPU_TAINT_VALUE
from components._limits import Problems, pool_problems, scalable_problems
from components._naming import tags
from serving.cluster import GPU_RESOURCE, POOL_LABEL

DISK_GIB = 150
"""Room for the GPU server image (about 8 GiB unpacked) and several bundles."""
_BLOCK = "capacity-block"
_RESERVATION = re.compile(r"cr-[0-9a-f]{8,17}")


def reservation_problems(
    reservation_id: Optional[str],
    reservation_kind: Optional[str],
    zones: Optional[list[str]],
    machine_types: Optional[list[str]],
    prefix: str = "",
) -> Problems:
    """Problems of reserved capacity, which is one instance type in one zone.

    Args:
        reservation_id: Id of the capacity reservation; nothing is checked when absent.
        reservation_kind: `on-demand` (the default) or `capacity-block`.
        zones: Zones of the pool's nodes.
        machine_types: Instance types in force.
        prefix: Put before the argument names, such as `gpuPools.t4.`; default nothing.
    """
    if reservation_id is None:
        if reservation_kind == _BLOCK:
            return [(f"{prefix}reservationId", "is required for a capacity block")]
        return []
    bad = []
    if _RESERVATION.fullmatch(reservation_id) is None:
        bad.append(
            (f"{prefix}reservationId", f"must be the id of a capacity reservation, cr-..., got {reservation_id!r}")
        )
    if reservation_kind not in (None, "on-demand", _BLOCK):
        bad.append((f"{prefix}reservationKind", f"must be on-demand or {_BLOCK}, got {reservation_kind!r}"))
    if zones is None or len(zones) != 1:
        bad.append((f"{prefix}zones", f"must name the one zone of reservation {reservation_id}, got {zones}"))
    if machine_types is not None and len(machine_types) != 1:
        types = ", ".join(machine_types)
        bad.append((f"{prefix}machineTypes", f"must be the one instance type of {reservation_id}, got {types}"))
    return bad


@dataclass(frozen=True, kw_only=True)
class EksGpuPoolArgs:
    """Arguments of `EksGpuPool`."""

    cluster_name: pulumi.Input[str]
    """Physical name of the cluster."""
    node_role_arn: pulumi.Input[str]
    """IAM role of the nodes."""
    subnet_ids: pulumi.Input[list[str]]
    """Private subnets the nodes are spread over; those of the reservation's zone, if there is one."""
    security_group_id: pulumi.Input[str]
    """Security group of the nodes, the cluster's own."""
    pool: str
    """Value of the node label `tricorn.dev/pool`: up to 8 lower-case letters and digits, a letter first."""
    gpu_class: str
    """GPU class, e.g. `T4-class`. A change replaces the pool, new nodes first."""
    max_nodes: int
    """Most nodes, all zones together; at least 1."""
    min_nodes: Optional[int] = None
    """Fewest nodes, all zones together. Default 0."""
    spot: Optional[bool] = None
    """Buy interruptible capacity. Default False. A change replaces the pool."""
    machine_types: Optional[list[str]] = None
    """Interchangeable EC2 instance types, in order of preference. Default those of the class, cheapest first."""
    zones: Optional[list[str]] = None
    """Zones of `subnet_ids`, needed with a reservation, which is in one. Default not checked."""
    reservation_id: Optional[str] = None
    """Capacity reservation (`cr-...`) that the nodes use. Default none."""
    reservation_kind: Optional[str] = None
    """`on-demand`, or `capacity-block` for capacity bought for some days. Default on-demand."""
    kubernetes_version: Optional[str] = None
    """Minor version, the cluster's; a change renews the nodes. Default the cluster's at the time, never renewed."""
    key_arn: Optional[pulumi.Input[str]] = None
    """KMS key of the disks, which must let EC2 Auto Scaling use it (`AwsKmsKey`). Default one of AWS's own."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        bad = [*pool_problems("pool", self.pool), *scalable_problems(self.min_nodes, self.max_nodes)]
        reason = refusal("aws", self.gpu_class)
        if reason is not None:
            bad.append(("gpuClass", reason))
        bad += machine_problems("machineTypes", self.machine_types, gpu=True)
        bad += reservation_problems(self.reservation_id, self.reservation_kind, self.zones, self.machine_types)
        if self.spot and self.reservation_id is not None:
            bad.append(("reservationId", "is for nodes on demand, got a spot pool"))
        reject("EksGpuPool", bad)


class EksGpuPool(pulumi.ComponentResource):
    """A managed node group of GPU machines, tainted so that only GPU pods run there.

    The machine image holds the NVIDIA driver; the device plugin is the cluster's business (`NvidiaDevicePlugin`). The
    autoscaler owns the count, EKS repairs nodes. Needs permission for `eks:*Nodegroup*` and `ec2:*LaunchTemplate*`, and
    quota for the instance family.
    """

    pool_name: pulumi.Output[str]
    """Physical name of the node group."""

    def __init__(self, name: str, args: EksGpuPoolArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(EksGpuPool), name, {}, opts)
        a = coerce(EksGpuPoolArgs, args)
        own = tags("EksGpuPool", a.labels)
        machines = a.machine_types or [machine.machine_type for machine in candidates("aws", a.gpu_class)]
        block = a.reservation_kind == _BLOCK
        template = launch_template(
            f"{name}-template",
            disk_gib=DISK_GIB,
            security_group_id=a.security_group_id,
            key_arn=a.key_arn,
            own=own,
            parent=self,
            reservation_id=a.reservation_id,
            capacity_block_type=machines[0] if block else None,
        )
        group = aws.eks.NodeGroup(
            f"{name}-nodes",
            cluster_name=a.cluster_name,
            node_role_arn=a.node_role_arn,
            subnet_ids=a.subnet_ids,
            ami_type=ami_type(machines),
            # A capacity block's type stands in the launch template, and may stand in one place only.
            instance_types=None if block else machines,
            capacity_type="CAPACITY_BLOCK" if block else "SPOT" if a.spot else "ON_DEMAND",
            version=a.kubernetes_version,
            launch_template=template_of(template),
            scaling_config=aws.eks.NodeGroupScalingConfigArgs(
                min_size=a.min_nodes or 0, max_size=a.max_nodes, desired_size=a.min_nodes or 0
            ),
            # A surge node would need GPU quota and capacity of its own.
            update_config=aws.eks.NodeGroupUpdateConfigArgs(max_unavailable=1, update_strategy="MINIMAL"),
            node_repair_config=REPAIR,
            labels={POOL_LABEL: a.pool},
            taints=[aws.eks.NodeGroupTaintArgs(key=GPU_RESOURCE, value=GPU_TAINT_VALUE, effect="NO_SCHEDULE")],
            tags=own,
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["scalingConfig.desiredSize"]),
        )
        self.pool_name = group.node_group_name
        self.register_outputs({"pool_name": self.pool_name})
