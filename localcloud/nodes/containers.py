"""One run of one container: a sandboxed process, started, waited for, ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from localcloud import processes
from localcloud.context import CloudContext
from localcloud.nodes import sandbox
from localcloud.nodes.sandbox import Box
from localcloud.nodes.status import KILLED


class Run:
    """A started container; `ended` becomes its exit code."""

    def __init__(self, context: CloudContext, box: Box, environment: Mapping[str, str], log: Path) -> None:
        """Start the container. Must be called on the daemon's main thread, which runs the event loop."""
        self._context = context
        self._killed = False
        self._process: subprocess.Popen[bytes] = context.spawn(
            "pod", sandbox.arguments(box), environment=environment, log=log
        )
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._handle = os.pidfd_open(self._process.pid)
        asyncio.get_running_loop().add_reader(self._handle, self._reap)

    def _reap(self) -> None:
        code = self._process.poll()
        if code is None:
            return
        asyncio.get_running_loop().remove_reader(self._handle)
        os.close(self._handle)
        processes.unregister(self._context.paths, self._process.pid)
        if not self.ended.done():
            self.ended.set_result(KILLED if self._killed else 128 - code if code < 0 else code)

    def terminate(self) -> None:
        """Send SIGTERM to the container's first process, which by Linux's rules ignores it unless it handles it."""
        pid = sandbox.container_pid(self._process.pid)
        if pid is not None and not self.ended.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL every process of the container."""
        if self.ended.done():
            return
        self._killed = True
        pid = sandbox.container_pid(self._process.pid)
        for each in (pid, self._process.pid):
            if each is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)

    async def end(self, grace_s: float, pre_stop_s: float = 0.0) -> int:
        """Sleep as the preStop hook asks, send SIGTERM, SIGKILL when the grace is over; return the exit code."""
        deadline = asyncio.get_running_loop().time() + max(0.0, grace_s)
        await self._ended_within(min(pre_stop_s, grace_s))
        self.terminate()
        await self._ended_within(deadline - asyncio.get_running_loop().time())
        self.kill()
        return await asyncio.shield(self.ended)

    async def _ended_within(self, seconds: float) -> None:
        if seconds > 0:
            await asyncio.wait({self.ended}, timeout=seconds)
