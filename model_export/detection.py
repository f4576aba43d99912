"""From a detector's candidates to its answer; evaluation and the exported graph call the same function."""

from __future__ import annotations

from typing import Any, NamedTuple

from model_export.registry import Detector

MOST = 100
"""Most objects of an answer."""
OVERLAP = 0.5
"""Of two boxes of a class that overlap more, the less certain one is left out."""
SMALLEST_SCORE = 0.05


class Detections(NamedTuple):
    """An answer; rows beyond `count` are 0."""

    boxes: Any
    """float32 [batch, 100, 4]: ymin, xmin, ymax, xmax in [0, 1] of the picture's sides."""
    scores: Any
    """float32 [batch, 100] in [0, 1], best first."""
    classes: Any
    """int32 [batch, 100], class ids."""
    count: Any
    """int32 [batch]."""


def detections(detector: Detector, outputs: Any) -> Detections:
    """Return the objects in what a network returned: boxes suppressed class by class.

    Args:
        detector: What the outputs mean.
        outputs: The network's.
    """
    import tensorflow as tf

    boxes, scores = detector.candidates(outputs)
    found = tf.image.combined_non_max_suppression(boxes, scores, MOST, MOST, OVERLAP, SMALLEST_SCORE, clip_boxes=True)
    return Detections(found[0], found[1], tf.cast(found[2], tf.int32), found[3])
