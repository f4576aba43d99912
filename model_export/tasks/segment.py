"""Segmentation: cross-entropy and Dice loss while training; intersection over union and pixel accuracy as results."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.datasets.augment import IGNORED, MASK
from model_export.datasets.pipeline import ImagePipeline
from model_export.datasets.records import Dataset
from model_export.evaluation.report import Section
from model_export.evaluation.segmentation import confusion, overlaps, sections
from model_export.registry import Preset, Recipe
from model_export.training.losses import cross_entropy, dice


class SegmentTraining:
    """See `TaskTraining`."""

    metric = "mean_iou"

    def __init__(self, dataset: Dataset, preset: Preset, recipe: Recipe) -> None:
        self._recipe = recipe
        self._names = dataset.classes
        self._train = ImagePipeline(dataset.train, preset.image, recipe.batch_size)
        self._test = ImagePipeline(dataset.test, preset.image, recipe.batch_size)
        self.steps = self._train.steps

    def batches(self, epoch: int, seed: int) -> Any:
        """Return (pixels, class ids of pixels)."""
        batches = self._train.training(epoch, seed, self._recipe.augmentation)
        return batches.map(lambda pixels, targets: (pixels, targets[MASK]))

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

    def evaluate(self, network: Any) -> dict[str, float]:
        """Return the results of `results`."""
        return results(confusion(self._answers(network), self._test.targets[MASK], len(self._names)), self._names)

    def sections(self, network: Any) -> list[Section]:
        """Return classes, confusion of pixels and the worst pictures."""
        pictures = np.concatenate(
            [np.asarray(batch).round().clip(0, 255).astype(np.uint8) for batch in self._test.evaluation()]
        )
        return sections(pictures, self._answers(network), self._test.targets[MASK], self._names)

    def _answers(self, network: Any) -> npt.NDArray[np.uint8]:
        """Return uint8 [n, size, size], the class ids a network gives to the evaluation examples."""
        found = [np.asarray(network(pixels, training=False)).argmax(axis=-1) for pixels in self._test.evaluation()]
        return np.concatenate(found).astype(np.uint8)


def results(counts: npt.NDArray[np.int64], classes: tuple[str, ...]) -> dict[str, float]:
    """Return mean IoU, pixel accuracy and the IoU of every class that occurs in truth or answers.

    Args:
        counts: int64 [classes, classes], pixels by true class and answer.
        classes: Names of the classes.
    """
    ious = overlaps(counts)
    found = {"mean_iou": float(np.nanmean(ious)), "pixel_accuracy": float(counts.trace() / counts.sum())}
    return found | {f"iou_{name}": float(iou) for name, iou in zip(classes, ious, strict=True) if not np.isnan(iou)}
