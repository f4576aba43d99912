"""GPU nodes of a GKE cluster."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_gcp as gcp

from components._base import coerce, reject, token
from components._gpu_catalog import candidates, refusal
from components._limits import pool_problems, scalable_problems
from components._naming import tags
from components.gke_node_pool import OAUTH_SCOPES
from serving.cluster import POOL_LABEL

DISK_GIB = 150
"""Room for the GPU server image (about 8 GiB unpacked) and several bundles."""


@dataclass(frozen=True, kw_only=True)
class GkeGpuPoolArgs:
    """Arguments of `GkeGpuPool`."""

    cluster_id: pulumi.Input[str]
    """Full id of the cluster, `projects/P/locations/L/clusters/C`."""
    node_service_account: pulumi.Input[str]
    """Email of the nodes' service account."""
    pool: str
    """Value of the node label `tricorn.dev/pool`: up to 8 lower-case letters and digits, a letter first."""
    gpu_class: str
    """GPU class, e.g. `T4-class`. A change replaces the pool, new nodes first."""
    max_nodes: int
    """Most nodes, all zones together; at least 1."""
    min_nodes: Optional[int] = None
    """Fewest nodes, all zones together. Default 0."""
    spot: Optional[bool] = None
    """Buy interruptible capacity. Default False. A change replaces the pool."""
    node_zones: Optional[list[str]] = None
    """Zones of the nodes. Default all of the cluster's; name them where only some offer the GPU."""
    labels: Optional[dict[str, str]] = None
    """Labels of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        bad = [*pool_problems("pool", self.pool), *scalable_problems(self.min_nodes, self.max_nodes)]
        reason = refusal("gcp", self.gpu_class)
        if reason is not None:
            bad.append(("gpuClass", reason))
        reject("GkeGpuPool", bad)


class GkeGpuPool(pulumi.ComponentResource):
    """A node pool of GPU machines.

    GKE installs driver and device plugin and adds the taint `nvidia.com/gpu=present:NoSchedule` itself, so none of them
    is declared here. The autoscaler owns the count. Needs `roles/container.admin` and GPU quota.
    """

    pool_name: pulumi.Output[str]
    """Physical name of the node pool."""

    def __init__(self, name: str, args: GkeGpuPoolArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(GkeGpuPool), name, {}, opts)
        a = coerce(GkeGpuPoolArgs, args)
        machine = candidates("gcp", a.gpu_class)[0]
        pool = gcp.container.NodePool(
            f"{name}-nodes",
            cluster=a.cluster_id,
            node_locations=a.node_zones,
            autoscaling=gcp.container.NodePoolAutoscalingArgs(
                total_min_node_count=a.min_nodes or 0, total_max_node_count=a.max_nodes, location_policy="ANY"
            ),
            management=gcp.container.NodePoolManagementArgs(auto_repair=True, auto_upgrade=True),
            # A surge node would need GPU quota and capacity of its own.
            upgrade_settings=gcp.container.NodePoolUpgradeSettingsArgs(max_surge=0, max_unavailable=1),
            node_config=gcp.container.NodePoolNodeConfigArgs(
                machine_type=machine.machine_type,
                guest_accelerators=[
                    gcp.container.NodePoolNodeConfigGuestAcceleratorArgs(
                        type=machine.accelerator,
                        count=machine.gpus,
                        gpu_driver_installation_config=(
                            gcp.container.NodePoolNodeConfigGuestAcceleratorGpuDriverInstallationConfigArgs(
                                gpu_driver_version="LATEST"
                            )
                        ),
                    )
                ],
                spot=bool(a.spot),
                disk_size_gb=DISK_GIB,
                service_account=a.node_service_account,
                oauth_scopes=OAUTH_SCOPES,
                labels={POOL_LABEL: a.pool},
                resource_labels=tags("GkeGpuPool", a.labels),
                workload_metadata_config=gcp.container.NodePoolNodeConfigWorkloadMetadataConfigArgs(
                    mode="GKE_METADATA"
                ),
                shielded_instance_config=gcp.container.NodePoolNodeConfigShieldedInstanceConfigArgs(
                    enable_secure_boot=True, enable_integrity_monitoring=True
                ),
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                # GKE adds a taint and labels of its own; comparing them would recreate the pool.
                ignore_changes=[
                    "initialNodeCount",
                    "nodeCount",
                    "nodeConfig.taints",
                    "nodeConfig.labels",
                    "nodeConfig.resourceLabels",
                ],
            ),
        )
        self.pool_name = pool.name
        self.register_outputs({"pool_name": self.pool_name})
