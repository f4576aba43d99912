"""How much slower the first request after warm-up is than those that follow, per family, signature and batch size.

    python -m benchmarks.first_request [FAMILY ...] [--preset small] [--rounds 5] [--runs 9] [--ceiling 9]

Each round is a process that loads the bundle through the C++ loader of TensorFlow Serving and replays its warm-up
requests; then come, of every signature and allowed batch size, a first request with contents that no warm-up request
has, and the same request again for a steady median. The last round leaves the warm-up out and shows what it saves. With
`--ceiling`, the command fails where a median ratio lies above it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.machine import load, machine, spread, versions
from benchmarks.models import add_families, exported, probed, servable
from benchmarks.untrained import VARIABLES
from model_export.registry import FULL, SMALL, Family

TARGET = 2.0
Ratios = dict[tuple[str, int], list[float]]
"""By signature and batch size, one per round."""


def measure(family: Family, preset: str, rounds: int, runs: int) -> tuple[Ratios, dict[tuple[str, int], float]]:
    """Return the ratios after warm-up, and one each without it."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "export"
        exported(family, preset, [VARIABLES], folder)
        warm: Ratios = defaultdict(list)
        for _ in range(rounds):
            for each in probed(folder, ["first", VARIABLES, str(runs)]):
                warm[each["signature"], each["batch"]].append(_ratio(each))
        cold = {(each["signature"], each["batch"]): _ratio(each)
                for each in probed(folder, ["first", VARIABLES, str(runs), "cold"])}  # fmt: skip
        return warm, cold


def _ratio(measured: dict[str, Any]) -> float:
    return float(measured["first"] / measured["steady"])


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_families(parser)
    parser.add_argument("--preset", choices=(SMALL, FULL), default=SMALL)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=9, help="steady requests after each first one")
    parser.add_argument("--ceiling", type=float, default=float("inf"), help=f"exit with 1 above it; target {TARGET}")
    options = parser.parse_args()
    started = time.monotonic()
    print(f"{machine()}; {versions()}; {load()}", flush=True)
    print(f"{'preset':28} {'signature':16} {'batch':>5} {'first / steady':>22} {'without warm-up':>16}")
    medians = []
    for family, preset in servable(options.family, [options.preset]):
        warm, cold = measure(family, preset, options.rounds, options.runs)
        for (signature, batch), ratios in warm.items():
            medians.append(statistics.median(ratios))
            name = f"{family.name}, {preset}"
            values = f"{spread(ratios):>22} {cold[signature, batch]:16.1f}"
            print(f"{name:28} {signature:16} {batch:5} {values}", flush=True)
    reached = sum(each <= TARGET for each in medians)
    print(
        f"{reached} of {len(medians)} medians are at most {TARGET}, the largest is {max(medians):.2f}; "
        f"{options.rounds} rounds; {time.monotonic() - started:.0f} s; {load()}"
    )
    return int(max(medians) > options.ceiling)


if __name__ == "__main__":
    sys.exit(main())
