"""What lies between a client and the clouds: `python -m localcloud.internet`, a caching recursive resolver.

It belongs to no cloud and survives the loss of any. It asks the name servers of Route 53 and Cloud DNS in random
order, takes the other when one does not answer (as resolvers do with a zone's name-server set), keeps answers for
their TTL, and maps the public 203.0.113.x addresses in the answers to the loopback addresses that stand for them.
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import sys
import time
from typing import cast

from dnslib import QTYPE, RCODE, RR, A, DNSRecord

from localcloud.addresses import DNS_PORT, RESOLVER_ADDRESS, RESOLVER_PORT, endpoint_address, to_loopback
from localcloud.dns.server import serve

AUTHORITIES = ("aws", "gcp")
_QUERY_TIMEOUT_S = 0.5
_AVOID_DEAD_S = 5.0


class Resolver:
    """Recursive resolver over the two authorities."""

    def __init__(self, authorities: tuple[tuple[str, int], ...]) -> None:
        self._authorities = authorities
        self._cache: dict[tuple[str, int], tuple[float, list[RR]]] = {}
        self._dead_until: dict[tuple[str, int], float] = {}
        self._random = random.Random()  # noqa: S311 - spreads queries, not cryptography

    async def respond(self, query: DNSRecord) -> DNSRecord:
        """Answer from the cache or from the first authority that answers."""
        key = (str(query.q.qname).lower(), query.q.qtype)
        now = time.monotonic()
        expires, answers = self._cache.get(key, (0.0, []))
        reply = query.reply()
        if expires <= now:
            upstream = await self._ask(key)
            if upstream is None:
                reply.header.rcode = RCODE.SERVFAIL
                return reply
            reply.header.rcode = upstream.header.rcode
            answers = upstream.rr
            expires = now + min((rr.ttl for rr in answers), default=0)
            self._cache[key] = (expires, answers)
        for rr in answers:
            data = A(to_loopback(str(rr.rdata))) if rr.rtype == QTYPE.A else rr.rdata
            reply.add_answer(RR(query.q.qname, rr.rtype, rdata=data, ttl=max(0, round(expires - now))))
        return reply

    async def _ask(self, key: tuple[str, int]) -> DNSRecord | None:
        order = self._random.sample(self._authorities, len(self._authorities))
        order.sort(key=lambda server: self._dead_until.get(server, 0.0) > time.monotonic())
        question = DNSRecord.question(key[0], QTYPE.get(key[1]))
        for server in order:
            try:
                data = await asyncio.wait_for(_exchange(server, question.pack()), _QUERY_TIMEOUT_S)
            except (TimeoutError, OSError):
                self._dead_until[server] = time.monotonic() + _AVOID_DEAD_S
                continue
            reply = DNSRecord.parse(data)
            # An authority that does not (yet) hold the zone refuses; the other one may hold it.
            if reply.header.rcode not in (RCODE.REFUSED, RCODE.SERVFAIL):
                return reply
        return None


class _Once(asyncio.DatagramProtocol):
    def __init__(self, question: bytes, answer: asyncio.Future[bytes]) -> None:
        self._question = question
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.DatagramTransport, transport).sendto(self._question)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self._answer.done():
            self._answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc)


async def _exchange(server: tuple[str, int], question: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Once(question, answer), remote_addr=server)
    try:
        return await answer
    finally:
        transport.close()


async def _main() -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    resolver = Resolver(tuple((endpoint_address(cloud), DNS_PORT) for cloud in AUTHORITIES))
    server = asyncio.create_task(serve(RESOLVER_ADDRESS, RESOLVER_PORT, resolver.respond))
    stopped = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait({server, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if server in done:
        server.result()
    server.cancel()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(_main())
    sys.exit(0)
