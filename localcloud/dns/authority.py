"""The authoritative name servers of the simulated Route 53 (aws) and Cloud DNS (gcp)."""

from __future__ import annotations

import asyncio
import random

from dnslib import NS, QTYPE, RCODE, RR, SRV, A, DNSRecord

from localcloud.addresses import DNS_PORT, endpoint_address
from localcloud.context import CloudContext
from localcloud.dns.health import HealthMonitor
from localcloud.dns.server import serve
from localcloud.dns.zones import Answer, RecordSet, Zones, cloud_dns, route53

_READERS = {"aws": route53, "gcp": cloud_dns}
_POLL_S = 0.5


def choose(record: RecordSet, monitor: HealthMonitor, generator: random.Random) -> tuple[str, ...]:
    """Return the values to answer with: a weighted draw among healthy answers of positive weight.

    When every check fails the draw is among all of them: both vendors fail open rather than answer nothing.
    """
    if not record.weighted:
        return tuple(address for answer in record.answers for address in answer.addresses)
    wanted = [answer for answer in record.answers if answer.weight > 0]
    found = [(answer, _healthy(answer, monitor)) for answer in wanted]
    candidates = [(answer.weight, up) for answer, up in found if up] or [(a.weight, a.addresses) for a in wanted]
    if not candidates:
        return ()
    return generator.choices([up for _, up in candidates], weights=[weight for weight, _ in candidates])[0]


def _healthy(answer: Answer, monitor: HealthMonitor) -> tuple[str, ...]:
    """Return the addresses of an answer that are up."""
    if not monitor.healthy(answer.check):
        return ()
    checks = answer.checks or ("",) * len(answer.addresses)
    return tuple(address for address, check in zip(answer.addresses, checks, strict=True) if monitor.healthy(check))


class DnsAuthority:
    """Answers for the zones of its cloud; a cloud without a DNS service has nothing to do."""

    def __init__(self, ctx: CloudContext) -> None:
        self._ctx = ctx
        self._monitor = HealthMonitor()
        self._random = random.Random()  # noqa: S311 - load balancing, not cryptography
        self._zones = Zones(frozenset(), {}, {})

    async def run(self) -> None:
        """Serve until cancelled."""
        if self._ctx.cloud not in _READERS:
            await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._refresh())
            group.create_task(serve(endpoint_address(self._ctx.cloud), DNS_PORT, self.respond))

    async def _refresh(self) -> None:
        read = _READERS[self._ctx.cloud]
        while True:
            self._zones = await asyncio.to_thread(read, self._ctx.store)
            self._monitor.calculated = self._zones.calculated
            await self._monitor.step(self._zones.checks)
            await asyncio.sleep(_POLL_S)

    async def respond(self, query: DNSRecord) -> DNSRecord:
        """Answer one query from the zones."""
        reply = query.reply(ra=0, aa=1)
        name = str(query.q.qname).lower()
        kind = QTYPE.get(query.q.qtype)
        if not self._zones.covers(name):
            reply.header.rcode = RCODE.REFUSED
            return reply
        known = any(owner == name for owner, _ in self._zones.records)
        if not known and name not in self._zones.names:
            reply.header.rcode = RCODE.NXDOMAIN
            return reply
        record = self._zones.records.get((name, kind))
        if record is None:
            return reply
        for value in choose(record, self._monitor, self._random):
            if kind == "A":
                reply.add_answer(RR(query.q.qname, QTYPE.A, rdata=A(value), ttl=record.ttl))
            elif kind == "NS":
                reply.add_answer(RR(query.q.qname, QTYPE.NS, rdata=NS(value), ttl=record.ttl))
            elif kind == "SRV":
                priority, weight, port, target = value.split()
                service = SRV(int(priority), int(weight), int(port), target)
                reply.add_answer(RR(query.q.qname, QTYPE.SRV, rdata=service, ttl=record.ttl))
        return reply
