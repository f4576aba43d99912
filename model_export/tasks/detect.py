"""Detection: the detector's own loss while training; COCO's mean average precision as results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.datasets.augment import BOXES, LABELS
from model_export.datasets.records import Dataset
from model_export.detection import detections
from model_export.evaluation import coco, detection
from model_export.evaluation.report import Section
from model_export.evaluation.slices import OBJECT_SIZE, Slice, SliceResult, measured, of_counts
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
        return detection.sections(self._pictures, self._truth, answers, self._names)

    def slices(self, answers: _Answers, given: Sequence[Slice]) -> tuple[float, list[SliceResult]]:
        """Return mean average precision at 0.5 by brightness, contrast, size, objects and their size, and as given."""
        classes, boxes, labels = len(self._names), *self._truth

        def metric(rows: npt.NDArray[np.int64], areas: tuple[float, float] = coco.ALL_AREAS) -> float:
            boxes_found, scores, ids = answers
            found = (boxes_found[rows], scores[rows], ids[rows])
            return coco.at_half(coco.average_precision((boxes[rows], labels[rows]), found, classes, areas))

        every = np.arange(len(labels))
        parts = [*self._known_slices(), *of_counts((labels >= 0).sum(axis=1)), *given]
        sizes = np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1)[labels >= 0]
        by_size = [
            SliceResult(OBJECT_SIZE, name, int(there.sum()), metric(every, areas))
            for name, areas in coco.AREAS.items()
            if (there := (areas[0] <= sizes) & (sizes < areas[1])).any()
        ]
        return metric(every), [*measured(parts, metric), *by_size]
