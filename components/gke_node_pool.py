"""CPU nodes of a GKE cluster."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_gcp as gcp

from components._base import coerce, reject, token
from components._gke_nodes import node_config, private_nodes, repaired
from components._limits import node_problems
from serving.settings_sites import SYSTEM_POOL

DEFAULT_MACHINE_TYPE = "e2-standard-4"
DISK_GIB = 50


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
    node_zones: Optional[list[str]] = None
    """Zones of the nodes. Default all of the cluster's."""
    disk_key: Optional[pulumi.Input[str]] = None
    """Id of the Cloud KMS key of the boot disks. Default Google's own. A change replaces the pool."""
    image_streaming: Optional[bool] = None
    """Start containers before their image is there. Needs private access to Google's services. Default False."""
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
            # Beside ignore_changes, which a refresh does not heed.
            ignore_node_count_changes=True,
            node_locations=a.node_zones,
            autoscaling=gcp.container.NodePoolAutoscalingArgs(
                total_min_node_count=a.min_nodes, total_max_node_count=a.max_nodes, location_policy="BALANCED"
            ),
            management=repaired(),
            upgrade_settings=gcp.container.NodePoolUpgradeSettingsArgs(max_surge=1, max_unavailable=0),
            network_config=private_nodes(),
            node_config=node_config(
                "GkeNodePool",
                machine_type=a.machine_type or DEFAULT_MACHINE_TYPE,
                pool=a.pool or SYSTEM_POOL,
                disk_gib=DISK_GIB,
                service_account=a.node_service_account,
                disk_key=a.disk_key,
                image_streaming=a.image_streaming,
                labels=a.labels,
            ),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["initialNodeCount", "nodeCount"]),
        )
        self.pool_name = pool.name
        self.register_outputs({"pool_name": self.pool_name})
