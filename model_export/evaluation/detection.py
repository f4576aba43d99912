"""The sections of a detector's report: classes, precision and recall, the pictures with the worst answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.evaluation import coco
from model_export.evaluation.report import Section, figure

_WORST = 9
_SHOWN_SCORE = 0.3
_CURVES = 10


def sections(
    pixels: npt.NDArray[np.uint8],
    truth: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    found: tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]],
    classes: Sequence[str],
) -> list[Section]:
    """Return the sections about the answers.

    Args:
        pixels: uint8 [n, size, size, 3], the pictures.
        truth: boxes and labels, as `coco.average_precision` takes them.
        found: boxes, scores and class ids, the same way.
        classes: Names of the classes.
    """
    precision = coco.average_precision(truth, found, len(classes))
    rows = coco.per_class(precision, classes)
    return [
        Section("Classes", "Average precision over overlaps of 0.5 to 0.95, and at 0.5; worst first.", rows),
        _curves(precision, classes),
        _pictures(pixels, truth, found, classes),
    ]


def _curves(precision: npt.NDArray[np.float64], classes: Sequence[str]) -> Section:
    made, axes = figure()
    recall = np.linspace(0, 1, precision.shape[1])
    at_half = [(float(np.nanmean(precision[0, :, each])), each) for each in range(len(classes))]
    for area, each in sorted(pair for pair in at_half if not np.isnan(pair[0]))[:_CURVES]:
        axes.plot(recall, precision[0, :, each], label=f"{classes[each]} ({area:.3f})")
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.set_ylim(0, 1.02)
    axes.legend(fontsize=8)
    return Section("Precision and recall", "At an overlap of 0.5, with the average precision.", (), "precision", made)


def _pictures(
    pixels: npt.NDArray[np.uint8],
    truth: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    found: tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]],
    classes: Sequence[str],
) -> Section:
    from matplotlib.figure import Figure

    each = [
        coco.average_precision(_row(truth, row), _row(found, row), len(classes)) for row in range(len(pixels))
    ]  # fmt: skip
    # Without an object there is no precision: silence is right, and any answer is wrong.
    silent = found[1].max(axis=1) < _SHOWN_SCORE
    pairs = zip(each, silent, strict=True)
    scores = np.array([float(quiet) if np.isnan(one).all() else float(np.nanmean(one)) for one, quiet in pairs])
    rows = np.argsort(scores, kind="stable")[:_WORST]
    made = Figure(figsize=(10, 3.4 * -(-len(rows) // 3)))
    for place, row in enumerate(rows, 1):
        axes = made.add_subplot(-(-len(rows) // 3), 3, place)
        axes.imshow(pixels[row])
        axes.set_axis_off()
        axes.set_title(f"average precision {scores[row]:.2f}", fontsize=8)
        size = pixels.shape[1]
        for box, label in zip(truth[0][row], truth[1][row], strict=True):
            if label >= 0:
                _draw(axes, box * size, "white", "", dashed=True)
        for box, score, label in zip(found[0][row], found[1][row], found[2][row], strict=True):
            if score >= _SHOWN_SCORE:
                _draw(axes, box * size, f"C{int(label) % 10}", f"{classes[int(label)]} {score:.0%}", dashed=False)
    text = f"The worst answers first. White and dashed: the truth; answers with a score of {_SHOWN_SCORE:.0%} or more."
    return Section("Pictures", text, (), "pictures", made)


def _row(arrays: Any, row: int) -> Any:
    return tuple(each[row : row + 1] for each in arrays)


def _draw(axes: Any, box: npt.NDArray[Any], color: str, text: str, *, dashed: bool) -> None:
    from matplotlib.patches import Rectangle

    top, left, bottom, right = (float(each) for each in box)
    axes.add_patch(
        Rectangle(
            (left, top), right - left, bottom - top, fill=False, edgecolor=color, linewidth=1.5,
            linestyle="--" if dashed else "-",
        )
    )  # fmt: skip
    if text:
        axes.text(left, top - 1, text, color="white", fontsize=6, backgroundcolor=color, clip_on=True)
