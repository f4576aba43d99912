"""Log groups."""

from typing import Optional

import pulumi
import pulumi_aws as aws

from components._hardening import Hardening


def log_group(
    logical_name: str,
    hardening: Hardening,
    key_arn: Optional[pulumi.Input[str]],
    own: dict[str, str],
    parent: pulumi.Resource,
    *,
    name: Optional[str] = None,
) -> aws.cloudwatch.LogGroup:
    """Declare a log group that keeps entries for the days in force; without a name the provider makes one up."""
    return aws.cloudwatch.LogGroup(
        logical_name,
        name=name,
        retention_in_days=hardening.retention_days,
        kms_key_id=key_arn,
        tags=own,
        opts=pulumi.ResourceOptions(parent=parent),
    )
