"""Text classification: cross-entropy while training; F1, accuracy and calibration as results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.datasets.records import Dataset
from model_export.datasets.texts import TextPipeline
from model_export.evaluation.classification import sections
from model_export.evaluation.report import Section
from model_export.evaluation.texts import mistakes
from model_export.registry import Preset, Recipe
from model_export.tasks.classify import results
from model_export.training.losses import cross_entropy


class LabelTraining:
    """See `TaskTraining`."""

    metric = "macro_f1"

    def __init__(self, dataset: Dataset, preset: Preset, recipe: Recipe, vocabulary: Sequence[str]) -> None:
        self._recipe = recipe
        self._names = dataset.classes
        self._train = TextPipeline(dataset.train, preset.text, vocabulary, recipe.batch_size)
        self._test = TextPipeline(dataset.test, preset.text, vocabulary, recipe.batch_size)
        self._examples = dataset.test
        self.steps = self._train.steps

    def batches(self, epoch: int, seed: int) -> Any:
        """Return (token ids, class ids)."""
        return self._train.training(epoch, seed)

    def loss(self, network: Any) -> Any:
        """Return the cross-entropy of logits."""
        smoothing = self._recipe.label_smoothing
        return lambda labels, logits: cross_entropy(logits, labels, smoothing=smoothing)

    def evaluate(self, network: Any) -> dict[str, float]:
        """Return the results of `results`."""
        return results(self._probabilities(network), self._examples.targets["label"])

    def sections(self, network: Any) -> list[Section]:
        """Return classes, confusion, certainty, ROC and the worst mistakes."""
        scores = self._probabilities(network)
        wrong = mistakes(scores, self._examples, self._names)
        return [*sections(scores, self._examples.targets["label"], self._names), *([wrong] if wrong else [])]

    def _probabilities(self, network: Any) -> npt.NDArray[np.float32]:
        """Return float32 [n, classes], what the network says of every evaluation text."""
        import tensorflow as tf

        # Compiled: step by step, a recurrent layer is slow.
        answer = tf.function(lambda tokens: tf.nn.softmax(network(tokens, training=False)), reduce_retracing=True)
        return np.concatenate([np.asarray(answer(tokens)) for tokens in self._test.evaluation()]).astype(np.float32)
