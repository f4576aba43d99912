"""From the stack's settings to components: what `__main__.py` puts together."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

import pulumi

from components._capacity import GpuPoolSpec
from components._endpoint import SiteTarget
from components._gpu_catalog import refusal
from components._serving_cluster import SERVICE_ACCOUNT, SERVING_NAMESPACE, Site
from components.gateway_ingress import GatewayIngress, GatewayIngressArgs
from components.global_endpoint import GlobalEndpoint, GlobalEndpointArgs
from components.model_routes import ModelRoutes, ModelRoutesArgs
from components.model_server import ModelServer, ModelServerArgs
from components.serving_namespace import ServingNamespace, ServingNamespaceArgs
from serving.bundles import Bundle, BundleError, load_bundle
from serving.routes import health_path
from serving.settings import Settings

SITE_MODULES = {"aws": "aws_site", "gcp": "gcp_site", "azure": "azure_site"}
"""Cloud of a site to the module here that declares it; only the clouds in use are imported."""

Bundles = Mapping[tuple[str, int], Bundle]


def load_bundles(settings: Settings) -> Bundles:
    """Read and check every bundle version that the settings name, and every GPU class against its clouds.

    Raises:
        pulumi.RunError: With every problem and its path, before any resource is declared.
    """
    found: dict[tuple[str, int], Bundle] = {}
    problems = []
    for model, wanted in settings.models.items():
        versions = {"stable": wanted.stable}
        if wanted.canary is not None:
            versions["canary.version"] = wanted.canary.version
        for field, version in versions.items():
            try:
                bundle = load_bundle(Path(wanted.bundle), version)
            except BundleError as error:
                problems.append(f"models.{model}.{field}: {error}")
                continue
            if bundle.manifest.name != model:
                problems.append(
                    f"models.{model}.bundle: {wanted.bundle} holds bundles of the model {bundle.manifest.name!r}; "
                    f"name another folder, or rename the model"
                )
            found[(model, version)] = bundle
    for site_name, site in settings.sites.items():
        for pool_name, pool in settings.pools.items():
            if (reason := refusal(site.cloud, pool.gpu)) is not None:
                problems.append(f"pools.{pool_name}.gpu: {reason} (got {pool.gpu!r}, needed at site {site_name})")
    if problems:
        lines = "\n".join(f"  tricorn:settings.{line}" for line in problems)
        raise pulumi.RunError(f"Pulumi.{pulumi.get_stack()}.yaml cannot be deployed:\n{lines}")
    return found


def declare_site(name: str, settings: Settings, bundles: Bundles) -> Site:
    """Declare a site: its cluster, the way in, and every model version it serves."""
    settings_of_site = settings.sites[name]
    module = importlib.import_module(f"components.{SITE_MODULES[settings_of_site.cloud]}")
    site: Site = module.declare(name, settings_of_site, settings, _pools(settings))
    in_cluster = pulumi.ResourceOptions(provider=site.cluster.provider)
    namespace = ServingNamespace(
        f"{name}-serving",
        ServingNamespaceArgs(
            namespace=SERVING_NAMESPACE,
            service_account=SERVICE_ACCOUNT,
            service_account_annotations=site.cluster.service_account_annotations,
        ),
        in_cluster,
    )
    ingress = GatewayIngress(
        f"{name}-ingress",
        GatewayIngressArgs(
            namespace=SERVING_NAMESPACE,
            port=settings.ingress.listen_port,
            tls_secret=settings.ingress.tls_secret,
            load_balancer_annotations=site.cluster.load_balancer_annotations,
        ),
        pulumi.ResourceOptions.merge(in_cluster, pulumi.ResourceOptions(depends_on=[namespace])),
    )
    for index, (model, wanted) in enumerate(sorted(settings.models.items())):
        versions = wanted.versions_at(name)
        for version in versions:
            _declare_version(name, site, settings, bundles[(model, version)], namespace)
        ModelRoutes(
            f"{name}-{model}-routes",
            ModelRoutesArgs(
                model=model,
                namespace=SERVING_NAMESPACE,
                site=name,
                versions={str(version): weight for version, weight in versions.items()},
                default=index == 0,
                request_timeout_ms=settings.serving.request_timeout_ms,
            ),
            pulumi.ResourceOptions.merge(
                in_cluster, pulumi.ResourceOptions(depends_on=[namespace, ingress.controller])
            ),
        )
    return site


def _pools(settings: Settings) -> dict[str, GpuPoolSpec]:
    return {
        name: GpuPoolSpec(
            gpu_class=pool.gpu,
            min_nodes=pool.min,
            max_nodes=pool.max,
            spot_percent=pool.spot.share_percent if pool.spot else None,
            on_demand_fallback=pool.spot.fallback == "on-demand" if pool.spot else None,
        )
        for name, pool in settings.pools.items()
    }


def _declare_version(name: str, site: Site, settings: Settings, bundle: Bundle, namespace: pulumi.Resource) -> None:
    manifest, cluster = bundle.manifest, site.cluster
    wanted = settings.models[manifest.name]
    ModelServer(
        f"{name}-{manifest.name}-v{manifest.version}",
        ModelServerArgs(
            model=manifest.name,
            version=manifest.version,
            bundle_folder=wanted.bundle,
            object_key=cluster.upload(manifest.name, bundle.key, str(bundle.archive)),
            namespace=SERVING_NAMESPACE,
            service_account=SERVICE_ACCOUNT,
            store_kind=cluster.store_kind,
            store_bucket=cluster.store_bucket,
            store_region=cluster.store_region,
            store_account=cluster.store_account,
            pool=wanted.pool,
            min_replicas=wanted.replicas.min,
            max_replicas=wanted.replicas.max,
            cpu=wanted.resources.cpu,
            memory_mib=wanted.resources.memory_mib,
            server_image=settings.images.server,
            puller_image=settings.images.puller,
            pod_labels=cluster.pod_labels,
            warmup_iterations=settings.serving.warmup_iterations,
            batch_timeout_micros=settings.serving.batch_timeout_micros,
            request_timeout_ms=settings.serving.request_timeout_ms,
            grpc_max_threads=settings.serving.grpc_max_threads,
        ),
        pulumi.ResourceOptions(provider=cluster.provider, depends_on=[namespace]),
    )


def declare_endpoint(settings: Settings, sites: Mapping[str, Site]) -> GlobalEndpoint:
    """Declare the public name of all sites, in every authority that the settings name or imply."""
    providers: dict[str, pulumi.ProviderResource] = {}
    for name, site in sites.items():
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
            tls=settings.ingress.tls_secret is not None,
            ttl=settings.dns.ttl,
            route53=route53 is not None,
            route53_zone_id=route53.zone_id if route53 else None,
            cloud_dns_project=cloud_dns.project if cloud_dns else None,
            cloud_dns_zone=cloud_dns.managed_zone if cloud_dns else None,
            labels=settings.all_labels,
        ),
        pulumi.ResourceOptions(providers=list(providers.values())),
    )
