"""Model store on AWS."""

import json
from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_aws as aws

from components._base import coerce, protected, token
from components._naming import tags

_DELETED_DAYS = 30
_CLEANING = aws.s3.BucketLifecycleConfigurationRuleArgs(
    id="old-versions",
    status="Enabled",
    filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
    noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
        noncurrent_days=_DELETED_DAYS
    ),
    abort_incomplete_multipart_upload=aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
        days_after_initiation=7
    ),
)
"""What was deleted can be had back for a while; what was never finished is cleared away."""


@dataclass(frozen=True, kw_only=True)
class S3ModelStoreArgs:
    """Arguments of `S3ModelStore`."""

    key_arn: Optional[pulumi.Input[str]] = None
    """KMS key of the objects. Default one of S3's own."""
    log_bucket: Optional[pulumi.Input[str]] = None
    """Bucket that gets a line per request, under the logical name of this component. Default none."""
    protect: Optional[bool] = None
    """Refuse to delete the bucket and the objects in it. Default True."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""


class S3ModelStore(pulumi.ComponentResource):
    """A private, versioned, encrypted S3 bucket for model bundles that answers over TLS only.

    Grants access to nobody; see `EksWorkloadIdentity`. Needs permission for `s3:*Bucket*` and `s3:PutObject`.
    """

    bucket_name: pulumi.Output[str]
    """Physical name of the bucket."""
    bucket_arn: pulumi.Output[str]
    """ARN of the bucket."""

    def __init__(self, name: str, args: S3ModelStoreArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(S3ModelStore), name, {}, opts)
        a = coerce(S3ModelStoreArgs, args)
        self._name = name
        self._tags = tags("S3ModelStore", a.labels)
        child = pulumi.ResourceOptions(parent=self)
        bucket = aws.s3.Bucket(
            f"{name}-bucket", force_destroy=a.protect is False, tags=self._tags, opts=protected(self, a.protect)
        )
        # Lists that grant access object by object are off; only the policies below count.
        owner = aws.s3.BucketOwnershipControls(
            f"{name}-owner",
            bucket=bucket.bucket,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=child,
        )
        block = aws.s3.BucketPublicAccessBlock(
            f"{name}-private",
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            # Two changes of one bucket's access at a time conflict (OperationAborted).
            opts=pulumi.ResourceOptions(parent=self, depends_on=[owner]),
        )
        versioning = aws.s3.BucketVersioning(
            f"{name}-versioning",
            bucket=bucket.bucket,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=child,
        )
        encryption = aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.bucket,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=(
                        aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                            sse_algorithm="AES256" if a.key_arn is None else "aws:kms", kms_master_key_id=a.key_arn
                        )
                    ),
                    # One call of KMS per bucket and minute in place of one per object.
                    bucket_key_enabled=None if a.key_arn is None else True,
                )
            ],
            opts=child,
        )
        tls_only = aws.s3.BucketPolicy(
            f"{name}-tls-only",
            bucket=bucket.bucket,
            policy=bucket.arn.apply(_tls_only_policy),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[block]),
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.bucket,
            rules=[_CLEANING],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        if a.log_bucket is not None:
            aws.s3.BucketLogging(
                f"{name}-requests",
                bucket=bucket.bucket,
                target_bucket=a.log_bucket,
                target_prefix=f"{name}/",
                opts=child,
            )
        self._ready = [owner, block, versioning, encryption, tls_only]
        self.bucket_name = bucket.bucket
        self.bucket_arn = bucket.arn
        self.register_outputs({"bucket_name": self.bucket_name, "bucket_arn": self.bucket_arn})

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
        stored = aws.s3.BucketObjectv2(
            f"{self._name}-{model}-{digest[:12]}",
            bucket=self.bucket_name,
            key=key,
            source=pulumi.FileAsset(archive),
            content_type="application/x-tar",
            tags=self._tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=self._ready),
        )
        uploaded: pulumi.Output[str] = stored.key
        return uploaded


def _tls_only_policy(bucket_arn: str) -> str:
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket_arn, f"{bucket_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
