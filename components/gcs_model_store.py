"""Model store on Google Cloud."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_gcp as gcp

from components._base import coerce, protected, token
from components._naming import tags


@dataclass(frozen=True, kw_only=True)
class GcsModelStoreArgs:
    """Arguments of `GcsModelStore`."""

    project: str
    """Google Cloud project id."""
    location: str
    """Region of the bucket. A change replaces it."""
    protect: Optional[bool] = None
    """Refuse to delete the bucket and the objects in it. Default True."""
    labels: Optional[dict[str, str]] = None
    """Labels of every resource, beside the component's own."""


class GcsModelStore(pulumi.ComponentResource):
    """A private, versioned Cloud Storage bucket for model bundles, encrypted by Google's keys.

    Grants access to nobody; see `GkeWorkloadIdentity`. Needs the role `roles/storage.admin`.
    """

    bucket_name: pulumi.Output[str]
    """Physical name of the bucket."""

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
            force_destroy=a.protect is False,
            labels=tags("GcsModelStore", a.labels),
            opts=protected(self, a.protect),
        )
        self.bucket_name = bucket.name
        self.register_outputs({"bucket_name": self.bucket_name})

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
