"""Losses of all tasks; each takes logits or values of a batch and returns float32 [], the mean over the batch."""

from __future__ import annotations

from typing import Any


def cross_entropy(logits: Any, labels: Any, *, smoothing: float = 0.0, weights: Any = None) -> Any:
    """Softmax cross-entropy over the last axis.

    Args:
        logits: float [..., classes].
        labels: int [...], class ids.
        smoothing: Part of the certainty that is spread over all classes (https://arxiv.org/abs/1512.00567).
        weights: float [...]; 0 leaves a place out. The mean is over the weights' sum.
    """
    import tensorflow as tf

    logits = tf.cast(logits, tf.float32)
    found = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(labels, tf.int32), logits)
    if smoothing:
        uniform = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=-1)
        found = (1 - smoothing) * found + smoothing * uniform
    return _mean(found, weights)


def cross_entropy_of_each(logits: Any, targets: Any, *, weights: Any = None) -> Any:
    """Sigmoid cross-entropy of classes that do not exclude each other.

    Args:
        logits: float [...].
        targets: float [...] in [0, 1].
        weights: float [...]; 0 leaves a place out. The mean is over the weights' sum.
    """
    import tensorflow as tf

    logits, targets = tf.cast(logits, tf.float32), tf.cast(targets, tf.float32)
    return _mean(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits), weights)


def focal(logits: Any, targets: Any, *, alpha: float = 0.25, gamma: float = 2.0, weights: Any = None) -> Any:
    """Focal loss of independent classes, which makes light of what is easy; https://arxiv.org/abs/1708.02002.

    Args:
        logits: float [...].
        targets: float [...] in [0, 1].
        alpha: Weight of the positive targets; the negative ones have 1 - alpha.
        gamma: How light what is easy becomes.
        weights: float [...]; 0 leaves a place out.
    """
    import tensorflow as tf

    logits, targets = tf.cast(logits, tf.float32), tf.cast(targets, tf.float32)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
    certainty = tf.sigmoid(logits)
    wrong = targets * (1 - certainty) + (1 - targets) * certainty
    balance = targets * alpha + (1 - targets) * (1 - alpha)
    return _mean(balance * wrong**gamma * entropy, weights)


def huber(values: Any, targets: Any, *, delta: float = 1.0, weights: Any = None) -> Any:
    """Squared error near 0, absolute error beyond `delta`; `weights` as above, over all places."""
    import tensorflow as tf

    error = tf.abs(tf.cast(values, tf.float32) - tf.cast(targets, tf.float32))
    near = tf.minimum(error, delta)
    return _mean(0.5 * near**2 + delta * (error - near), weights)


def squared(values: Any, targets: Any, *, weights: Any = None) -> Any:
    """Mean squared error."""
    import tensorflow as tf

    return _mean((tf.cast(values, tf.float32) - tf.cast(targets, tf.float32)) ** 2, weights)


def giou(boxes: Any, targets: Any, *, weights: Any = None) -> Any:
    """1 - generalised intersection over union of boxes; https://arxiv.org/abs/1902.09630.

    Args:
        boxes: float [..., 4], ymin, xmin, ymax, xmax.
        targets: float [..., 4], the same way.
        weights: float [...]; 0 leaves a box out.
    """
    import tensorflow as tf

    boxes, targets = tf.cast(boxes, tf.float32), tf.cast(targets, tf.float32)
    outer = tf.concat([tf.minimum(boxes[..., :2], targets[..., :2]), tf.maximum(boxes[..., 2:], targets[..., 2:])], -1)
    shared, union = shared_and_union(boxes, targets)
    hull = _area(outer)
    found = tf.math.divide_no_nan(shared, union) - tf.math.divide_no_nan(hull - union, hull)
    return _mean(1 - found, weights)


def shared_and_union(boxes: Any, others: Any) -> tuple[Any, Any]:
    """Return the areas of what boxes share and of what they cover together, float32 [...].

    Args:
        boxes: float32 [..., 4], ymin, xmin, ymax, xmax.
        others: float32 [..., 4], the same way; the two are broadcast.
    """
    import tensorflow as tf

    upper = tf.maximum(boxes[..., :2], others[..., :2])
    lower = tf.minimum(boxes[..., 2:], others[..., 2:])
    shared = _area(tf.concat([upper, lower], -1))
    return shared, _area(boxes) + _area(others) - shared


def iou(boxes: Any, others: Any) -> Any:
    """Return the intersection over union of boxes, float32 [...]; arguments as of `shared_and_union`."""
    import tensorflow as tf

    return tf.math.divide_no_nan(*shared_and_union(boxes, others))


def _area(corners: Any) -> Any:
    import tensorflow as tf

    sides = tf.maximum(corners[..., 2:] - corners[..., :2], 0.0)
    return sides[..., 0] * sides[..., 1]


def dice(logits: Any, labels: Any, *, classes: int, weights: Any = None) -> Any:
    """1 - Dice coefficient, averaged over the classes of a batch; https://arxiv.org/abs/1606.04797.

    Args:
        logits: float [batch, height, width, classes].
        labels: int [batch, height, width], class ids.
        classes: Number of classes.
        weights: float [batch, height, width]; 0 leaves a pixel out.
    """
    import tensorflow as tf

    probabilities = tf.nn.softmax(tf.cast(logits, tf.float32))
    truth = tf.one_hot(tf.cast(labels, tf.int32), classes)
    if weights is not None:
        weights = tf.cast(weights, tf.float32)[..., None]
        probabilities, truth = probabilities * weights, truth * weights
    shared = tf.reduce_sum(probabilities * truth, axis=[0, 1, 2])
    total = tf.reduce_sum(probabilities + truth, axis=[0, 1, 2])
    # A class that is nowhere, neither in the truth nor in the answer, is right.
    return 1 - tf.reduce_mean((2 * shared + 1.0) / (total + 1.0))


def _mean(values: Any, weights: Any) -> Any:
    import tensorflow as tf

    if weights is None:
        return tf.reduce_mean(values)
    weights = tf.cast(weights, tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(values * weights), tf.reduce_sum(weights))
