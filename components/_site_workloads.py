"""What runs in a site's cluster: the way in, and every model version it serves."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components._serving_cluster import SERVICE_ACCOUNT, SERVING_NAMESPACE, Site
from components._stack_bundles import Bundles
from components.gateway_ingress import GatewayIngress, GatewayIngressArgs
from components.model_routes import ModelRoutes, ModelRoutesArgs
from components.model_server import ModelServer, ModelServerArgs
from components.serving_namespace import ServingNamespace, ServingNamespaceArgs
from serving.bundles import Bundle
from serving.settings import Settings


@dataclass(frozen=True)
class Base:
    """What a cluster has before anything of another site is known."""

    namespace: ServingNamespace


def declare_base(name: str, site: Site, settings: Settings) -> Base:
    """Declare what the other sites need to know of, and what everything in the cluster builds on."""
    namespace = ServingNamespace(
        f"{name}-serving",
        ServingNamespaceArgs(
            namespace=SERVING_NAMESPACE,
            service_account=SERVICE_ACCOUNT,
            service_account_annotations=site.cluster.service_account_annotations,
        ),
        pulumi.ResourceOptions(provider=site.cluster.provider),
    )
    return Base(namespace)


def declare_workloads(
    name: str, sites: Mapping[str, Site], settings: Settings, bundles: Bundles, bases: Mapping[str, Base]
) -> list[pulumi.Resource]:
    """Declare the way into a site and every model version it serves; return what makes the site ready for callers."""
    site, namespace = sites[name], bases[name].namespace
    in_cluster = pulumi.ResourceOptions(provider=site.cluster.provider)
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
    ready: list[pulumi.Resource] = [ingress]
    for index, (model, wanted) in enumerate(sorted(settings.models.items())):
        versions = wanted.versions_at(name)
        for version in versions:
            ready.append(_declare_version(name, site, settings, bundles[(model, version)], namespace))
        routes = ModelRoutes(
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
        ready.append(routes)
    return ready


def _declare_version(
    name: str, site: Site, settings: Settings, bundle: Bundle, namespace: pulumi.Resource
) -> ModelServer:
    manifest, cluster = bundle.manifest, site.cluster
    wanted = settings.models[manifest.name]
    return ModelServer(
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
