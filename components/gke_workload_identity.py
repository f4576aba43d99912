"""Access of a Kubernetes service account to a Cloud Storage model store."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_gcp as gcp

from components._base import coerce, token

DEFAULT_PREFIX = "bundles/"
"""Where `GcsModelStore.upload` is told to put archives."""


@dataclass(frozen=True, kw_only=True)
class GkeWorkloadIdentityArgs:
    """Arguments of `GkeWorkloadIdentity`."""

    project: str
    """Google Cloud project id of the cluster."""
    cluster_id: pulumi.Input[str]
    """Full id of the cluster: the project's identity pool exists once its first cluster does."""
    namespace: str
    """Namespace of the service account."""
    service_account: str
    """Name of the service account. It needs no annotation."""
    bucket_name: pulumi.Input[str]
    """Bucket the service account may read."""
    project_number: pulumi.Input[str]
    """Number of the project of the cluster, which names the identity pool in IAM."""
    prefix: Optional[str] = None
    """Beginning of the names of the objects it may read. Default `bundles/`."""


class GkeWorkloadIdentity(pulumi.ComponentResource):
    """Read access to the bundles of one bucket for one service account, without a Google service account in between.

    Objects can be read by name but not listed: the condition does not hold for the bucket itself. Makes no service
    account. Needs the role `roles/storage.admin` on the bucket.
    """

    member: pulumi.Output[str]
    """The service account as an IAM member."""

    def __init__(self, name: str, args: GkeWorkloadIdentityArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(GkeWorkloadIdentity), name, {}, opts)
        a = coerce(GkeWorkloadIdentityArgs, args)
        prefix = DEFAULT_PREFIX if a.prefix is None else a.prefix
        member = pulumi.Output.all(a.project_number, a.cluster_id).apply(
            lambda values: (
                f"principal://iam.googleapis.com/projects/{values[0]}/locations/global/workloadIdentityPools/"
                f"{a.project}.svc.id.goog/subject/ns/{a.namespace}/sa/{a.service_account}"
            )
        )
        binding = gcp.storage.BucketIAMMember(
            f"{name}-read",
            bucket=a.bucket_name,
            role="roles/storage.objectViewer",
            member=member,
            condition=gcp.storage.BucketIAMMemberConditionArgs(
                title="model-bundles",
                description="Objects of the model store alone",
                expression=pulumi.Output.concat(
                    'resource.name.startsWith("projects/_/buckets/', a.bucket_name, f'/objects/{prefix}")'
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.member = binding.member
        self.register_outputs({"member": self.member})
