"""Segmentation: cross-entropy and Dice while training; intersection over union as results."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.datasets.augment import IGNORED, MASK
from model_export.datasets.pipeline import ImagePipeline
from model_export.datasets.records import Dataset
from model_export.evaluation import segmentation
from model_export.evaluation.report import Section
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
        """Return (pixels, masks)."""
        batches = self._train.training(epoch, seed, self._recipe.augmentation)
        return batches.map(lambda pixels, targets: (pixels, targets[MASK]))

    def loss(self, network: Any) -> Any:
        """Return the sum of cross-entropy and Dice loss; pixels without a truth count in neither."""
        import tensorflow as tf

        classes, smoothing = len(self._names), self._recipe.label_smoothing

        def both(masks: Any, logits: Any) -> Any:
            masks = tf.cast(masks, tf.int32)
            known = masks != IGNORED
            labels = tf.where(known, masks, 0)
            entropy = cross_entropy(logits, labels, smoothing=smoothing, weights=known)
            return entropy + dice(logits, labels, classes=classes, weights=known)

        return both

    def evaluate(self, network: Any) -> dict[str, float]:
        """Return mean intersection over union and pixel accuracy."""
        return segmentation.results(segmentation.confusion(self._truth(), self._answers(network), len(self._names)))

    def sections(self, network: Any) -> list[Section]:
        """Return classes, confusion and the pictures with the worst answers."""
        pixels = np.concatenate([np.asarray(batch) for batch in self._test.evaluation()])
        shown = pixels.round().clip(0, 255).astype(np.uint8)
        return segmentation.sections(shown, self._truth(), self._answers(network), self._names)

    def _truth(self) -> npt.NDArray[np.uint8]:
        return np.asarray(self._test.targets[MASK])

    def _answers(self, network: Any) -> npt.NDArray[np.uint8]:
        """Return uint8 [n, size, size], the class that every pixel of the evaluation pictures gets."""
        import tensorflow as tf

        answer = tf.function(lambda pixels: tf.argmax(network(pixels, training=False), axis=-1), reduce_retracing=True)
        return np.concatenate([np.asarray(answer(pixels)) for pixels in self._test.evaluation()]).astype(np.uint8)
