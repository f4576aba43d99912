"""Access of a Kubernetes service account to an S3 model store."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_aws as aws

from components._aws_policies import allow, document, pod_trust, role_path
from components._base import coerce, token
from components._naming import tags

_PREFIX = "bundles/"


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
    key_arn: Optional[pulumi.Input[str]] = None
    """KMS key the bucket is encrypted with. Default none: one of AWS's own."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""


class EksWorkloadIdentity(pulumi.ComponentResource):
    """Read access to the bundles of one bucket for one service account, through EKS Pod Identity.

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
            path=role_path(),
            assume_role_policy=pod_trust(a.namespace, a.service_account),
            tags=own,
            opts=child,
        )
        policy = aws.iam.RolePolicy(
            f"{name}-read",
            role=role.name,
            policy=pulumi.Output.all(a.bucket_arn, a.key_arn).apply(lambda values: _read_policy(values[0], values[1])),
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


def _read_policy(bucket_arn: str, key_arn: Optional[str]) -> str:
    inside = {"StringLike": {"s3:prefix": [f"{_PREFIX}*"]}}
    statements = [
        allow(["s3:ListBucket"], [bucket_arn], inside),
        allow(["s3:GetObject"], [f"{bucket_arn}/{_PREFIX}*"]),
    ]
    if key_arn is not None:
        region = key_arn.split(":")[3]
        via = {"StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"}}
        statements.append(allow(["kms:Decrypt"], [key_arn], via))
    return document(*statements)
