"""GPU nodes of an EKS cluster."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_aws as aws

from components._base import coerce, reject, token
from components._gpu_catalog import candidates, refusal
from components._kubernetes import GPU_TAINT_VALUE
from components._limits import pool_problems, scalable_problems
from components._naming import tags
from serving.cluster import GPU_RESOURCE, POOL_LABEL

DISK_GIB = 150
"""Room for the GPU server image (about 8 GiB unpacked) and several bundles."""


@dataclass(frozen=True, kw_only=True)
class EksGpuPoolArgs:
    """Arguments of `EksGpuPool`."""

    cluster_name: pulumi.Input[str]
    """Physical name of the cluster."""
    node_role_arn: pulumi.Input[str]
    """IAM role of the nodes."""
    subnet_ids: pulumi.Input[list[str]]
    """Private subnets the nodes are spread over."""
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
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        bad = [*pool_problems("pool", self.pool), *scalable_problems(self.min_nodes, self.max_nodes)]
        reason = refusal("aws", self.gpu_class)
        if reason is not None:
            bad.append(("gpuClass", reason))
        reject("EksGpuPool", bad)


class EksGpuPool(pulumi.ComponentResource):
    """A managed node group of GPU machines, tainted so that only GPU pods run there.

    The machine image holds the NVIDIA driver; the device plugin is the cluster's business (`NvidiaDevicePlugin`). The
    autoscaler owns the count. Needs permission for `eks:*Nodegroup*` and quota for the instance family.
    """

    pool_name: pulumi.Output[str]
    """Physical name of the node group."""

    def __init__(self, name: str, args: EksGpuPoolArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(EksGpuPool), name, {}, opts)
        a = coerce(EksGpuPoolArgs, args)
        group = aws.eks.NodeGroup(
            f"{name}-nodes",
            cluster_name=a.cluster_name,
            node_role_arn=a.node_role_arn,
            subnet_ids=a.subnet_ids,
            ami_type="AL2023_x86_64_NVIDIA",
            instance_types=[machine.machine_type for machine in candidates("aws", a.gpu_class)],
            capacity_type="SPOT" if a.spot else "ON_DEMAND",
            disk_size=DISK_GIB,
            scaling_config=aws.eks.NodeGroupScalingConfigArgs(
                min_size=a.min_nodes or 0, max_size=a.max_nodes, desired_size=a.min_nodes or 0
            ),
            # A surge node would need GPU quota and capacity of its own.
            update_config=aws.eks.NodeGroupUpdateConfigArgs(max_unavailable=1, update_strategy="MINIMAL"),
            labels={POOL_LABEL: a.pool},
            taints=[aws.eks.NodeGroupTaintArgs(key=GPU_RESOURCE, value=GPU_TAINT_VALUE, effect="NO_SCHEDULE")],
            tags=tags("EksGpuPool", a.labels),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["scalingConfig.desiredSize"]),
        )
        self.pool_name = group.node_group_name
        self.register_outputs({"pool_name": self.pool_name})
