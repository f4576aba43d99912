"""A real control plane for the tests of this folder, apart from any run that is up on this machine."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

import toolchain
from localcloud import processes
from localcloud.clusters.access import admin_kubeconfig_file
from localcloud.paths import RunPaths
from localcloud.store import Cluster, Store

ROOT = Path(__file__).resolve().parents[2]
CLOUD = "aws"
SHARED, SCRATCH = 7, 8
"""Numbers of the clusters of these tests; `make up` uses the first ones."""
READY_S = 90.0


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:g} s still waiting for {what}"
        time.sleep(0.1)


@dataclass
class Managed:
    """A cluster manager in a process of its own, as in a cloud's daemon."""

    paths: RunPaths
    store: Store
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {**os.environ, "TRICORN_LOCAL": str(self.paths.root)}
        self.process = processes.start(
            self.paths, CLOUD, "daemon", [sys.executable, "-m", "tests.cluster.run_parts", CLOUD, "clusters"],
            environment=environment, directory=ROOT,
        )  # fmt: skip

    def kill(self) -> None:
        """SIGKILL the manager; what it started dies with it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        wait_until(lambda: not self.running(), 10, "the orphans to end")

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        assert self.process.wait(20) == 0

    def running(self) -> list[psutil.Process]:
        """Return every process of this run but the caller, registered or not."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                mine = process.environ().get("TRICORN_LOCAL") == str(self.paths.root) and process.pid != os.getpid()
                if mine and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def add(self, id_: str, number: int) -> Cluster:
        """Ask for a cluster with a given number."""
        with self.store.connect() as db:
            db.execute(
                "insert into clusters(cloud,id,name,number,version,region,status) values(?,?,?,?,?,?,?)",
                (CLOUD, id_, id_.rpartition("/")[2], number, "1.36", "us-east-1", "creating"),
            )
        return self.cluster(id_)

    def cluster(self, id_: str) -> Cluster:
        found = self.store.cluster(CLOUD, id_)
        assert found is not None
        return found

    def wait_active(self, id_: str) -> Cluster:
        def settled() -> bool:
            return self.cluster(id_).status != "creating"

        wait_until(settled, READY_S, f"{id_} to be active")
        found = self.cluster(id_)
        assert found.status == "active", found.message
        return found

    def kubectl(self, cluster: Cluster, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        kubeconfig = admin_kubeconfig_file(self.paths, CLOUD, cluster.id)
        return subprocess.run(
            [str(toolchain.find("kubectl")), f"--kubeconfig={kubeconfig}", *arguments], capture_output=True, text=True,
            timeout=60, check=check,
        )  # fmt: skip


@pytest.fixture(scope="session")
def managed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Managed]:
    """A running cluster manager without clusters."""
    paths = RunPaths(tmp_path_factory.mktemp("run") / "local")
    each = Managed(paths, Store(paths.database))
    each.store.create()
    try:
        each.start()
        yield each
    finally:
        processes.kill_all(paths)


@pytest.fixture(scope="session")
def cluster(managed: Managed) -> Cluster:
    """One active cluster for all tests; its objects are the tests' own."""
    managed.add("projects/p/clusters/shared", SHARED)
    return managed.wait_active("projects/p/clusters/shared")
