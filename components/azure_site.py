"""A site on Azure, from the stack's settings."""

import pulumi
import pulumi_azure_native as azure_native

from components._capacity import CapacityPolicy
from components._hardening import Hardening
from components._serving_cluster import SERVICE_ACCOUNT, SERVING_NAMESPACE, Site
from components.aks_serving_cluster import AksServingCluster, AksServingClusterArgs
from serving.peers import PEER_PORT
from serving.settings import AzureSite, Settings


def declare_provider(name: str, site: AzureSite) -> pulumi.ProviderResource:
    """Declare the provider of a site's subscription."""
    provider: pulumi.ProviderResource = azure_native.Provider(f"{name}-azure", subscription_id=site.subscription)
    return provider


def declare(
    name: str,
    site: AzureSite,
    settings: Settings,
    pools: dict[str, CapacityPolicy],
    hardening: Hardening,
    provider: pulumi.ProviderResource,
) -> Site:
    """Declare the cluster of a site."""
    cluster = AksServingCluster(
        name,
        AksServingClusterArgs(
            subscription_id=site.subscription,
            location=site.location,
            kubernetes_version=settings.kubernetes_version,
            namespace=SERVING_NAMESPACE,
            service_account=SERVICE_ACCOUNT,
            system_min_nodes=settings.system_pool.min,
            system_max_nodes=settings.system_pool.max,
            system_machine_type=settings.system_pool.machine.azure,
            gpu_pools=pools,
            cidr=site.cidr,
            public_ports=sorted({settings.ingress.listen_port, PEER_PORT}),
            admin_group_ids=list(settings.access.admins.azure) or None,
            hardening=hardening,
            zones=list(site.zones) if site.zones else None,
            mirror=settings.images.mirror,
            docker_hub_vault_id=settings.images.docker_hub_vault if settings.images.mirror else None,
            protect=settings.protect,
            labels=settings.all_labels,
        ),
        pulumi.ResourceOptions(providers=[provider]),
    )
    return Site(cluster, provider)
