"""The model families: one file each in `model_export/families/`; adding a family is adding a file."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_export import families
from model_export.errors import ExportError

BATCH_SIZES = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True, kw_only=True)
class ImageInput:
    """How an encoded image becomes the network's input."""

    size: int
    """Side of the square input in pixels."""
    crop: float
    """Part of each side that is kept, cut from the centre, in (0, 1]."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """A kind of image classifier that can be exported; its module in `model_export/families/` names it `FAMILY`."""

    name: str
    """What the user types, e.g. `efficientnet-lite0`."""
    title: str
    """One line for `list`."""
    image: ImageInput
    labels: Path
    """UTF-8 text file, line n names class n."""
    weights: str
    """Where the weights come from: package and version."""
    url: str
    """Page of the weights."""
    license: str
    """SPDX identifier of the weights' licence."""
    network: Callable[[], Any]
    """Builds the Keras model with its weights: float32 [batch, size, size, 3], RGB in [0, 255] -> float32
    [batch, classes], each row a probability distribution. Imports Keras only when called."""
    batch_sizes: tuple[int, ...] = field(default=BATCH_SIZES)
    """Batch sizes the server may run, ascending; the last is the largest batch. Each is warmed up."""

    def read_labels(self) -> list[str]:
        """Return the class names in order.

        Raises:
            ExportError: If a name is empty or occurs twice.
        """
        names = self.labels.read_text(encoding="utf-8").splitlines()
        for number, name in enumerate(names, 1):
            if not name or name in names[: number - 1]:
                raise ExportError(f"{self.labels.name}: line {number}: {name!r} must be a class name that occurs once")
        return names


def all_families() -> dict[str, Family]:
    """Return every family by name, sorted."""
    found: dict[str, Family] = {}
    for module in pkgutil.iter_modules(families.__path__):
        family: Family = importlib.import_module(f"{families.__name__}.{module.name}").FAMILY
        found[family.name] = family
    return dict(sorted(found.items()))


def find(name: str) -> Family:
    """Return a family by name.

    Raises:
        ExportError: If there is none, listing those there are.
    """
    known = all_families()
    if name not in known:
        raise ExportError(f"family: {name!r} is not known; choose one of: {', '.join(known)}")
    return known[name]
