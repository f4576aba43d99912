"""What runs in a site's cluster: the way in, and every model version it serves."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

import pulumi

from components._serving_cluster import SERVICE_ACCOUNT, SERVING_NAMESPACE, Site
from components._stack_bundles import Bundles
from components.cert_manager import PARTS, CertManager, CertManagerArgs
from components.gateway_ingress import CONTROLLER_IMAGE, ENVOY_IMAGE, GatewayIngress, GatewayIngressArgs
from components.model_routes import CallerPolicy, ModelRoutes, ModelRoutesArgs
from components.model_server import ModelServer, ModelServerArgs
from components.peer_backends import Peer, PeerBackends, PeerBackendsArgs
from components.peer_identity import PeerIdentity, PeerIdentityArgs
from components.serving_namespace import ServingNamespace, ServingNamespaceArgs
from components.site_certificate import SiteCertificate, SiteCertificateArgs
from serving.bundles import Bundle
from serving.certificates import PUBLIC_SECRET
from serving.namespace import SERVER_PRIORITY
from serving.settings import Settings
from serving.settings_access import Callers
from serving.settings_sections import Certificate

_PROXIES = 2
"""Envoy proxies where there are as many nodes for them."""


@dataclass(frozen=True)
class Base:
    """What a cluster has before anything of another site is known."""

    namespace: ServingNamespace
    certificates: Optional[CertManager] = None
    """What makes certificates; None where none is needed."""
    identity: Optional[PeerIdentity] = None
    """What the site shows to others; None in a stack whose sites do not ask each other."""


def declare_base(name: str, site: Site, settings: Settings) -> Base:
    """Declare what the other sites need to know of, and what everything in the cluster builds on."""
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
    peers = asks_peers(settings)
    if not peers and settings.ingress.certificate is None:
        return Base(namespace)
    certificates = CertManager(
        f"{name}-certificates",
        CertManagerArgs(
            images={part: site.cluster.image(image) for part, image in PARTS.items()},
            highly_available=settings.system_pool.min > 1,
        ),
        in_cluster,
    )
    if not peers:
        return Base(namespace, certificates)
    identity = PeerIdentity(
        f"{name}-identity-for-peers",
        PeerIdentityArgs(namespace=SERVING_NAMESPACE, site=name, domain=settings.domain),
        _after(in_cluster, namespace, certificates.release),
    )
    return Base(namespace, certificates, identity)


def declare_workloads(
    name: str, sites: Mapping[str, Site], settings: Settings, bundles: Bundles, bases: Mapping[str, Base]
) -> list[pulumi.Resource]:
    """Declare the way into a site and every model version it serves; return what makes the site ready for callers."""
    site, base = sites[name], bases[name]
    in_cluster = pulumi.ResourceOptions(provider=site.cluster.provider)
    authorities = peer_authorities(name, bases)
    identity = [base.identity.certificate] if base.identity is not None else []
    ingress = GatewayIngress(
        f"{name}-ingress",
        GatewayIngressArgs(
            namespace=SERVING_NAMESPACE,
            port=settings.ingress.listen_port,
            tls_secret=PUBLIC_SECRET if settings.ingress.certificate is not None else settings.ingress.tls_secret,
            load_balancer_annotations=site.cluster.load_balancer_annotations,
            load_balancer_class=site.cluster.load_balancer_class,
            site=name if authorities else None,
            domain=settings.domain if authorities else None,
            peer_authorities=authorities or None,
            proxies=_PROXIES if settings.system_pool.min >= _PROXIES else 1,
            envoy_image=site.cluster.image(ENVOY_IMAGE),
            controller_image=site.cluster.image(CONTROLLER_IMAGE),
        ),
        _after(in_cluster, base.namespace),
    )
    ready: list[pulumi.Resource] = [ingress]
    if settings.ingress.certificate is not None and base.certificates is not None:
        options = _after(in_cluster, base.namespace, base.certificates.release)
        ready.append(_declare_certificate(name, sites, settings, settings.ingress.certificate, options))
    needed: list[pulumi.Resource] = [base.namespace, ingress.controller]
    if authorities:
        peers = {
            peer: Peer(authority=pem, addresses=list(sites[peer].cluster.addresses))
            for peer, pem in authorities.items()
        }
        backends = PeerBackends(
            f"{name}-peers",
            PeerBackendsArgs(namespace=SERVING_NAMESPACE, domain=settings.domain, peers=peers),
            _after(in_cluster, base.namespace, ingress.controller, *identity),
        )
        needed.append(backends)
        ready.append(backends)
    for index, (model, wanted) in enumerate(sorted(settings.models.items())):
        versions = wanted.versions_at(name)
        servers: list[pulumi.Resource] = [
            _declare_version(name, site, settings, bundles[(model, version)], base.namespace) for version in versions
        ]
        routes = ModelRoutes(
            f"{name}-{model}-routes",
            ModelRoutesArgs(
                model=model,
                namespace=SERVING_NAMESPACE,
                site=name,
                versions={str(version): weight for version, weight in versions.items()},
                default=index == 0,
                request_timeout_ms=settings.serving.request_timeout_ms,
                callers=caller_policy(settings.access.callers),
                peers={peer: settings.sites[peer].weight for peer in authorities} or None,
            ),
            # Envoy Gateway answers 503 for the share of a version without a ready pod, so requests move after the pods.
            _after(in_cluster, *needed, *servers),
        )
        ready += [*servers, routes]
    return ready


def asks_peers(settings: Settings) -> bool:
    """Whether the sites of a stack hand requests to each other."""
    return settings.ingress.peer_fallback and len(settings.sites) > 1


def peer_authorities(name: str, bases: Mapping[str, Base]) -> dict[str, pulumi.Input[str]]:
    """Authorities of the sites that a site may ask, by their names: all others but those that are not read."""
    return {
        peer: base.identity.authority
        for peer, base in bases.items()
        if peer != name and base.identity is not None and base.identity.authority is not None
    }


def caller_policy(callers: Callers) -> CallerPolicy:
    """The settings' `callers` section in the words of the components."""
    jwt, keys = callers.jwt, callers.api_keys
    return CallerPolicy(
        jwt_issuer=jwt.issuer if jwt else None,
        jwt_audiences=list(jwt.audiences) if jwt else None,
        jwks_uri=jwt.jwks_uri if jwt else None,
        jwks=jwt.jwks if jwt else None,
        api_key_secret=keys.secret if keys else None,
        api_key_header=keys.header if keys else None,
        requests_per_second=callers.requests_per_second,
    )


def _after(options: pulumi.ResourceOptions, *needed: pulumi.Resource) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(depends_on=list(needed)))


def _declare_certificate(
    name: str,
    sites: Mapping[str, Site],
    settings: Settings,
    wanted: Certificate,
    options: pulumi.ResourceOptions,
) -> SiteCertificate:
    zone, issuer_url = settings.dns.route53, sites[name].cluster.issuer_url
    zone_id = (zone.zone_id if zone is not None else None) or ""
    role: Optional[pulumi.Output[str]] = None
    if issuer_url is not None:
        # Only a stack that needs it loads the SDK of AWS.
        role = importlib.import_module("components._aws_acme").acme_role(
            name,
            _aws_provider(settings, sites),
            domain=settings.domain,
            zone_id=zone_id,
            issuer_url=issuer_url,
            labels=settings.all_labels,
        )
    return SiteCertificate(
        f"{name}-certificate",
        SiteCertificateArgs(
            namespace=SERVING_NAMESPACE,
            site=name,
            domain=settings.domain,
            email=wanted.email,
            server=wanted.server,
            zone_id=zone_id,
            role_arn=role,
        ),
        options,
    )


def _aws_provider(settings: Settings, sites: Mapping[str, Site]) -> Optional[pulumi.ProviderResource]:
    """Provider of the stack's first AWS site; None without one."""
    found = (site.provider for name, site in sites.items() if settings.sites[name].cloud == "aws")
    return next(found, None)


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
            signers=list(settings.signers) or None,
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
            server_image=cluster.image(settings.images.server),
            puller_image=cluster.image(settings.images.puller),
            priority_class=SERVER_PRIORITY,
            pod_labels=cluster.pod_labels,
            warmup_iterations=settings.serving.warmup_iterations,
            batch_timeout_micros=settings.serving.batch_timeout_micros,
            request_timeout_ms=settings.serving.request_timeout_ms,
            grpc_max_threads=settings.serving.grpc_max_threads,
            drain_s=settings.serving.drain_s,
        ),
        pulumi.ResourceOptions(provider=cluster.provider, depends_on=[namespace]),
    )
