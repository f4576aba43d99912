"""A site on Google Cloud, from the stack's settings."""

import pulumi
import pulumi_gcp as gcp

from components._capacity import GpuPoolSpec
from components._serving_cluster import SERVICE_ACCOUNT, SERVING_NAMESPACE, Site
from components.gke_serving_cluster import GkeServingCluster, GkeServingClusterArgs
from serving.settings import GcpSite, Settings


def declare(name: str, site: GcpSite, settings: Settings, pools: dict[str, GpuPoolSpec]) -> Site:
    """Declare the cluster of a site and the provider of its project and region."""
    provider = gcp.Provider(f"{name}-gcp", project=site.project, region=site.region)
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
