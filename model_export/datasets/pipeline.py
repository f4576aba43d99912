"""From examples to batches: decoded by the very function that the exported graph decodes with."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.datasets.augment import augment
from model_export.datasets.batches import PREFETCHED, ordered, untuned
from model_export.datasets.records import Examples, whole_batches
from model_export.images import decode
from model_export.registry import Augmentation, ImageInput

CACHE_BYTES = 1 << 30
"""Decoded images are kept in memory up to this many bytes."""
_FLOAT_BYTES = 4


class ImagePipeline:
    """Batches of decoded images with their targets; decodes once where the images fit into `CACHE_BYTES`.

    Args:
        examples: The examples.
        image: The network's input.
        batch_size: Examples per batch.
    """

    def __init__(self, examples: Examples, image: ImageInput, batch_size: int) -> None:
        self._examples = examples
        self._image = image
        self._batch_size = batch_size
        self._targets = {name: _target(values, image.size) for name, values in examples.targets.items()}
        self._cached: Any = None
        if len(examples) * image.size**2 * 3 * _FLOAT_BYTES <= CACHE_BYTES:
            self._cached = self._decoded()

    @property
    def steps(self) -> int:
        """Training batches per epoch; what does not fill one is left for another epoch."""
        return whole_batches(len(self._examples), self._batch_size)

    @property
    def targets(self) -> dict[str, npt.NDArray[Any]]:
        """Targets of all examples in order; masks are uint8 [n, size, size]."""
        return self._targets

    def training(self, epochs: range, seed: int, augmentation: Augmentation) -> Any:
        """Return tf.data of epochs on end: (float32 [batch, size, size, 3], targets), shuffled and augmented.

        The order and every random change depend on seed, epoch and example alone, so that a run that was killed goes on
        as if nothing had happened.
        """
        import tensorflow as tf

        targets = {name: tf.constant(values) for name, values in self._targets.items()}

        def batch(epoch: Any, with_pixels: Any) -> Any:
            rows, pixels = with_pixels
            found = {name: tf.gather(values, rows) for name, values in targets.items()}
            numbers = tf.cast(rows, tf.int32)
            seeds = tf.stack([tf.fill(tf.shape(numbers), seed * 1_000_003 + epoch), numbers], axis=-1)
            return augment(pixels, found, augmentation, seeds)

        order, size = ordered(len(self._examples), self._batch_size, epochs, seed)
        numbers = tf.data.Dataset.from_tensor_slices(np.repeat(np.array(epochs, np.int32), self.steps))
        batches = self._with_pixels(tf.data.Dataset.from_tensor_slices(order), size, drop_remainder=True)
        return (
            tf.data.Dataset.zip(numbers, batches).map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(PREFETCHED)
        )

    def evaluation(self) -> Any:
        """Return tf.data of all examples in order, without changes: float32 [batch, size, size, 3]."""
        import tensorflow as tf

        rows = tf.data.Dataset.range(len(self._examples))
        return self._with_pixels(rows, self._batch_size, drop_remainder=False).map(lambda _, pixels: pixels)

    def pictures(self) -> npt.NDArray[np.uint8]:
        """Return all images in order as people see them, uint8 [n, size, size, 3]."""
        batches = [np.asarray(batch).round().clip(0, 255).astype(np.uint8) for batch in self.evaluation()]
        return np.concatenate(batches)

    def _with_pixels(self, rows: Any, size: int, *, drop_remainder: bool) -> Any:
        import tensorflow as tf

        rows = untuned(rows)
        if self._cached is not None:
            cached = self._cached
            batches = rows.batch(size, drop_remainder=drop_remainder)
            return batches.map(lambda each: (each, tf.gather(cached, each)), num_parallel_calls=tf.data.AUTOTUNE)
        inputs = tf.constant(self._examples.inputs.tolist())
        decoded = rows.map(lambda row: (row, self._one(inputs[row])), num_parallel_calls=tf.data.AUTOTUNE)
        return decoded.batch(size, drop_remainder=drop_remainder)

    def _decoded(self) -> Any:
        """Return all images as one tensor, float32 [n, size, size, 3]."""
        import tensorflow as tf

        inputs = tf.constant(self._examples.inputs.tolist())
        one_by_one = untuned(tf.data.Dataset.from_tensor_slices(inputs)).map(
            self._one, num_parallel_calls=tf.data.AUTOTUNE
        )
        return tf.concat(list(one_by_one.batch(self._batch_size)), axis=0)

    def _one(self, found: Any) -> Any:
        import tensorflow as tf

        return decode(tf.io.read_file(found) if self._examples.files else found, self._image)


def _target(values: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """Return targets as arrays: masks, which come as encoded one-channel images, as uint8 [n, size, size]."""
    import tensorflow as tf

    if values.dtype != object:
        return values
    decoded = []
    for value in values:
        mask = tf.io.decode_png(value, channels=1)
        decoded.append(np.asarray(tf.image.resize(mask, [size, size], method="nearest"))[..., 0])
    return np.stack(decoded).astype(np.uint8)
