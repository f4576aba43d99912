"""Model store on Google Cloud."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_gcp as gcp

from components._base import coerce, protected, token
from components._naming import tags

SOFT_DELETE_S = 7 * 24 * 3600
NONCURRENT_DAYS = 90
UPLOAD_DAYS = 7
"""Age at which an upload that was never finished is thrown away."""


@dataclass(frozen=True, kw_only=True)
class GcsModelStoreArgs:
    """Arguments of `GcsModelStore`."""

    project: str
    """Google Cloud project id."""
    location: str
    """Region of the bucket. A change replaces it."""
    key: Optional[pulumi.Input[str]] = None
    """Id of the Cloud KMS key that encrypts new objects. Default Google's own."""
    protect: Optional[bool] = None
    """Refuse to delete the bucket and the objects in it. Default True."""
    labels: Optional[dict[str, str]] = None
    """Labels of every resource, beside the component's own."""


class GcsModelStore(pulumi.ComponentResource):
    """A private, versioned Cloud Storage bucket for model bundles.

    What was deleted or overwritten can be had back: for a week whatever happened, for 90 days as an older version.
    Without `protect` there is no such week, so that a bucket that is destroyed costs nothing any more. Grants access to
    nobody; see `GkeWorkloadIdentity`. Readers need no right to the key: Cloud Storage itself decrypts for them. Needs
    the role `roles/storage.admin`.
    """

    bucket_name: pulumi.Output[str]
    """Physical name of the bucket."""
    project_number: pulumi.Output[str]
    """Number of the project, as the names of its workload identities want it."""

    def __init__(self, name: str, args: GcsModelStoreArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(GcsModelStore), name, {}, opts)
        a = coerce(GcsModelStoreArgs, args)
        self._name = name
        bucket = gcp.storage.Bucket(
            f"{name}-bucket",
            project=a.project,
            location=a.location,
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            versioning=gcp.storage.BucketVersioningArgs(enabled=True),
            encryption=None if a.key is None else gcp.storage.BucketEncryptionArgs(default_kms_key_name=a.key),
            soft_delete_policy=gcp.storage.BucketSoftDeletePolicyArgs(
                retention_duration_seconds=0 if a.protect is False else SOFT_DELETE_S
            ),
            lifecycle_rules=[
                gcp.storage.BucketLifecycleRuleArgs(
                    action=gcp.storage.BucketLifecycleRuleActionArgs(type="Delete"),
                    condition=gcp.storage.BucketLifecycleRuleConditionArgs(
                        days_since_noncurrent_time=NONCURRENT_DAYS, with_state="ARCHIVED"
                    ),
                ),
                gcp.storage.BucketLifecycleRuleArgs(
                    action=gcp.storage.BucketLifecycleRuleActionArgs(type="AbortIncompleteMultipartUpload"),
                    condition=gcp.storage.BucketLifecycleRuleConditionArgs(age=UPLOAD_DAYS),
                ),
            ],
            force_destroy=a.protect is False,
            labels=tags("GcsModelStore", a.labels),
            opts=protected(self, a.protect),
        )
        self.bucket_name = bucket.name
        self.project_number = bucket.project_number.apply(lambda number: str(int(number)))
        self.register_outputs({"bucket_name": self.bucket_name, "project_number": self.project_number})

    def upload(self, model: str, key: str, archive: str) -> pulumi.Output[str]:
        """Put a bundle archive into the store.

        Args:
            model: Name of the model, part of the logical name.
            key: Object key, `bundles/<model>/<digest>.tar`.
            archive: Path of the archive on this machine, relative to the project.

        Returns:
            The key, known once the object is there.
        """
        digest = key.rpartition("/")[2].removesuffix(".tar")
        stored = gcp.storage.BucketObject(
            f"{self._name}-{model}-{digest[:12]}",
            bucket=self.bucket_name,
            name=key,
            source=pulumi.FileAsset(archive),
            content_type="application/x-tar",
            opts=pulumi.ResourceOptions(parent=self),
        )
        uploaded: pulumi.Output[str] = stored.name
        return uploaded
