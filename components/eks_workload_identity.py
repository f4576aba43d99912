"""Access of a Kubernetes service account to an S3 model store."""

import json
from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_aws as aws

from components._base import coerce, token
from components._naming import tags
from components.eks_cluster import assume_role_policy


@dataclass(frozen=True, kw_only=True)
class EksWorkloadIdentityArgs:
    """Arguments of `EksWorkloadIdentity`."""

    cluster_name: pulumi.Input[str]
    """Physical name of the cluster, which must run the EKS Pod Identity agent."""
    namespace: str
    """Namespace of the service account."""
    service_account: str
    """Name of the service account. It needs no annotation."""
    bucket_arn: pulumi.Input[str]
    """ARN of the bucket the service account may read."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""


class EksWorkloadIdentity(pulumi.ComponentResource):
    """Read access to one bucket for one service account, through EKS Pod Identity.

    Makes no service account. Needs permission to create and pass IAM roles and for `eks:*PodIdentityAssociation`.
    """

    role_arn: pulumi.Output[str]
    """IAM role that the service account's pods assume."""

    def __init__(self, name: str, args: EksWorkloadIdentityArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(EksWorkloadIdentity), name, {}, opts)
        a = coerce(EksWorkloadIdentityArgs, args)
        own = tags("EksWorkloadIdentity", a.labels)
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            f"{name}-role",
            assume_role_policy=assume_role_policy("pods.eks.amazonaws.com", "sts:AssumeRole", "sts:TagSession"),
            tags=own,
            opts=child,
        )
        policy = aws.iam.RolePolicy(
            f"{name}-read",
            role=role.name,
            policy=pulumi.Output.from_input(a.bucket_arn).apply(_read_policy),
            opts=child,
        )
        association = aws.eks.PodIdentityAssociation(
            f"{name}-association",
            cluster_name=a.cluster_name,
            namespace=a.namespace,
            service_account=a.service_account,
            role_arn=role.arn,
            tags=own,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.role_arn = association.role_arn
        self.register_outputs({"role_arn": self.role_arn})


def _read_policy(bucket_arn: str) -> str:
    statements = [
        {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [bucket_arn]},
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [f"{bucket_arn}/bundles/*"]},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
