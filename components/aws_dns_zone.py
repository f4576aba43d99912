"""The public name in Route 53."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_aws as aws

from components._base import coerce, protected, token
from components._endpoint import HEALTHY_TEXT, NAME_SERVER_TTL_S, EndpointRecords, SiteTarget
from components._naming import tags

CHECK_INTERVAL_S = 10
FAILURES = 2


@dataclass(frozen=True, kw_only=True)
class AwsDnsZoneArgs:
    """Arguments of `AwsDnsZone`."""

    records: EndpointRecords
    """What to publish."""
    zone_id: Optional[str] = None
    """An existing hosted zone. Default none: one is made for the domain."""
    protect: Optional[bool] = None
    """Refuse to delete a zone made here: another one has other name servers. Default True."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""


class AwsDnsZone(pulumi.ComponentResource):
    """Weighted, health-checked records in Route 53. Needs permission for `route53:*`.

    Route 53 checks every address itself, every 10 seconds, with two failures to count as down; a site is taken out of
    the answers while none of its addresses answers. When every site is down it answers with all of them.

    Its checkers speak no TLS above 1.2 and show no certificate: a gateway that demands either looks dead to them.
    """

    name_servers: pulumi.Output[list[str]]
    """Name servers to delegate to; empty for an existing zone."""
    zone_id: pulumi.Output[str]
    """The hosted zone."""

    def __init__(self, name: str, args: AwsDnsZoneArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(AwsDnsZone), name, {}, opts)
        a = coerce(AwsDnsZoneArgs, args)
        r = a.records
        own = tags("AwsDnsZone", a.labels)
        child = pulumi.ResourceOptions(parent=self)
        if a.zone_id is None:
            zone = aws.route53.Zone(
                f"{name}-zone",
                name=r.domain,
                comment="Managed by Pulumi",
                tags=own,
                opts=protected(self, a.protect),
            )
            self.zone_id, self.name_servers = zone.zone_id, zone.name_servers
        else:
            self.zone_id, self.name_servers = pulumi.Output.from_input(a.zone_id), pulumi.Output.from_input([])
        for site, target in r.sites.items():
            aws.route53.Record(
                f"{name}-{site}",
                zone_id=self.zone_id,
                name=r.domain,
                type="A",
                ttl=r.ttl,
                records=target.addresses,
                set_identifier=site,
                weighted_routing_policies=[aws.route53.RecordWeightedRoutingPolicyArgs(weight=target.weight)],
                health_check_id=self._check(f"{name}-{site}", r, site, target, own),
                opts=child,
            )
            aws.route53.Record(
                f"{name}-{site}-site",
                zone_id=self.zone_id,
                name=f"{site}.{r.domain}",
                type="A",
                ttl=r.ttl,
                records=target.addresses,
                opts=child,
            )
        aws.route53.Record(
            f"{name}-sites",
            zone_id=self.zone_id,
            name=r.service_name,
            type="SRV",
            ttl=r.ttl,
            records=r.services,
            opts=child,
        )
        self._name, self._domain = name, r.domain
        self.register_outputs({"name_servers": self.name_servers, "zone_id": self.zone_id})

    def list_name_servers(self, servers: pulumi.Output[list[str]]) -> None:
        """Make a zone made here list the name servers of every vendor, in place of Route 53's own alone.

        Resolvers keep to the list they get from the zone itself, whatever the registrar's says.
        """
        aws.route53.Record(
            f"{self._name}-name-servers",
            zone_id=self.zone_id,
            name=self._domain,
            type="NS",
            ttl=NAME_SERVER_TTL_S,
            records=servers,
            allow_overwrite=True,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _check(
        self, name: str, r: EndpointRecords, site: str, target: SiteTarget, own: dict[str, str]
    ) -> pulumi.Output[str]:
        """Health of a site: of its address, or of at least one of several."""
        kind = "TCP" if r.health_path is None else "HTTPS_STR_MATCH" if r.tls else "HTTP_STR_MATCH"

        def probe(child: str, address: pulumi.Input[str]) -> pulumi.Output[str]:
            made: pulumi.Output[str] = aws.route53.HealthCheck(
                child,
                type=kind,
                ip_address=address,
                port=r.port,
                fqdn=None if r.health_path is None else r.domain,
                resource_path=r.health_path,
                search_string=None if r.health_path is None else HEALTHY_TEXT,
                request_interval=CHECK_INTERVAL_S,
                failure_threshold=FAILURES,
                tags={**own, "Name": f"{r.domain} {site}"},
                opts=pulumi.ResourceOptions(parent=self),
            ).id
            return made

        if len(target.addresses) == 1:
            return probe(name, target.addresses[0])
        probes = [
            probe(f"{name}-address-{position}", address) for position, address in enumerate(target.addresses, start=1)
        ]
        over: pulumi.Output[str] = aws.route53.HealthCheck(
            name,
            type="CALCULATED",
            child_healthchecks=probes,
            child_health_threshold=1,
            tags={**own, "Name": f"{r.domain} {site}"},
            opts=pulumi.ResourceOptions(parent=self),
        ).id
        return over
