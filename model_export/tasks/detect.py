"""Detection: the detector's own loss while training; COCO's mean average precision as results."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.datasets.augment import BOXES, LABELS
from model_export.datasets.pipeline import ImagePipeline
from model_export.datasets.records import Dataset
from model_export.detection import detections
from model_export.evaluation import coco, detection
from model_export.evaluation.report import Section
from model_export.registry import Preset, Recipe


class DetectTraining:
    """See `TaskTraining`."""

    metric = "map50"

    def __init__(self, dataset: Dataset, preset: Preset, recipe: Recipe) -> None:
        self._recipe = recipe
        self._names = dataset.classes
        self._detector = preset.detecting(len(dataset.classes))
        self._train = ImagePipeline(dataset.train, preset.image, recipe.batch_size)
        self._test = ImagePipeline(dataset.test, preset.image, recipe.batch_size)
        self._truth = (dataset.test.targets[BOXES], dataset.test.targets[LABELS])
        self.steps = self._train.steps

    def batches(self, epoch: int, seed: int) -> Any:
        """Return (pixels, {"boxes", "labels"})."""
        return self._train.training(epoch, seed, self._recipe.augmentation)

    def loss(self, network: Any) -> Any:
        """Return the detector's loss."""
        import tensorflow as tf

        return lambda targets, outputs: self._detector.loss(
            tf.cast(targets[BOXES], tf.float32), tf.cast(targets[LABELS], tf.int32), outputs
        )

    def evaluate(self, network: Any) -> dict[str, float]:
        """Return mean average precision over overlaps of 0.5 to 0.95, and at 0.5."""
        return coco.results(coco.average_precision(self._truth, self._answers(network), len(self._names)))

    def sections(self, network: Any) -> list[Section]:
        """Return classes, precision and recall, and the pictures with the worst answers."""
        pixels = np.concatenate([np.asarray(batch) for batch in self._test.evaluation()])
        shown = pixels.round().clip(0, 255).astype(np.uint8)
        return detection.sections(shown, self._truth, self._answers(network), self._names)

    def _answers(self, network: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
        import tensorflow as tf

        answer = tf.function(
            lambda pixels: detections(self._detector, network(pixels, training=False)), reduce_retracing=True
        )
        found = [answer(pixels) for pixels in self._test.evaluation()]
        boxes, scores, classes = (np.concatenate([np.asarray(each[part]) for each in found]) for part in range(3))
        return boxes, scores, classes
