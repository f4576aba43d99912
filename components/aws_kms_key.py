"""Encryption key on AWS."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_aws as aws

from components._aws_policies import document
from components._base import coerce, protected, reject, token
from components._naming import tags

_ROTATION_DAYS = 365
_DELETION_DAYS = 30
_USE = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey*", "kms:DescribeKey"]


@dataclass(frozen=True, kw_only=True)
class AwsKmsKeyArgs:
    """Arguments of `AwsKmsKey`."""

    account_id: pulumi.Input[str]
    """AWS account, whose IAM policies decide who uses the key."""
    region: str
    """AWS region, the one of the provider."""
    protect: Optional[bool] = None
    """Refuse to delete the key, without which nothing encrypted with it can be read. Default True."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        bad = []
        if isinstance(self.account_id, str) and not (len(self.account_id) == 12 and self.account_id.isdigit()):
            bad.append(("accountId", f"must be 12 digits, got {self.account_id!r}"))
        reject("AwsKmsKey", bad)


class AwsKmsKey(pulumi.ComponentResource):
    """A key that AWS turns every year, for a cluster's secrets, disks, logs, images and bundles.

    Open to what the account's IAM policies allow, to the region's CloudWatch Logs and to EC2 Auto Scaling, which starts
    nodes with encrypted disks; to nobody else. An account that never had an Auto Scaling group lacks that service's
    role, and KMS refuses the policy until `aws iam create-service-linked-role --aws-service-name
    autoscaling.amazonaws.com` has run once. Needs permission for `kms:CreateKey` and `kms:PutKeyPolicy`.
    """

    key_arn: pulumi.Output[str]
    """ARN of the key."""

    def __init__(self, name: str, args: AwsKmsKeyArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(AwsKmsKey), name, {}, opts)
        a = coerce(AwsKmsKeyArgs, args)
        key = aws.kms.Key(
            f"{name}-key",
            description=f"{pulumi.get_project()} {pulumi.get_stack()} {name}",
            enable_key_rotation=True,
            rotation_period_in_days=_ROTATION_DAYS,
            deletion_window_in_days=_DELETION_DAYS,
            policy=pulumi.Output.from_input(a.account_id).apply(lambda account: _policy(account, a.region)),
            tags=tags("AwsKmsKey", a.labels),
            opts=protected(self, a.protect),
        )
        self.key_arn = key.arn
        self.register_outputs({"key_arn": self.key_arn})


def _policy(account: str, region: str) -> str:
    # In a key's policy, the resource `*` is the key itself.
    scaling = f"arn:aws:iam::{account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
    log_groups = f"arn:aws:logs:{region}:{account}:log-group:*"
    return document(
        _statement({"AWS": f"arn:aws:iam::{account}:root"}, ["kms:*"]),
        {
            **_statement({"Service": f"logs.{region}.amazonaws.com"}, _USE),
            "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": log_groups}},
        },
        _statement({"AWS": scaling}, _USE),
        {
            **_statement({"AWS": scaling}, ["kms:CreateGrant"]),
            "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
        },
    )


def _statement(principal: dict[str, str], actions: list[str]) -> dict[str, object]:
    return {"Effect": "Allow", "Principal": principal, "Action": actions, "Resource": "*"}
