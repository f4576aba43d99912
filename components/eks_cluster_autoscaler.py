"""Cluster Autoscaler of an EKS cluster."""

from dataclasses import dataclass
from typing import Optional

import pulumi

from components._aws_policies import allow, document
from components._base import coerce, token
from components._eks_controllers import ClusterPlace, declare_controller
from components._naming import tags

CHART_VERSION = "9.57.0"
IMAGE = "registry.k8s.io/autoscaling/cluster-autoscaler"
SERVICE_ACCOUNT = "cluster-autoscaler"
_DESCRIBE = [
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeAutoScalingInstances",
    "autoscaling:DescribeLaunchConfigurations",
    "autoscaling:DescribeScalingActivities",
    "autoscaling:DescribeTags",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:GetInstanceTypesFromInstanceRequirements",
]


@dataclass(frozen=True, kw_only=True)
class ClusterAutoscalerArgs:
    """Arguments of `ClusterAutoscaler`."""

    cluster_name: pulumi.Input[str]
    """Physical name of the cluster, which must run the EKS Pod Identity agent."""
    cluster_arn: pulumi.Input[str]
    """ARN of the cluster."""
    region: str
    """AWS region; told to the pods, which cannot ask the instance metadata service."""
    image_repository: Optional[pulumi.Input[str]] = None
    """Repository of the image, without a tag. Default the chart's own."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""


class ClusterAutoscaler(pulumi.ComponentResource):
    """Starts and ends nodes of the cluster's node groups, spot nodes first, down to none where a pool allows it.

    Its role changes the size of this cluster's groups only. Needs two providers: AWS with permission to create and pass
    a role, and the cluster's Kubernetes.
    """

    release_name: pulumi.Output[str]
    """Name of the Helm release."""

    def __init__(self, name: str, args: ClusterAutoscalerArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(ClusterAutoscaler), name, {}, opts)
        a = coerce(ClusterAutoscalerArgs, args)
        release = declare_controller(
            name,
            cluster_name=a.cluster_name,
            cluster_arn=a.cluster_arn,
            service_account=SERVICE_ACCOUNT,
            policy=_policy,
            chart="cluster-autoscaler",
            version=CHART_VERSION,
            repo="https://kubernetes.github.io/autoscaler",
            image_repository=a.image_repository,
            values={
                "cloudProvider": "aws",
                "awsRegion": a.region,
                # EKS puts the tags that this looks for on the groups of its node pools.
                "autoDiscovery": {"clusterName": a.cluster_name},
                "fullnameOverride": SERVICE_ACCOUNT,
                "rbac": {"serviceAccount": {"name": SERVICE_ACCOUNT}},
                "extraArgs": {"expander": "priority,least-waste", "balance-similar-node-groups": True},
                "expanderPriorities": {"20": [".*-spot-.*"], "10": [".*"]},
            },
            own=tags("ClusterAutoscaler", a.labels),
            parent=self,
        )
        self.release_name = release.name
        self.register_outputs({"release_name": self.release_name})


def _policy(at: ClusterPlace) -> str:
    groups = f"arn:{at.partition}:autoscaling:{at.region}:{at.account}:autoScalingGroup:*:autoScalingGroupName/*"
    node_groups = f"arn:{at.partition}:eks:{at.region}:{at.account}:nodegroup/{at.cluster}/*"
    ours = {"StringEquals": {f"aws:ResourceTag/k8s.io/cluster-autoscaler/{at.cluster}": "owned"}}
    return document(
        allow(_DESCRIBE, ["*"]),
        allow(["eks:DescribeNodegroup"], [node_groups]),
        allow(["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"], [groups], ours),
    )
