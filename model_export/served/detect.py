"""The signatures of a detector.

`serving_default` takes `image_bytes`, string [batch], encoded images; `image_uint8` takes `image`, uint8
[batch, size, size, 3], RGB. Both return `boxes`, float32 [batch, 100, 4]: ymin, xmin, ymax, xmax in [0, 1] of the
picture's sides; `scores`, float32 [batch, 100] in [0, 1], best first; `class_ids`, int32 [batch, 100]; `labels`, string
[batch, 100]; and `count`, int32 [batch]. Beyond `count` boxes and scores are 0, ids -1 and labels empty.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from model_export.detection import MOST, detections
from model_export.exportable import Exportable
from model_export.served import Endpoint, pictures


def endpoints(network: Any, labels: Any, model: Exportable) -> dict[str, Endpoint]:
    """See `Served`."""
    import tensorflow as tf

    def detect(pixels: Any) -> dict[str, Any]:
        found = detections(model.detector, network(pixels, training=False))
        there = tf.range(MOST)[None] < found.count[:, None]
        return {
            "boxes": found.boxes,
            "scores": found.scores,
            "class_ids": tf.where(there, found.classes, -1),
            "labels": tf.where(there, labels.lookup(tf.cast(found.classes, tf.int64)), ""),
            "count": found.count,
        }

    return pictures.endpoints(detect, model.image)


def warmup_input(model: Exportable) -> bytes:
    """See `Served`."""
    return pictures.warmup_picture()


def probes(model: Exportable) -> dict[str, npt.NDArray[Any]]:
    """See `Served`."""
    return pictures.probes(model.image)
