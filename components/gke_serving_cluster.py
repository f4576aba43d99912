"""Everything a serving site needs on Google Cloud."""

from dataclasses import dataclass
from typing import Optional

import pulumi

from components._base import coerce, token
from components._capacity import CapacityPolicy, plans
from components._hardening import Hardening
from components._kubernetes import cluster_provider
from components._serving_cluster import refuse
from components.artifact_registry import ArtifactRegistry, ArtifactRegistryArgs
from components.gcs_model_store import GcsModelStore, GcsModelStoreArgs
from components.gke_address import GkeAddress, GkeAddressArgs
from components.gke_cluster import GkeCluster, GkeClusterArgs
from components.gke_gpu_pool import GkeGpuPool, GkeGpuPoolArgs
from components.gke_network import GkeNetwork, GkeNetworkArgs
from components.gke_node_pool import GkeNodePool, GkeNodePoolArgs
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
    """Zones of the nodes. Default chosen by GKE."""
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
            others=[],
        )


class GkeServingCluster(pulumi.ComponentResource):
    """A network, a GKE cluster with CPU and GPU nodes, a registry, a model store and a static address.

    Has every attribute of `ServingCluster`. Deploys no model and no gateway. The project's APIs `container`, `compute`,
    `artifactregistry`, `storage` and `dns` must be enabled.
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
        child = pulumi.ResourceOptions(parent=self)
        network = GkeNetwork(f"{name}-network", GkeNetworkArgs(project=a.project, region=a.region, cidr=a.cidr), child)
        cluster = GkeCluster(
            f"{name}-cluster",
            GkeClusterArgs(
                project=a.project,
                region=a.region,
                kubernetes_version=a.kubernetes_version,
                network_id=network.network_id,
                subnetwork_id=network.subnetwork_id,
                protect=a.protect,
                labels=a.labels,
            ),
            child,
        )
        system = GkeNodePool(
            f"{name}-system",
            GkeNodePoolArgs(
                cluster_id=cluster.cluster_id,
                node_service_account=cluster.node_service_account,
                min_nodes=a.system_min_nodes,
                max_nodes=a.system_max_nodes,
                machine_type=a.system_machine_type,
                labels=a.labels,
            ),
            child,
        )
        for pool, spec in (a.gpu_pools or {}).items():
            for plan in plans("gcp", spec):
                GkeGpuPool(
                    f"{name}-{pool}{plan.suffix}",
                    GkeGpuPoolArgs(
                        # Known once the CPU pool is there: a GPU pool that comes first gets no taint.
                        cluster_id=pulumi.Output.all(cluster.cluster_id, system.pool_name).apply(
                            lambda values: str(values[0])
                        ),
                        node_service_account=cluster.node_service_account,
                        pool=pool,
                        gpu_class=plan.gpu_class,
                        min_nodes=plan.min_nodes,
                        max_nodes=plan.max_nodes,
                        spot=plan.spot,
                        labels=a.labels,
                    ),
                    child,
                )
        address = GkeAddress(
            f"{name}-address",
            GkeAddressArgs(project=a.project, region=a.region, protect=a.protect, labels=a.labels),
            child,
        )
        registry = ArtifactRegistry(
            f"{name}-registry",
            ArtifactRegistryArgs(project=a.project, region=a.region, protect=a.protect, labels=a.labels),
            child,
        )
        self._store = GcsModelStore(
            f"{name}-models",
            GcsModelStoreArgs(project=a.project, location=a.region, protect=a.protect, labels=a.labels),
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
            ),
            child,
        )
        self.provider = cluster_provider(
            name, cluster.kubeconfig, cluster.cluster_id, pulumi.ResourceOptions(parent=self, depends_on=[system])
        )
        self.issuer_url: Optional[pulumi.Output[str]] = None
        self.kubeconfig = cluster.kubeconfig
        self.addresses = address.addresses
        self.registry_url = registry.registry_url
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
        return pulumi.Output.from_input(reference)
