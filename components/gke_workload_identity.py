"""Access of a Kubernetes service account to a Cloud Storage model store."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_gcp as gcp

from components._base import coerce, token


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


class GkeWorkloadIdentity(pulumi.ComponentResource):
    """Read access to one bucket for one service account, without a Google service account in between.

    Makes no service account. Needs the role `roles/storage.admin` on the bucket.
    """

    member: pulumi.Output[str]
    """The service account as an IAM member."""

    def __init__(self, name: str, args: GkeWorkloadIdentityArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(GkeWorkloadIdentity), name, {}, opts)
        a = coerce(GkeWorkloadIdentityArgs, args)
        project = gcp.organizations.get_project_output(
            project_id=a.project, opts=pulumi.InvokeOutputOptions(parent=self)
        )
        member = pulumi.Output.all(project.number, a.cluster_id).apply(
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
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.member = binding.member
        self.register_outputs({"member": self.member})
