"""GPU nodes of a GKE cluster."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_gcp as gcp

from components._base import coerce, reject, token
from components._gke_nodes import node_config, private_nodes, repaired
from components._gpu_catalog import CATALOG, candidates, refusal
from components._gpu_machine import GpuMachine
from components._limits import Problems, pool_problems, scalable_problems

DISK_GIB = 150
"""Room for the GPU server image (about 8 GiB unpacked) and several bundles."""
DRIVER = "LATEST"
"""Always stated: a driver that is left out, or changes, makes the provider replace the pool
(hashicorp/terraform-provider-google#23248)."""
RESERVATION_KEY = "compute.googleapis.com/reservation-name"


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
    machine_types: Optional[list[str]] = None
    """Machine types of the class, in order of preference; a GKE pool has one, the first. Default the cheapest."""
    reservation_id: Optional[str] = None
    """Name of a reservation to take nodes from, `projects/P/reservations/R` when another project shares it. Default
    none. A change replaces the pool."""
    node_zones: Optional[list[str]] = None
    """Zones of the nodes. Default all of the cluster's; name them where only some offer the GPU."""
    disk_key: Optional[pulumi.Input[str]] = None
    """Id of the Cloud KMS key of the boot disks. Default Google's own. A change replaces the pool."""
    image_streaming: Optional[bool] = None
    """Start containers before their image is there. Needs private access to Google's services. Default False."""
    labels: Optional[dict[str, str]] = None
    """Labels of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        bad = [*pool_problems("pool", self.pool), *scalable_problems(self.min_nodes, self.max_nodes)]
        reason = refusal("gcp", self.gpu_class)
        if reason is not None:
            bad.append(("gpuClass", reason))
        elif self.machine_types and self.machine_types[0] not in _machines(self.gpu_class):
            allowed = ", ".join(_machines(self.gpu_class))
            bad.append(("machineTypes", f"{self.machine_types[0]!r} has no {self.gpu_class} GPU; use one of {allowed}"))
        bad += reservation_problems(self.reservation_id, self.node_zones, "nodeZones")
        if self.spot and self.reservation_id:
            bad.append(("reservationId", "is for nodes on demand, not for spot"))
        reject("GkeGpuPool", bad)


def reservation_problems(reservation_id: Optional[str], zones: Optional[list[str]], path: str) -> Problems:
    """Problems of a reservation, which holds machines of one zone: nodes anywhere else can never start."""
    if reservation_id is None or (zones and len(zones) == 1):
        return []
    return [(path, f"must name the one zone of the reservation {reservation_id!r}, got {zones or 'none'}")]


def _machines(gpu_class: str) -> dict[str, GpuMachine]:
    return {machine.machine_type: machine for machine in CATALOG[gpu_class]["gcp"]}


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
        machine = _machines(a.gpu_class)[a.machine_types[0]] if a.machine_types else candidates("gcp", a.gpu_class)[0]
        pool = gcp.container.NodePool(
            f"{name}-nodes",
            cluster=a.cluster_id,
            # Beside ignore_changes, which a refresh does not heed.
            ignore_node_count_changes=True,
            node_locations=a.node_zones,
            autoscaling=gcp.container.NodePoolAutoscalingArgs(
                total_min_node_count=a.min_nodes or 0, total_max_node_count=a.max_nodes, location_policy="ANY"
            ),
            management=repaired(),
            # A surge node would need GPU quota and capacity of its own.
            upgrade_settings=gcp.container.NodePoolUpgradeSettingsArgs(max_surge=0, max_unavailable=1),
            network_config=private_nodes(),
            node_config=node_config(
                "GkeGpuPool",
                pool=a.pool,
                disk_gib=DISK_GIB,
                service_account=a.node_service_account,
                disk_key=a.disk_key,
                image_streaming=a.image_streaming,
                labels=a.labels,
                machine_type=machine.machine_type,
                guest_accelerators=[
                    gcp.container.NodePoolNodeConfigGuestAcceleratorArgs(
                        type=machine.accelerator,
                        count=machine.gpus,
                        gpu_driver_installation_config=(
                            gcp.container.NodePoolNodeConfigGuestAcceleratorGpuDriverInstallationConfigArgs(
                                gpu_driver_version=DRIVER
                            )
                        ),
                    )
                ],
                spot=bool(a.spot),
                reservation_affinity=_reserved(a.reservation_id),
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


def _reserved(reservation_id: Optional[str]) -> Optional[gcp.container.NodePoolNodeConfigReservationAffinityArgs]:
    if reservation_id is None:
        return None
    return gcp.container.NodePoolNodeConfigReservationAffinityArgs(
        consume_reservation_type="SPECIFIC_RESERVATION", key=RESERVATION_KEY, values=[reservation_id]
    )
