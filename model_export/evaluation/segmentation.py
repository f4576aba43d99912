"""The sections of a segmenter's report: classes, confusion of pixels, and the worst pictures with their masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.datasets.augment import IGNORED
from model_export.evaluation.report import Section, confusion_figure, worst_classes

_WORST = 6
_OPACITY = 0.65
_IGNORED_COLOUR = (1.0, 1.0, 1.0)


def confusion(answers: npt.NDArray[Any], masks: npt.NDArray[Any], classes: int) -> npt.NDArray[np.int64]:
    """Return int64 [classes, classes], pixels by true class and answer, without the ignored ones.

    Args:
        answers: Class ids of any shape.
        masks: True class ids of the same shape; 255 is ignored.
        classes: Number of classes.
    """
    counted = masks != IGNORED
    pairs = masks[counted].astype(np.int64) * classes + answers[counted]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def overlaps(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return float64 [classes], intersection over union; NaN for a class that neither truth nor answers have."""
    both = counts.diagonal()
    either = counts.sum(axis=0) + counts.sum(axis=1) - both
    return np.where(either > 0, both / np.maximum(either, 1), np.nan)


def sections(
    pictures: npt.NDArray[np.uint8],
    answers: npt.NDArray[np.uint8],
    masks: npt.NDArray[np.uint8],
    classes: Sequence[str],
) -> list[Section]:
    """Return the sections about the answers.

    Args:
        pictures: uint8 [n, size, size, 3], RGB.
        answers: uint8 [n, size, size], class ids.
        masks: uint8 [n, size, size], true class ids; 255 is ignored.
        classes: Names of the classes.
    """
    counts = confusion(answers, masks, len(classes))
    return [_by_class(counts, classes), _confusion(counts, classes), _worst(pictures, answers, masks, classes)]


def _by_class(counts: npt.NDArray[np.int64], classes: Sequence[str]) -> Section:
    ious = overlaps(counts)
    rows = [
        {
            "class": classes[each],
            "part of the pixels": float(counts[each].sum() / counts.sum()),
            "IoU": float(ious[each]),
            "precision": float(counts[each, each] / max(1, counts[:, each].sum())),
            "recall": float(counts[each, each] / max(1, counts[each].sum())),
        }
        for each in np.argsort(ious)
        if not np.isnan(ious[each])
    ]
    return worst_classes(rows)


def _confusion(counts: npt.NDArray[np.int64], classes: Sequence[str]) -> Section:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2 + 0.6 * min(len(classes), 20)
    made = confusion_figure(counts, classes, side, lambda truth, answer: f"{shares[truth, answer]:.1%}")
    text = "Pixels: each row is a true class; its parts add up to 100%."
    return Section("Confusion", text, (), "confusion", made)


def _worst(
    pictures: npt.NDArray[np.uint8],
    answers: npt.NDArray[np.uint8],
    masks: npt.NDArray[np.uint8],
    classes: Sequence[str],
) -> Section:
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    each_iou = np.array([_mean_iou(*pair, len(classes)) for pair in zip(answers, masks, strict=True)])
    rows = np.argsort(each_iou, kind="stable")[:_WORST]
    colours = _colours(len(classes))
    made = Figure(figsize=(7.5, 2.5 * len(rows)))
    for place, row in enumerate(rows):
        shown = (
            ("picture", pictures[row]),
            ("truth", overlay(pictures[row], masks[row], colours)),
            (f"answer, mean IoU {each_iou[row]:.2f}", overlay(pictures[row], answers[row], colours)),
        )
        for column, (title, image) in enumerate(shown, 1):
            axes = made.add_subplot(len(rows), len(shown), place * len(shown) + column)
            axes.imshow(image)
            axes.set_axis_off()
            axes.set_title(title, fontsize=8)
    seen = np.union1d(masks[rows], answers[rows])
    patches = [Patch(color=colours[each], label=classes[each]) for each in seen if 0 < each < len(classes)]
    if IGNORED in seen:
        patches.append(Patch(color=_IGNORED_COLOUR, label="ignored"))
    made.legend(handles=patches, loc="lower center", ncols=6, fontsize=8, bbox_to_anchor=(0.5, 0.07))
    text = f"The {len(rows)} worst of {len(pictures)}; class 0, {classes[0]}, is left uncoloured."
    return Section("Worst pictures", text, (), "worst", made)


def _mean_iou(answer: npt.NDArray[np.uint8], mask: npt.NDArray[np.uint8], classes: int) -> float:
    """Return the mean IoU of one picture; 1 where every pixel is ignored."""
    counts = confusion(answer, mask, classes)
    return float(np.nanmean(overlaps(counts))) if counts.any() else 1.0


def _colours(classes: int) -> npt.NDArray[np.float64]:
    """Return float64 [classes, 3] in [0, 1], far apart from their neighbours."""
    from matplotlib import colormaps

    palette = colormaps["tab10"] if classes <= 11 else colormaps["tab20"]
    return np.array([palette((each - 1) % palette.N)[:3] for each in range(classes)])


def overlay(
    picture: npt.NDArray[np.uint8], mask: npt.NDArray[np.uint8], colours: npt.NDArray[np.float64]
) -> npt.NDArray[np.uint8]:
    """Return a picture in grey with a mask in colours laid over it; class 0 gets none.

    Grey, because a red that is laid over green would look like another class.

    Args:
        picture: uint8 [height, width, 3], RGB.
        mask: uint8 [height, width], class ids; 255 is white.
        colours: float64 [classes, 3] in [0, 1].
    """
    every = np.full((IGNORED + 1, 3), _IGNORED_COLOUR)
    every[: len(colours)] = colours
    grey = np.repeat(picture.mean(axis=-1, keepdims=True), 3, axis=-1)
    mixed = (1 - _OPACITY) * grey + _OPACITY * 255 * every[mask]
    return np.where((mask == 0)[..., None], grey, mixed).round().astype(np.uint8)
