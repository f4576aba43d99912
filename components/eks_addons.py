"""Add-ons of an EKS cluster that run as Deployments."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_aws as aws

from components._aws_policies import pod_trust, role_path
from components._base import coerce, token
from components._naming import tags

_DISK_ACCOUNT = "ebs-csi-controller-sa"


@dataclass(frozen=True, kw_only=True)
class EksAddonsArgs:
    """Arguments of `EksAddons`."""

    cluster_name: pulumi.Input[str]
    """Physical name of the cluster, which must run the EKS Pod Identity agent."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""


class EksAddons(pulumi.ComponentResource):
    """DNS, CPU and memory figures for autoscaling, and disks for pods, each in the version AWS recommends at first.

    Declare it after the cluster's first nodes: without any, these stay degraded. The other add-ons come with
    `EksCluster`. Needs permission for `eks:*Addon*` and to create and pass a role.
    """

    addon_names: list[pulumi.Output[str]]
    """Names of the add-ons, known once they are active."""

    def __init__(self, name: str, args: EksAddonsArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(EksAddons), name, {}, opts)
        a = coerce(EksAddonsArgs, args)
        own = tags("EksAddons", a.labels)
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            f"{name}-disks-role",
            path=role_path(),
            assume_role_policy=pod_trust("kube-system", _DISK_ACCOUNT),
            tags=own,
            opts=child,
        )
        policy = aws.iam.RolePolicyAttachment(
            f"{name}-disks-policy",
            role=role.name,
            policy_arn="arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy",
            opts=child,
        )
        disks = aws.eks.AddonPodIdentityAssociationArgs(role_arn=role.arn, service_account=_DISK_ACCOUNT)
        identities = {"coredns": None, "metrics-server": None, "aws-ebs-csi-driver": [disks]}
        self.addon_names = [
            aws.eks.Addon(
                f"{name}-{addon}",
                cluster_name=a.cluster_name,
                addon_name=addon,
                pod_identity_associations=associations,
                resolve_conflicts_on_update="PRESERVE",
                tags=own,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[policy] if associations else []),
            ).addon_name
            for addon, associations in identities.items()
        ]
        self.register_outputs({"addon_names": self.addon_names})
