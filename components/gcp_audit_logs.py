"""Audit logs of a serving site's project on Google Cloud."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_gcp as gcp

from components._base import coerce, token
from components._hardening import PRODUCTION, Hardening


@dataclass(frozen=True, kw_only=True)
class GcpAuditLogsArgs:
    """Arguments of `GcpAuditLogs`."""

    project: str
    """Google Cloud project id."""
    hardening: Optional[Hardening] = None
    """How long logs are kept. Default that of production."""


class GcpAuditLogs(pulumi.ComponentResource):
    """Logs who reads from Cloud Storage in a project, and keeps the project's logs for as long as wanted.

    Both are settings of the whole project, so every site in it must want the same. They stay when the site goes:
    another may need them, and nobody should lose logs with a cluster. Google Cloud logs changes in any case, for 400
    days.
    Needs the roles `roles/logging.admin` and `roles/resourcemanager.projectIamAdmin`.
    """

    retention_days: pulumi.Output[int]
    """Days that logs are kept."""

    def __init__(self, name: str, args: GcpAuditLogsArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(GcpAuditLogs), name, {}, opts)
        a = coerce(GcpAuditLogsArgs, args)
        kept = pulumi.ResourceOptions(parent=self, retain_on_delete=True)
        gcp.projects.IAMAuditConfig(
            f"{name}-reads",
            project=a.project,
            service="storage.googleapis.com",
            audit_log_configs=[gcp.projects.IAMAuditConfigAuditLogConfigArgs(log_type="DATA_READ")],
            opts=kept,
        )
        bucket = gcp.logging.ProjectBucketConfig(
            f"{name}-retention",
            project=a.project,
            location="global",
            bucket_id="_Default",
            retention_days=(a.hardening or PRODUCTION).retention_days,
            opts=kept,
        )
        self.retention_days = bucket.retention_days.apply(int)
        self.register_outputs({"retention_days": self.retention_days})
