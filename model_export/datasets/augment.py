"""Random changes of training images, with the boxes and masks that belong to them."""

from __future__ import annotations

from typing import Any

from model_export.registry import Augmentation

BOXES, LABELS, MASK = "boxes", "labels", "mask"
IGNORED = 255
"""Class id of mask pixels that count neither way."""
_SMALLEST = 0.02
"""Boxes of which less than this part of the image's side is left are dropped."""


def augment(pixels: Any, targets: dict[str, Any], augmentation: Augmentation, seed: Any) -> tuple[Any, dict[str, Any]]:
    """Change one training example at random.

    Args:
        pixels: float32 [size, size, 3] in [0, 255].
        targets: Its targets; `boxes` float32 [n, 4] with `labels` int32 [n] and `mask` uint8 [size, size] change with
            the image, others stay.
        augmentation: What may change.
        seed: int32 [2]; the same seed changes an example in the same way.
    """
    import tensorflow as tf

    targets = dict(targets)
    size = int(pixels.shape[0])
    if margin := round(size * augmentation.shift):
        offset = tf.random.stateless_uniform([2], seed, 0, 2 * margin + 1, tf.int32)
        # Content is mirrored in at the edges; what has no truth there is ignored in masks and has no box.
        pixels = _window(pixels, margin, offset, mode="SYMMETRIC")
        if MASK in targets:
            targets[MASK] = _window(targets[MASK], margin, offset, mode="CONSTANT", value=IGNORED)
        if BOXES in targets:
            moved = tf.cast(margin - offset, tf.float32) / size
            targets |= _kept(targets[BOXES] + tf.tile(moved, [2]), targets[LABELS])
    if augmentation.flip:
        mirrored = tf.random.stateless_uniform([], seed + 1) < 0.5
        pixels = tf.where(mirrored, pixels[:, ::-1], pixels)
        if MASK in targets:
            targets[MASK] = tf.where(mirrored, targets[MASK][:, ::-1], targets[MASK])
        if BOXES in targets:
            ymin, xmin, ymax, xmax = tf.unstack(targets[BOXES], axis=-1)
            turned = tf.stack([ymin, 1 - xmax, ymax, 1 - xmin], axis=-1)
            turned = tf.where(targets[LABELS][:, None] >= 0, turned, 0.0)
            targets[BOXES] = tf.where(mirrored, turned, targets[BOXES])
    if augmentation.brightness:
        change = tf.random.stateless_uniform([], seed + 2, -1.0, 1.0) * (255 * augmentation.brightness)
        pixels = tf.clip_by_value(pixels + change, 0.0, 255.0)
    return pixels, targets


def _window(values: Any, margin: int, offset: Any, *, mode: str, value: int = 0) -> Any:
    import tensorflow as tf

    size = int(values.shape[0])
    rest = [[0, 0]] * (len(values.shape) - 2)
    padded = tf.pad(values, [[margin, margin], [margin, margin], *rest], mode=mode, constant_values=value)
    cut = padded[offset[0] : offset[0] + size, offset[1] : offset[1] + size]
    return tf.ensure_shape(cut, values.shape)


def _kept(boxes: Any, labels: Any) -> dict[str, Any]:
    import tensorflow as tf

    clipped = tf.clip_by_value(boxes, 0.0, 1.0)
    sides = tf.reduce_min(clipped[:, 2:] - clipped[:, :2], axis=-1)
    stays = (labels >= 0) & (sides >= _SMALLEST)
    return {BOXES: tf.where(stays[:, None], clipped, 0.0), LABELS: tf.where(stays, labels, -1)}
