"""How close `pulumi up` comes to the shortest time that its own dependencies allow: `python -m benchmarks.makespan`.

Brings the local stack up on local clouds whose resources take as long to make as real ones, scaled down: a cluster 10
minutes, a node pool 3, a load balancer 2. Prints the time from the first step to the last, the longest chain of
dependencies in the engine's state with each step's own measured time, their ratio, and that chain.

Usage: `python -m benchmarks.makespan [scale]`, by default 8: a cluster takes 75 s.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.clouds import local_clouds
from localcloud import engine
from localcloud.environment import STACK
from localcloud.paths import RunPaths
from localcloud.providers.kubernetes.server import LOAD_BALANCER
from localcloud.store import Store

CLUSTER_S, POOL_S, LOAD_BALANCER_S = 600.0, 180.0, 120.0
DURATIONS = {
    "aws:eks/cluster:Cluster": CLUSTER_S,
    "gcp:container/cluster:Cluster": CLUSTER_S,
    "azure-native:containerservice:ManagedCluster": CLUSTER_S,
    "aws:eks/nodeGroup:NodeGroup": POOL_S,
    "gcp:container/nodePool:NodePool": POOL_S,
    "azure-native:containerservice:AgentPool": POOL_S,
    LOAD_BALANCER: LOAD_BALANCER_S,
}
DEFAULT_SCALE = 8.0
_POLL_S = 0.02


@dataclass
class Step:
    """When one resource was begun and was there, in seconds of this program's clock."""

    begun: float
    ended: float


class Watch(threading.Thread):
    """Notes when the engine says so, because its own times are whole seconds."""

    def __init__(self, file: Path) -> None:
        super().__init__(daemon=True)
        self._file, self._end = file, threading.Event()
        self.steps: dict[str, Step] = {}

    def run(self) -> None:
        """Read the event log until told to stop, then its rest."""
        while not self._file.exists() and not self._end.is_set():
            time.sleep(_POLL_S)
        with self._file.open() as stream:
            part = ""
            while True:
                stopping = self._end.is_set()
                while line := stream.readline():
                    part += line
                    if part.endswith("\n"):
                        self._note(json.loads(part))
                        part = ""
                if stopping:
                    return
                time.sleep(_POLL_S)

    def _note(self, event: dict[str, Any]) -> None:
        for kind in ("resourcePreEvent", "resOutputsEvent"):
            metadata = (event.get(kind) or {}).get("metadata")
            if metadata is None:
                continue
            step = self.steps.setdefault(metadata["urn"], Step(time.monotonic(), time.monotonic()))
            step.ended = time.monotonic()

    def stop(self) -> None:
        """Read what is left and end."""
        self._end.set()
        self.join()


def longest_chain(resources: list[dict[str, Any]], took: dict[str, float]) -> list[tuple[str, float]]:
    """Return the chain of dependencies that takes longest, with the moment at which each of its steps can be done.

    Args:
        resources: The engine's state, in which what a resource depends on comes before it.
        took: Seconds of each step by URN.
    """
    done: dict[str, float] = {}
    before: dict[str, str] = {}
    for each in resources:
        urn = each["urn"]
        needed = {*each.get("dependencies", ()), each.get("parent"), each.get("provider", "").rpartition("::")[0]}
        for of_property in (each.get("propertyDependencies") or {}).values():
            needed |= set(of_property or ())
        last = max((one for one in needed if one in done), key=lambda one: done[one], default="")
        before[urn] = last
        done[urn] = done.get(last, 0.0) + took.get(urn, 0.0)
    chain = []
    urn = max(done, key=lambda one: done[one])
    while urn:
        chain.append((urn, done[urn]))
        urn = before[urn]
    return chain[::-1]


def measure(paths: RunPaths, scale: float) -> None:
    """Bring the stack up and print what it took."""
    store = Store(paths.database)
    for type_, seconds in DURATIONS.items():
        store.set_duration(type_, seconds / scale)
    engine.pulumi(paths, "stack", "init", STACK)
    watch = Watch(paths.root / "logs" / "pulumi-up.events")
    watch.start()
    engine.operate(paths, ["up", "--skip-preview"], lambda progress: None)
    watch.stop()
    exported = json.loads(engine.pulumi(paths, "stack", "export", "--stack", STACK))
    resources = exported["deployment"]["resources"]
    # A component has no time of its own: its children are what takes it.
    took = {
        each["urn"]: watch.steps[each["urn"]].ended - watch.steps[each["urn"]].begun
        for each in resources
        if each.get("custom") and each["urn"] in watch.steps
    }
    steps = [watch.steps[urn] for urn in took]
    makespan = max(step.ended for step in steps) - min(step.begun for step in steps)
    chain = longest_chain(resources, took)
    shortest = chain[-1][1]
    print(f"{len(took)} resources; creation times are those of the clouds divided by {scale:g}")
    print(f"makespan {makespan:.1f} s, longest chain {shortest:.1f} s, ratio {makespan / shortest:.3f}")
    for urn, moment in chain:
        if took.get(urn, 0.0) > 0.005 * shortest:
            print(f"  {moment:7.1f} s  {took[urn]:6.1f} s  {urn.rpartition('$')[2]}")


def main() -> None:
    """Measure with local clouds of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "scale", nargs="?", type=float, default=DEFAULT_SCALE, help="what creation times are divided by"
    )
    scale = parser.parse_args().scale
    with local_clouds() as (paths, _):
        measure(paths, scale)


if __name__ == "__main__":
    main()
