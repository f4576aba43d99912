"""AWS Load Balancer Controller of an EKS cluster."""

from dataclasses import dataclass
from typing import Optional

import pulumi

from components._aws_policies import allow, document
from components._base import coerce, token
from components._eks_controllers import ClusterPlace, declare_controller
from components._naming import tags

CHART_VERSION = "1.17.1"
IMAGE = "public.ecr.aws/eks/aws-load-balancer-controller"
SERVICE_ACCOUNT = "aws-load-balancer-controller"
LOAD_BALANCER_CLASS = "service.k8s.aws/nlb"
"""Class of the Services that get a Network Load Balancer."""
_CLUSTER_TAG = "elbv2.k8s.aws/cluster"
"""Tag that the controller puts on everything it makes, with the cluster's name."""
_DESCRIBE = [
    "ec2:DescribeAccountAttributes",
    "ec2:DescribeAddresses",
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeInstances",
    "ec2:DescribeInternetGateways",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeTags",
    "ec2:DescribeVpcPeeringConnections",
    "ec2:DescribeVpcs",
    "elasticloadbalancing:DescribeCapacityReservation",
    "elasticloadbalancing:DescribeListenerAttributes",
    "elasticloadbalancing:DescribeListenerCertificates",
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeLoadBalancerAttributes",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeRules",
    "elasticloadbalancing:DescribeSSLPolicies",
    "elasticloadbalancing:DescribeTags",
    "elasticloadbalancing:DescribeTargetGroupAttributes",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "elasticloadbalancing:DescribeTrustStores",
]
_CREATE = [f"elasticloadbalancing:Create{each}" for each in ("LoadBalancer", "TargetGroup", "Listener")]
_CHANGE = [
    "elasticloadbalancing:AddTags",
    "elasticloadbalancing:DeleteListener",
    "elasticloadbalancing:DeleteLoadBalancer",
    "elasticloadbalancing:DeleteTargetGroup",
    "elasticloadbalancing:DeregisterTargets",
    "elasticloadbalancing:ModifyListener",
    "elasticloadbalancing:ModifyListenerAttributes",
    "elasticloadbalancing:ModifyLoadBalancerAttributes",
    "elasticloadbalancing:ModifyTargetGroup",
    "elasticloadbalancing:ModifyTargetGroupAttributes",
    "elasticloadbalancing:RegisterTargets",
    "elasticloadbalancing:RemoveTags",
    "elasticloadbalancing:SetIpAddressType",
    "elasticloadbalancing:SetSecurityGroups",
    "elasticloadbalancing:SetSubnets",
]
_RULES = ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"]


@dataclass(frozen=True, kw_only=True)
class LoadBalancerControllerArgs:
    """Arguments of `LoadBalancerController`."""

    cluster_name: pulumi.Input[str]
    """Physical name of the cluster, which must run the EKS Pod Identity agent."""
    cluster_arn: pulumi.Input[str]
    """ARN of the cluster."""
    region: str
    """AWS region; told to the pods, which cannot ask the instance metadata service."""
    vpc_id: pulumi.Input[str]
    """Network of the cluster; told to the pods for the same reason."""
    image_repository: Optional[pulumi.Input[str]] = None
    """Repository of the image, without a tag. Default the chart's own."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""


class LoadBalancerController(pulumi.ComponentResource):
    """Makes Network Load Balancers for Services of class `service.k8s.aws/nlb`, and nothing for Ingresses.

    Everything that has such a Service must depend on it, so that a destroy ends the load balancers while it still runs.
    Its role changes only what bears the cluster's tag. Needs two providers: AWS with permission to create and pass a
    role, and the cluster's Kubernetes.
    """

    release_name: pulumi.Output[str]
    """Name of the Helm release, known once the controller runs."""

    def __init__(
        self, name: str, args: LoadBalancerControllerArgs, opts: Optional[pulumi.ResourceOptions] = None
    ) -> None:
        super().__init__(token(LoadBalancerController), name, {}, opts)
        a = coerce(LoadBalancerControllerArgs, args)
        release = declare_controller(
            name,
            cluster_name=a.cluster_name,
            cluster_arn=a.cluster_arn,
            service_account=SERVICE_ACCOUNT,
            policy=_policy,
            chart="aws-load-balancer-controller",
            version=CHART_VERSION,
            repo="https://aws.github.io/eks-charts",
            image_repository=a.image_repository,
            values={
                "clusterName": a.cluster_name,
                "region": a.region,
                "vpcId": a.vpc_id,
                "fullnameOverride": SERVICE_ACCOUNT,
                "serviceAccount": {"name": SERVICE_ACCOUNT},
                "defaultTargetType": "ip",
                # Services name their class; a webhook here would stop all others while the controller is away.
                "enableServiceMutatorWebhook": False,
                "createIngressClassResource": False,
                "ingressClassParams": {"create": False},
                "enableShield": False,
                "enableWaf": False,
                "enableWafv2": False,
            },
            own=tags("LoadBalancerController", a.labels),
            parent=self,
        )
        self.release_name = release.name
        self.register_outputs({"release_name": self.release_name})


def _policy(at: ClusterPlace) -> str:
    place = f"{at.region}:{at.account}"
    balancing = f"arn:{at.partition}:elasticloadbalancing:{place}"
    balancers = [f"{balancing}:{kind}/net/*" for kind in ("loadbalancer", "listener")] + [f"{balancing}:targetgroup/*"]
    groups = f"arn:{at.partition}:ec2:{place}:security-group/*"
    new = {"StringEquals": {f"aws:RequestTag/{_CLUSTER_TAG}": at.cluster}}
    ours = {"StringEquals": {f"aws:ResourceTag/{_CLUSTER_TAG}": at.cluster}}
    tagging = {**new["StringEquals"], "ec2:CreateAction": "CreateSecurityGroup"}
    nodes = {"StringEquals": {f"aws:ResourceTag/kubernetes.io/cluster/{at.cluster}": "owned"}}
    linked = f"arn:{at.partition}:iam::{at.account}:role/aws-service-role/elasticloadbalancing.amazonaws.com/*"
    service = {"StringEquals": {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}}
    return document(
        allow(_DESCRIBE, ["*"]),
        allow(["iam:CreateServiceLinkedRole"], [linked], service),
        allow(_CREATE, balancers, new),
        allow(["elasticloadbalancing:AddTags"], balancers, new),
        allow(_CHANGE, balancers, ours),
        allow(["ec2:CreateSecurityGroup"], [f"arn:{at.partition}:ec2:{place}:vpc/*"]),
        allow(["ec2:CreateSecurityGroup"], [groups], new),
        allow(["ec2:CreateTags"], [groups], {"StringEquals": tagging}),
        allow(["ec2:CreateTags", "ec2:DeleteTags", "ec2:DeleteSecurityGroup", *_RULES], [groups], ours),
        # The cluster's own group, which nodes have.
        allow(_RULES, [groups], nodes),
    )
