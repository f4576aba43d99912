"""How long all small presets train one after another: the command `train`, as a user runs it.

    python -m benchmarks.training_time [FAMILY ...] [--epochs 2] [--full] [--ceiling-minutes 15]

Without `--full` each preset trains for a few epochs and the rest is reckoned: every further epoch takes as long as the
last one did. With `--full` each trains for as many epochs as its recipe has, or until it stops early. Loading
TensorFlow, decoding the data, compiling and the evaluation after every epoch are part of the time. With
`--ceiling-minutes`, the command fails where the sum lies above it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import load, machine, versions
from benchmarks.models import SAMPLES, add_families, trainable
from model_export.children import ENVIRONMENT
from model_export.registry import SMALL, Family

TARGET_MINUTES = 15
FEWEST_EPOCHS = 2
ROOT = Path(__file__).resolve().parents[1]


def train(family: Family, epochs: int | None, folder: Path) -> tuple[float, list[float], str]:
    """Train and return the seconds in all, those at the end of every epoch, and the last line.

    Raises:
        SystemExit: If training fails.
    """
    command = [sys.executable, "-m", "model_export", "train", family.name, "--data", SAMPLES[family.task]]
    command += ["--out", str(folder), *(["--epochs", str(epochs)] if epochs else [])]
    started = time.monotonic()
    ends: list[float] = []
    last = ""
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout or ():
            last = line.strip()
            if ": loss " in last and "step" not in last:
                ends.append(time.monotonic() - started)
                print(f"    {family.name}: {last}", file=sys.stderr, flush=True)
    if process.returncode != 0:
        raise SystemExit(f"error: `{' '.join(command[1:])}` failed")
    return time.monotonic() - started, ends, last


def reckoned(took: float, ends: list[float], epochs: int) -> float:
    """Return the seconds that a whole training takes.

    Args:
        took: Seconds of one with fewer epochs.
        ends: Seconds until the end of each of its epochs, of two or more.
        epochs: Epochs of the whole.
    """
    return took + (epochs - len(ends)) * (ends[-1] - ends[-2])


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_families(parser)
    parser.add_argument("--epochs", type=int, default=FEWEST_EPOCHS, help="of each preset, at least 2")
    parser.add_argument("--full", action="store_true", help="train with the presets' own epochs")
    parser.add_argument("--ceiling-minutes", type=float, default=float("inf"), help=f"target: {TARGET_MINUTES}")
    options = parser.parse_args()
    if options.epochs < FEWEST_EPOCHS:
        parser.error(f"--epochs: must be at least {FEWEST_EPOCHS}, got {options.epochs}")
    families = trainable(options.family)
    print(f"{machine()}; {versions()}; {load()}", flush=True)
    print(f"{'preset':24} {'trained':>8} {'took, s':>8} {'epochs':>7} {'whole, s':>9}  result", flush=True)
    measured = whole = 0.0
    with tempfile.TemporaryDirectory() as temporary:
        for family in families:
            epochs = family.preset(SMALL).recipe.epochs
            few = None if options.full else min(options.epochs, epochs)
            took, ends, result = train(family, few, Path(temporary) / family.name)
            all_of_it = took if options.full else reckoned(took, ends, epochs)
            measured, whole = measured + took, whole + all_of_it
            columns = f"{len(ends):8} {took:8.1f} {epochs:7} {all_of_it:9.1f}"
            print(f"{family.name + ', small':24} {columns}  {result.partition(': ')[2]}", flush=True)
    how = "measured" if options.full else "reckoned"
    print(f"all {len(families)}: {whole / 60:.1f} min {how}, target {TARGET_MINUTES}; took {measured:.0f} s; {load()}")
    return int(whole / 60 > options.ceiling_minutes)


if __name__ == "__main__":
    sys.exit(main())
