"""The public name in Cloud DNS."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_gcp as gcp

from components._base import coerce, protected, token
from components._endpoint import NAME_SERVER_TTL_S, EndpointRecords
from components._naming import tags

CHECK_INTERVAL_S = 30
"""The shortest that Cloud DNS allows."""
FAILURES = 2
SOURCE_REGIONS = ["us-central1", "europe-west1", "asia-east1"]
"""Where the probes come from; exactly three."""


@dataclass(frozen=True, kw_only=True)
class GcpDnsZoneArgs:
    """Arguments of `GcpDnsZone`."""

    records: EndpointRecords
    """What to publish."""
    project: str
    """Google Cloud project id of the zone."""
    managed_zone: Optional[str] = None
    """An existing zone. Default none: one is made for the domain."""
    protect: Optional[bool] = None
    """Refuse to delete a zone made here: another one has other name servers. Default True."""
    labels: Optional[dict[str, str]] = None
    """Labels of every resource, beside the component's own."""


class GcpDnsZone(pulumi.ComponentResource):
    """Weighted, health-checked records in Cloud DNS. Needs the roles `roles/dns.admin` and `roles/compute.admin`.

    Cloud DNS checks every address itself, every 30 seconds; two failures take it out of the answers. When none is
    healthy it answers with all of them.
    """

    name_servers: pulumi.Output[list[str]]
    """Name servers to delegate to; empty for an existing zone."""

    def __init__(self, name: str, args: GcpDnsZoneArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(GcpDnsZone), name, {}, opts)
        a = coerce(GcpDnsZoneArgs, args)
        r = a.records
        child = pulumi.ResourceOptions(parent=self)
        zone: pulumi.Input[str]
        if a.managed_zone is None:
            made = gcp.dns.ManagedZone(
                f"{name}-zone",
                project=a.project,
                dns_name=f"{r.domain}.",
                description="Managed by Pulumi",
                labels=tags("GcpDnsZone", a.labels),
                opts=protected(self, a.protect),
            )
            zone, self.name_servers = made.name, made.name_servers
        else:
            zone, self.name_servers = a.managed_zone, pulumi.Output.from_input([])
        check = gcp.compute.HealthCheck(
            f"{name}-sites",
            project=a.project,
            check_interval_sec=CHECK_INTERVAL_S,
            timeout_sec=5,
            unhealthy_threshold=FAILURES,
            healthy_threshold=1,
            source_regions=SOURCE_REGIONS,
            opts=child,
            **_probe(r),
        )
        serving = {site: target for site, target in r.sites.items() if target.weight}
        gcp.dns.RecordSet(
            f"{name}-name",
            project=a.project,
            managed_zone=zone,
            name=f"{r.domain}.",
            type="A",
            ttl=r.ttl,
            routing_policy=gcp.dns.RecordSetRoutingPolicyArgs(
                health_check=check.self_link,
                wrrs=[
                    gcp.dns.RecordSetRoutingPolicyWrrArgs(
                        weight=float(target.weight),
                        health_checked_targets=gcp.dns.RecordSetRoutingPolicyWrrHealthCheckedTargetsArgs(
                            external_endpoints=target.addresses
                        ),
                    )
                    for target in serving.values()
                ],
            ),
            opts=child,
        )
        for site, target in r.sites.items():
            gcp.dns.RecordSet(
                f"{name}-{site}-site",
                project=a.project,
                managed_zone=zone,
                name=f"{site}.{r.domain}.",
                type="A",
                ttl=r.ttl,
                rrdatas=target.addresses,
                opts=child,
            )
        gcp.dns.RecordSet(
            f"{name}-sites",
            project=a.project,
            managed_zone=zone,
            name=f"{r.service_name}.",
            type="SRV",
            ttl=r.ttl,
            rrdatas=r.services,
            opts=child,
        )
        self._name, self._project, self._zone, self._domain = name, a.project, zone, r.domain
        self.register_outputs({"name_servers": self.name_servers})

    def list_name_servers(self, servers: pulumi.Output[list[str]]) -> None:
        """Make a zone made here list the name servers of every vendor, in place of Cloud DNS's own alone.

        Resolvers keep to the list they get from the zone itself, whatever the registrar's says.
        """
        gcp.dns.RecordSet(
            f"{self._name}-name-servers",
            project=self._project,
            managed_zone=self._zone,
            name=f"{self._domain}.",
            type="NS",
            ttl=NAME_SERVER_TTL_S,
            rrdatas=servers.apply(lambda names: [f"{each}." for each in names]),
            opts=pulumi.ResourceOptions(parent=self),
        )


def _probe(r: EndpointRecords) -> dict[str, object]:
    """The one kind of probe a health check has."""
    if r.health_path is None:
        return {"tcp_health_check": gcp.compute.HealthCheckTcpHealthCheckArgs(port=r.port)}
    if r.tls:
        return {
            "https_health_check": gcp.compute.HealthCheckHttpsHealthCheckArgs(
                port=r.port, request_path=r.health_path, host=r.domain
            )
        }
    return {
        "http_health_check": gcp.compute.HealthCheckHttpHealthCheckArgs(
            port=r.port, request_path=r.health_path, host=r.domain
        )
    }
