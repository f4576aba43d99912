"""Everything a serving site needs on Google Cloud."""

from dataclasses import dataclass
from typing import Optional

import pulumi

from components._base import coerce, token
from components._capacity import CapacityPolicy, plans
from components._hardening import PRODUCTION, Hardening
from components._kubernetes import cluster_provider
from components._limits import Problems
from components._serving_cluster import refuse
from components.artifact_registry import ArtifactRegistry, ArtifactRegistryArgs
from components.gcp_audit_logs import GcpAuditLogs, GcpAuditLogsArgs
from components.gcp_kms_keys import GcpKmsKeys, GcpKmsKeysArgs
from components.gcs_model_store import GcsModelStore, GcsModelStoreArgs
from components.gke_address import GkeAddress, GkeAddressArgs
from components.gke_cluster import GkeCluster, GkeClusterArgs, group_problems, zone_problems
from components.gke_firewall import GkeFirewall, GkeFirewallArgs
from components.gke_gpu_pool import GkeGpuPool, GkeGpuPoolArgs, reservation_problems
from components.gke_network import GkeNetwork, GkeNetworkArgs
from components.gke_node_pool import GkeNodePool, GkeNodePoolArgs
from components.gke_services import GkeServices, GkeServicesArgs
from components.gke_workload_identity import GkeWorkloadIdentity, GkeWorkloadIdentityArgs


@dataclass(frozen=True, kw_only=True)
class GkeServingClusterArgs:
    """Arguments of `GkeServingCluster`."""

    project: str
    """Google Cloud project id."""
    region: str
    """Google Cloud region."""
    kubernetes_version: str
    """Oldest minor version of the control plane, e.g. `1.36`."""
    namespace: str
    """Namespace of the model servers."""
    service_account: str
    """Service account of the model servers; may read the model store."""
    system_min_nodes: int
    """Fewest CPU nodes; at least 1."""
    system_max_nodes: int
    """Most CPU nodes."""
    system_machine_type: Optional[str] = None
    """Machine type of CPU nodes. Default e2-standard-4."""
    gpu_pools: Optional[dict[str, CapacityPolicy]] = None
    """GPU pools by name. Default none."""
    cidr: Optional[str] = None
    """IPv4 range of the nodes. Default 10.20.0.0/16."""
    zones: Optional[list[str]] = None
    """Zones of the nodes. Default three that GKE chooses."""
    admin_groups: Optional[list[str]] = None
    """E-mail addresses of Google groups that administer the cluster. Default none."""
    hardening: Optional[Hardening] = None
    """How closed and how well kept the cluster is. Default that of production."""
    mirror: Optional[bool] = None
    """Cache public images in the registry. Default False."""
    protect: Optional[bool] = None
    """Refuse to delete the cluster, the stores and the address. Default True."""
    labels: Optional[dict[str, str]] = None
    """Labels of every resource, beside the components' own."""

    def __post_init__(self) -> None:
        refuse(
            "GkeServingCluster",
            "gcp",
            kubernetes_version=self.kubernetes_version,
            system_nodes=(self.system_min_nodes, self.system_max_nodes),
            gpu_pools=self.gpu_pools,
            cidr=self.cidr,
            others=[
                *zone_problems(self.region, self.zones),
                *group_problems(self.admin_groups),
                *self._pool_problems(),
            ],
        )

    def _pool_problems(self) -> Problems:
        bad: Problems = []
        for pool, policy in (self.gpu_pools or {}).items():
            path = f"gpuPools.{pool}"
            bad += reservation_problems(policy.reservation_id, policy.zones or self.zones, f"{path}.zones")
            if policy.reservation_kind == "capacity-block":
                bad.append((f"{path}.reservationKind", "must be on-demand on Google Cloud, got 'capacity-block'"))
            outside = [each for each in policy.zones or [] if self.zones and each not in self.zones]
            bad += [(f"{path}.zones", f"must be zones of the cluster, got {outside}")] if outside else []
        return bad


@dataclass(frozen=True)
class _Nodes:
    """Arguments that every node pool of a cluster gets."""

    node_service_account: pulumi.Output[str]
    disk_key: Optional[pulumi.Output[str]]
    image_streaming: bool


class GkeServingCluster(pulumi.ComponentResource):
    """A network, a GKE cluster with CPU and GPU nodes, a registry, a model store and a static address.

    Has every attribute of `ServingCluster`. Switches on the services it needs, and encrypts with keys of its own unless
    told otherwise. Deploys no model and no gateway.
    """

    kubeconfig: pulumi.Output[str]
    """Kubeconfig (JSON) without credentials."""
    addresses: list[pulumi.Output[str]]
    """Static public IPv4 address, a list of one."""
    registry_url: pulumi.Output[str]
    """Address of the Artifact Registry repository, without a scheme."""
    store_bucket: pulumi.Output[str]
    """Name of the model store's bucket."""

    store_kind = "gcs"
    store_account: Optional[pulumi.Output[str]] = None
    """Always absent: a bucket has no storage account."""

    def __init__(self, name: str, args: GkeServingClusterArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(GkeServingCluster), name, {}, opts)
        a = coerce(GkeServingClusterArgs, args)
        hard = a.hardening or PRODUCTION
        services = GkeServices(
            f"{name}-services",
            GkeServicesArgs(project=a.project, hardening=hard),
            pulumi.ResourceOptions(parent=self),
        )
        child = services.first(self)
        GcpAuditLogs(f"{name}-audit", GcpAuditLogsArgs(project=a.project, hardening=hard), child)
        keys = None
        if hard.customer_keys is not False:
            keys = GcpKmsKeys(
                f"{name}-keys",
                GcpKmsKeysArgs(project=a.project, location=a.region, protect=a.protect, labels=a.labels),
                child,
            )
        network = GkeNetwork(
            f"{name}-network",
            GkeNetworkArgs(project=a.project, region=a.region, cidr=a.cidr, hardening=hard),
            child,
        )
        cluster = GkeCluster(
            f"{name}-cluster",
            GkeClusterArgs(
                project=a.project,
                region=a.region,
                kubernetes_version=a.kubernetes_version,
                network_id=network.network_id,
                subnetwork_id=network.subnetwork_id,
                zones=a.zones,
                hardening=hard,
                secrets_key=keys.secrets_key if keys else None,
                disk_key=keys.disks_key if keys else None,
                admin_groups=a.admin_groups,
                protect=a.protect,
                labels=a.labels,
            ),
            child,
        )
        GkeFirewall(
            f"{name}-firewall",
            GkeFirewallArgs(
                project=a.project, network_id=network.network_id, node_service_account=cluster.node_service_account
            ),
            child,
        )
        nodes = _Nodes(
            cluster.node_service_account,
            keys.disks_key if keys else None,
            # Streaming reaches Google's services by the private way alone.
            hard.private_links is not False,
        )
        system = GkeNodePool(
            f"{name}-system",
            GkeNodePoolArgs(
                cluster_id=cluster.cluster_id,
                min_nodes=a.system_min_nodes,
                max_nodes=a.system_max_nodes,
                machine_type=a.system_machine_type,
                labels=a.labels,
                **vars(nodes),
            ),
            child,
        )
        # Known once the CPU pool is there: a GPU pool that comes first gets no taint.
        tainted = pulumi.Output.all(cluster.cluster_id, system.pool_name).apply(lambda values: str(values[0]))
        for pool, spec in (a.gpu_pools or {}).items():
            for plan in plans("gcp", spec):
                GkeGpuPool(
                    f"{name}-{pool}{plan.suffix}",
                    GkeGpuPoolArgs(
                        cluster_id=tainted,
                        pool=pool,
                        gpu_class=plan.gpu_class,
                        machine_types=plan.machine_types,
                        min_nodes=plan.min_nodes,
                        max_nodes=plan.max_nodes,
                        spot=plan.spot,
                        node_zones=plan.zones or (a.zones if plan.reservation_id else None),
                        reservation_id=plan.reservation_id,
                        labels=a.labels,
                        **vars(nodes),
                    ),
                    child,
                )
        address = GkeAddress(
            f"{name}-address",
            GkeAddressArgs(project=a.project, region=a.region, protect=a.protect, labels=a.labels),
            child,
        )
        self._registry = ArtifactRegistry(
            f"{name}-registry",
            ArtifactRegistryArgs(
                project=a.project,
                region=a.region,
                hardening=hard,
                key=keys.images_key if keys else None,
                mirror=a.mirror,
                reader=pulumi.Output.concat("serviceAccount:", cluster.node_service_account),
                protect=a.protect,
                labels=a.labels,
            ),
            child,
        )
        self._store = GcsModelStore(
            f"{name}-models",
            GcsModelStoreArgs(
                project=a.project,
                location=a.region,
                key=keys.models_key if keys else None,
                protect=a.protect,
                labels=a.labels,
            ),
            child,
        )
        GkeWorkloadIdentity(
            f"{name}-identity",
            GkeWorkloadIdentityArgs(
                project=a.project,
                cluster_id=cluster.cluster_id,
                namespace=a.namespace,
                service_account=a.service_account,
                bucket_name=self._store.bucket_name,
                project_number=self._store.project_number,
            ),
            child,
        )
        self.provider = cluster_provider(
            name, cluster.kubeconfig, cluster.cluster_id, pulumi.ResourceOptions(parent=self, depends_on=[system])
        )
        self.issuer_url: Optional[pulumi.Output[str]] = cluster.issuer_url
        self.kubeconfig = cluster.kubeconfig
        self.addresses = address.addresses
        self.registry_url = self._registry.registry_url
        self.store_bucket = self._store.bucket_name
        self.store_region = a.region
        self.load_balancer_annotations: dict[str, pulumi.Input[str]] = {
            "cloud.google.com/l4-rbs": "enabled",
            "networking.gke.io/load-balancer-ip-addresses": address.address_name,
        }
        self.load_balancer_class: Optional[str] = None
        self.service_account_annotations: dict[str, pulumi.Input[str]] = {}
        self.pod_labels: dict[str, str] = {}
        self.register_outputs(
            {
                "kubeconfig": self.kubeconfig,
                "addresses": self.addresses,
                "registry_url": self.registry_url,
                "store_bucket": self.store_bucket,
            }
        )

    def upload(self, model: str, key: str, archive: str) -> pulumi.Output[str]:
        """Put a bundle archive into the model store; see `GcsModelStore.upload`."""
        return self._store.upload(model, key, archive)

    def image(self, reference: str) -> pulumi.Output[str]:
        """Name of a public image in the registry; see `ServingCluster.image`."""
        return self._registry.image(reference)
