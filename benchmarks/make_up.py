"""How long `make up` takes: first run, second run with nothing to do, `make down`; phases and memory printed.

Usage: `python -m benchmarks.make_up`. It uses a run directory of its own, so nothing else may hold the local clouds'
ports. Warm means: Python environment, tools and model bundle are there already. To time a cold run, move
`~/.cache/tricorn`, Go's caches, pip's cache, `.venv` and `build` aside and time `make up` itself.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_EVERY_S = 1.0


class Memory:
    """The most memory that all processes of the run held together, in bytes (proportional set size where known)."""

    def __init__(self, root: Path) -> None:
        self.peak = 0
        self._root = str(root)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_EVERY_S):
            total = 0
            for process in psutil.process_iter():
                try:
                    if process.environ().get("TRICORN_LOCAL") == self._root:
                        total += process.memory_full_info().pss
                except (psutil.Error, OSError):
                    continue
            self.peak = max(self.peak, total)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def localcloud(command: str, environment: dict[str, str]) -> float:
    """Run a command of the local clouds to its end; return the seconds it took."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "localcloud", command],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise SystemExit(f"`python -m localcloud {command}` failed:\n{done.stdout}\n{done.stderr}")
    return time.monotonic() - started


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "local"
        environment = {**os.environ, "TRICORN_LOCAL": str(root)}
        try:
            with Memory(root) as memory:
                first = localcloud("up", environment)
                phases = json.loads((root / "phases.json").read_text())
                second = localcloud("up", environment)
                again = json.loads((root / "phases.json").read_text())
        finally:
            down = localcloud("down", environment)
    print(f"machine: {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.machine()}")
    print(f"{'phase':20} {'first up, s':>12} {'second up, s':>13}")
    for name in phases:
        print(f"{name:20} {phases[name]:12.1f} {again.get(name, 0.0):13.1f}")
    print(f"{'command':20} {first:12.1f} {second:13.1f}")
    print(f"down: {down:.1f} s; memory peak of all processes: {memory.peak / 2**30:.2f} GiB")


if __name__ == "__main__":
    main()
