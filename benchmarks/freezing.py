"""What `export --freeze` gains per model: latency, time until ready, and size with constants in place of variables.

    python -m benchmarks.freezing [FAMILY ...] [--preset small] [--rounds 3] [--runs 31]

Both bundles are loaded in one process by the C++ loader of TensorFlow Serving and take turns, request by request; ready
means loaded and warmed up. Every figure is frozen over not frozen: below 1, freezing gains.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.machine import load, machine, spread, versions
from benchmarks.models import add_families, exported, probed, servable
from benchmarks.untrained import FROZEN, VARIABLES
from model_export import archive
from model_export.registry import FULL, SMALL, Family


class Gains(NamedTuple):
    """Frozen over not frozen."""

    latency: dict[int, list[float]]
    """By batch size, the smallest and the largest: quotients of neighbouring requests."""
    ready: list[float]
    size: float


def measure(family: Family, preset: str, rounds: int, runs: int) -> Gains:
    """Measure one preset."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "export"
        exported(family, preset, [VARIABLES, FROZEN], folder)
        sizes = []
        for kind in (VARIABLES, FROZEN):
            packed = Path(temporary) / f"{kind}.tar"
            archive.pack(folder / kind, packed)
            sizes.append(packed.stat().st_size)
        found = probed(folder, ["pair", VARIABLES, FROZEN, str(rounds), str(runs)])
    latency = {int(batch): _quotients(*sides) for batch, sides in found["latency_ms"].items()}
    return Gains(latency, _quotients(*found["load_s"]), sizes[1] / sizes[0])


def _quotients(plain: list[float], frozen: list[float]) -> list[float]:
    return [mine / other for mine, other in zip(frozen, plain, strict=True)]


def main() -> int:
    """Measure and print; exit 0 whatever the gains are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_families(parser)
    parser.add_argument("--preset", choices=(SMALL, FULL), default=SMALL)
    parser.add_argument("--rounds", type=int, default=3, help="loads of each side")
    parser.add_argument("--runs", type=int, default=31, help="requests of each side and batch size")
    options = parser.parse_args()
    started = time.monotonic()
    print(f"{machine()}; {versions()}; {load()}", flush=True)
    print(f"{'preset':28} {'latency, batch of 1':>22} {'largest batch':>28} {'time until ready':>22} {'size':>6}")
    for family, preset in servable(options.family, [options.preset]):
        gains = measure(family, preset, options.rounds, options.runs)
        (_, single), (largest, many) = gains.latency.items()
        columns = f"{spread(single):>22} {f'{largest}: {spread(many)}':>28} {spread(gains.ready):>22} {gains.size:6.3f}"
        print(f"{f'{family.name}, {preset}':28} {columns}", flush=True)
    print(f"{options.rounds} loads, {options.runs} requests; {time.monotonic() - started:.0f} s; {load()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
