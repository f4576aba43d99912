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
from model_export.images import decode_batch
from model_export.served import Endpoint
from model_export.served.pictures import encoded, smooth, warmup_picture


def endpoints(network: Any, labels: Any, model: Exportable) -> dict[str, Endpoint]:
    """See `Served`."""
    import tensorflow as tf

    size, detector = model.image.size, model.detector

    def detect(pixels: Any) -> dict[str, Any]:
        found = detections(detector, network(pixels, training=False))
        there = tf.range(MOST)[None] < found.count[:, None]
        return {
            "boxes": found.boxes,
            "scores": found.scores,
            "class_ids": tf.where(there, found.classes, -1),
            "labels": tf.where(there, labels.lookup(tf.cast(found.classes, tf.int64)), ""),
            "count": found.count,
        }

    def serving_default(image_bytes: Any) -> dict[str, Any]:
        return detect(decode_batch(image_bytes, model.image))

    def image_uint8(pixels: Any) -> dict[str, Any]:
        return detect(tf.cast(pixels, tf.float32))

    return {
        "serving_default": Endpoint(serving_default, [tf.TensorSpec([None], tf.string, name="image_bytes")]),
        "image_uint8": Endpoint(image_uint8, [tf.TensorSpec([None, size, size, 3], tf.uint8, name="image")]),
    }


def warmup_input(model: Exportable) -> bytes:
    """See `Served`."""
    return warmup_picture()


def probes(model: Exportable) -> dict[str, npt.NDArray[Any]]:
    """See `Served`."""
    pixels = smooth(model.image.size)
    return {"image_uint8": pixels, "serving_default": encoded(pixels)}
