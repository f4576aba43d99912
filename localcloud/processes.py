"""Starting, registering and ending the processes of a local run.

Every process is registered as a file `<pid>.json` in the run's `pids/`, with its start time so that a reused
process id is never mistaken for it. A child dies with its parent (PR_SET_PDEATHSIG), so that SIGKILL of a cloud's
daemon leaves no orphan even when nobody cleans up.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from localcloud.paths import RunPaths


@dataclass(frozen=True)
class ProcessRecord:
    """One registered process; `created` is psutil's creation time in seconds since the epoch."""

    pid: int
    created: float
    cloud: str
    role: str

    def alive(self) -> bool:
        """Return whether this very process still runs (a zombie does not)."""
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.created) < 1 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def dying_with_parent(arguments: Sequence[str]) -> list[str]:
    """Return the command that runs a program which the kernel ends with SIGKILL when the thread that starts it dies.

    A program does it and not a function between fork and exec: forking a process with gRPC's threads in it can hang.
    """
    return ["setpriv", "--pdeathsig", "KILL", "--", *arguments]


def register(paths: RunPaths, pid: int, cloud: str, role: str) -> None:
    """Record a started process so that `kill` and `down` can end it."""
    paths.processes.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(psutil.NoSuchProcess):
        created = psutil.Process(pid).create_time()
        text = json.dumps({"pid": pid, "created": created, "cloud": cloud, "role": role})
        (paths.processes / f"{pid}.json").write_text(text)


def unregister(paths: RunPaths, pid: int) -> None:
    """Forget a process that has ended."""
    (paths.processes / f"{pid}.json").unlink(missing_ok=True)


def records(paths: RunPaths, cloud: str | None = None) -> list[ProcessRecord]:
    """Return the registered processes, optionally of one cloud; forgets those that have ended."""
    found = []
    for file in sorted(paths.processes.glob("*.json")) if paths.processes.is_dir() else []:
        try:
            record = ProcessRecord(**json.loads(file.read_text()))
        except (OSError, ValueError, TypeError):
            continue  # being written or removed by its owner at this moment
        if not record.alive():
            file.unlink(missing_ok=True)
        elif cloud is None or record.cloud == cloud:
            found.append(record)
    return found


def start(
    paths: RunPaths,
    cloud: str,
    role: str,
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    log: Path | None = None,
    dies_with_parent: bool = True,
) -> subprocess.Popen[bytes]:
    """Start a program in its own session with output to a log file, and register it.

    Args:
        paths: The run it belongs to.
        cloud: aws, gcp, azure, or `internet` for what belongs to no cloud.
        role: Short name such as `etcd`; also the log file's name.
        arguments: Program and arguments.
        environment: The whole environment; by default the current one.
        directory: Working directory.
        log: Log file, by default `logs/<cloud>/<role>.log`, appended to.
        dies_with_parent: Whether the kernel ends it when the calling thread dies.
    """
    target = log or paths.logs(cloud) / f"{role}.log"
    target.parent.mkdir(parents=True, exist_ok=True)

    with target.open("ab") as output:
        process = subprocess.Popen(
            dying_with_parent(arguments) if dies_with_parent else list(arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if environment is None else dict(environment),
            cwd=directory,
            start_new_session=True,
        )
    register(paths, process.pid, cloud, role)
    return process


def kill_all(paths: RunPaths, cloud: str | None = None, timeout_s: float = 10.0) -> list[ProcessRecord]:
    """SIGKILL every registered process of a cloud (or of all) and their descendants; return those that were alive.

    Daemons go first, so that nothing restarts what is being ended.
    """
    found = sorted(records(paths, cloud), key=lambda r: r.role != "daemon")
    victims: dict[int, psutil.Process] = {}
    for record in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(record.pid)
            children = process.children(recursive=True)
            process.kill()
            for each in (process, *children):
                victims[each.pid] = each
    for process in victims.values():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and any(record.alive() for record in found):
        for record in found:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(record.pid, os.WNOHANG)
        time.sleep(0.05)
    for record in found:
        unregister(paths, record.pid)
    return found
