"""The steps between the stages of a two-stage detector: regions from anchors, features from regions.

Both are made of operations that have deterministic gradients on CPUs and GPUs; the one of `tf.image.crop_and_resize`
has none on GPUs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from model_export.regions.anchors import decode

_OVERLAP = 0.7
"""Of two proposals that overlap more, the less certain one is left out (https://arxiv.org/abs/1506.01497)."""


def propose(logits: Any, changes: Any, anchors: Any, *, before: int, count: int) -> Any:
    """Return the regions most likely to hold an object, float32 [batch, count, 4]; rows beyond them are 0.

    No gradient passes: the first stage learns from its own loss.

    Args:
        logits: float32 [batch, n], whether there is an object.
        changes: float32 [batch, n, 4], how the anchors change.
        anchors: float32 [n, 4].
        before: Anchors that are looked at, best first, before overlapping ones are left out.
        count: Regions that are kept.
    """
    import tensorflow as tf

    scores, best = tf.math.top_k(tf.stop_gradient(logits), min(before, len(anchors)))
    chosen = tf.gather(tf.stop_gradient(changes), best, batch_dims=1)
    boxes = decode(chosen, tf.gather(tf.constant(anchors), best))
    found = tf.image.combined_non_max_suppression(
        boxes[:, :, None], tf.sigmoid(scores)[..., None], count, count, _OVERLAP, clip_boxes=False
    )
    return tf.ensure_shape(found.nmsed_boxes, [None, count, 4])


def roi_align(features: Sequence[Any], boxes: Any, *, bins: int, samples: int, finest: float) -> Any:
    """Return the features of regions, float32 [batch, n, bins, bins, channels]; https://arxiv.org/abs/1703.06870.

    A bin holds the mean of `samples` x `samples` points, each interpolated between its four neighbours; nothing is
    rounded. A pixel's value stands at its middle ("aligned" in Detectron2). The level is the one that fits the region's
    side (https://arxiv.org/abs/1612.03144, equation 1).

    Args:
        features: float32 [batch, g, g, channels], fine ones first, each with half the places of the one before.
        boxes: float32 [batch, n, 4].
        bins: Bins along a side.
        samples: Points along a bin's side.
        finest: Regions with a side below twice this, as a part of the picture's, are read from the finest level; each
            further level takes those up to twice the size.
    """
    import tensorflow as tf

    grids = [int(each.shape[1]) for each in features]
    starts = [sum(grid * grid for grid in grids[:level]) for level in range(len(grids))]
    channels = int(features[0].shape[-1])
    flat = tf.concat([tf.reshape(each, [-1, g * g, channels]) for each, g in zip(features, grids, strict=True)], axis=1)
    sides = tf.maximum(boxes[..., 2:] - boxes[..., :2], 1e-6)
    doublings = tf.math.log(tf.sqrt(tf.reduce_prod(sides, axis=-1)) / finest) / tf.math.log(2.0)
    level = tf.clip_by_value(tf.cast(tf.floor(doublings), tf.int32), 0, len(grids) - 1)
    grid = tf.gather(tf.constant(grids), level)[..., None, None]
    start = tf.gather(tf.constant(starts), level)[..., None, None]
    steps = (tf.range(bins * samples, dtype=tf.float32) + 0.5) / (bins * samples)
    points = boxes[..., :2, None] + sides[..., None] * steps
    at = tf.clip_by_value(
        points * tf.cast(grid, tf.float32) - 0.5, 0.0, tf.cast(grid - 1, tf.float32)
    )  # [batch, n, 2, bins x samples]
    low = tf.floor(at)
    part = at - low
    low = tf.cast(low, tf.int32)
    high = tf.minimum(low + 1, grid - 1)
    found: Any = 0.0
    for row, down in ((low[..., 0, :], 1 - part[..., 0, :]), (high[..., 0, :], part[..., 0, :])):
        for column, across in ((low[..., 1, :], 1 - part[..., 1, :]), (high[..., 1, :], part[..., 1, :])):
            places = start + row[..., :, None] * grid + column[..., None, :]
            weights = down[..., :, None, None] * across[..., None, :, None]
            found += weights * tf.gather(flat, places, batch_dims=1)
    shape = [-1, int(boxes.shape[1]), bins, samples, bins, samples, channels]
    return tf.reduce_mean(tf.reshape(found, shape), axis=[3, 5])
