"""What both DNS authorities publish about the sites, so that they cannot diverge."""

from dataclasses import dataclass
from typing import Optional, Protocol

import pulumi

from components._base import reject
from serving.resolver import SERVICE

NAME_SERVER_TTL_S = 3600
"""Lifetime of the zone's own list of name servers: how long a resolver knows only the vendors it knew."""
HEALTHY_TEXT = "AVAILABLE"
"""Text that TensorFlow Serving's status holds while a version serves."""


@dataclass(frozen=True, kw_only=True)
class SiteTarget:
    """Where a site answers."""

    weight: int
    """Share of the answers, 0 to 255; 0 drains the site, which stays reachable by its own name."""
    addresses: list[pulumi.Input[str]]
    """Static public IPv4 addresses, at least one."""


@dataclass(frozen=True, kw_only=True)
class EndpointRecords:
    """The records of one public name."""

    domain: str
    """The public name."""
    port: int
    """Public port of every site."""
    ttl: int
    """Lifetime of an answer in seconds."""
    sites: dict[str, SiteTarget]
    """Sites by name; at least one with a weight above 0."""
    health_path: Optional[str] = None
    """HTTP path that answers while a site serves. Default none: a connection is enough."""
    tls: Optional[bool] = None
    """Whether sites speak TLS. Default False."""

    def __post_init__(self) -> None:
        reject("GlobalEndpoint", site_problems(self.sites))

    @property
    def service_name(self) -> str:
        """Name of the SRV records."""
        return f"{SERVICE}.{self.domain}"

    @property
    def services(self) -> list[str]:
        """SRV records, RFC 2782: priority, weight, port and target of every site."""
        return [f"0 {site.weight} {self.port} {name}.{self.domain}." for name, site in sorted(self.sites.items())]


class Zone(Protocol):
    """The public name in one authority."""

    name_servers: pulumi.Output[list[str]]
    """Name servers of a zone made here."""

    def list_name_servers(self, servers: pulumi.Output[list[str]]) -> None:
        """Make a zone made here list these name servers, in place of its vendor's alone."""
        ...


def site_problems(sites: dict[str, SiteTarget]) -> list[tuple[str, str]]:
    """What is wrong with the sites, as pairs of argument name and reason."""
    bad = []
    if not any(site.weight for site in sites.values()):
        bad.append(("sites", "at least one must have a weight above 0"))
    for name, site in sites.items():
        if not 0 <= site.weight <= 255:
            bad.append((f"sites.{name}.weight", f"must be 0 to 255, got {site.weight}"))
        if not site.addresses:
            bad.append((f"sites.{name}.addresses", "must hold at least one address"))
    return bad
