"""From the stack's settings to components: what `__main__.py` puts together."""

import importlib
from collections.abc import Mapping
from itertools import chain
from types import ModuleType
from typing import Any, Optional, cast

import pulumi

from components._endpoint import SiteTarget
from components._frozen import Frozen
from components._hardening import Hardening
from components._serving_cluster import Site
from components._site_workloads import declare_base, declare_workloads
from components._stack_bundles import Bundles
from components._stack_pools import site_policies
from components.ci_identity import CiIdentity, CiIdentityArgs
from components.global_endpoint import GlobalEndpoint, GlobalEndpointArgs
from serving.frozen import CI
from serving.protocol import health_path
from serving.settings import AnySite, AzureSite, GcpSite, Settings
from serving.settings_sites import CloudSite

SITE_MODULES = {"aws": "aws_site", "gcp": "gcp_site", "azure": "azure_site", "kubernetes": "kubernetes_site"}
"""Cloud of a site to the module here that declares it; only the clouds in use are imported."""

Providers = Mapping[str, Optional[pulumi.ProviderResource]]
"""Provider of each site's cloud; None where a site has no cloud."""
Pipeline = pulumi.Output[dict[str, Any]]
"""By cloud, what the pipeline is configured with."""


def declare_providers(settings: Settings) -> Providers:
    """Declare the provider of the cloud of every site that is not frozen."""
    return {
        name: _module(site.cloud).declare_provider(name, site)
        for name, site in settings.sites.items()
        if name not in settings.frozen
    }


def declare_sites(
    settings: Settings, bundles: Bundles, providers: Providers, ci: Optional[Pipeline]
) -> dict[str, Site]:
    """Declare every site that is not frozen: its cluster, the way in, and every model version it serves."""
    sites: dict[str, Site] = {}
    for name, provider in providers.items():
        wanted = settings.sites[name]
        more = {}
        if wanted.cloud == "aws" and ci is not None:
            # Of all clouds only EKS has a list of its own of who may come in.
            more["deployer_role_arn"] = ci.apply(lambda found: str(found["aws"]["deploy_role_arn"]))
        sites[name] = _module(wanted.cloud).declare(
            name, wanted, settings, site_policies(name, settings), hardening(settings), provider, **more
        )
    bases = {name: declare_base(name, site, settings) for name, site in sites.items()}
    for name, site in sites.items():
        # The cluster as a whole, not only what runs in it: no node may go before the public name leads elsewhere.
        site.ready.append(cast(pulumi.Resource, site.cluster))
        site.ready.extend(declare_workloads(name, sites, settings, bundles, bases))
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


def declare_endpoint(settings: Settings, sites: Mapping[str, Site], frozen: Frozen) -> Optional[GlobalEndpoint]:
    """Declare the public name of all sites, in every authority that the settings name or imply and that is not frozen.

    Returns:
        None if every authority is frozen.
    """
    route53 = settings.route53 if "route53" not in settings.frozen else None
    cloud_dns = settings.cloud_dns if "cloudDns" not in settings.frozen else None
    providers: list[pulumi.ProviderResource] = []
    # Of their own: another provider would replace every record when the first site of a cloud comes or goes.
    if route53 is not None:
        providers.append(importlib.import_module("components.aws_site").endpoint_provider())
    if cloud_dns is not None:
        providers.append(importlib.import_module("components.gcp_site").endpoint_provider(cloud_dns.project))
    if not providers:
        return None
    first_model: Optional[str] = min(settings.models, default=None)
    return GlobalEndpoint(
        "endpoint",
        GlobalEndpointArgs(
            domain=settings.domain,
            port=settings.ingress.listen_port,
            sites={
                name: SiteTarget(
                    weight=site.weight,
                    addresses=_published(sites[name]) if name in sites else frozen.of_site("addresses", name),
                )
                for name, site in settings.sites.items()
            },
            health_path=health_path(first_model) if first_model else None,
            tls=settings.ingress.tls,
            ttl=settings.dns.ttl,
            route53=route53 is not None,
            route53_zone_id=route53.zone_id if route53 else None,
            cloud_dns_project=cloud_dns.project if cloud_dns else None,
            cloud_dns_zone=cloud_dns.managed_zone if cloud_dns else None,
            other_name_servers=list(chain.from_iterable(_frozen_name_servers(settings, frozen).values())) or None,
            protect=settings.protect,
            labels=settings.all_labels,
        ),
        pulumi.ResourceOptions(providers=providers),
    )


def declare_ci(settings: Settings, frozen: Frozen) -> Optional[Pipeline]:
    """Declare what the pipeline previews and deploys with, on every cloud that is not frozen as a whole.

    Each cloud's identities are made where its first site is: in its account, project or subscription.

    Returns:
        By cloud, what the pipeline is configured with; None if the settings name no pipeline.
    """
    ci = settings.access.ci
    if ci is None:
        return None
    first: dict[str, AnySite] = {}
    for site in settings.sites.values():
        first.setdefault(site.cloud, site)
    alive = {site.cloud for name, site in settings.sites.items() if name not in settings.frozen}
    previous = {cloud: (frozen.outputs.get("ci") or {}).get(cloud) for cloud in first.keys() - alive}
    wanted = {cloud: site for cloud, site in first.items() if cloud in alive and isinstance(site, CloudSite)}
    if not wanted:
        return pulumi.Output.from_input(previous)
    gcp, azure = wanted.get("gcp"), wanted.get("azure")
    # Providers of its own: the identities stay while sites come and go.
    providers = [_module(cloud).declare_provider(CI, site) for cloud, site in wanted.items()]
    made = CiIdentity(
        CI,
        CiIdentityArgs(
            issuer=ci.issuer,
            preview_subject=ci.preview,
            deploy_subject=ci.deploy,
            aws="aws" in wanted,
            gcp_project=gcp.project if isinstance(gcp, GcpSite) else None,
            azure_subscription_id=azure.subscription if isinstance(azure, AzureSite) else None,
            azure_location=azure.location if isinstance(azure, AzureSite) else None,
            labels=settings.all_labels,
        ),
        pulumi.ResourceOptions(providers=providers),
    )
    return made.identities.apply(lambda found: {**previous, **found})


def _published(site: Site) -> list[pulumi.Input[str]]:
    """Addresses of a site for what must be made after everything of the site, and be gone before any of it goes."""
    urns = [each.urn for each in site.ready]

    def after(address: pulumi.Output[str]) -> pulumi.Output[str]:
        return pulumi.Output.all(address, *urns).apply(lambda values: str(values[0]))

    return [after(each) for each in site.cluster.addresses]


def _frozen_name_servers(settings: Settings, frozen: Frozen) -> dict[str, list[str]]:
    """Name servers of the frozen authorities, as the stack exported them last."""
    authorities = {"route53": "route53", "cloudDns": "cloud_dns"}
    return {key: frozen.name_servers(key) for name, key in authorities.items() if name in settings.frozen}


def outputs(
    settings: Settings,
    sites: Mapping[str, Site],
    endpoint: Optional[GlobalEndpoint],
    ci: Optional[Pipeline],
    frozen: Frozen,
) -> dict[str, Any]:
    """What the stack exports; of what is frozen, what it exported last."""
    attributes = {
        "addresses": "addresses",
        "registries": "registry_url",
        "stores": "store_bucket",
        "kubeconfigs": "kubeconfig",
    }

    def per_site(output: str, attribute: str) -> dict[str, Any]:
        return {
            name: getattr(sites[name].cluster, attribute) if name in sites else frozen.of_site(output, name)
            for name in settings.sites
        }

    known: dict[str, Any] = {"endpoint": f"{settings.domain}:{settings.ingress.listen_port}"}
    known |= {output: per_site(output, attribute) for output, attribute in attributes.items()}
    previous = _frozen_name_servers(settings, frozen)
    servers = endpoint.name_servers if endpoint is not None else pulumi.Output.from_input({})
    known["name_servers"] = servers.apply(lambda found: {**previous, **found})
    if ci is not None:
        known["ci"] = ci
    return known
