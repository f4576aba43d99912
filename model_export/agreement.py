"""Whether two ranked answers agree: classes, or boxes with classes, whose order and choice rounding may change.

Where numbers are rounded, two classes of nearly the same score change places, and of two boxes that overlap by nearly
half the suppression keeps the one or both. So entries are compared as a set, not place by place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.detection import OVERLAP, SMALLEST_SCORE

Outputs = Mapping[str, npt.NDArray[Any]]


def is_ranked(outputs: Outputs) -> bool:
    """Whether a signature's outputs are entries with scores, best first: those of a classifier or a detector."""
    return "scores" in outputs and bool(outputs.keys() & {"class_ids", "classes"})


def compare(expected: Outputs, answers: Outputs, tolerance: float) -> tuple[float, float]:
    """Compare ranked outputs entry by entry.

    An entry agrees when the other answer has one of the same class and label, with a box that overlaps by more than
    half where there are boxes, and a score within the tolerance. It also agrees when the other has no such entry and
    its score is so near the lowest that the other holds, or a detector may hold, that rounding decides what is listed.

    Args:
        expected: Outputs by name, `scores` float32 [batch, n], classes [batch, n], of a detector also `boxes` float32
            [batch, n, 4] and `count` int32 [batch].
        answers: Outputs of the same names and shapes.
        tolerance: Largest difference of a score, in [0, 1].

    Returns:
        Part of the entries of both that do not agree, in [0, 1], and the largest score difference of those that do.
    """
    alone = total = 0
    largest = 0.0
    for row in range(len(expected["scores"])):
        one, other = _entries(expected, row), _entries(answers, row)
        differences = np.abs(one["scores"][:, None] - other["scores"][None])
        same = _same(one, other)
        agree = same & _named_alike(one, other) & (differences <= tolerance)
        for axis, side, rest in ((1, one, other), (0, other, one)):
            unlisted = side["scores"] <= _lowest(rest, expected["scores"].shape[1]) + tolerance
            alone += int(np.sum(~agree.any(axis=axis) & (same.any(axis=axis) | ~unlisted)))
            total += len(unlisted)
        largest = max(largest, float(differences[agree].max(initial=0.0)))
    return alone / max(1, total), largest


def _entries(outputs: Outputs, row: int) -> dict[str, npt.NDArray[Any]]:
    """Return the entries of one input, without the empty places behind a detector's."""
    count = int(outputs["count"][row]) if "count" in outputs else outputs["scores"].shape[1]
    return {name: value[row][:count] for name, value in outputs.items() if name != "count"}


def _same(one: Outputs, other: Outputs) -> npt.NDArray[np.bool_]:
    """Return which entries are of the same class and place, bool [n, m]."""
    name = "class_ids" if "class_ids" in one else "classes"
    same = np.asarray(one[name][:, None] == other[name][None])
    return same & (_overlap(one["boxes"], other["boxes"]) > OVERLAP) if "boxes" in one else same


def _named_alike(one: Outputs, other: Outputs) -> npt.NDArray[np.bool_]:
    """Return which entries have the same label, bool [n, m]; without labels all of them."""
    if "labels" not in one:
        return np.ones((len(one["scores"]), len(other["scores"])), bool)
    return np.asarray(one["labels"][:, None] == other["labels"][None])


def _overlap(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the intersection over union of boxes [n, 4] and [m, 4], ymin, xmin, ymax, xmax, as [n, m]."""
    corners = np.minimum(one[:, None, 2:], other[None, :, 2:]) - np.maximum(one[:, None, :2], other[None, :, :2])
    shared = np.prod(np.clip(corners, 0, None), axis=-1)
    areas, others = (np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1) for boxes in (one, other))
    return np.asarray(shared / np.maximum(areas[:, None] + others[None] - shared, 1e-12))


def _lowest(entries: Outputs, places: int) -> float:
    """Return the score below which an entry would not be in this answer."""
    if "boxes" in entries and len(entries["scores"]) < places:
        return SMALLEST_SCORE
    return float(entries["scores"].min(initial=1.0))
