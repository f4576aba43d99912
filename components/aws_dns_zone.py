"""The public name in Route 53."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_aws as aws

from components._base import coerce, token
from components._endpoint import HEALTHY_TEXT, EndpointRecords
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
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""


class AwsDnsZone(pulumi.ComponentResource):
    """Weighted, health-checked records in Route 53. Needs permission for `route53:*`.

    Route 53 checks every site itself, every 10 seconds; two failures take it out of the answers. When every check
    fails it answers with all sites.
    """

    name_servers: pulumi.Output[list[str]]
    """Name servers to delegate to; empty for an existing zone."""

    def __init__(self, name: str, args: AwsDnsZoneArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(AwsDnsZone), name, {}, opts)
        a = coerce(AwsDnsZoneArgs, args)
        r = a.records
        own = tags("AwsDnsZone", a.labels)
        child = pulumi.ResourceOptions(parent=self)
        zone_id: pulumi.Input[str]
        if a.zone_id is None:
            zone = aws.route53.Zone(f"{name}-zone", name=r.domain, comment="Managed by Pulumi", tags=own, opts=child)
            zone_id, self.name_servers = zone.zone_id, zone.name_servers
        else:
            zone_id, self.name_servers = a.zone_id, pulumi.Output.from_input([])
        kind = "TCP" if r.health_path is None else "HTTPS_STR_MATCH" if r.tls else "HTTP_STR_MATCH"
        for site, target in r.sites.items():
            check = aws.route53.HealthCheck(
                f"{name}-{site}",
                type=kind,
                ip_address=target.addresses[0],
                port=r.port,
                fqdn=None if r.health_path is None else r.domain,
                resource_path=r.health_path,
                search_string=None if r.health_path is None else HEALTHY_TEXT,
                request_interval=CHECK_INTERVAL_S,
                failure_threshold=FAILURES,
                tags={**own, "Name": f"{r.domain} {site}"},
                opts=child,
            )
            aws.route53.Record(
                f"{name}-{site}",
                zone_id=zone_id,
                name=r.domain,
                type="A",
                ttl=r.ttl,
                records=target.addresses,
                set_identifier=site,
                weighted_routing_policies=[aws.route53.RecordWeightedRoutingPolicyArgs(weight=target.weight)],
                health_check_id=check.id,
                opts=child,
            )
            aws.route53.Record(
                f"{name}-{site}-site",
                zone_id=zone_id,
                name=f"{site}.{r.domain}",
                type="A",
                ttl=r.ttl,
                records=target.addresses,
                opts=child,
            )
        aws.route53.Record(
            f"{name}-sites",
            zone_id=zone_id,
            name=r.service_name,
            type="SRV",
            ttl=r.ttl,
            records=r.services,
            opts=child,
        )
        self.register_outputs({"name_servers": self.name_servers})
