"""The signatures of a segmenter.

`serving_default` takes `image_bytes`, string [batch], encoded images; `image_uint8` takes `image`, uint8
[batch, size, size, 3], RGB. Both return `mask` uint8 [batch, size, size], the class id of every pixel of the network's
input; `scores` float32 [batch, classes], the part of the pixels that each class has, in [0, 1] with sum 1; and `labels`
string [batch, classes], the names of the classes in the order of their ids.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from model_export.exportable import Exportable
from model_export.served import Endpoint, pictures


def endpoints(network: Any, labels: Any, model: Exportable) -> dict[str, Endpoint]:
    """See `Served`."""
    import tensorflow as tf

    classes = len(model.labels)

    def segmented(pixels: Any) -> dict[str, Any]:
        ids = tf.argmax(network(pixels, training=False), axis=-1, output_type=tf.int32)
        names = labels.lookup(tf.range(classes, dtype=tf.int64))
        return {
            "mask": tf.cast(ids, tf.uint8),
            "scores": tf.reduce_mean(tf.one_hot(ids, classes), axis=[1, 2]),
            "labels": tf.tile(names[None], [tf.shape(pixels)[0], 1]),
        }

    return pictures.endpoints(segmented, model.image)


def warmup_input(model: Exportable) -> bytes:
    """See `Served`."""
    return pictures.warmup_picture()


def probes(model: Exportable) -> dict[str, npt.NDArray[Any]]:
    """See `Served`."""
    return pictures.probes(model.image)
