"""Image classification: cross-entropy while training; accuracy, F1 and calibration as results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.datasets.pipeline import ImagePipeline
from model_export.evaluation.classification import sections, worst
from model_export.evaluation.report import Section
from model_export.evaluation.slices import Slice, SliceResult, measured
from model_export.tasks.images import ImageTraining
from model_export.training.losses import cross_entropy

_CALIBRATION_BINS = 10
_TOP = 5


class ClassifyTraining(ImageTraining):
    """See `TaskTraining`."""

    metric = "accuracy"

    def batches(self, epochs: range, seed: int) -> Any:
        """Return (pixels, class ids)."""
        return super().batches(epochs, seed).map(lambda pixels, targets: (pixels, targets["label"]))

    def loss(self, network: Any) -> Any:
        """Return the cross-entropy of logits."""
        smoothing = self._recipe.label_smoothing
        return lambda labels, logits: cross_entropy(logits, labels, smoothing=smoothing)

    def answers(self, network: Any) -> npt.NDArray[np.float32]:
        """Return the probabilities of the evaluation examples, float32 [n, classes]."""
        return probabilities(network, self._test)

    def results(self, answers: npt.NDArray[np.float32]) -> dict[str, float]:
        """Return the results of `results`."""
        return results(answers, self._test.targets["label"])

    def sections(self, answers: npt.NDArray[np.float32]) -> list[Section]:
        """Return classes, confusion, certainty, ROC and the worst mistakes."""
        labels = self._test.targets["label"]
        mistakes = worst(answers, labels, self._names, lambda row: self._pictures[row])
        return [*sections(answers, labels, self._names), *([mistakes] if mistakes else [])]

    def slices(self, answers: npt.NDArray[np.float32], given: Sequence[Slice]) -> tuple[float, list[SliceResult]]:
        """Return accuracy by brightness, contrast and size, and on what is given."""
        right = answers.argmax(axis=1) == self._test.targets["label"]
        parts = [*self._known_slices(), *given]
        return float(right.mean()), measured(parts, lambda rows: float(right[rows].mean()))


def probabilities(network: Any, pipeline: ImagePipeline) -> npt.NDArray[np.float32]:
    """Return float32 [n, classes], what a network that gives logits says of every example."""
    import tensorflow as tf

    found = [np.asarray(tf.nn.softmax(network(pixels, training=False))) for pixels in pipeline.evaluation()]
    return np.concatenate(found).astype(np.float32)


def results(scores: npt.NDArray[np.float32], labels: npt.NDArray[np.int32]) -> dict[str, float]:
    """Return accuracy, top-5 accuracy, macro F1 and calibration error.

    Args:
        scores: float32 [n, classes], probabilities.
        labels: int32 [n], class ids.
    """
    answers = scores.argmax(axis=1)
    found = {"accuracy": float(np.mean(answers == labels)), "macro_f1": macro_f1(answers, labels)}
    if scores.shape[1] > _TOP:
        best = np.argsort(-scores, axis=1, kind="stable")[:, :_TOP]
        found["top5_accuracy"] = float(np.mean((best == labels[:, None]).any(axis=1)))
    found["calibration_error"] = calibration_error(scores, labels)
    return found


def macro_f1(answers: npt.NDArray[Any], labels: npt.NDArray[Any], classes: npt.NDArray[Any] | None = None) -> float:
    """Return the mean of every class's F1: of the classes given, else of those that occur in answers or labels."""
    from sklearn.metrics import f1_score

    return float(f1_score(labels, answers, labels=classes, average="macro", zero_division=0))


def calibration_error(scores: npt.NDArray[np.float32], labels: npt.NDArray[np.int32]) -> float:
    """Return how far certainty and accuracy lie apart, on average over ten bins of certainty.

    The expected calibration error of https://arxiv.org/abs/1706.04599.
    """
    certainty, right = scores.max(axis=1), scores.argmax(axis=1) == labels
    bins = np.minimum((certainty * _CALIBRATION_BINS).astype(int), _CALIBRATION_BINS - 1)
    gaps = [
        abs(right[bins == each].mean() - certainty[bins == each].mean()) * np.mean(bins == each)
        for each in np.unique(bins)
    ]
    return float(np.sum(gaps))
