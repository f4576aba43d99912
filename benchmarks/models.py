"""What the benchmarks of model families share: which presets there are and the data they learn."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from model_export import children, datasets, registry
from model_export.datasets.records import Dataset
from model_export.errors import ExportError
from model_export.registry import Family, Task

SAMPLES = {Task.CLASSIFY: "digits", Task.DETECT: "shapes", Task.SEGMENT: "shapes-masks", Task.LABEL: "languages"}
"""The sample data of a task."""
WEIGHTS = "weights"
"""In place of a preset's name: the published weights of a family that has any."""
EXPORT_TIMEOUT_S = 300.0


def quiet() -> None:
    """Keep TensorFlow, which is not imported yet, from its start-up messages and from a GPU."""
    os.environ.update(children.ENVIRONMENT)


def add_families(parser: argparse.ArgumentParser) -> None:
    """Take names of families as arguments."""
    parser.add_argument("family", nargs="*", help="model families; all if absent")


def chosen(names: list[str]) -> Iterator[Family]:
    """Yield the families of these names, or all.

    Raises:
        SystemExit: If one is not known.
    """
    try:
        yield from [registry.find(name) for name in names] or registry.all_families().values()
    except ExportError as error:
        raise SystemExit(f"error: {error}") from None


def trainable(names: list[str]) -> list[Family]:
    """Return the families of these names, or all, that can be trained."""
    return [family for family in chosen(names) if registry.SMALL in family.presets]


def servable(names: list[str], presets: Sequence[str]) -> list[tuple[Family, str]]:
    """Return every family of these names, or all, with each of these presets that it has, or with its own weights."""
    found = []
    for family in chosen(names):
        own = [name for name in presets if name in family.presets]
        found += [(family, name) for name in own or ([WEIGHTS] if family.pretrained else [])]
    return found


def exported(family: Family, preset: str, kinds: Sequence[str], folder: Path) -> int:
    """Export a preset with untrained weights in a child process, see `benchmarks.untrained`; return its parameters.

    Raises:
        SystemExit: If it fails.
    """
    folder.mkdir()
    _note(f"{family.name}, {preset}")
    arguments = [family.name, preset, *kinds]
    try:
        return int(children.run("benchmarks.untrained", arguments, folder, EXPORT_TIMEOUT_S, _note)["parameters"])
    except ExportError as error:
        raise SystemExit(f"error: {family.name}, {preset}: {error}") from None


def probed(folder: Path, arguments: Sequence[str]) -> Any:
    """Run `benchmarks.probe` in a folder and return what it found.

    Raises:
        SystemExit: If it fails.
    """
    try:
        return children.run("benchmarks.probe", arguments, folder, EXPORT_TIMEOUT_S, _note)
    except ExportError as error:
        raise SystemExit(f"error: {error}") from None


def _note(line: str) -> None:
    print(f"    {line}", file=sys.stderr, flush=True)


def sample(family: Family) -> Dataset:
    """Return the sample data of a family's task."""
    return datasets.load(SAMPLES[family.task], seed=0)
