"""How a model does on parts of the evaluation data: by what the inputs are like, and by slices that the user names."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.datasets.records import Dataset, Examples
from model_export.errors import ExportError
from model_export.evaluation.report import Section, figure

FEWEST = 20
"""A result on fewer examples says too little to judge."""
GIVEN = "given"
"""Group of the slices that the user names."""
OBJECT_SIZE = "size of the objects"
"""Group of the slices that are of objects and not of examples."""
_STEP = 0.05
_SHOWN = 40
"""Slices that the report shows; of more, the worst."""
_FILE, _SLICE = "file", "slice"
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in brightness: ITU-R BT.601."""
_COUNTS = ((0, 0), (1, 1), (2, 4), (5, 9), (10, None))
"""Smallest and largest number of objects of a slice."""


@dataclass(frozen=True)
class Slice:
    """A part of the evaluation examples."""

    group: str
    """What it goes by, such as brightness; slices of a group need not be all of the data."""
    name: str
    rows: npt.NDArray[np.int64]
    """Its examples."""


@dataclass(frozen=True)
class SliceResult:
    """The task's metric on a slice."""

    group: str
    name: str
    examples: int
    """Examples, or objects where the slice is one of objects."""
    value: float
    """NaN where the slice holds nothing that the metric counts."""

    @property
    def judged(self) -> bool:
        """Whether there are enough examples to say something."""
        return self.examples >= FEWEST and not np.isnan(self.value)


def measured(slices: Sequence[Slice], metric: Callable[[npt.NDArray[np.int64]], float]) -> list[SliceResult]:
    """Return the results on slices.

    Args:
        slices: Parts of the examples.
        metric: Result on the rows it is given.
    """
    return [SliceResult(each.group, each.name, len(each.rows), metric(each.rows)) for each in slices]


def thirds(
    group: str, values: npt.NDArray[Any], names: tuple[str, str, str], told: Callable[[float], str]
) -> list[Slice]:
    """Return the thirds of the examples by a number, named with its range; none when all have the same number.

    Equal numbers stay together, so that thirds can differ in size, or one be missing.

    Args:
        group: What the number is.
        values: Number of each example, [n].
        names: Names of the thirds, from the smallest numbers.
        told: Writes a number.
    """
    third = np.digitize(values, np.quantile(values, (1 / 3, 2 / 3)), right=True)
    found = []
    for each in np.unique(third):
        rows = np.flatnonzero(third == each)
        name = f"{names[each]} ({told(values[rows].min())} to {told(values[rows].max())})"
        found.append(Slice(group, name, rows))
    return found if len(found) > 1 else []


def of_pictures(pictures: npt.NDArray[np.uint8], examples: Examples) -> list[Slice]:
    """Return slices by brightness, by contrast and by the size of the files' pictures.

    Args:
        pictures: uint8 [n, size, size, 3], what the network sees.
        examples: The same examples.
    """
    luma = [picture @ _LUMA for picture in pictures]
    sides = np.array([_side(examples, row) for row in range(len(examples))])
    return [
        *thirds("brightness", np.array([each.mean() for each in luma]), ("dark", "medium", "bright"), _whole),
        *thirds("contrast", np.array([each.std() for each in luma]), ("low", "medium", "high"), _whole),
        *thirds("size in pixels", sides, ("small", "medium", "large"), _whole),
    ]


def of_masks(masks: npt.NDArray[np.uint8], ignored: int) -> list[Slice]:
    """Return slices by the part of the counted pixels that are not of class 0.

    Args:
        masks: uint8 [n, size, size], class ids.
        ignored: Class id of pixels that do not count.
    """
    shares = np.array([np.mean(each[each != ignored] > 0) if (each != ignored).any() else 0.0 for each in masks])
    return thirds("foreground", shares, ("little", "medium", "much"), lambda share: f"{share:.1%}")


def of_texts(examples: Examples) -> list[Slice]:
    """Return slices by the number of characters."""
    lengths = np.array([len(examples.content(row).decode(errors="replace")) for row in range(len(examples))])
    return thirds("length in characters", lengths, ("short", "medium", "long"), _whole)


def of_counts(counts: npt.NDArray[Any]) -> list[Slice]:
    """Return slices by the number of objects, int [n]."""
    found = []
    for low, high in _COUNTS:
        rows = np.flatnonzero((counts >= low) & (counts <= (counts.max(initial=0) if high is None else high)))
        name = f"{low} and more" if high is None else str(low) if low == high else f"{low} to {high}"
        if len(rows):
            found.append(Slice("objects in the picture", name, rows))
    return found


def given(examples: Examples) -> list[Slice]:
    """Return the slices that the data itself names."""
    if examples.slices is None:
        return []
    names = sorted({name for name in examples.slices if name})
    return [Slice(GIVEN, name, np.flatnonzero(examples.slices == name)) for name in names]


def of_file(path: Path, dataset: Dataset) -> list[Slice]:
    """Return the slices of a CSV file with the columns `file` and `slice`.

    A file is named by as much of the end of its path as tells it apart; it may have several rows. Files of the training
    part are passed over.

    Args:
        path: The CSV file, UTF-8.
        dataset: Data whose examples are files.

    Raises:
        ExportError: If the file is not such a CSV, or a row names no file of the data, or more than one.
    """
    if not dataset.test.files:
        raise ExportError(
            f"--slices: the examples of {dataset.name} are no files; name the slices of texts in a column slice"
        )
    places: dict[tuple[str, ...], list[int]] = {}
    for first, part in ((0, dataset.test), (len(dataset.test), dataset.train)):
        for row, file in enumerate(part.inputs, first):
            parts = Path(file).parts
            for start in range(len(parts)):
                places.setdefault(parts[start:], []).append(row)
    rows: dict[str, set[int]] = {}
    for line, file, name in _rows(path):
        found = places.get(Path(file).parts, [])
        if len(found) != 1:
            reason = "is no picture of the data" if not found else f"fits {len(found)} pictures; write more of its path"
            raise ExportError(f"--slices: {path}:{line}: {file!r} {reason}")
        if found[0] < len(dataset.test):
            rows.setdefault(name, set()).add(found[0])
    return [Slice(GIVEN, name, np.array(sorted(found), np.int64)) for name, found in sorted(rows.items())]


def _rows(path: Path) -> list[tuple[int, str, str]]:
    """Return line, file and slice of every row."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        if not {_FILE, _SLICE} <= set(reader.fieldnames or ()):
            raise ValueError(f"line 1 must name the columns {_FILE} and {_SLICE}")
        found = [(reader.line_num, row[_FILE] or "", (row[_SLICE] or "").strip()) for row in reader]
    except (ValueError, csv.Error) as error:
        raise ExportError(f"--slices: {path}: cannot be read: {error}; write {_FILE},{_SLICE} and a row each") from None
    for line, _, name in found:
        if not name or not name.isprintable():
            raise ExportError(f"--slices: {path}:{line}: {_SLICE} must be a name on one line, got {name!r}")
    return found


def section(results: Sequence[SliceResult], whole: float, metric: str) -> Section:
    """Return the section of the report.

    Args:
        results: Results on the slices, at least one.
        whole: The metric on all examples.
        metric: Its name.
    """
    shown = results if len(results) <= _SHOWN else sorted(results, key=lambda each: (not each.judged, each.value))
    shown = shown[:_SHOWN]
    rows = [
        {
            "slice": f"{each.group}: {each.name}",
            "examples": each.examples,
            metric: "-" if np.isnan(each.value) else each.value,
            "difference": f"{each.value - whole:+.4f}" if each.judged else "-",
            "": "" if each.judged else "too few to judge" if each.examples < FEWEST else "nothing to find",
        }
        for each in shown
    ]
    text = (
        f"{metric} on parts of the examples, and how far it lies from the {whole:.4f} on all of them; it counts the "
        f"classes that a part holds. A part of fewer than {FEWEST} is not judged; its point is grey."
    )
    if any(each.group == OBJECT_SIZE for each in shown):
        text += f" By {OBJECT_SIZE} the examples are objects."
    if len(shown) < len(results):
        text += f" The {_SHOWN} worst of {len(results)}."
    return Section("Slices", text, rows, "slices", _points(shown, whole, metric))


def _points(results: Sequence[SliceResult], whole: float, metric: str) -> Any:
    made, axes = figure(7.0, 1.4 + 0.28 * len(results))
    for place, each in enumerate(results):
        color = "tab:blue" if each.judged else "lightgrey"
        axes.plot([whole, each.value], [place, place], color=color, linewidth=1.5)
        axes.plot([each.value], [place], "o", color=color)
    axes.axvline(whole, color="k", linestyle="--", linewidth=1)
    axes.set_yticks(range(len(results)), [f"{each.group}: {each.name}" for each in results], fontsize=8)
    axes.set_ylim(len(results) - 0.4, -0.6)
    values = [whole, *(each.value for each in results if not np.isnan(each.value))]
    # Whole steps, so that a difference of nothing does not fill the figure.
    axes.set_xlim(_STEP * np.floor(min(values) / _STEP - 0.1), _STEP * np.ceil(max(values) / _STEP) + _STEP / 10)
    axes.set_xlabel(f"{metric}; the dashed line is all examples, {whole:.4f}")
    return made


def as_json(results: Sequence[SliceResult], whole: float) -> list[dict[str, object]]:
    """Return what `results.json` says of the slices; null stands for a value that there is none of."""
    return [
        {
            "group": each.group,
            "slice": each.name,
            "examples": each.examples,
            "value": None if np.isnan(each.value) else each.value,
            "difference": each.value - whole if each.judged else None,
        }
        for each in results
    ]


def _side(examples: Examples, row: int) -> float:
    """Return the mean side of a picture in its file, in pixels: the root of their number."""
    from PIL import Image

    content = examples.inputs[row]
    with Image.open(content if examples.files else io.BytesIO(content)) as image:
        return float(np.sqrt(image.width * image.height))


def _whole(value: float) -> str:
    return f"{value:.0f}"
