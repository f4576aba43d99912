"""The probers behind DNS health checks."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from dataclasses import dataclass

from localcloud.addresses import to_loopback
from localcloud.dns.zones import Calculated, HealthCheck

_LOG = logging.getLogger(__name__)
_BODY_LIMIT = 5120  # bytes of the body in which Route 53 looks for the search string


async def probe(check: HealthCheck) -> bool:
    """Send one probe and return whether the target counts as healthy."""
    context = ssl.create_default_context() if check.https else None
    if context is not None:
        # As Route 53 and Cloud DNS do: the certificate's name and issuer are not validated by health checkers.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(check.timeout_s):
            reader, writer = await asyncio.open_connection(
                to_loopback(check.address),
                check.port,
                ssl=context,
                server_hostname=check.host or None if context else None,
            )
            try:
                if check.tcp_only:
                    return True
                host = check.host or check.address
                request = f"GET {check.path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                writer.write(request.encode())
                await writer.drain()
                response = b""
                while len(response) < 2 * _BODY_LIMIT and (chunk := await reader.read(_BODY_LIMIT)):
                    response += chunk
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError, ssl.SSLError):
        return False
    head, _, body = response.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    healthy_status = bool(status) and status[0][:1] in (b"2", b"3")
    return healthy_status and check.search.encode() in body[:_BODY_LIMIT]


@dataclass
class _State:
    healthy: bool
    streak: int  # consecutive probes that disagree with `healthy`
    next_probe: float


class HealthMonitor:
    """Runs the probes that are due and remembers which checks are healthy.

    A check counts as healthy until it has failed often enough, as both vendors do for new checks.
    """

    def __init__(self) -> None:
        self._states: dict[str, _State] = {}
        self.calculated: dict[str, Calculated] = {}  # checks over other checks, by key

    def healthy(self, key: str) -> bool:
        """Return whether the check counts as healthy; an unknown or empty key does."""
        over = self.calculated.get(key)
        if over is not None:
            return sum(map(self.healthy, over.children)) >= over.threshold
        state = self._states.get(key)
        return state is None or state.healthy

    async def step(self, checks: dict[str, HealthCheck]) -> None:
        """Run every probe that is due, side by side; forget checks that no longer exist."""
        now = time.monotonic()
        for key in self._states.keys() - checks.keys():
            del self._states[key]
        due = []
        for key, check in checks.items():
            state = self._states.setdefault(key, _State(healthy=True, streak=0, next_probe=now))
            if state.next_probe <= now:
                state.next_probe = now + check.interval_s
                due.append((check, state))
        results = await asyncio.gather(*(probe(check) for check, _ in due))
        for (check, state), good in zip(due, results, strict=True):
            self._record(check, state, good)

    @staticmethod
    def _record(check: HealthCheck, state: _State, good: bool) -> None:
        if good == state.healthy:
            state.streak = 0
            return
        state.streak += 1
        if state.streak >= (check.healthy_after if good else check.unhealthy_after):
            state.healthy, state.streak = good, 0
            _LOG.info(
                "health check %s on %s:%d is now %s", check.key, check.address, check.port, "up" if good else "down"
            )
