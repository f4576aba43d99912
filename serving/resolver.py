"""From the public name to addresses: the domain's A records, and the sites named by its SRV records."""

from __future__ import annotations

import random
from dataclasses import dataclass

import dns.exception
import dns.resolver

SERVICE = "_predict._tcp"
"""Prefix of the SRV records (RFC 2782) that name every site of a domain."""
_QUERY_S = 3.0


class ResolutionError(Exception):
    """The name cannot be resolved; the text says which and what to check."""


@dataclass(frozen=True)
class Site:
    """One site of a domain; `name` is the first part of `target`."""

    name: str
    target: str
    port: int
    weight: int


class Resolver:
    """Resolves one domain; answers are kept for their TTL.

    Args:
        domain: The public name.
        dns_server: `host:port` of a DNS server; the system's when None.
    """

    def __init__(self, domain: str, dns_server: str | None = None) -> None:
        self.domain = domain.rstrip(".")
        self._server = dns_server
        if dns_server is None:
            self._resolver = dns.resolver.Resolver()
        else:
            host, _, port = dns_server.rpartition(":")
            if not host or not port.isdigit():
                raise ResolutionError(f"dns: must be host:port of a DNS server (got {dns_server!r})")
            self._resolver = dns.resolver.Resolver(configure=False)
            self._resolver.nameservers = [host]
            self._resolver.port = int(port)
        self._resolver.lifetime = _QUERY_S
        self._resolver.cache = dns.resolver.LRUCache()

    def _query(self, name: str, kind: str) -> dns.resolver.Answer:
        try:
            return self._resolver.resolve(name, kind, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            raise ResolutionError(
                f"{name}: no {kind} record; check the domain, that the stack is up, and that its zone is delegated"
            ) from None
        except dns.exception.DNSException:
            server = self._server or "the system's DNS server"
            raise ResolutionError(f"{name}: {server} does not answer; check that it is running and reachable") from None

    def addresses(self, name: str | None = None) -> list[str]:
        """Return the A records of a name, by default of the domain.

        Raises:
            ResolutionError: If there are none, or nobody answers.
        """
        return [str(record.address) for record in self._query(name or self.domain, "A")]

    def sites(self) -> list[Site]:
        """Return the sites of the domain, by name.

        Raises:
            ResolutionError: If there are none, or nobody answers.
        """
        found = []
        for record in self._query(f"{SERVICE}.{self.domain}", "SRV"):
            target = str(record.target).rstrip(".")
            found.append(Site(target.partition(".")[0], target, int(record.port), int(record.weight)))
        return sorted(found, key=lambda site: site.name)

    def shuffled_sites(self) -> list[Site]:
        """Return the sites in a random order that respects their weights; sites of weight 0 come last."""
        sites = self.sites()
        generator = random.SystemRandom()
        return sorted(sites, key=lambda site: -(generator.random() ** (1 / site.weight)) if site.weight else 1.0)
