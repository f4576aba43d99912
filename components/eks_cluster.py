"""EKS control plane."""

import json
import re
from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_aws as aws

from components._base import coerce, protected, reject, token
from components._kubernetes import exec_kubeconfig
from components._limits import Problems, version_problems
from components._naming import tags

LOG_TYPES = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
ADDONS = ("vpc-cni", "kube-proxy", "eks-pod-identity-agent")
"""Add-ons that run as DaemonSets: active without nodes, and needed before a node can become ready."""
NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly")
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/.*[^/]")
ADMIN_POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"


def assume_role_policy(service: str, *actions: str) -> str:
    """Trust policy (JSON) that lets an AWS service use a role; `sts:AssumeRole` unless actions are given."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": list(actions) or ["sts:AssumeRole"],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def admin_problems(role_arns: Optional[list[str]]) -> Problems:
    """Problems of the roles that administer a cluster, which must be different ARNs of IAM roles."""
    given = role_arns or []
    bad = [
        ("adminRoleArns", f"must be ARNs of IAM roles, got {arn!r}") for arn in given if not _ROLE_ARN.fullmatch(arn)
    ]
    bad += [
        ("adminRoleArns", f"must differ, got {arn!r} twice") for arn in sorted({a for a in given if given.count(a) > 1})
    ]
    return bad


@dataclass(frozen=True, kw_only=True)
class EksClusterArgs:
    """Arguments of `EksCluster`."""

    region: str
    """AWS region of the cluster; put into the kubeconfig."""
    kubernetes_version: str
    """Minor version, e.g. `1.36`."""
    subnet_ids: pulumi.Input[list[str]]
    """Private subnets in at least two zones; ones that take their place later must lie in the same zones."""
    admin_role_arns: Optional[list[str]] = None
    """IAM roles that administer the cluster, beside the creator. Default none."""
    public_access_cidrs: Optional[list[str]] = None
    """Ranges that reach the API server from the internet (always with authorization). Default everyone."""
    protect: Optional[bool] = None
    """Refuse to delete the cluster. Default True."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        reject("EksCluster", [*version_problems(self.kubernetes_version), *admin_problems(self.admin_role_arns)])


class EksCluster(pulumi.ComponentResource):
    """An EKS control plane with its add-ons, the role its nodes use, and who may administer it.

    Makes no node pool and no network. Needs permission for `eks:*` and to create and pass IAM roles.
    """

    cluster_name: pulumi.Output[str]
    """Physical name of the cluster."""
    cluster_arn: pulumi.Output[str]
    """ARN of the cluster."""
    node_role_arn: pulumi.Output[str]
    """IAM role for node pools."""
    kubeconfig: pulumi.Output[str]
    """Kubeconfig (JSON) that calls `aws eks get-token`; holds no credentials."""

    def __init__(self, name: str, args: EksClusterArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(EksCluster), name, {}, opts)
        a = coerce(EksClusterArgs, args)
        own = tags("EksCluster", a.labels)
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            f"{name}-role", assume_role_policy=assume_role_policy("eks.amazonaws.com"), tags=own, opts=child
        )
        policy = aws.iam.RolePolicyAttachment(
            f"{name}-role-policy",
            role=role.name,
            policy_arn="arn:aws:iam::aws:policy/AmazonEKSClusterPolicy",
            opts=child,
        )
        cluster = aws.eks.Cluster(
            f"{name}-cluster",
            role_arn=role.arn,
            version=a.kubernetes_version,
            vpc_config=aws.eks.ClusterVpcConfigArgs(
                subnet_ids=a.subnet_ids,
                endpoint_private_access=True,
                endpoint_public_access=True,
                public_access_cidrs=a.public_access_cidrs or ["0.0.0.0/0"],
            ),
            access_config=aws.eks.ClusterAccessConfigArgs(
                authentication_mode="API", bootstrap_cluster_creator_admin_permissions=True
            ),
            # Add-ons below take the place of the unmanaged ones; a later change would replace the cluster.
            bootstrap_self_managed_addons=False,
            enabled_cluster_log_types=LOG_TYPES,
            deletion_protection=a.protect is not False,
            upgrade_policy=aws.eks.ClusterUpgradePolicyArgs(support_type="STANDARD"),
            tags=own,
            opts=protected(self, a.protect, depends_on=[policy]),
        )
        access = [self._admin(name, cluster.name, arn, own) for arn in a.admin_role_arns or []]
        node_role = aws.iam.Role(
            f"{name}-node-role", assume_role_policy=assume_role_policy("ec2.amazonaws.com"), tags=own, opts=child
        )
        node_policies = [
            aws.iam.RolePolicyAttachment(
                f"{name}-node-{policy_name}",
                role=node_role.name,
                policy_arn=f"arn:aws:iam::aws:policy/{policy_name}",
                opts=child,
            )
            for policy_name in NODE_POLICIES
        ]
        addons = [
            aws.eks.Addon(
                f"{name}-{addon}",
                cluster_name=cluster.name,
                addon_name=addon,
                resolve_conflicts_on_update="PRESERVE",
                tags=own,
                opts=child,
            )
            for addon in ADDONS
        ]
        self.cluster_name = cluster.name
        self.cluster_arn = cluster.arn
        # The role is usable by nodes once its policies and the network add-on are there.
        ready = [*[p.policy_arn for p in node_policies], *[addon.addon_name for addon in addons]]
        self.node_role_arn = pulumi.Output.all(node_role.arn, *ready).apply(lambda values: str(values[0]))
        self.kubeconfig = exec_kubeconfig(
            server=pulumi.Output.all(cluster.endpoint, *[entry.id for entry in access]).apply(
                lambda values: str(values[0])
            ),
            certificate_authority=cluster.certificate_authority.apply(lambda authority: authority.data),
            command="aws",
            arguments=["eks", "get-token", "--cluster-name", cluster.name, "--region", a.region],
            install_hint="Install the AWS CLI, version 2.",
        )
        self.register_outputs(
            {
                "cluster_name": self.cluster_name,
                "cluster_arn": self.cluster_arn,
                "node_role_arn": self.node_role_arn,
                "kubeconfig": self.kubeconfig,
            }
        )

    def _admin(
        self, name: str, cluster_name: pulumi.Input[str], role_arn: str, own: dict[str, str]
    ) -> pulumi.CustomResource:
        # Unique: a role's name is unique in its account, whatever its path.
        key = f"{role_arn.split(':')[4]}-{role_arn.rpartition('/')[2]}"
        entry = aws.eks.AccessEntry(
            f"{name}-admin-{key}",
            cluster_name=cluster_name,
            principal_arn=role_arn,
            tags=own,
            opts=pulumi.ResourceOptions(parent=self),
        )
        association: pulumi.CustomResource = aws.eks.AccessPolicyAssociation(
            f"{name}-admin-{key}",
            cluster_name=cluster_name,
            principal_arn=entry.principal_arn,
            policy_arn=ADMIN_POLICY,
            access_scope=aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return association
