"""What every classifier answers: its best classes."""

from __future__ import annotations

from typing import Any

TOP = 5


def ranked(scores: Any, labels: Any, classes: int) -> dict[str, Any]:
    """Return the best classes, as many as there are up to five, best first.

    Args:
        scores: float32 [batch, classes], probabilities.
        labels: Lookup table int64 class id -> string class name.
        classes: Number of classes.

    Returns:
        `scores` float32, `class_ids` int32 and `labels` string, each [batch, 5 or classes].
    """
    import tensorflow as tf

    best, ids = tf.math.top_k(scores, min(TOP, classes))
    return {"scores": best, "class_ids": ids, "labels": labels.lookup(tf.cast(ids, tf.int64))}


def classify_of_examples(feature: str, answer: Any) -> Any:
    """Return the function of the Classify signature: it reads a feature of tf.Example messages and asks `answer`.

    Args:
        feature: Name of the feature, one string.
        answer: string [batch] -> what `ranked` returns.
    """
    import tensorflow as tf

    def classify(inputs: Any) -> dict[str, Any]:
        features = tf.io.parse_example(inputs, {feature: tf.io.FixedLenFeature([], tf.string)})
        found = answer(features[feature])
        return {"classes": found["labels"], "scores": found["scores"]}

    return classify
