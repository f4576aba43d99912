"""A small DNS front over UDP and TCP, on the running event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import cast

from dnslib import DNSError, DNSRecord

_LOG = logging.getLogger(__name__)
Respond = Callable[[DNSRecord], Awaitable[DNSRecord]]


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        task = asyncio.ensure_future(self._answer(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, data: bytes, addr: tuple[str, int]) -> None:
        try:
            reply = await self._respond(DNSRecord.parse(data))
        except DNSError:
            return  # not a DNS message: dropped, as resolvers do
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(reply.pack(), addr)


async def serve(address: str, port: int, respond: Respond) -> None:
    """Answer queries on `address:port` (UDP and TCP) until cancelled.

    Raises:
        OSError: If the port is in use.
    """
    loop = asyncio.get_running_loop()

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(10):
                while True:
                    size = int.from_bytes(await reader.readexactly(2), "big")
                    reply = (await respond(DNSRecord.parse(await reader.readexactly(size)))).pack()
                    writer.write(len(reply).to_bytes(2, "big") + reply)
                    await writer.drain()
        except (asyncio.IncompleteReadError, TimeoutError, ConnectionError, DNSError):
            pass  # the client is done, slow or not speaking DNS
        finally:
            writer.close()

    transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(respond), local_addr=(address, port))
    try:
        server = await asyncio.start_server(stream, address, port)
        async with server:
            _LOG.info("DNS on %s:%d", address, port)
            await server.serve_forever()
    finally:
        transport.close()
