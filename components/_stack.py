"""From the stack's settings to components: what `__main__.py` puts together."""

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Optional

import pulumi

from components._endpoint import SiteTarget
from components._hardening import Hardening
from components._serving_cluster import Site
from components._site_workloads import declare_base, declare_workloads
from components._stack_bundles import Bundles
from components._stack_pools import site_policies
from components.global_endpoint import GlobalEndpoint, GlobalEndpointArgs
from serving.routes import health_path
from serving.settings import Settings

SITE_MODULES = {"aws": "aws_site", "gcp": "gcp_site", "azure": "azure_site"}
"""Cloud of a site to the module here that declares it; only the clouds in use are imported."""

Providers = Mapping[str, Optional[pulumi.ProviderResource]]
"""Provider of each site's cloud; None where a site has no cloud."""


def declare_providers(settings: Settings) -> Providers:
    """Declare the provider of every site's cloud."""
    return {name: _module(site.cloud).declare_provider(name, site) for name, site in settings.sites.items()}


def declare_sites(settings: Settings, bundles: Bundles, providers: Providers) -> dict[str, Site]:
    """Declare every site: its cluster, the way in, and every model version it serves."""
    sites: dict[str, Site] = {
        name: _module(site.cloud).declare(
            name, site, settings, site_policies(name, settings), hardening(settings), providers[name]
        )
        for name, site in settings.sites.items()
    }
    bases = {name: declare_base(name, site, settings) for name, site in sites.items()}
    for name in sites:
        sites[name].ready.extend(declare_workloads(name, sites, settings, bundles, bases))
    return sites


def hardening(settings: Settings) -> Hardening:
    """The settings' `cluster` section in the words of the components."""
    cluster = settings.cluster
    return Hardening(
        public_endpoint=cluster.endpoint == "public",
        authorized_ranges=list(cluster.authorized_ranges),
        customer_keys=cluster.customer_keys,
        private_links=cluster.private_links,
        nat_per_zone=cluster.nat_per_zone,
        flow_logs=cluster.flow_logs,
        log_retention_days=cluster.log_retention_days,
        scanning=cluster.scanning,
    )


def _module(cloud: str) -> ModuleType:
    return importlib.import_module(f"components.{SITE_MODULES[cloud]}")


def declare_endpoint(settings: Settings, sites: Mapping[str, Site]) -> GlobalEndpoint:
    """Declare the public name of all sites, in every authority that the settings name or imply."""
    providers: dict[str, pulumi.ProviderResource] = {}
    for name, site in sites.items():
        if site.provider is not None:
            providers.setdefault(settings.sites[name].cloud, site.provider)
    route53, cloud_dns = settings.route53, settings.cloud_dns
    # An authority may be on a cloud that has no site here.
    if route53 is not None and "aws" not in providers:
        providers["aws"] = importlib.import_module("components.aws_site").endpoint_provider()
    if cloud_dns is not None and "gcp" not in providers:
        providers["gcp"] = importlib.import_module("components.gcp_site").endpoint_provider(cloud_dns.project)
    first_model: Optional[str] = min(settings.models, default=None)
    return GlobalEndpoint(
        "endpoint",
        GlobalEndpointArgs(
            domain=settings.domain,
            port=settings.ingress.listen_port,
            sites={
                name: SiteTarget(weight=settings.sites[name].weight, addresses=list(site.cluster.addresses))
                for name, site in sites.items()
            },
            health_path=health_path(first_model) if first_model else None,
            tls=settings.ingress.tls,
            ttl=settings.dns.ttl,
            route53=route53 is not None,
            route53_zone_id=route53.zone_id if route53 else None,
            cloud_dns_project=cloud_dns.project if cloud_dns else None,
            cloud_dns_zone=cloud_dns.managed_zone if cloud_dns else None,
            labels=settings.all_labels,
        ),
        pulumi.ResourceOptions(providers=list(providers.values())),
    )
