"""CPU nodes of a GKE cluster."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_gcp as gcp

from components._base import coerce, reject, token
from components._limits import node_problems
from components._naming import tags
from serving.cluster import POOL_LABEL
from serving.settings_sites import SYSTEM_POOL

DEFAULT_MACHINE_TYPE = "e2-standard-4"
DISK_GIB = 50
OAUTH_SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
"""Everything: what nodes may do is decided by the service account's roles."""


@dataclass(frozen=True, kw_only=True)
class GkeNodePoolArgs:
    """Arguments of `GkeNodePool`."""

    cluster_id: pulumi.Input[str]
    """Full id of the cluster, `projects/P/locations/L/clusters/C`."""
    node_service_account: pulumi.Input[str]
    """Email of the nodes' service account."""
    min_nodes: int
    """Fewest nodes, all zones together; at least 1."""
    max_nodes: int
    """Most nodes, all zones together."""
    machine_type: Optional[str] = None
    """Machine type. Default e2-standard-4. A change replaces the pool, new nodes first."""
    pool: Optional[str] = None
    """Value of the node label `tricorn.dev/pool`. Default `system`."""
    labels: Optional[dict[str, str]] = None
    """Labels of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        reject("GkeNodePool", node_problems(self.min_nodes, self.max_nodes))


class GkeNodePool(pulumi.ComponentResource):
    """A node pool without GPUs. The autoscaler owns its count.

    Create it before any GPU pool: GKE taints GPU nodes only when the cluster has other nodes
    (terraform-google-modules/terraform-google-kubernetes-engine#703).
    """

    pool_name: pulumi.Output[str]
    """Physical name of the node pool."""

    def __init__(self, name: str, args: GkeNodePoolArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(GkeNodePool), name, {}, opts)
        a = coerce(GkeNodePoolArgs, args)
        pool = gcp.container.NodePool(
            f"{name}-nodes",
            cluster=a.cluster_id,
            autoscaling=gcp.container.NodePoolAutoscalingArgs(
                total_min_node_count=a.min_nodes, total_max_node_count=a.max_nodes, location_policy="BALANCED"
            ),
            management=gcp.container.NodePoolManagementArgs(auto_repair=True, auto_upgrade=True),
            node_config=gcp.container.NodePoolNodeConfigArgs(
                machine_type=a.machine_type or DEFAULT_MACHINE_TYPE,
                disk_size_gb=DISK_GIB,
                service_account=a.node_service_account,
                oauth_scopes=OAUTH_SCOPES,
                labels={POOL_LABEL: a.pool or SYSTEM_POOL},
                resource_labels=tags("GkeNodePool", a.labels),
                workload_metadata_config=gcp.container.NodePoolNodeConfigWorkloadMetadataConfigArgs(
                    mode="GKE_METADATA"
                ),
                shielded_instance_config=gcp.container.NodePoolNodeConfigShieldedInstanceConfigArgs(
                    enable_secure_boot=True, enable_integrity_monitoring=True
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["initialNodeCount", "nodeCount"]),
        )
        self.pool_name = pool.name
        self.register_outputs({"pool_name": self.pool_name})
