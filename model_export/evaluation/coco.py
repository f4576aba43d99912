"""Mean average precision as COCO defines it, by its own code (https://cocodataset.org/#detection-eval)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

SCALE = 1000.0
"""Boxes are evaluated on pictures of this many pixels, so that COCO's sizes of objects mean little here."""
_AT_HALF = 0
_PICTURE = 640 * 480
"""Pixels of a usual picture of COCO."""
_SMALL, _LARGE = 32**2 / _PICTURE, 96**2 / _PICTURE
ALL_AREAS = (0.0, 2.0)
AREAS = {
    f"small (below {_SMALL:.2%} of the picture)": (0.0, _SMALL),
    f"medium ({_SMALL:.2%} to {_LARGE:.0%})": (_SMALL, _LARGE),
    f"large ({_LARGE:.0%} and more)": (_LARGE, ALL_AREAS[1]),
}
"""COCO's sizes of objects as parts of the picture, because the network sees pictures of one size: smallest and largest
part. COCO's limits are 32 x 32 and 96 x 96 pixels."""


def average_precision(
    truth: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    found: tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]],
    classes: int,
    areas: tuple[float, float] = ALL_AREAS,
) -> npt.NDArray[np.float64]:
    """Return the precision at every overlap, recall and class: float64 [10 overlaps, 101 recalls, classes].

    Overlaps are 0.5 to 0.95, recalls 0 to 1. A class that the truth lacks has NaN.

    Args:
        truth: boxes float32 [n, m, 4] (ymin, xmin, ymax, xmax in [0, 1]) and labels int32 [n, m], -1 for none.
        found: boxes float32 [n, k, 4], scores float32 [n, k], 0 for none, and class ids int32 [n, k].
        classes: Number of classes.
        areas: Smallest and largest part of the picture of the objects that count; others count neither way.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    boxes, labels = truth
    known = [
        {"id": 0, "image_id": row, "category_id": int(label), "bbox": _box(box), "area": _area(box), "iscrowd": 0}
        for row in range(len(labels))
        for box, label in zip(boxes[row], labels[row], strict=True)
        if label >= 0
    ]
    for number, each in enumerate(known, 1):  # COCO's code takes 0 for "not matched"
        each["id"] = number
    answers = [
        {"image_id": row, "category_id": int(label), "bbox": _box(box), "score": float(score)}
        for row in range(len(labels))
        for box, score, label in zip(found[0][row], found[1][row], found[2][row], strict=True)
        if score > 0
    ]
    if not answers or not known:
        there = np.isin(np.arange(classes), labels)
        return np.broadcast_to(np.where(there, 0.0, np.nan), (10, 101, classes)).copy()
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = {
            "info": {},
            "images": [{"id": row} for row in range(len(labels))],
            "categories": [{"id": each} for each in range(classes)],
            "annotations": known,
        }
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes(answers), "bbox")
        evaluation.params.areaRng = [[part * SCALE**2 for part in areas]]
        evaluation.params.areaRngLbl = ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    # [overlaps, recalls, classes, sizes of objects, most answers]: the one size, 100 answers.
    precision = np.asarray(evaluation.eval["precision"][:, :, :, 0, -1], np.float64)
    return np.where(precision < 0, np.nan, precision)


def results(precision: npt.NDArray[np.float64]) -> dict[str, float]:
    """Return mean average precision over overlaps of 0.5 to 0.95 and at 0.5, over the classes that occur."""
    return {"map": float(np.nanmean(precision)), "map50": at_half(precision)}


def at_half(precision: npt.NDArray[np.float64]) -> float:
    """Return mean average precision at an overlap of 0.5; NaN when the truth has no object."""
    return float("nan") if np.isnan(precision).all() else float(np.nanmean(precision[_AT_HALF]))


def per_class(precision: npt.NDArray[np.float64], classes: Sequence[str]) -> list[dict[str, object]]:
    """Return average precision by class, worst first; classes that do not occur are left out."""
    there = [each for each in range(len(classes)) if not np.isnan(precision[:, :, each]).all()]
    rows: list[dict[str, object]] = [
        {
            "class": classes[each],
            "AP": float(np.nanmean(precision[:, :, each])),
            "AP at 0.5": float(np.nanmean(precision[_AT_HALF, :, each])),
        }
        for each in sorted(there, key=lambda each: float(np.nanmean(precision[:, :, each])))
    ]
    return rows


def _box(box: npt.NDArray[Any]) -> list[float]:
    """Return left, top, width, height in pixels."""
    top, left, bottom, right = (float(each) * SCALE for each in box)
    return [left, top, right - left, bottom - top]


def _area(box: npt.NDArray[Any]) -> float:
    _, _, width, height = _box(box)
    return width * height
