"""The order in which training sees its examples, and how tf.data runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.datasets.records import shuffled, whole_batches

PREFETCHED = 2
"""Batches that are made while the network trains on another."""


def ordered(count: int, batch_size: int, epochs: range, seed: int) -> tuple[npt.NDArray[np.int64], int]:
    """Return the rows of epochs one after another, each cut to whole batches, and the size of a batch.

    Args:
        count: Number of examples.
        batch_size: Examples per batch; all of them where there are fewer.
        epochs: Epochs from 0.
        seed: Decides the order in each epoch.
    """
    size = min(batch_size, count)
    used = whole_batches(count, batch_size) * size
    return np.concatenate([shuffled(count, seed, epoch)[:used] for epoch in epochs]), size


def untuned(dataset: Any) -> Any:
    """Return a tf.data pipeline that nothing tunes while it runs; AUTOTUNE then stands for the number of cores.

    The end of a tuned pipeline waits until its tuner wakes up, after 0.6, 1.3, 2.6 ... 60 s: up to half of an epoch.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
