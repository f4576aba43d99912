"""A site on Google Cloud, from the stack's settings."""

import pulumi
import pulumi_gcp as gcp

from components._capacity import CapacityPolicy
from components._hardening import Hardening
from components._serving_cluster import SERVICE_ACCOUNT, SERVING_NAMESPACE, Site
from components.gke_serving_cluster import GkeServingCluster, GkeServingClusterArgs
from serving.settings import GcpSite, Settings


def declare_provider(name: str, site: GcpSite) -> pulumi.ProviderResource:
    """Declare the provider of a site's project and region."""
    provider: pulumi.ProviderResource = gcp.Provider(f"{name}-gcp", project=site.project, region=site.region)
    return provider


def declare(
    name: str,
    site: GcpSite,
    settings: Settings,
    pools: dict[str, CapacityPolicy],
    hardening: Hardening,
    provider: pulumi.ProviderResource,
) -> Site:
    """Declare the cluster of a site."""
    cluster = GkeServingCluster(
        name,
        GkeServingClusterArgs(
            project=site.project,
            region=site.region,
            kubernetes_version=settings.kubernetes_version,
            namespace=SERVING_NAMESPACE,
            service_account=SERVICE_ACCOUNT,
            system_min_nodes=settings.system_pool.min,
            system_max_nodes=settings.system_pool.max,
            system_machine_type=settings.system_pool.machine.gcp,
            gpu_pools=pools,
            cidr=site.cidr,
            hardening=hardening,
            admin_groups=list(settings.access.admins.gcp),
            zones=list(site.zones) if site.zones else None,
            mirror=settings.images.mirror,
            protect=settings.protect,
            labels=settings.all_labels,
        ),
        pulumi.ResourceOptions(providers=[provider]),
    )
    return Site(cluster, provider)


def endpoint_provider(project: str) -> pulumi.ProviderResource:
    """Declare the provider of a Cloud DNS zone in a stack without a site on Google Cloud."""
    provider: pulumi.ProviderResource = gcp.Provider("endpoint-gcp", project=project)
    return provider
