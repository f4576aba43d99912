"""What a two-stage detector's outputs mean, and what they should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from model_export.regions.anchors import Pyramid, decode, encode
from model_export.training.losses import cross_entropy, cross_entropy_of_each, huber, iou

LOGITS, CHANGES = "anchor_logits", "anchor_changes"
REGIONS, NAMES, BOXES = "regions", "class_logits", "box_changes"
"""Names of a network's outputs, see `TwoStageDetector`."""
_OBJECT, _GROUND = 0.7, 0.3
"""An anchor that overlaps an object at least, or all of them less: those between are not judged."""
_HOLDS = 0.5
"""Overlap from which on a region holds an object."""
_SCALES = (10.0, 5.0)
"""Of the changes of regions, about one over their deviation, as Fast R-CNN and its descendants have them."""
_SMOOTH = 1 / 9
"""Error of a change from which on its loss is linear."""
_GROUNDS = 3.0
"""Most weight of all that holds nothing over the weight of all that holds something."""
_BOX_WEIGHT = 0.2
"""In torchvision, too, boxes weigh about a fifth: their loss is divided by the number of all places drawn."""


@dataclass(frozen=True)
class TwoStageDetector:
    """See `Detector`: Faster R-CNN, https://arxiv.org/abs/1506.01497.

    A network returns by name, all float32: `anchor_logits` [batch, anchors] and `anchor_changes` [batch, anchors, 4] of
    the first stage; `regions` [batch, n, 4]; and of the second stage `class_logits` [batch, n, 1 + classes], the first
    of them for a region without an object, and `box_changes` [batch, n, 1 + classes, 4].

    The papers draw places without an object at random, up to a multiple of those with one; here all count, with weights
    that add up to such a multiple, so that nothing depends on chance.
    """

    classes: int
    pyramid: Pyramid

    def loss(self, boxes: Any, labels: Any, outputs: Any) -> Any:
        """See `Detector`: cross-entropy and the smooth absolute error of boxes, of both stages."""
        import tensorflow as tf

        with tf.name_scope("anchors"):
            proposing = self._anchor_loss(boxes, labels, outputs[LOGITS], outputs[CHANGES])
        with tf.name_scope("regions"):
            naming = self._region_loss(boxes, labels, outputs[REGIONS], outputs[NAMES], outputs[BOXES])
        return proposing + naming

    def candidates(self, outputs: Any) -> tuple[Any, Any]:
        """See `Detector`."""
        import tensorflow as tf

        boxes = decode(outputs[BOXES][..., 1:, :], outputs[REGIONS][..., None, :], _SCALES)
        there = tf.reduce_any(outputs[REGIONS] > 0, axis=-1, keepdims=True)
        return boxes, tf.where(there, tf.nn.softmax(outputs[NAMES])[..., 1:], 0.0)

    def _anchor_loss(self, boxes: Any, labels: Any, logits: Any, changes: Any) -> Any:
        import tensorflow as tf

        anchors = tf.constant(self.pyramid.anchors())[None]
        overlap, nearest = _matched(anchors, boxes, labels)
        most = tf.reduce_max(overlap, axis=-1)
        # Without this an object that no anchor overlaps well would never be learnt.
        fits = (overlap >= tf.reduce_max(overlap, axis=1, keepdims=True)) & (overlap > 0)
        best = tf.reduce_any(fits, axis=-1)
        holds = best | (most >= _OBJECT)
        fitting = tf.argmax(tf.where(fits, overlap, -1.0), axis=-1, output_type=tf.int32)
        nearest = tf.where(best & (most < _OBJECT), fitting, nearest)
        weights = _balanced(holds, ~holds & (most < _GROUND))
        found = cross_entropy_of_each(logits, tf.cast(holds, tf.float32), weights=weights)
        targets = encode(tf.gather(boxes, nearest, batch_dims=1), anchors)
        return found + _box_loss(changes, targets, holds)

    def _region_loss(self, boxes: Any, labels: Any, regions: Any, logits: Any, changes: Any) -> Any:
        import tensorflow as tf

        overlap, nearest = _matched(regions, boxes, labels)
        holds = tf.reduce_max(overlap, axis=-1) >= _HOLDS
        there = tf.reduce_any(regions > 0, axis=-1)
        names = tf.where(holds, 1 + tf.gather(labels, nearest, batch_dims=1), 0)
        weights = _balanced(holds, ~holds & there)
        named = cross_entropy(logits, names, weights=weights)
        targets = encode(tf.gather(boxes, nearest, batch_dims=1), regions, _SCALES)
        return named + _box_loss(tf.gather(changes, names, batch_dims=2), targets, holds)


def _matched(places: Any, boxes: Any, labels: Any) -> tuple[Any, Any]:
    """Return overlaps, float32 [batch, n, objects], 0 with no object, and each place's largest one's object."""
    import tensorflow as tf

    overlap = tf.where(labels[:, None] >= 0, iou(places[:, :, None], boxes[:, None]), 0.0)
    return overlap, tf.argmax(overlap, axis=-1, output_type=tf.int32)


def _balanced(holds: Any, empty: Any) -> Any:
    """Return weights, float32 [batch, n]: 1 where an object is, and at most three times their sum where none is.

    In a batch without any object what is empty counts as if there were one.
    """
    import tensorflow as tf

    holding, without = tf.cast(holds, tf.float32), tf.cast(empty, tf.float32)
    most = _GROUNDS * tf.maximum(1.0, tf.reduce_sum(holding))
    return holding + without * tf.minimum(1.0, tf.math.divide_no_nan(most, tf.reduce_sum(without)))


def _box_loss(changes: Any, targets: Any, holds: Any) -> Any:
    """Return the smooth absolute error, summed over a box's changes, averaged over what holds an object, weighted."""
    import tensorflow as tf

    weights = tf.repeat(tf.cast(holds, tf.float32)[..., None], 4, axis=-1)
    return _BOX_WEIGHT * 4 * huber(changes, targets, delta=_SMOOTH, weights=weights) / _SMOOTH
