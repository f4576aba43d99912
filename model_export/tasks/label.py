"""Text classification: cross-entropy while training; F1, accuracy and calibration as results."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.datasets.records import Dataset, whole_batches
from model_export.datasets.texts import TextPipeline
from model_export.evaluation.classification import sections
from model_export.evaluation.report import Section
from model_export.evaluation.slices import Slice, SliceResult, measured, of_texts
from model_export.evaluation.texts import mistakes
from model_export.registry import Preset, Recipe
from model_export.tasks.classify import macro_f1, results
from model_export.training.losses import cross_entropy


class LabelTraining:
    """See `TaskTraining`."""

    metric = "macro_f1"

    def __init__(self, dataset: Dataset, preset: Preset, recipe: Recipe, vocabulary: Sequence[str]) -> None:
        self._recipe = recipe
        self._names = dataset.classes
        self._text = preset.text
        self._vocabulary = vocabulary
        self._training = dataset.train
        self._test = TextPipeline(dataset.test, preset.text, vocabulary, recipe.batch_size)
        self._examples = dataset.test
        self.steps = whole_batches(len(dataset.train), recipe.batch_size)

    @functools.cached_property
    def _train(self) -> TextPipeline:
        # An evaluation has no use for it.
        return TextPipeline(self._training, self._text, self._vocabulary, self._recipe.batch_size)

    def batches(self, epochs: range, seed: int) -> Any:
        """Return (token ids, class ids)."""
        return self._train.training(epochs, seed)

    def loss(self, network: Any) -> Any:
        """Return the cross-entropy of logits."""
        smoothing = self._recipe.label_smoothing
        return lambda labels, logits: cross_entropy(logits, labels, smoothing=smoothing)

    def answers(self, network: Any) -> npt.NDArray[np.float32]:
        """Return float32 [n, classes], what the network says of every evaluation text."""
        import tensorflow as tf

        # Compiled: step by step, a recurrent layer is slow.
        answer = tf.function(lambda tokens: tf.nn.softmax(network(tokens, training=False)), reduce_retracing=True)
        return np.concatenate([np.asarray(answer(tokens)) for tokens in self._test.evaluation()]).astype(np.float32)

    def results(self, answers: npt.NDArray[np.float32]) -> dict[str, float]:
        """Return the results of `results`."""
        return results(answers, self._examples.targets["label"])

    def sections(self, answers: npt.NDArray[np.float32]) -> list[Section]:
        """Return classes, confusion, certainty, ROC and the worst mistakes."""
        wrong = mistakes(answers, self._examples, self._names)
        return [*sections(answers, self._examples.targets["label"], self._names), *([wrong] if wrong else [])]

    def slices(self, answers: npt.NDArray[np.float32], given: Sequence[Slice]) -> tuple[float, list[SliceResult]]:
        """Return macro F1 by length, and on what is given."""
        best, labels = answers.argmax(axis=1), self._examples.targets["label"]

        def metric(rows: npt.NDArray[np.int64]) -> float:
            return macro_f1(best[rows], labels[rows], np.unique(labels[rows]))

        return metric(np.arange(len(labels))), measured([*of_texts(self._examples), *given], metric)
