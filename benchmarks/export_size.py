"""How large a bundle is beside what `keras.Model.export` writes for the same network, per family and preset.

    python -m benchmarks.export_size [FAMILY ...] [--preset all] [--ceiling 9]

Sizes do not vary, so there is one round. The bundle is the whole archive with its signatures, labels, warm-up requests
and golden answers; Keras writes one signature without any of these. Keras stores every weight twice
(https://github.com/keras-team/keras/issues/23553), so that half is as far as weights go; what remains of a small preset
is graph. With `--ceiling`, the command fails where a ratio lies above it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.machine import machine, versions
from benchmarks.models import add_families, exported, servable
from benchmarks.untrained import KERAS, VARIABLES
from model_export import archive
from model_export.registry import FULL, SMALL, Family

TARGET = 0.55
ALL = "all"
_MEMORY_PER_PARAMETER = 24
"""Bytes that building, saving and exporting take at once, generously: six copies in float32."""
_MEMORY_AT_LEAST = 2 << 30


def fits(family: Family, preset: str) -> bool:
    """Return whether the machine has the memory."""
    parameters = family.presets[preset].parameters if preset in family.presets else None
    return psutil.virtual_memory().available >= _MEMORY_AT_LEAST + (parameters or 0) * _MEMORY_PER_PARAMETER


def sizes(family: Family, preset: str) -> tuple[int, int, int, int]:
    """Return the bytes of the archive, of its SavedModel without assets, of Keras's folder, and of the parameters."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "export"
        parameters = exported(family, preset, [VARIABLES, KERAS], folder)
        packed = Path(temporary) / "bundle.tar"
        archive.pack(folder / VARIABLES, packed)
        theirs = sum(file.stat().st_size for file in (folder / KERAS).rglob("*") if file.is_file())
        saved = [folder / VARIABLES / "saved_model.pb", *(folder / VARIABLES / "variables").iterdir()]
        return packed.stat().st_size, sum(file.stat().st_size for file in saved), theirs, parameters * 4


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_families(parser)
    parser.add_argument("--preset", choices=(SMALL, FULL, ALL), default=ALL)
    parser.add_argument("--ceiling", type=float, default=float("inf"), help=f"exit with 1 above it; target {TARGET}")
    options = parser.parse_args()
    started = time.monotonic()
    print(f"{machine()}; {versions()}", flush=True)
    print(f"{'preset':26} {'bundle, KB':>11} {'SavedModel':>10} {'Keras, KB':>11} {'weights, KB':>11} {'ratio':>6}")
    ratios, skipped = [], []
    for family, preset in servable(options.family, [SMALL, FULL] if options.preset == ALL else [options.preset]):
        name = f"{family.name}, {preset}"
        if not fits(family, preset):
            skipped.append(name)
            continue
        ours, model, theirs, weights = sizes(family, preset)
        ratios.append(ours / theirs)
        columns = f"{ours / 1e3:11.0f} {model / 1e3:10.0f} {theirs / 1e3:11.0f} {weights / 1e3:11.0f}"
        print(f"{name:26} {columns} {ratios[-1]:6.3f}", flush=True)
    if skipped:
        print(f"left out, too little memory: {', '.join(skipped)}")
    reached = sum(each <= TARGET for each in ratios)
    print(f"{reached} of {len(ratios)} reach {TARGET}; {time.monotonic() - started:.0f} s")
    return int(any(each > options.ceiling for each in ratios))


if __name__ == "__main__":
    sys.exit(main())
