"""One public name for all sites."""

from dataclasses import dataclass
from typing import Optional

import pulumi

from components._base import coerce, reject, token
from components._endpoint import EndpointRecords, SiteTarget, Zone, site_problems
from components._refusals import section_problems
from serving.settings_sections import Dns, Ingress

DEFAULT_TTL_S = 30


@dataclass(frozen=True, kw_only=True)
class GlobalEndpointArgs:
    """Arguments of `GlobalEndpoint`."""

    domain: str
    """The public name, without a final dot."""
    port: int
    """Public port of every site."""
    sites: dict[str, SiteTarget]
    """Sites by name; at least one with a weight above 0."""
    health_path: Optional[str] = None
    """HTTP path that answers while a site serves. Default none: a connection is enough."""
    tls: Optional[bool] = None
    """Whether sites speak TLS. Default False."""
    ttl: Optional[int] = None
    """Lifetime of an answer in seconds. Default 30."""
    route53: Optional[bool] = None
    """Publish in Route 53. Default False."""
    route53_zone_id: Optional[str] = None
    """An existing hosted zone. Default none: one is made."""
    cloud_dns_project: Optional[str] = None
    """Google Cloud project to publish in. Default none: not in Cloud DNS."""
    cloud_dns_zone: Optional[str] = None
    """An existing managed zone. Default none: one is made."""
    other_name_servers: Optional[list[str]] = None
    """Name servers of further authorities that hold the same records, for the list in each zone made here. Default
    none."""
    protect: Optional[bool] = None
    """Refuse to delete a zone made here. Default True."""
    labels: Optional[dict[str, str]] = None
    """Tags and labels of every resource, beside the components' own."""

    def __post_init__(self) -> None:
        bad = []
        if self.domain.endswith(".") or "." not in self.domain:
            bad.append(
                ("domain", f"must be a name such as serve.example.com, without a final dot, got {self.domain!r}")
            )
        bad += section_problems(Ingress, {"port": self.port})
        bad += section_problems(Dns, {"ttl": self.ttl})
        bad += site_problems(self.sites)
        if not self.route53 and self.cloud_dns_project is None:
            bad.append(("route53", "nobody publishes the name; set route53 or cloudDnsProject"))
        reject("GlobalEndpoint", bad)


class GlobalEndpoint(pulumi.ComponentResource):
    """The same weighted, health-checked records in Route 53, in Cloud DNS, or in both, so that either can be lost.

    Beside the public name every site has a name of its own, and SRV records list the sites for clients that fail over
    by themselves. Delegate the domain to all name servers at the registrar, and not from a zone of one vendor, which
    would be needed again.

    Two zones made here list the name servers of both. In an existing zone that list is left to its owner: the zone may
    be a parent's, where it would be a delegation. No zone is signed (DNSSEC): two vendors would have to share keys.
    """

    name_servers: pulumi.Output[dict[str, list[str]]]
    """Name servers by authority, `route53` and `cloud_dns`."""

    def __init__(self, name: str, args: GlobalEndpointArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(GlobalEndpoint), name, {}, opts)
        a = coerce(GlobalEndpointArgs, args)
        child = pulumi.ResourceOptions(parent=self)
        records = EndpointRecords(
            domain=a.domain,
            port=a.port,
            ttl=a.ttl or DEFAULT_TTL_S,
            sites=a.sites,
            health_path=a.health_path,
            tls=a.tls,
        )
        servers: dict[str, pulumi.Output[list[str]]] = {}
        made: list[Zone] = []
        # A cloud's SDK is needed only where it publishes.
        if a.route53:
            from components.aws_dns_zone import AwsDnsZone, AwsDnsZoneArgs

            route53 = AwsDnsZone(
                f"{name}-route53",
                AwsDnsZoneArgs(records=records, zone_id=a.route53_zone_id, protect=a.protect, labels=a.labels),
                child,
            )
            servers["route53"] = route53.name_servers
            if a.route53_zone_id is None:
                made.append(route53)
        if a.cloud_dns_project is not None:
            from components.gcp_dns_zone import GcpDnsZone, GcpDnsZoneArgs

            cloud_dns = GcpDnsZone(
                f"{name}-cloud-dns",
                GcpDnsZoneArgs(
                    records=records,
                    project=a.cloud_dns_project,
                    managed_zone=a.cloud_dns_zone,
                    protect=a.protect,
                    labels=a.labels,
                ),
                child,
            )
            servers["cloud_dns"] = cloud_dns.name_servers
            if a.cloud_dns_zone is None:
                made.append(cloud_dns)
        others = a.other_name_servers or []
        if len(made) + bool(others) > 1:
            listed = pulumi.Output.all(others, *[zone.name_servers for zone in made]).apply(_plain_names)
            for zone in made:
                zone.list_name_servers(listed)
        self.name_servers = pulumi.Output.all(**servers)
        self.register_outputs({"name_servers": self.name_servers})


def _plain_names(lists: list[list[str]]) -> list[str]:
    """Every name server once, in order and without a final dot, so that no vendor's list looks changed."""
    return sorted({name.rstrip(".") for names in lists for name in names})
