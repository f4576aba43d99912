"""From texts to batches: split into tokens by the very function that the exported graph splits with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from model_export.datasets.batches import PREFETCHED, ordered, untuned
from model_export.datasets.records import Dataset, Examples, whole_batches
from model_export.registry import Preset, TextInput
from model_export.tokens import encode, table_in_memory, vocabulary_of

_AT_ONCE = 1024
"""Texts that are split together; bounds the memory for their tokens."""


class TextPipeline:
    """Batches of token ids with their labels; every text is split once and its ids are kept.

    Args:
        examples: The examples.
        text: The network's input.
        vocabulary: The tokens that are told apart, from training texts alone.
        batch_size: Examples per batch.
    """

    def __init__(self, examples: Examples, text: TextInput, vocabulary: Sequence[str], batch_size: int) -> None:
        import tensorflow as tf

        self._batch_size = batch_size
        self._labels = examples.targets["label"]
        table = table_in_memory(vocabulary)
        texts = untuned(tf.data.Dataset.from_tensor_slices([examples.content(row) for row in range(len(examples))]))
        ids = texts.batch(_AT_ONCE).map(lambda some: encode(some, table, text), num_parallel_calls=tf.data.AUTOTUNE)
        self._ids = np.concatenate([np.asarray(some) for some in ids])

    @property
    def steps(self) -> int:
        """Training batches per epoch; what does not fill one is left for another epoch."""
        return whole_batches(len(self._ids), self._batch_size)

    def training(self, epochs: range, seed: int) -> Any:
        """Return tf.data of epochs on end, shuffled: (int32 [batch, length], int32 [batch], class ids).

        The order depends on seed and epoch alone, so that a run that was killed goes on as if nothing had happened.
        """
        import tensorflow as tf

        ids, labels = tf.constant(self._ids), tf.constant(self._labels)
        order, size = ordered(len(self._ids), self._batch_size, epochs, seed)
        rows = untuned(tf.data.Dataset.from_tensor_slices(order.reshape(-1, size)))
        return rows.map(lambda each: (tf.gather(ids, each), tf.gather(labels, each))).prefetch(PREFETCHED)

    def evaluation(self) -> Any:
        """Return tf.data of all examples in order: int32 [batch, length]."""
        import tensorflow as tf

        return untuned(tf.data.Dataset.from_tensor_slices(self._ids)).batch(self._batch_size)


def vocabulary(dataset: Dataset, preset: Preset) -> tuple[str, ...]:
    """Return the tokens of the training texts that a text model tells apart; nothing for an image model."""
    if not isinstance(preset.input, TextInput):
        return ()
    return vocabulary_of((dataset.train.content(row) for row in range(len(dataset.train))), preset.input)
