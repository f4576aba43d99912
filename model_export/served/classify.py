"""The signatures of an image classifier.

`serving_default` takes `image_bytes`, string [batch], encoded images; `image_uint8` takes `image`, uint8
[batch, size, size, 3], RGB. Both return `scores` float32, `class_ids` int32 and `labels` string, each [batch, 5] (or as
many as there are classes), best first; scores are probabilities. `classify` takes `inputs`, string [batch], serialized
tf.Example with the feature "image/encoded", and returns `classes` string and `scores` float32, of the same shape.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from model_export.exportable import Exportable
from model_export.images import decode_batch
from model_export.served import Endpoint
from model_export.served.pictures import encoded, example_of, smooth, warmup_picture
from model_export.signatures import EXAMPLE_FEATURE

TOP = 5


def endpoints(network: Any, labels: Any, model: Exportable) -> dict[str, Endpoint]:
    """See `Served`."""
    import tensorflow as tf

    top = min(TOP, len(model.labels))
    size = model.image.size

    def best(pixels: Any) -> dict[str, Any]:
        scores, ids = tf.math.top_k(network(pixels, training=False), top)
        return {"scores": scores, "class_ids": ids, "labels": labels.lookup(tf.cast(ids, tf.int64))}

    def serving_default(image_bytes: Any) -> dict[str, Any]:
        return best(decode_batch(image_bytes, model.image))

    def image_uint8(pixels: Any) -> dict[str, Any]:
        return best(tf.cast(pixels, tf.float32))

    def classify(inputs: Any) -> dict[str, Any]:
        features = tf.io.parse_example(inputs, {EXAMPLE_FEATURE: tf.io.FixedLenFeature([], tf.string)})
        found = best(decode_batch(features[EXAMPLE_FEATURE], model.image))
        return {"classes": found["labels"], "scores": found["scores"]}

    return {
        "serving_default": Endpoint(serving_default, [tf.TensorSpec([None], tf.string, name="image_bytes")]),
        "image_uint8": Endpoint(image_uint8, [tf.TensorSpec([None, size, size, 3], tf.uint8, name="image")]),
        "classify": Endpoint(classify, [tf.TensorSpec([None], tf.string, name="inputs")]),
    }


def warmup_input(model: Exportable) -> bytes:
    """See `Served`."""
    return warmup_picture()


def probes(model: Exportable) -> dict[str, npt.NDArray[Any]]:
    """See `Served`."""
    pixels = smooth(model.image.size)
    return {"image_uint8": pixels, "serving_default": encoded(pixels), "classify": example_of(encoded(pixels))}
