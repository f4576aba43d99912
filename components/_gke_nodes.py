"""What the nodes of every GKE node pool have in common."""

from typing import Any, Optional

import pulumi
import pulumi_gcp as gcp

from components._naming import tags
from serving.cluster import POOL_LABEL

OAUTH_SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
"""Everything: what nodes may do is decided by the service account's roles."""


def node_config(
    component: str,
    *,
    pool: str,
    disk_gib: int,
    service_account: pulumi.Input[str],
    disk_key: Optional[pulumi.Input[str]],
    image_streaming: Optional[bool],
    labels: Optional[dict[str, str]],
    **more: Any,
) -> gcp.container.NodePoolNodeConfigArgs:
    """Configuration of nodes that boot only what is signed, and whose pods see no more metadata than their own.

    Args:
        component: Class name of the component.
        pool: Value of the pool's label.
        disk_gib: Size of the boot disk in GiB.
        service_account: Email of the nodes' service account.
        disk_key: Id of the boot disk's key; None for Google's own.
        image_streaming: Start containers before their image is there.
        labels: The caller's labels of cloud resources.
        more: Other properties of the nodes.
    """
    return gcp.container.NodePoolNodeConfigArgs(
        disk_size_gb=disk_gib,
        boot_disk_kms_key=disk_key,
        service_account=service_account,
        oauth_scopes=OAUTH_SCOPES,
        labels={POOL_LABEL: pool},
        resource_labels=tags(component, labels),
        workload_metadata_config=gcp.container.NodePoolNodeConfigWorkloadMetadataConfigArgs(mode="GKE_METADATA"),
        shielded_instance_config=gcp.container.NodePoolNodeConfigShieldedInstanceConfigArgs(
            enable_secure_boot=True, enable_integrity_monitoring=True
        ),
        gvnic=gcp.container.NodePoolNodeConfigGvnicArgs(enabled=True),
        gcfs_config=gcp.container.NodePoolNodeConfigGcfsConfigArgs(enabled=bool(image_streaming)),
        **more,
    )


def private_nodes() -> gcp.container.NodePoolNetworkConfigArgs:
    """Nodes without public addresses, whatever the cluster's default becomes."""
    return gcp.container.NodePoolNetworkConfigArgs(enable_private_nodes=True)


def repaired() -> gcp.container.NodePoolManagementArgs:
    """Broken nodes are replaced and old ones upgraded."""
    return gcp.container.NodePoolManagementArgs(auto_repair=True, auto_upgrade=True)
