"""EKS control plane."""

import re
from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_aws as aws

from components._aws_logs import log_group
from components._aws_policies import allow, document, role_path, service_trust
from components._base import coerce, protected, reject, token
from components._hardening import PRODUCTION, Hardening
from components._kubernetes import exec_kubeconfig
from components._limits import Problems, version_problems
from components._naming import physical, stack_scope, tags

LOG_TYPES = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
ADDONS = {
    # Without it, EKS stores NetworkPolicies and enforces none.
    "vpc-cni": '{"enableNetworkPolicy": "true"}',
    "kube-proxy": None,
    "eks-pod-identity-agent": None,
    # Tells node repair about GPUs and kernels in trouble.
    "eks-node-monitoring-agent": None,
}
"""Add-ons that run as DaemonSets, with their configuration: active without nodes, needed before a node is ready."""
NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly")
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/.*[^/]")
ADMIN_POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"


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
    """IAM roles that administer the cluster. Default none: the role or user that creates the cluster does.

    Once there are any, whoever runs the stack must be one of them or `deployer_role_arn`: EKS lets nobody else in.
    """
    deployer_role_arn: Optional[pulumi.Input[str]] = None
    """IAM role that runs the stack, such as a pipeline's, if `admin_role_arns` does not name it. Default none."""
    network_cidr: Optional[str] = None
    """IPv4 range that may call the API server from inside, e.g. the VPC's. Default only the nodes."""
    hardening: Optional[Hardening] = None
    """Who reaches the API server, and how long its logs are kept. Default that of production."""
    key_arn: Optional[pulumi.Input[str]] = None
    """KMS key of secrets and logs, which must let CloudWatch Logs use it (`AwsKmsKey`). Default AWS's own keys."""
    protect: Optional[bool] = None
    """Refuse to delete the cluster. Default True."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        reject("EksCluster", [*version_problems(self.kubernetes_version), *admin_problems(self.admin_role_arns)])


class EksCluster(pulumi.ComponentResource):
    """An EKS control plane with its add-ons, the role its nodes use, and who may administer it.

    Makes no node pool and no network. Needs permission for `eks:*`, `logs:*LogGroup*` and to create and pass IAM roles.
    """

    cluster_name: pulumi.Output[str]
    """Physical name of the cluster."""
    cluster_arn: pulumi.Output[str]
    """ARN of the cluster."""
    node_role_arn: pulumi.Output[str]
    """IAM role for node pools."""
    node_role_name: pulumi.Output[str]
    """Name of that role, for policies of what nodes use."""
    security_group_id: pulumi.Output[str]
    """Security group of the control plane and of nodes."""
    issuer_url: pulumi.Output[str]
    """OpenID Connect issuer of the cluster's service accounts."""
    kubeconfig: pulumi.Output[str]
    """Kubeconfig (JSON) that calls `aws eks get-token`; holds no credentials."""

    def __init__(self, name: str, args: EksClusterArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(EksCluster), name, {}, opts)
        a = coerce(EksClusterArgs, args)
        self._tags = tags("EksCluster", a.labels)
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            f"{name}-role",
            path=role_path(),
            assume_role_policy=service_trust("eks.amazonaws.com"),
            tags=self._tags,
            opts=child,
        )
        cluster = self._control_plane(name, a, role)
        # With the ARN, because a preview knows the rest of this configuration and would take the group for absent.
        group = pulumi.Output.all(cluster.vpc_config.cluster_security_group_id, cluster.arn).apply(
            lambda values: str(values[0])
        )
        self.security_group_id = group
        if a.network_cidr is not None:
            aws.vpc.SecurityGroupIngressRule(
                f"{name}-inside",
                security_group_id=group,
                description="API server from the network",
                cidr_ipv4=a.network_cidr,
                ip_protocol="tcp",
                from_port=443,
                to_port=443,
                tags=self._tags,
                opts=child,
            )
        access = [self._admin(name, _role_key(arn), cluster.name, arn) for arn in a.admin_role_arns or []]
        if a.deployer_role_arn is not None:
            access.append(self._admin(name, "deployer", cluster.name, a.deployer_role_arn))
        node_role = aws.iam.Role(
            f"{name}-node-role",
            path=role_path(),
            assume_role_policy=service_trust("ec2.amazonaws.com"),
            tags=self._tags,
            opts=child,
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
                configuration_values=configuration,
                resolve_conflicts_on_update="PRESERVE",
                tags=self._tags,
                opts=child,
            )
            for addon, configuration in ADDONS.items()
        ]
        self.cluster_name = cluster.name
        self.cluster_arn = cluster.arn
        # The role is usable by nodes once its policies and the network add-on are there.
        ready = [*[p.policy_arn for p in node_policies], *[addon.addon_name for addon in addons]]
        self.node_role_arn = pulumi.Output.all(node_role.arn, *ready).apply(lambda values: str(values[0]))
        self.node_role_name = node_role.name
        self.issuer_url = cluster.identities.apply(lambda found: str(found[0].oidcs[0].issuer))
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
                "node_role_name": self.node_role_name,
                "security_group_id": self.security_group_id,
                "issuer_url": self.issuer_url,
                "kubeconfig": self.kubeconfig,
            }
        )

    def _control_plane(self, name: str, a: EksClusterArgs, role: aws.iam.Role) -> aws.eks.Cluster:
        child, hardening = pulumi.ResourceOptions(parent=self), a.hardening or PRODUCTION
        before: list[pulumi.Resource] = [
            aws.iam.RolePolicyAttachment(
                f"{name}-role-policy",
                role=role.name,
                policy_arn="arn:aws:iam::aws:policy/AmazonEKSClusterPolicy",
                opts=child,
            )
        ]
        if a.key_arn is not None:
            actions = ["kms:Encrypt", "kms:Decrypt", "kms:ListGrants", "kms:DescribeKey"]
            policy = pulumi.Output.from_input(a.key_arn).apply(lambda arn: document(allow(actions, [arn])))
            before.append(aws.iam.RolePolicy(f"{name}-role-key", role=role.name, policy=policy, opts=child))
        # EKS would make the group itself, without a limit on how long it is kept, and leave it behind: ours must be
        # there first, so the name must be known.
        physical_name = physical("aws", "cluster", name, stack_scope(a.region))
        group = f"/aws/eks/{physical_name}/cluster"
        before.append(log_group(f"{name}-logs", hardening, a.key_arn, self._tags, self, name=group))
        secrets = aws.eks.ClusterEncryptionConfigArgs(
            provider=aws.eks.ClusterEncryptionConfigProviderArgs(key_arn=a.key_arn or ""), resources=["secrets"]
        )
        public = bool(hardening.public_endpoint)
        return aws.eks.Cluster(
            f"{name}-cluster",
            name=physical_name,
            role_arn=role.arn,
            version=a.kubernetes_version,
            vpc_config=aws.eks.ClusterVpcConfigArgs(
                subnet_ids=a.subnet_ids,
                endpoint_private_access=True,
                endpoint_public_access=public,
                public_access_cidrs=hardening.authorized_ranges if public else None,
            ),
            access_config=aws.eks.ClusterAccessConfigArgs(
                authentication_mode="API",
                bootstrap_cluster_creator_admin_permissions=not a.admin_role_arns and a.deployer_role_arn is None,
            ),
            encryption_config=secrets if a.key_arn is not None else None,
            # Add-ons below take the place of the unmanaged ones; a later change would replace the cluster.
            bootstrap_self_managed_addons=False,
            enabled_cluster_log_types=LOG_TYPES,
            deletion_protection=a.protect is not False,
            upgrade_policy=aws.eks.ClusterUpgradePolicyArgs(support_type="STANDARD"),
            zonal_shift_config=aws.eks.ClusterZonalShiftConfigArgs(enabled=True),
            tags=self._tags,
            opts=protected(
                self,
                a.protect,
                depends_on=before,
                # Only asked at creation: naming the first administrator later must not replace the cluster.
                ignore_changes=["accessConfig.bootstrapClusterCreatorAdminPermissions"],
                # Its name is ours, and two clusters cannot have one name.
                delete_before_replace=True,
            ),
        )

    def _admin(
        self, name: str, key: str, cluster_name: pulumi.Input[str], role_arn: pulumi.Input[str]
    ) -> pulumi.CustomResource:
        entry = aws.eks.AccessEntry(
            f"{name}-admin-{key}",
            cluster_name=cluster_name,
            principal_arn=role_arn,
            tags=self._tags,
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


def _role_key(role_arn: str) -> str:
    # Unique: a role's name is unique in its account, whatever its path.
    return f"{role_arn.split(':')[4]}-{role_arn.rpartition('/')[2]}"
