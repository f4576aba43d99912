"""Everything a serving site needs on Azure."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_azure_native as azure_native

from components._aks_profiles import zone_problems
from components._base import coerce, token
from components._capacity import CapacityPolicy, plans
from components._hardening import PRODUCTION, Hardening
from components._kubernetes import cluster_provider
from components._limits import Problems
from components._naming import tags
from components._serving_cluster import refuse
from components.acr_registry import AcrRegistry, AcrRegistryArgs
from components.aks_address import AksAddress, AksAddressArgs
from components.aks_cluster import AksCluster, AksClusterArgs
from components.aks_gpu_pool import AksGpuPool, AksGpuPoolArgs
from components.aks_network import AksNetwork, AksNetworkArgs
from components.aks_workload_identity import AksWorkloadIdentity, AksWorkloadIdentityArgs
from components.azure_key_vault import AzureEncryptionKey, AzureKeyVault, AzureKeyVaultArgs
from components.azure_lock import AzureLock, AzureLockArgs
from components.blob_model_store import BlobModelStore, BlobModelStoreArgs
from components.nvidia_device_plugin import IMAGE, NvidiaDevicePlugin, NvidiaDevicePluginArgs

_ANNOTATION = "service.beta.kubernetes.io/azure-load-balancer"


@dataclass(frozen=True, kw_only=True)
class AksServingClusterArgs:
    """Arguments of `AksServingCluster`."""

    subscription_id: str
    """Azure subscription id, the one of the provider."""
    location: str
    """Azure location."""
    kubernetes_version: str
    """Minor version, e.g. `1.36`."""
    namespace: str
    """Namespace of the model servers."""
    service_account: str
    """Service account of the model servers; may read the model store."""
    system_min_nodes: int
    """Fewest CPU nodes; at least 1."""
    system_max_nodes: int
    """Most CPU nodes."""
    system_machine_type: Optional[str] = None
    """VM size of CPU nodes. Default Standard_D4s_v5."""
    gpu_pools: Optional[dict[str, CapacityPolicy]] = None
    """GPU pools by name. Default none."""
    cidr: Optional[str] = None
    """IPv4 range of the network. Default 10.30.0.0/16."""
    admin_group_ids: Optional[list[str]] = None
    """Object ids of Microsoft Entra groups that administer the cluster."""
    zones: Optional[list[str]] = None
    """Zones of the system nodes and of the addresses, of `1`, `2` and `3`. Default none asked for."""
    public_ports: Optional[list[int]] = None
    """TCP ports of the load balancer. Default 443 and 8443."""
    hardening: Optional[Hardening] = None
    """How closed and how well kept the cluster is. Default that of production.

    `nat_per_zone` and `flow_logs` change nothing here: a network has one way out, and its connections are not logged.
    """
    mirror: Optional[bool] = None
    """Cache public images in the registry. Default False."""
    docker_hub_vault_id: Optional[str] = None
    """ARM id of a key vault with an account of Docker Hub, without which its images are not cached.

    It holds the secrets `docker-hub-username` and `docker-hub-token`. Default none.
    """
    protect: Optional[bool] = None
    """Refuse to delete the cluster, the stores and the address. Default True."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the components' own."""

    def __post_init__(self) -> None:
        refuse(
            "AksServingCluster",
            "azure",
            kubernetes_version=self.kubernetes_version,
            system_nodes=(self.system_min_nodes, self.system_max_nodes),
            gpu_pools=self.gpu_pools,
            cidr=self.cidr,
            others=self._other_problems(),
        )

    def _other_problems(self) -> Problems:
        bad = zone_problems(self.zones)
        if self.docker_hub_vault_id is not None and not self.mirror:
            bad.append(("dockerHubVaultId", "is for a cache only; set mirror to True or leave it out"))
        return bad


class AksServingCluster(pulumi.ComponentResource):
    """A resource group with a network, an AKS cluster, GPU pools, a registry, a model store and a static address.

    Has every attribute of `ServingCluster`. Deploys no model and no gateway. As `hardening` is by default, the API
    server, the registry and the model store are reached from inside the network only, so `pulumi` must run in it or
    in one connected to it. With `protect`, Azure refuses to delete the store, the key and the address; the cluster
    has no such lock, because its pools would inherit it and could not be replaced.
    """

    kubeconfig: pulumi.Output[str]
    """Kubeconfig (JSON) without credentials."""
    addresses: list[pulumi.Output[str]]
    """Static public IPv4 address, a list of one."""
    registry_url: pulumi.Output[str]
    """Address of the ACR registry, without a scheme."""
    store_bucket: pulumi.Output[str]
    """Name of the model store's container."""
    store_account: Optional[pulumi.Output[str]]
    """Name of the model store's storage account."""

    store_kind = "azureblob"

    def __init__(self, name: str, args: AksServingClusterArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(AksServingCluster), name, {}, opts)
        a = coerce(AksServingClusterArgs, args)
        hardening = a.hardening or PRODUCTION
        self._linked = hardening.private_links is not False
        child = pulumi.ResourceOptions(parent=self)
        group = azure_native.resources.ResourceGroup(
            f"{name}-group", location=a.location, tags=tags("AksServingCluster", a.labels), opts=child
        )
        network = AksNetwork(
            f"{name}-network",
            AksNetworkArgs(
                resource_group_name=group.name,
                location=a.location,
                cidr=a.cidr,
                zones=a.zones,
                public_ports=a.public_ports,
                labels=a.labels,
            ),
            child,
        )
        vault: Optional[AzureKeyVault] = None
        if hardening.customer_keys is not False:
            vault = AzureKeyVault(
                f"{name}-keys",
                AzureKeyVaultArgs(
                    subscription_id=a.subscription_id,
                    resource_group_name=group.name,
                    location=a.location,
                    protect=a.protect,
                    labels=a.labels,
                ),
                child,
            )
        key = vault.key() if vault is not None else None
        cluster = self._cluster(name, a, group, network, key)
        self._pools(name, a, group, network, cluster)
        address = AksAddress(
            f"{name}-address",
            AksAddressArgs(
                resource_group_name=group.name, location=a.location, zones=a.zones, protect=a.protect, labels=a.labels
            ),
            child,
        )
        private = network if self._linked else None
        self._registry = AcrRegistry(
            f"{name}-registry",
            AcrRegistryArgs(
                subscription_id=a.subscription_id,
                resource_group_name=group.name,
                location=a.location,
                puller_principal_id=cluster.kubelet_principal_id,
                network_id=private.network_id if private else None,
                endpoint_subnet_id=private.endpoint_subnet_id if private else None,
                mirror=a.mirror,
                docker_hub_vault_id=a.docker_hub_vault_id,
                protect=a.protect,
                labels=a.labels,
            ),
            child,
        )
        self._store = BlobModelStore(
            f"{name}-models",
            BlobModelStoreArgs(
                subscription_id=a.subscription_id,
                resource_group_name=group.name,
                location=a.location,
                network_id=private.network_id if private else None,
                endpoint_subnet_id=private.endpoint_subnet_id if private else None,
                subnet_ids=None if private else [network.subnet_id],
                # Who may call the API server from outside deploys from there, and a deployment uploads bundles.
                authorized_ranges=hardening.authorized_ranges,
                key=key,
                protect=a.protect,
                labels=a.labels,
            ),
            child,
        )
        identity = AksWorkloadIdentity(
            f"{name}-identity",
            AksWorkloadIdentityArgs(
                subscription_id=a.subscription_id,
                resource_group_name=group.name,
                location=a.location,
                issuer_url=cluster.issuer_url,
                namespace=a.namespace,
                service_account=a.service_account,
                container_id=self._store.container_id,
                labels=a.labels,
            ),
            child,
        )
        if a.protect is not False:
            locked: dict[str, pulumi.Input[str]] = {"models": self._store.account_id, "address": address.address_id}
            if vault is not None:
                locked["keys"] = vault.vault_id
            AzureLock(
                f"{name}-lock",
                AzureLockArgs(scopes=locked),
                # A lock covers role assignments and private endpoints too: it comes last, and so it goes first.
                pulumi.ResourceOptions(parent=self, depends_on=[self._store, address, identity, cluster]),
            )
        self.provider = cluster_provider(name, cluster.kubeconfig, cluster.cluster_id, child)
        if a.gpu_pools:
            NvidiaDevicePlugin(
                f"{name}-nvidia",
                NvidiaDevicePluginArgs(pools=list(a.gpu_pools), image=self.image(IMAGE)),
                pulumi.ResourceOptions(parent=self, provider=self.provider),
            )
        self.issuer_url: Optional[pulumi.Output[str]] = cluster.issuer_url
        self.kubeconfig = cluster.kubeconfig
        self.addresses = address.addresses
        self.registry_url = self._registry.registry_url
        self.store_bucket = self._store.container_name
        self.store_account = self._store.account_name
        self.store_region = a.location
        self.load_balancer_annotations: dict[str, pulumi.Input[str]] = {
            f"{_ANNOTATION}-ipv4": address.addresses[0],
            f"{_ANNOTATION}-resource-group": group.name,
        }
        self.load_balancer_class: Optional[str] = None
        self.service_account_annotations: dict[str, pulumi.Input[str]] = {
            "azure.workload.identity/client-id": identity.client_id
        }
        self.pod_labels: dict[str, str] = {"azure.workload.identity/use": "true"}
        self.register_outputs(
            {
                "kubeconfig": self.kubeconfig,
                "addresses": self.addresses,
                "registry_url": self.registry_url,
                "store_bucket": self.store_bucket,
                "store_account": self.store_account,
            }
        )

    def upload(self, model: str, key: str, archive: str) -> pulumi.Output[str]:
        """Put a bundle archive into the model store; see `BlobModelStore.upload`."""
        return self._store.upload(model, key, archive)

    def image(self, reference: str) -> pulumi.Output[str]:
        """Name of a public image in the registry; see `ServingCluster.image`."""
        return self._registry.image(reference)

    def _cluster(
        self,
        name: str,
        a: AksServingClusterArgs,
        group: azure_native.resources.ResourceGroup,
        network: AksNetwork,
        key: Optional[AzureEncryptionKey],
    ) -> AksCluster:
        return AksCluster(
            f"{name}-cluster",
            AksClusterArgs(
                subscription_id=a.subscription_id,
                resource_group_name=group.name,
                resource_group_id=group.id,
                location=a.location,
                kubernetes_version=a.kubernetes_version,
                subnet_id=network.subnet_id,
                api_subnet_id=network.api_subnet_id,
                zones=a.zones,
                system_min_nodes=a.system_min_nodes,
                system_max_nodes=a.system_max_nodes,
                system_machine_type=a.system_machine_type,
                admin_group_ids=a.admin_group_ids,
                hardening=a.hardening,
                key=key,
                protect=a.protect,
                labels=a.labels,
            ),
            pulumi.ResourceOptions(parent=self),
        )

    def _pools(
        self,
        name: str,
        a: AksServingClusterArgs,
        group: azure_native.resources.ResourceGroup,
        network: AksNetwork,
        cluster: AksCluster,
    ) -> None:
        for pool, spec in (a.gpu_pools or {}).items():
            for plan in plans("azure", spec):
                AksGpuPool(
                    f"{name}-{pool}{plan.suffix}",
                    AksGpuPoolArgs(
                        resource_group_name=group.name,
                        cluster_name=cluster.cluster_name,
                        subnet_id=network.subnet_id,
                        pool=pool,
                        gpu_class=plan.gpu_class,
                        min_nodes=plan.min_nodes,
                        max_nodes=plan.max_nodes,
                        spot=plan.spot,
                        machine_types=plan.machine_types,
                        zones=plan.zones,
                        reservation_id=plan.reservation_id,
                        labels=a.labels,
                    ),
                    pulumi.ResourceOptions(parent=self),
                )
