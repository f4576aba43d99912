"""Segmentation: cross-entropy and Dice loss while training; intersection over union and pixel accuracy as results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.datasets.augment import IGNORED, MASK
from model_export.evaluation.report import Section
from model_export.evaluation.segmentation import confusion, overlaps, sections
from model_export.evaluation.slices import Slice, SliceResult, measured, of_masks
from model_export.tasks.images import ImageTraining
from model_export.training.losses import cross_entropy, dice


class SegmentTraining(ImageTraining):
    """See `TaskTraining`."""

    metric = "mean_iou"

    def batches(self, epochs: range, seed: int) -> Any:
        """Return (pixels, class ids of pixels)."""
        return super().batches(epochs, seed).map(lambda pixels, targets: (pixels, targets[MASK]))

    def loss(self, network: Any) -> Any:
        """Return the cross-entropy of logits plus their Dice loss; ignored pixels count in neither."""
        classes, smoothing = len(self._names), self._recipe.label_smoothing

        def both(masks: Any, logits: Any) -> Any:
            import tensorflow as tf

            masks = tf.cast(masks, tf.int32)
            counted = tf.cast(masks != IGNORED, tf.float32)
            labels = tf.where(masks == IGNORED, 0, masks)
            entropy = cross_entropy(logits, labels, smoothing=smoothing, weights=counted)
            return entropy + dice(logits, labels, classes=classes, weights=counted)

        return both

    def answers(self, network: Any) -> npt.NDArray[np.uint8]:
        """Return uint8 [n, size, size], the class ids a network gives to the evaluation examples."""
        found = [np.asarray(network(pixels, training=False)).argmax(axis=-1) for pixels in self._test.evaluation()]
        return np.concatenate(found).astype(np.uint8)

    def results(self, answers: npt.NDArray[np.uint8]) -> dict[str, float]:
        """Return the results of `results`."""
        return results(confusion(answers, self._test.targets[MASK], len(self._names)), self._names)

    def sections(self, answers: npt.NDArray[np.uint8]) -> list[Section]:
        """Return classes, confusion of pixels and the worst pictures."""
        return sections(self._pictures, answers, self._test.targets[MASK], self._names)

    def slices(self, answers: npt.NDArray[np.uint8], given: Sequence[Slice]) -> tuple[float, list[SliceResult]]:
        """Return mean IoU by brightness, contrast, size and share of foreground, and on what is given."""
        masks = self._test.targets[MASK]

        def metric(rows: npt.NDArray[np.int64]) -> float:
            counts = confusion(answers[rows], masks[rows], len(self._names))
            there = counts.sum(axis=1) > 0
            return float(overlaps(counts)[there].mean()) if there.any() else float("nan")

        parts = [*self._known_slices(), *of_masks(masks, IGNORED), *given]
        return metric(np.arange(len(masks))), measured(parts, metric)


def results(counts: npt.NDArray[np.int64], classes: tuple[str, ...]) -> dict[str, float]:
    """Return mean IoU, pixel accuracy and the IoU of every class that occurs in truth or answers.

    Args:
        counts: int64 [classes, classes], pixels by true class and answer.
        classes: Names of the classes.
    """
    ious = overlaps(counts)
    found = {"mean_iou": float(np.nanmean(ious)), "pixel_accuracy": float(counts.trace() / counts.sum())}
    return found | {f"iou_{name}": float(iou) for name, iou in zip(classes, ious, strict=True) if not np.isnan(iou)}
