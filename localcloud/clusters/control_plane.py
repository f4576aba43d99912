"""One running control plane: starting its programs, waiting until they work, starting again those that die."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from localcloud import processes
from localcloud.clusters.access import directory
from localcloud.clusters.files import ControlPlaneFiles, endpoint, prepare
from localcloud.clusters.programs import Program, programs
from localcloud.context import CloudContext
from localcloud.store import Cluster

_LOG = logging.getLogger(__name__)
_POLL_S = 0.1
_WATCH_S = 0.5
_READY_TIMEOUT_S = 120.0
_HEALTH_TIMEOUT_S = 2.0
_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
_MOST_DEATHS = 8
_LONGEST_QUOTE = 500
_TELLING = re.compile(r"err|fail|not defined|in use", re.IGNORECASE)
_STOP_S = 3.0


class StartFailed(Exception):
    """A control plane did not become ready; the text says which program and what it logged last."""


@dataclass
class _Running:
    """A started program; `log_start` is the size of its log in bytes when it was started."""

    process: subprocess.Popen[bytes]
    log_start: int
    deaths: int = 0
    ended: float = 0.0


class ControlPlane:
    """The programs of one cluster."""

    def __init__(self, ctx: CloudContext, cluster: Cluster) -> None:
        self._ctx = ctx
        self._cluster = cluster
        self._files = ControlPlaneFiles.of(ctx.paths, cluster)
        self._programs: list[Program] = []
        self._running: dict[str, _Running] = {}

    async def start(self) -> None:
        """Start every program and wait until all answer; the files are made where they are missing.

        Raises:
            StartFailed: If they do not within two minutes, or one of them ends again and again.
        """
        self._files = await asyncio.to_thread(prepare, self._ctx.paths, self._cluster)
        self._programs = programs(self._cluster, self._files)
        started = time.monotonic()
        # All at once: each retries until what it needs is there, and the waits overlap.
        for program in self._programs:
            self._spawn(program, deaths=0)
        waiting = [each for each in self._programs if each.health]
        while waiting:
            await asyncio.sleep(_POLL_S)
            self._revive()
            for program in self._programs:
                if self._running[program.name].deaths >= _MOST_DEATHS:
                    raise StartFailed(self._complaint(program, "ends again and again"))
            answers = await asyncio.gather(*(asyncio.to_thread(self._healthy, each) for each in waiting))
            waiting = [each for each, good in zip(waiting, answers, strict=True) if not good]
            if waiting and time.monotonic() - started > _READY_TIMEOUT_S:
                raise StartFailed(self._complaint(waiting[0], f"is not ready after {_READY_TIMEOUT_S:.0f} s"))
        _LOG.info("%s: control plane ready in %.1f s", self._cluster.name, time.monotonic() - started)

    async def watch(self) -> None:
        """Start again whatever ends, until cancelled."""
        while True:
            await asyncio.sleep(_WATCH_S)
            self._revive()

    async def stop(self) -> None:
        """End every program; only etcd has something to finish, the others are killed."""
        running = {name: each.process for name, each in self._running.items()}
        for name, process in running.items():
            if name != "etcd":
                process.kill()
        await asyncio.to_thread(_end, list(running.values()))
        for process in running.values():
            processes.unregister(self._ctx.paths, process.pid)
        self._running.clear()

    def remove_files(self) -> None:
        """Delete everything the control plane wrote, its log files excepted."""
        shutil.rmtree(directory(self._ctx.paths, self._cluster.cloud, self._cluster.id), ignore_errors=True)

    def _role(self, program: Program) -> str:
        return f"{program.name}-{self._cluster.number}"

    def _log(self, program: Program) -> Path:
        return self._ctx.paths.logs(self._cluster.cloud) / f"{self._role(program)}.log"

    def _spawn(self, program: Program, deaths: int) -> None:
        log = self._log(program)
        size = log.stat().st_size if log.exists() else 0
        arguments = [self._ctx.tool(program.name), *program.arguments]
        environment = {**os.environ, **program.environment}
        process = self._ctx.spawn(self._role(program), arguments, environment=environment, log=log)
        self._running[program.name] = _Running(process, size, deaths)

    def _revive(self) -> None:
        """Start again the programs that have ended, each time after a longer pause."""
        for program in self._programs:
            running = self._running[program.name]
            if running.process.poll() is None:
                continue
            if not running.ended:
                running.ended = time.monotonic()
                running.deaths += 1
                processes.unregister(self._ctx.paths, running.process.pid)
                code = running.process.returncode
                _LOG.warning("%s: %s ended with %s and starts again", self._cluster.name, program.name, code)
            if time.monotonic() - running.ended >= min(_PAUSE_S * running.deaths, _LONGEST_PAUSE_S):
                self._spawn(program, running.deaths)

    def _healthy(self, program: Program) -> bool:
        context = ssl.create_default_context(cafile=str(self._files.authority))
        token = self._files.admin_token.read_text()
        request = urllib.request.Request(program.health, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - https
        direct = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with direct.open(request, timeout=_HEALTH_TIMEOUT_S) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _complaint(self, program: Program, what: str) -> str:
        log = self._log(program)
        said = "nothing"
        with contextlib.suppress(OSError), log.open("rb") as stream:
            stream.seek(self._running[program.name].log_start)
            lines = [line for line in stream.read().decode(errors="replace").splitlines() if line.strip()]
            telling = [line for line in lines if _TELLING.search(line)]
            said = (telling or lines or [said])[-1].strip()[:_LONGEST_QUOTE]
        return f"{program.name} of {endpoint(self._cluster)} {what}; its log {log} says: {said}"


def _end(running: list[subprocess.Popen[bytes]]) -> None:
    for process in running:
        process.terminate()
    deadline = time.monotonic() + _STOP_S
    for process in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
            continue
        process.kill()
        process.wait()
