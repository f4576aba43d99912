"""CPU nodes of an EKS cluster."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_aws as aws

from components._base import coerce, reject, token
from components._limits import node_problems
from components._naming import tags
from serving.cluster import POOL_LABEL
from serving.settings_sites import SYSTEM_POOL

DEFAULT_MACHINE_TYPE = "m7i.xlarge"
DISK_GIB = 50


@dataclass(frozen=True, kw_only=True)
class EksNodePoolArgs:
    """Arguments of `EksNodePool`."""

    cluster_name: pulumi.Input[str]
    """Physical name of the cluster."""
    node_role_arn: pulumi.Input[str]
    """IAM role of the nodes."""
    subnet_ids: pulumi.Input[list[str]]
    """Private subnets the nodes are spread over."""
    min_nodes: int
    """Fewest nodes, all zones together; at least 1."""
    max_nodes: int
    """Most nodes, all zones together."""
    machine_type: Optional[str] = None
    """EC2 instance type. Default m7i.xlarge. A change replaces the pool, new nodes first."""
    pool: Optional[str] = None
    """Value of the node label `tricorn.dev/pool`. Default `system`."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        reject("EksNodePool", node_problems(self.min_nodes, self.max_nodes))


class EksNodePool(pulumi.ComponentResource):
    """A managed node group without GPUs. The autoscaler owns its count. Needs permission for `eks:*Nodegroup*`."""

    pool_name: pulumi.Output[str]
    """Physical name of the node group."""

    def __init__(self, name: str, args: EksNodePoolArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(EksNodePool), name, {}, opts)
        a = coerce(EksNodePoolArgs, args)
        group = aws.eks.NodeGroup(
            f"{name}-nodes",
            cluster_name=a.cluster_name,
            node_role_arn=a.node_role_arn,
            subnet_ids=a.subnet_ids,
            ami_type="AL2023_x86_64_STANDARD",
            instance_types=[a.machine_type or DEFAULT_MACHINE_TYPE],
            capacity_type="ON_DEMAND",
            disk_size=DISK_GIB,
            scaling_config=aws.eks.NodeGroupScalingConfigArgs(
                min_size=a.min_nodes, max_size=a.max_nodes, desired_size=a.min_nodes
            ),
            update_config=aws.eks.NodeGroupUpdateConfigArgs(max_unavailable=1),
            labels={POOL_LABEL: a.pool or SYSTEM_POOL},
            tags=tags("EksNodePool", a.labels),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["scalingConfig.desiredSize"]),
        )
        self.pool_name = group.node_group_name
        self.register_outputs({"pool_name": self.pool_name})
