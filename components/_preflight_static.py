"""Checks of the settings that need no cloud: names, networks, images, and what the example files leave to fill in."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components._preflight_report import Report, SiteNeeds
from serving.images import parse_image
from serving.settings import AwsSite, AzureSite, GcpSite, Settings

_RANDOM = 8
"""Characters that providers add to a name of their own making: a dash and 7 digits, or 8 digits on Azure."""
_NODE_GROUP_LIMIT = 80
"""Longest name of the resource group that AKS makes for its nodes (https://aka.ms/aks-naming-rules, 2026-08)."""
_EXAMPLES = re.compile(r"(^|[.@])example\.(com|net|org)$|^example-|^Z0EXAMPLE|^0{8}-(0{4}-){3}0{12}$|:123456789012:")


@dataclass(frozen=True)
class NameLimit:
    """How long a name may be that a provider makes up from a logical name."""

    cloud: str
    what: str
    logical: str
    """The component's name of it; `{site}` and `{pool}` are filled in."""
    limit: int


NAME_LIMITS = (
    # https://cloud.google.com/kubernetes-engine/docs/reference/rest/v1/projects.locations.clusters (2026-08)
    NameLimit("gcp", "GKE cluster", "{site}-cluster-gke", 40),
    NameLimit("gcp", "GKE node pool", "{site}-system-nodes", 40),
    NameLimit("gcp", "GKE node pool", "{site}-{pool}-nodes", 40),
    # https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateNodegroup.html (2026-08)
    NameLimit("aws", "EKS node group", "{site}-{pool}-nodes", 63),
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html (2026-08)
    NameLimit("aws", "IAM role", "{site}-cluster-node-role", 64),
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html (2026-08)
    NameLimit("aws", "S3 bucket", "{site}-models-bucket", 63),
)


def check_names(needs: SiteNeeds, report: Report) -> None:
    """Report names that a cloud refuses for their length, which it would say in the middle of an update."""
    pools = [f"{pool}{plan.suffix}" for pool, plans in needs.plans.items() for plan in plans]
    for rule in NAME_LIMITS:
        if rule.cloud != needs.site.cloud:
            continue
        for pool in pools if "{pool}" in rule.logical else [""]:
            length = len(rule.logical.format(site=needs.name, pool=pool)) + _RANDOM
            if length > rule.limit:
                report.problem(
                    f"sites.{needs.name}" + (f", pools.{pool.partition('-')[0]}" if pool else ""),
                    f"the name of the {rule.what} would be too long",
                    have=f"{rule.limit} characters",
                    need=f"{length}",
                    where=needs.name,
                    fix=f"shorten the name of the site{' or the pool' if pool else ''} by {length - rule.limit}",
                )
    if isinstance(needs.site, AzureSite):
        group, cluster = f"{needs.name}-group", f"{needs.name}-cluster-aks"
        length = len(f"MC_{group}_{cluster}_{needs.site.location}") + 2 * _RANDOM
        if length > _NODE_GROUP_LIMIT:
            report.problem(
                f"sites.{needs.name}",
                "the name of the resource group that AKS makes of the group's and the cluster's name would be too long",
                have=f"{_NODE_GROUP_LIMIT} characters",
                need=length,
                where=needs.name,
                fix=f"shorten the name of the site by {-(-(length - _NODE_GROUP_LIMIT) // 2)}",
            )


def check_networks(
    sites: Sequence[SiteNeeds], defaults: Mapping[str, str], inside: Mapping[str, Sequence[str]], report: Report
) -> None:
    """Report a network that overlaps the ranges inside its own cluster; warn about sites that overlap each other.

    Args:
        sites: The sites.
        defaults: Cloud to the range that a site without `cidr` gets.
        inside: Cloud to the ranges of its clusters' pods and services.
        report: Takes the findings.
    """
    seen: dict[str, ipaddress.IPv4Network] = {}
    for needs in sites:
        text = getattr(needs.site, "cidr", None) or defaults.get(needs.site.cloud)
        if text is None:
            continue
        network = ipaddress.IPv4Network(text)
        for taken in inside.get(needs.site.cloud, ()):
            if network.overlaps(ipaddress.IPv4Network(taken)):
                report.problem(
                    f"sites.{needs.name}.cidr",
                    f"{network} overlaps {taken}, which the cluster's pods and services have",
                    where=needs.name,
                    fix="choose a range outside of it",
                )
        for other, known in seen.items():
            if network.overlaps(known):
                report.warning(
                    f"sites {other} and {needs.name}: their networks {known} and {network} overlap; they work, but can "
                    "never be connected: set cidr of one of them before its first update"
                )
        seen[needs.name] = network


def check_images(settings: Settings, sites: Sequence[SiteNeeds], report: Report) -> None:
    """Warn about images that a site cannot start without a registry outside its cloud, and digests of nothing."""
    images = settings.images
    for field, text in (("server", images.server), ("puller", images.puller)):
        image = parse_image(text)
        if image.has_placeholder:
            report.warning(f"images.{field}: the digest of {image} is a placeholder; no registry has it")
        on_aws = [needs.name for needs in sites if needs.site.cloud == "aws"]
        if image.registry == "docker.io" and images.mirror and on_aws and images.docker_hub_secret is None:
            report.warning(
                f"images.{field}: {', '.join(on_aws)} takes {image} from Docker Hub itself and depends on it when pods "
                "start; ECR keeps such images only with a Docker Hub token: set images.dockerHubSecret"
            )


def check_examples(settings: Settings, sites: Sequence[SiteNeeds], report: Report) -> None:
    """Warn about values that stand in the example files for one's own."""
    values: dict[str, str | None] = {"domain": settings.domain}
    for needs in sites:
        if isinstance(needs.site, GcpSite):
            values[f"sites.{needs.name}.project"] = needs.site.project
        if isinstance(needs.site, AzureSite):
            values[f"sites.{needs.name}.subscription"] = needs.site.subscription
        if isinstance(needs.site, AwsSite):
            values |= {f"access.admins.aws.{i}": arn for i, arn in enumerate(settings.access.admins.aws)}
    if settings.dns.route53 is not None:
        values["dns.route53.zoneId"] = settings.dns.route53.zone_id
    if settings.dns.cloud_dns is not None:
        values["dns.cloudDns.project"] = settings.dns.cloud_dns.project
    if settings.ingress.certificate is not None:
        values["ingress.certificate.email"] = settings.ingress.certificate.email
    for path, value in values.items():
        if value is not None and _EXAMPLES.search(value):
            report.warning(f"{path}: {value} is the example file's value; set your own")
