"""Detection: the detector's own loss while training; COCO's mean average precision as results."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.datasets.augment import BOXES, LABELS
from model_export.datasets.records import Dataset
from model_export.detection import detections
from model_export.evaluation import coco, detection
from model_export.evaluation.report import Section
from model_export.registry import Preset, Recipe
from model_export.tasks.images import ImageTraining

_Answers = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]
"""Boxes float32 [n, 100, 4], scores float32 [n, 100] and class ids int32 [n, 100]."""


class DetectTraining(ImageTraining):
    """See `TaskTraining`."""

    metric = "map50"

    def __init__(self, dataset: Dataset, preset: Preset, recipe: Recipe) -> None:
        super().__init__(dataset, preset, recipe)
        self._detector = preset.detecting(len(dataset.classes))
        self._truth = (self._test.targets[BOXES], self._test.targets[LABELS])

    def loss(self, network: Any) -> Any:
        """Return the detector's loss."""
        import tensorflow as tf

        return lambda targets, outputs: self._detector.loss(
            tf.cast(targets[BOXES], tf.float32), tf.cast(targets[LABELS], tf.int32), outputs
        )

    def answers(self, network: Any) -> _Answers:
        """Return what the evaluation pictures hold."""
        import tensorflow as tf

        answer = tf.function(
            lambda pixels: detections(self._detector, network(pixels, training=False)), reduce_retracing=True
        )
        found = [answer(pixels) for pixels in self._test.evaluation()]
        boxes, scores, classes = (np.concatenate([np.asarray(each[part]) for each in found]) for part in range(3))
        return boxes, scores, classes

    def results(self, answers: _Answers) -> dict[str, float]:
        """Return mean average precision over overlaps of 0.5 to 0.95, and at 0.5."""
        return coco.results(coco.average_precision(self._truth, answers, len(self._names)))

    def sections(self, answers: _Answers) -> list[Section]:
        """Return classes, precision and recall, and the pictures with the worst answers."""
        return detection.sections(self._test.pictures(), self._truth, answers, self._names)
