"""Random changes of training images, with the boxes and masks that belong to them."""

from __future__ import annotations

from typing import Any

from model_export.registry import Augmentation

BOXES, LABELS, MASK = "boxes", "labels", "mask"
IGNORED = 255
"""Class id of mask pixels that count neither way."""
_SMALLEST = 0.02
"""Boxes of which less than this part of the image's side is left are dropped."""


def augment(pixels: Any, targets: dict[str, Any], augmentation: Augmentation, seeds: Any) -> tuple[Any, dict[str, Any]]:
    """Change a batch of training examples at random, each in its own way.

    Args:
        pixels: float32 [batch, size, size, 3] in [0, 255].
        targets: Their targets; `boxes` float32 [batch, n, 4] with `labels` int32 [batch, n] and `mask` uint8
            [batch, size, size] change with the images, others stay.
        augmentation: What may change.
        seeds: int32 [batch, 2]; the same seed changes an example in the same way.
    """
    import tensorflow as tf

    targets = dict(targets)
    size = int(pixels.shape[1])
    margin = round(size * augmentation.shift)
    drawn = _drawn(seeds, margin, augmentation)
    rows = columns = tf.range(size)[None]
    if margin:
        offsets = drawn["offset"]
        rows, columns = (tf.range(size) + offsets[:, side, None] - margin for side in (0, 1))
        if BOXES in targets:
            moved = tf.cast(margin - offsets, tf.float32) / size
            targets |= _kept(targets[BOXES] + tf.tile(moved, [1, 2])[:, None], targets[LABELS])
    if augmentation.flip:
        mirrored = drawn["mirrored"]
        columns = tf.where(mirrored[:, None], columns[:, ::-1], columns)
        if BOXES in targets:
            ymin, xmin, ymax, xmax = tf.unstack(targets[BOXES], axis=-1)
            turned = tf.stack([ymin, 1 - xmax, ymax, 1 - xmin], axis=-1)
            turned = tf.where(targets[LABELS][..., None] >= 0, turned, 0.0)
            targets[BOXES] = tf.where(mirrored[:, None, None], turned, targets[BOXES])
    if margin or augmentation.flip:
        pixels = _taken(pixels, rows if margin else None, columns)
        if MASK in targets:
            targets[MASK] = _taken(targets[MASK], rows if margin else None, columns)
            if margin:
                inside = _inside(rows, size)[:, :, None] & _inside(columns, size)[:, None]
                targets[MASK] = tf.where(inside, targets[MASK], tf.constant(IGNORED, targets[MASK].dtype))
    if augmentation.brightness:
        change = drawn["brightness"] * (255 * augmentation.brightness)
        pixels = tf.clip_by_value(pixels + change[:, None, None, None], 0.0, 255.0)
    return pixels, targets


def _drawn(seeds: Any, margin: int, augmentation: Augmentation) -> dict[str, Any]:
    """Return the random numbers of every example; apart from the changes, which are made to whole batches at once."""
    import tensorflow as tf

    kinds: dict[str, Any] = {}
    if margin:
        kinds["offset"] = tf.TensorSpec([2], tf.int32)
    if augmentation.flip:
        kinds["mirrored"] = tf.TensorSpec([], tf.bool)
    if augmentation.brightness:
        kinds["brightness"] = tf.TensorSpec([], tf.float32)

    def one(seed: Any) -> dict[str, Any]:
        uniform = tf.random.stateless_uniform
        draw = {
            "offset": lambda: uniform([2], seed, 0, 2 * margin + 1, tf.int32),
            "mirrored": lambda: uniform([], seed + 1) < 0.5,
            "brightness": lambda: uniform([], seed + 2, -1.0, 1.0),
        }
        return {name: draw[name]() for name in kinds}

    return dict(tf.map_fn(one, seeds, fn_output_signature=kinds)) if kinds else {}


def _taken(values: Any, rows: Any, columns: Any) -> Any:
    """Return rows and columns of each image of a batch; those outside are mirrored in at its edges.

    Args:
        values: [batch, size, size, ...].
        rows: int32 [batch, size], or None for all as they are.
        columns: int32 [batch, size].
    """
    import tensorflow as tf

    size = int(values.shape[1])
    found = values
    for axis, places in ((1, rows), (2, columns)):
        if places is not None:
            mirrored = tf.where(places < 0, -1 - places, tf.where(places >= size, 2 * size - 1 - places, places))
            found = tf.gather(found, mirrored, axis=axis, batch_dims=1)
    return tf.ensure_shape(found, values.shape)


def _inside(places: Any, size: int) -> Any:
    return (places >= 0) & (places < size)


def _kept(boxes: Any, labels: Any) -> dict[str, Any]:
    import tensorflow as tf

    clipped = tf.clip_by_value(boxes, 0.0, 1.0)
    sides = tf.reduce_min(clipped[..., 2:] - clipped[..., :2], axis=-1)
    stays = (labels >= 0) & (sides >= _SMALLEST)
    return {BOXES: tf.where(stays[..., None], clipped, 0.0), LABELS: tf.where(stays, labels, -1)}
