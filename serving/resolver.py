"""From the public name to addresses: the domain's A records, and the sites named by its SRV records."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import Any

SERVICE = "_predict._tcp"
"""Prefix of the SRV records (RFC 2782) that name every site of a domain."""
QUERY_S = 3.0
"""Longest wait for a DNS server, its repetitions included."""
_AGAIN_S = 5.0
_SHORTEST_TTL_S = 1
_DNS_PORT = 53


class ResolutionError(Exception):
    """The name cannot be resolved; the text says which and what to check."""


@dataclass(frozen=True)
class Site:
    """One site of a domain; `name` is the first part of `target`."""

    name: str
    target: str
    port: int
    weight: int


@dataclass
class _Known:
    """The last good answer to a question; `fresh_until` is when to ask again, in seconds of the monotonic clock."""

    records: list[Any]
    fresh_until: float


class Resolver:
    """Resolves one domain; safe to use from several threads.

    Answers are kept for their TTL. When no DNS server answers, the last good answer serves on (RFC 8767): a dead
    resolver must not take down a client whose sites are up.

    Args:
        domain: The public name.
        dns_server: `host:port` of a DNS server, the port 53 if left out; the system's when None.

    Raises:
        ResolutionError: If `dns_server` is malformed, or None while the system has none.
    """

    def __init__(self, domain: str, dns_server: str | None = None) -> None:
        import dns.exception
        import dns.resolver  # 0.05 s to import

        self.domain = domain.rstrip(".")
        self._server = dns_server
        self._known: dict[tuple[str, str], _Known] = {}
        self._silent_until = 0.0
        self._lock = threading.Lock()
        try:
            self._resolver = dns.resolver.Resolver(configure=dns_server is None)
        except dns.exception.DNSException:
            raise ResolutionError(
                "the system has no DNS server; name one with --dns HOST:PORT or TRICORN_DNS, or mend resolv.conf"
            ) from None
        if dns_server is not None:
            host, port = _address(dns_server)
            try:
                self._resolver.nameservers = [host]
            except ValueError:
                raise _malformed(dns_server) from None
            self._resolver.port = port
        self._resolver.lifetime = QUERY_S
        self._resolver.timeout = 1.0
        self._resolver.retry_servfail = True

    def addresses(self, name: str | None = None) -> list[str]:
        """Return the A records of a name, by default of the domain.

        Raises:
            ResolutionError: If there are none, or nobody answers.
        """
        return [str(record.address) for record in self._records(name or self.domain, "A")]

    def ask(self, name: str | None = None) -> list[str]:
        """Return the A records of a name as the DNS server gives them right now, whatever is known already.

        Raises:
            ResolutionError: If there are none, or nobody answers.
        """
        return [str(record.address) for record in self._query(name or self.domain, "A").records]

    def sites(self) -> list[Site]:
        """Return the sites of the domain, by name.

        Raises:
            ResolutionError: If there are none, or nobody answers.
        """
        found = []
        for record in self._records(f"{SERVICE}.{self.domain}", "SRV"):
            target = str(record.target).rstrip(".")
            found.append(Site(target.partition(".")[0], target, int(record.port), int(record.weight)))
        return sorted(found, key=lambda site: site.name)

    def shuffled_sites(self) -> list[Site]:
        """Return the sites in a random order that respects their weights; sites of weight 0 come last."""
        generator = random.SystemRandom()
        return sorted(self.sites(), key=lambda site: -(generator.random() ** (1 / site.weight)) if site.weight else 1.0)

    def _records(self, name: str, kind: str) -> list[Any]:
        key = (name, kind)
        with self._lock:
            known = self._known.get(key)
        now = time.monotonic()
        if known is not None and known.fresh_until > now:
            return known.records
        try:
            # One wait is enough: while the DNS server is silent nothing else is asked either.
            if self._silent_until > now:
                raise self._unanswered(name)
            answer = self._query(name, kind)
        except _Unanswered:
            if known is None:
                raise
            return known.records
        with self._lock:
            self._known[key] = answer
        return answer.records

    def _query(self, name: str, kind: str) -> _Known:
        import dns.exception
        import dns.resolver

        try:
            answer = self._resolver.resolve(name, kind, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            raise ResolutionError(
                f"{name}: no {kind} record; check the domain, that the stack is up, and that its zone is delegated"
            ) from None
        except dns.exception.DNSException:
            self._silent_until = time.monotonic() + _AGAIN_S
            raise self._unanswered(name) from None
        ttl = answer.rrset.ttl if answer.rrset is not None else 0
        return _Known(list(answer), time.monotonic() + max(ttl, _SHORTEST_TTL_S))

    def _unanswered(self, name: str) -> _Unanswered:
        server = self._server or "the system's DNS server"
        return _Unanswered(
            f"{name}: {server} gives no answer; check that it is running and reachable, and --dns or TRICORN_DNS"
        )


class _Unanswered(ResolutionError):
    """No DNS server answered, so that nothing is known about the name."""


def _malformed(text: str) -> ResolutionError:
    return ResolutionError(
        f"dns: must be the address and port of a DNS server, such as 127.0.0.1:53 (got {text!r}); "
        "mend --dns or TRICORN_DNS"
    )


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon:
        return text, _DNS_PORT
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise _malformed(text)
    return host, int(port)
