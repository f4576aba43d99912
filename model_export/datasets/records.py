"""What a data set is: encoded inputs with targets, split for training and evaluation, and what was left out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.errors import ExportError
from model_export.registry import Task

TEST_SHARE = 0.25
"""Part of the examples kept for evaluation where the data does not say."""
_SHOWN = 5


@dataclass(frozen=True)
class BadRecord:
    """A record that was left out."""

    file: str
    line: int | None
    """Line in the file, from 1; None where the whole file is the record."""
    reason: str

    def __str__(self) -> str:
        return f"{self.file}{'' if self.line is None else f':{self.line}'}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Inputs and their targets, row by row."""

    inputs: npt.NDArray[Any]
    """bytes [n], dtype object: encoded images (PNG, JPEG, BMP, GIF) or UTF-8 texts; file paths when `files`."""
    targets: dict[str, npt.NDArray[Any]]
    """Arrays [n, ...]; a classifier and a text model have `label`, int32 [n]."""
    files: bool = False
    slices: npt.NDArray[Any] | None = None
    """Name of the slice that each example belongs to, str [n], dtype object, empty for none; None without slices."""

    def __post_init__(self) -> None:
        wrong = [name for name, values in self.targets.items() if len(values) != len(self.inputs)]
        if wrong:
            raise ValueError(f"{wrong[0]} has {len(self.targets[wrong[0]])} rows for {len(self.inputs)} inputs")

    def __len__(self) -> int:
        return len(self.inputs)

    def pick(self, rows: Sequence[int] | npt.NDArray[Any]) -> Examples:
        """Return some of the rows, in the order given."""
        chosen = np.asarray(rows, np.int64)
        targets = {name: values[chosen] for name, values in self.targets.items()}
        slices = None if self.slices is None else self.slices[chosen]
        return Examples(inputs=self.inputs[chosen], targets=targets, files=self.files, slices=slices)

    def content(self, row: int) -> bytes:
        """Return the encoded input of a row."""
        found = self.inputs[row]
        if self.files:
            with open(found, "rb") as stream:
                return stream.read()
        return bytes(found)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set of one task."""

    name: str
    task: Task
    classes: tuple[str, ...]
    train: Examples
    test: Examples
    license: str
    """SPDX identifier, or words."""
    source: str
    bad: tuple[BadRecord, ...] = ()
    """Records that were left out."""

    def __post_init__(self) -> None:
        if len(self.classes) < 1 or not len(self.train) or not len(self.test):
            raise ExportError(
                f"{self.source}: needs a class and examples for training and for evaluation, got {len(self.classes)} "
                f"classes, {len(self.train)} and {len(self.test)} examples{self._left_out()}"
            )

    @property
    def digest(self) -> str:
        """SHA-256 over every input and target, as hexadecimal digits: the same data gives the same digest."""
        found = hashlib.sha256("\n".join(self.classes).encode())
        for part in (self.train, self.test):
            for row in range(len(part)):
                content = part.content(row)
                found.update(len(content).to_bytes(8, "little") + content)
            for name in sorted(part.targets):
                values = part.targets[name]
                found.update(name.encode())
                # The memory of an array of objects holds addresses.
                for value in values if values.dtype == object else [np.ascontiguousarray(values).tobytes()]:
                    found.update(len(value).to_bytes(8, "little") + value)
        return found.hexdigest()

    def _left_out(self) -> str:
        if not self.bad:
            return ""
        more = f", and {len(self.bad) - _SHOWN} more" if len(self.bad) > _SHOWN else ""
        return f"; left out: {'; '.join(map(str, self.bad[:_SHOWN]))}{more}"


def split(examples: Examples, groups: npt.NDArray[Any], seed: int) -> tuple[Examples, Examples]:
    """Split examples into training and evaluation, in every group alike.

    Args:
        examples: All examples.
        groups: Group of each example, such as its class.
        seed: Decides which examples go where.
    """
    random = np.random.default_rng(seed)
    test: list[int] = []
    for group in np.unique(groups):
        rows = random.permutation(np.flatnonzero(groups == group))
        test += rows[: round(len(rows) * TEST_SHARE)].tolist()
    kept = np.setdiff1d(np.arange(len(examples)), test)
    return examples.pick(kept), examples.pick(sorted(test))


def whole_batches(count: int, batch_size: int) -> int:
    """Return the training batches of an epoch, at least one; what does not fill one is left for another epoch."""
    return max(1, count // batch_size)


def shuffled(count: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """Return the order of `count` examples in an epoch; the same seed and epoch give the same one."""
    return np.random.default_rng((seed, epoch)).permutation(count)


def objects(values: Sequence[object]) -> npt.NDArray[Any]:
    """Return a one-dimensional array of objects; NumPy would look into sequences and cut zero bytes off strings."""
    found = np.empty(len(values), object)
    found[:] = values
    return found
