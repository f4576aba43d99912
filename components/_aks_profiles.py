"""Parts of an AKS control plane's declaration."""

from typing import Optional

import pulumi
import pulumi_azure_native as azure_native

from components._hardening import Hardening
from components._limits import Problems
from serving.cluster import POOL_LABEL
from serving.settings_sites import SYSTEM_POOL

AUDIT_CATEGORIES = (
    "kube-audit-admin",
    "guard",
    "kube-apiserver",
    "kube-controller-manager",
    "cluster-autoscaler",
    "cloud-controller-manager",
)
"""Logs worth keeping: who changed what, who was let in, and why something was not scheduled or scaled.

`kube-audit` would add every read, at many times the volume.
"""
MAINTENANCE_DAYS = {"aksManagedAutoUpgradeSchedule": "Tuesday", "aksManagedNodeOSUpgradeSchedule": "Wednesday"}
"""The names that AKS gives its two kinds of upgrade, and the day of the week of each."""
_MAINTENANCE_START, _MAINTENANCE_HOURS = "02:00", 4
_IMAGE_CLEANER_HOURS = 7 * 24
_ZONES = ("1", "2", "3")


def zone_problems(zones: Optional[list[str]]) -> Problems:
    """Problems of availability zones, which Azure numbers."""
    return [("zones", f"must be of 1, 2 and 3, got {zone!r}") for zone in zones or [] if zone not in _ZONES]


def system_pool(
    *,
    name: str,
    machine_type: str,
    bounds: tuple[int, int],
    subnet_id: pulumi.Input[str],
    zones: Optional[list[str]],
) -> azure_native.containerservice.ManagedClusterAgentPoolProfileArgs:
    """The one pool that is part of the cluster itself."""
    least, most = bounds
    return azure_native.containerservice.ManagedClusterAgentPoolProfileArgs(
        name=name,
        mode="System",
        vm_size=machine_type,
        os_type="Linux",
        enable_auto_scaling=True,
        count=least,
        min_count=least,
        max_count=most,
        availability_zones=zones,
        enable_encryption_at_host=True,
        enable_node_public_ip=False,
        node_labels={POOL_LABEL: SYSTEM_POOL},
        vnet_subnet_id=subnet_id,
    )


def api_access(
    hardening: Hardening, subnet_id: Optional[pulumi.Input[str]]
) -> azure_native.containerservice.ManagedClusterAPIServerAccessProfileArgs:
    """Who reaches the API server; with a subnet of its own, public and private can be changed in place."""
    return azure_native.containerservice.ManagedClusterAPIServerAccessProfileArgs(
        enable_private_cluster=not hardening.public_endpoint,
        enable_private_cluster_public_fqdn=None if hardening.public_endpoint else False,
        authorized_ip_ranges=hardening.authorized_ranges if hardening.public_endpoint else None,
        enable_vnet_integration=True if subnet_id is not None else None,
        subnet_id=subnet_id,
        disable_run_command=True,
    )


def security(
    hardening: Hardening, workspace_id: pulumi.Input[str]
) -> azure_native.containerservice.ManagedClusterSecurityProfileArgs:
    """What watches and cleans the cluster.

    Keys of one's own for etcd are left out: AKS calls the present form legacy, and the one that follows it is a
    preview. Secrets are encrypted with keys of the platform.
    """
    service = azure_native.containerservice
    watched = hardening.scanning is not False
    return service.ManagedClusterSecurityProfileArgs(
        workload_identity=service.ManagedClusterSecurityProfileWorkloadIdentityArgs(enabled=True),
        image_cleaner=service.ManagedClusterSecurityProfileImageCleanerArgs(
            enabled=True, interval_hours=_IMAGE_CLEANER_HOURS
        ),
        defender=service.ManagedClusterSecurityProfileDefenderArgs(
            log_analytics_workspace_resource_id=workspace_id,
            security_monitoring=service.ManagedClusterSecurityProfileDefenderSecurityMonitoringArgs(enabled=True),
        )
        if watched
        else None,
    )


def maintenance_window(day: str) -> azure_native.containerservice.MaintenanceWindowArgs:
    """Four hours of every week, from 02:00 UTC."""
    service = azure_native.containerservice
    return service.MaintenanceWindowArgs(
        schedule=service.ScheduleArgs(weekly=service.WeeklyScheduleArgs(day_of_week=day, interval_weeks=1)),
        start_time=_MAINTENANCE_START,
        duration_hours=_MAINTENANCE_HOURS,
        utc_offset="+00:00",
    )
