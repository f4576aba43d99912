"""Probing one running container: when it has started, when it is ready, when it must be ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from localcloud.nodes.api import Object
from localcloud.nodes.probes import ProbeFailed, Schedule, ask
from localcloud.nodes.status import ContainerState


class Watchdog:
    """Probes a container for as long as it runs.

    `changed` is called when `state` has changed, `event` with (reason, message) for each failed probe.
    """

    def __init__(
        self,
        container: Object,
        state: ContainerState,
        address: str,
        changed: Callable[[], None],
        event: Callable[[str, str], None],
    ) -> None:
        self._container = container
        self._state = state
        self._address = address
        self._changed = changed
        self._event = event

    async def run(self) -> str:
        """Probe; return why the container must be ended. Runs until cancelled while there is no reason."""
        startup = self._container.get("startupProbe")
        if startup and not await self._starts(startup):
            return "failed startup probe"
        self._state.started = True
        readiness, liveness = self._container.get("readinessProbe"), self._container.get("livenessProbe")
        self._state.ready = readiness is None
        self._changed()
        following = asyncio.create_task(self._follow_readiness(readiness)) if readiness else None
        try:
            if liveness:
                await self._lives(liveness)
                return "failed liveness probe"
            await asyncio.Event().wait()
        finally:
            if following:
                following.cancel()
        return ""

    async def _good(self, kind: str, probe: Object) -> bool:
        try:
            await ask(probe, self._container, self._address)
        except ProbeFailed as problem:
            self._event("Unhealthy", f"{kind} probe failed: {problem}")
            return False
        return True

    async def _starts(self, probe: Object) -> bool:
        schedule = Schedule.of(probe)
        await asyncio.sleep(schedule.delay_s)
        for _ in range(schedule.failures):
            if await self._good("Startup", probe):
                return True
            await asyncio.sleep(schedule.period_s)
        return False

    async def _follow_readiness(self, probe: Object) -> None:
        schedule = Schedule.of(probe)
        await asyncio.sleep(schedule.delay_s)
        row, last = 0, False
        while True:
            good = await self._good("Readiness", probe)
            row = row + 1 if good == last else 1
            last = good
            if good != self._state.ready and row >= (schedule.successes if good else schedule.failures):
                self._state.ready = good
                self._changed()
            await asyncio.sleep(schedule.period_s)

    async def _lives(self, probe: Object) -> None:
        schedule = Schedule.of(probe)
        await asyncio.sleep(schedule.delay_s)
        failures = 0
        while True:
            failures = 0 if await self._good("Liveness", probe) else failures + 1
            if failures >= schedule.failures:
                return
            await asyncio.sleep(schedule.period_s)
