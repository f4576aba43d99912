"""From examples to batches: decoded by the very function that the exported graph decodes with."""

from __future__ import annotations

from typing import Any

import numpy as np

from model_export.datasets.records import Examples
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
        self._cached: Any = None
        if len(examples) * image.size**2 * 3 * _FLOAT_BYTES <= CACHE_BYTES:
            self._cached = np.concatenate([np.asarray(batch) for batch in self._decoded(np.arange(len(examples)))])

    @property
    def steps(self) -> int:
        """Training batches per epoch; what does not fill one is left for another epoch."""
        return max(1, len(self._examples) // self._batch_size)

    def training(self, epoch: int, seed: int, augmentation: Augmentation) -> Any:
        """Return tf.data of one epoch: (float32 [batch, size, size, 3], targets), shuffled and augmented.

        The order and every random change depend on seed, epoch and example alone, so that a run that was killed goes on
        as if nothing had happened.
        """
        import tensorflow as tf

        order = np.random.default_rng((seed, epoch)).permutation(len(self._examples))
        size = min(self._batch_size, len(order))

        def augmented(pixels: Any, row: Any) -> Any:
            return augment(pixels, augmentation, tf.stack([seed * 1_000_003 + epoch, tf.cast(row, tf.int32)]))

        def batch(rows: Any, pixels: Any) -> Any:
            changed = tf.map_fn(lambda each: augmented(*each), (pixels, rows), fn_output_signature=tf.float32)
            return changed, {name: tf.gather(values, rows) for name, values in self._examples.targets.items()}

        rows = tf.data.Dataset.from_tensor_slices(order)
        return (
            self._with_pixels(rows, size, drop_remainder=True)
            .map(batch, num_parallel_calls=tf.data.AUTOTUNE)
            .prefetch(tf.data.AUTOTUNE)
        )

    def evaluation(self) -> Any:
        """Return tf.data of all examples in order, without changes: float32 [batch, size, size, 3]."""
        import tensorflow as tf

        rows = tf.data.Dataset.range(len(self._examples))
        return self._with_pixels(rows, self._batch_size, drop_remainder=False).map(lambda _, pixels: pixels)

    def _with_pixels(self, rows: Any, size: int, *, drop_remainder: bool) -> Any:
        import tensorflow as tf

        if self._cached is not None:
            cached = tf.constant(self._cached)
            batches = rows.batch(size, drop_remainder=drop_remainder)
            return batches.map(lambda each: (each, tf.gather(cached, each)), num_parallel_calls=tf.data.AUTOTUNE)
        inputs = tf.constant(self._examples.inputs.tolist())
        decoded = rows.map(lambda row: (row, self._one(inputs[row])), num_parallel_calls=tf.data.AUTOTUNE)
        return decoded.batch(size, drop_remainder=drop_remainder)

    def _decoded(self, rows: Any) -> Any:
        import tensorflow as tf

        inputs = tf.constant(self._examples.inputs[rows].tolist())
        one_by_one = tf.data.Dataset.from_tensor_slices(inputs).map(self._one, num_parallel_calls=tf.data.AUTOTUNE)
        return one_by_one.batch(self._batch_size)

    def _one(self, found: Any) -> Any:
        import tensorflow as tf

        return decode(tf.io.read_file(found) if self._examples.files else found, self._image)


def augment(pixels: Any, augmentation: Augmentation, seed: Any) -> Any:
    """Change one training image at random.

    Args:
        pixels: float32 [size, size, 3] in [0, 255].
        augmentation: What may change.
        seed: int32 [2]; the same seed changes an image in the same way.
    """
    import tensorflow as tf

    size = int(pixels.shape[0])
    margin = round(size * augmentation.shift)
    if margin:
        padded = tf.pad(pixels, [[margin, margin], [margin, margin], [0, 0]], mode="SYMMETRIC")
        offsets = tf.random.stateless_uniform([2], seed, 0, 2 * margin + 1, tf.int32)
        pixels = padded[offsets[0] : offsets[0] + size, offsets[1] : offsets[1] + size]
        pixels = tf.ensure_shape(pixels, [size, size, 3])
    if augmentation.flip:
        mirrored = tf.random.stateless_uniform([], seed + 1) < 0.5
        pixels = tf.where(mirrored, pixels[:, ::-1], pixels)
    if augmentation.brightness:
        change = tf.random.stateless_uniform([], seed + 2, -1.0, 1.0) * (255 * augmentation.brightness)
        pixels = tf.clip_by_value(pixels + change, 0.0, 255.0)
    return pixels
