"""Results of a segmenter, and the sections of its report: classes, confusion, worst pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.datasets.augment import IGNORED
from model_export.evaluation.report import Section, figure

_WORST = 6
_COLORS = "tab10"


def confusion(truth: npt.NDArray[Any], answers: npt.NDArray[Any], classes: int) -> npt.NDArray[np.int64]:
    """Return how many pixels of each true class got each answer, int64 [classes, classes].

    Args:
        truth: uint8 [n, height, width], class ids; 255 counts nowhere.
        answers: uint8 [n, height, width], class ids.
        classes: Number of classes.
    """
    known = truth != IGNORED
    pairs = truth[known].astype(np.int64) * classes + answers[known]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def overlaps(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the intersection over union of each class; NaN for one that is neither in the truth nor in the answers."""
    shared = np.diag(counts)
    union = counts.sum(axis=0) + counts.sum(axis=1) - shared
    return np.where(union > 0, shared / np.maximum(union, 1), np.nan)


def results(counts: npt.NDArray[np.int64]) -> dict[str, float]:
    """Return mean intersection over union of the classes that occur, and the part of the pixels that is right."""
    return {
        "mean_iou": float(np.nanmean(overlaps(counts))),
        "pixel_accuracy": float(np.diag(counts).sum() / max(1, counts.sum())),
    }


def sections(
    pixels: npt.NDArray[np.uint8], truth: npt.NDArray[Any], answers: npt.NDArray[Any], classes: Sequence[str]
) -> list[Section]:
    """Return the sections about the answers.

    Args:
        pixels: uint8 [n, size, size, 3], the pictures.
        truth: uint8 [n, size, size], class ids; 255 counts nowhere.
        answers: uint8 [n, size, size], class ids.
        classes: Names of the classes.
    """
    counts = confusion(truth, answers, len(classes))
    return [
        _by_class(counts, classes), _confusion(counts, classes), _pictures(pixels, truth, answers, len(classes))
    ]  # fmt: skip


def _by_class(counts: npt.NDArray[np.int64], classes: Sequence[str]) -> Section:
    found = overlaps(counts)
    total = max(1, int(counts.sum()))
    rows = [
        {
            "class": name,
            "part of the pixels": float(counts[each].sum() / total),
            "recall": float(counts[each, each] / max(1, counts[each].sum())),
            "precision": float(counts[each, each] / max(1, counts[:, each].sum())),
            "IoU": float(found[each]),
        }
        for each, name in enumerate(classes)
    ]
    return Section("Classes", "Pixels of all evaluation pictures together.", rows)


def _confusion(counts: npt.NDArray[np.int64], classes: Sequence[str]) -> Section:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2 + 0.6 * min(len(classes), 20)
    made, axes = figure(side, side)
    axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    axes.set_xticks(range(len(classes)), classes, rotation=90)
    axes.set_yticks(range(len(classes)), classes)
    for row, column in np.ndindex(*shares.shape):
        if shares[row, column] >= 0.001:
            color = "w" if shares[row, column] > 0.5 else "k"
            axes.text(column, row, f"{shares[row, column]:.3f}", ha="center", va="center", color=color, fontsize=8)
    return Section("Confusion", "Each row is a true class; its parts add up to 1.", (), "confusion", made)


def _pictures(
    pixels: npt.NDArray[np.uint8], truth: npt.NDArray[Any], answers: npt.NDArray[Any], classes: int
) -> Section:
    from matplotlib.figure import Figure

    each = [results(confusion(truth[row : row + 1], answers[row : row + 1], classes)) for row in range(len(truth))]
    scores = np.array([found["mean_iou"] for found in each])
    rows = np.argsort(scores, kind="stable")[:_WORST]
    made = Figure(figsize=(7, 2.4 * len(rows)))
    for line, row in enumerate(rows):
        for column, (title, mask) in enumerate((("picture", None), ("truth", truth[row]), ("answer", answers[row]))):
            axes = made.add_subplot(len(rows), 3, 3 * line + column + 1)
            axes.imshow(pixels[row])
            if mask is not None:
                hidden = np.ma.masked_where((mask == 0) | (mask == IGNORED), mask)
                axes.imshow(hidden, cmap=_COLORS, vmin=0, vmax=9, alpha=0.6, interpolation="nearest")
            axes.set_axis_off()
            axes.set_title(f"{title}, IoU {scores[row]:.3f}" if title == "answer" else title, fontsize=8)
    return Section("Pictures", "The worst answers first; class 0 is left uncoloured.", (), "pictures", made)
