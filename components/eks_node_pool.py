"""CPU nodes of an EKS cluster."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_aws as aws

from components._base import coerce, reject, token
from components._eks_machines import ami_type, machine_problems
from components._eks_nodes import REPAIR, launch_template, template_of
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
    security_group_id: pulumi.Input[str]
    """Security group of the nodes, the cluster's own."""
    min_nodes: int
    """Fewest nodes, all zones together; at least 1."""
    max_nodes: int
    """Most nodes, all zones together."""
    machine_type: Optional[str] = None
    """EC2 instance type. Default m7i.xlarge. A change replaces the pool, new nodes first."""
    pool: Optional[str] = None
    """Value of the node label `tricorn.dev/pool`. Default `system`."""
    kubernetes_version: Optional[str] = None
    """Minor version, the cluster's; a change renews the nodes. Default the cluster's at the time, never renewed."""
    key_arn: Optional[pulumi.Input[str]] = None
    """KMS key of the disks, which must let EC2 Auto Scaling use it (`AwsKmsKey`). Default one of AWS's own."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        machines = [self.machine_type] if self.machine_type is not None else None
        bad = node_problems(self.min_nodes, self.max_nodes)
        reject("EksNodePool", [*bad, *machine_problems("machineType", machines, gpu=False)])


class EksNodePool(pulumi.ComponentResource):
    """A managed node group without GPUs. The autoscaler owns its count, EKS repairs its nodes.

    Needs permission for `eks:*Nodegroup*` and `ec2:*LaunchTemplate*`.
    """

    pool_name: pulumi.Output[str]
    """Physical name of the node group."""

    def __init__(self, name: str, args: EksNodePoolArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(EksNodePool), name, {}, opts)
        a = coerce(EksNodePoolArgs, args)
        own = tags("EksNodePool", a.labels)
        machine_type = a.machine_type or DEFAULT_MACHINE_TYPE
        template = launch_template(
            f"{name}-template",
            disk_gib=DISK_GIB,
            security_group_id=a.security_group_id,
            key_arn=a.key_arn,
            own=own,
            parent=self,
        )
        group = aws.eks.NodeGroup(
            f"{name}-nodes",
            cluster_name=a.cluster_name,
            node_role_arn=a.node_role_arn,
            subnet_ids=a.subnet_ids,
            ami_type=ami_type([machine_type]),
            instance_types=[machine_type],
            capacity_type="ON_DEMAND",
            version=a.kubernetes_version,
            launch_template=template_of(template),
            scaling_config=aws.eks.NodeGroupScalingConfigArgs(
                min_size=a.min_nodes, max_size=a.max_nodes, desired_size=a.min_nodes
            ),
            update_config=aws.eks.NodeGroupUpdateConfigArgs(max_unavailable=1),
            node_repair_config=REPAIR,
            labels={POOL_LABEL: a.pool or SYSTEM_POOL},
            tags=own,
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["scalingConfig.desiredSize"]),
        )
        self.pool_name = group.node_group_name
        self.register_outputs({"pool_name": self.pool_name})
