"""A site on AWS, from the stack's settings."""

from typing import Optional

import pulumi
import pulumi_aws as aws

from components._capacity import CapacityPolicy
from components._hardening import Hardening
from components._serving_cluster import SERVICE_ACCOUNT, SERVING_NAMESPACE, Site
from components.eks_serving_cluster import EksServingCluster, EksServingClusterArgs
from serving.settings import AwsSite, Settings

ZONES = 2
GLOBAL_REGION = "us-east-1"
"""Where Route 53, which has no regions, takes its calls."""


def declare_provider(name: str, site: AwsSite) -> pulumi.ProviderResource:
    """Declare the provider of a site's region."""
    provider: pulumi.ProviderResource = aws.Provider(f"{name}-aws", region=site.region)
    return provider


def declare(
    name: str,
    site: AwsSite,
    settings: Settings,
    pools: dict[str, CapacityPolicy],
    hardening: Hardening,
    provider: pulumi.ProviderResource,
    deployer_role_arn: Optional[pulumi.Input[str]] = None,
) -> Site:
    """Declare the cluster of a site; `deployer_role_arn` is the role that runs the stack, if no administrator does."""
    # A site with zones of its own asks the cloud nothing, so that it can be left alone while the cloud does not answer.
    zones = (
        list(site.zones or ())
        or aws.get_availability_zones(
            state="available",
            # Local Zones and Wavelength Zones have neither EKS nor NAT gateways.
            filters=[aws.GetAvailabilityZonesFilterArgs(name="opt-in-status", values=["opt-in-not-required"])],
            opts=pulumi.InvokeOptions(provider=provider),
        ).names[:ZONES]
    )
    cluster = EksServingCluster(
        name,
        EksServingClusterArgs(
            region=site.region,
            zones=zones,
            kubernetes_version=settings.kubernetes_version,
            namespace=SERVING_NAMESPACE,
            service_account=SERVICE_ACCOUNT,
            system_min_nodes=settings.system_pool.min,
            system_max_nodes=settings.system_pool.max,
            system_machine_type=settings.system_pool.machine.aws,
            gpu_pools=pools,
            cidr=site.cidr,
            admin_role_arns=list(settings.access.admins.aws),
            deployer_role_arn=deployer_role_arn,
            hardening=hardening,
            mirror=settings.images.mirror,
            docker_hub_secret_arn=settings.images.docker_hub_secret,
            protect=settings.protect,
            labels=settings.all_labels,
        ),
        pulumi.ResourceOptions(providers=[provider]),
    )
    return Site(cluster, provider)


def endpoint_provider() -> pulumi.ProviderResource:
    """Declare the provider of a Route 53 zone in a stack without a site on AWS."""
    provider: pulumi.ProviderResource = aws.Provider("endpoint-aws", region=GLOBAL_REGION)
    return provider
