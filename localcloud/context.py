"""What every subsystem of a cloud's daemon gets: its cloud, the run's files, the state, and a way to start programs."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import toolchain
from localcloud import processes
from localcloud.paths import RunPaths
from localcloud.store import Store


@dataclass(frozen=True)
class CloudContext:
    """The surroundings of one cloud's daemon."""

    cloud: str
    paths: RunPaths
    store: Store

    @classmethod
    def open(cls, cloud: str, paths: RunPaths) -> CloudContext:
        """Return the context of a cloud over an existing run."""
        return cls(cloud, paths, Store(paths.database))

    def tool(self, name: str) -> str:
        """Return the path of a program of the toolchain, such as `etcd`."""
        return str(toolchain.find(name))

    def spawn(
        self,
        role: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        log: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a program of this cloud; it is registered, logged, and ends with the daemon.

        Must be called from the daemon's main thread: the kernel ties "dies with its parent" to the calling thread.
        """
        return processes.start(
            self.paths,
            self.cloud,
            role,
            arguments,
            environment=environment,
            directory=directory,
            log=log,
        )


class Subsystem(Protocol):
    """A part of a cloud's daemon."""

    async def run(self) -> None:
        """Work until cancelled; on start rebuild everything from the store, on cancellation end what was started."""
