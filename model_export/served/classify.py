"""The signatures of an image classifier.

`serving_default` takes `image_bytes`, string [batch], encoded images; `image_uint8` takes `image`, uint8
[batch, size, size, 3], RGB. Both return `scores` float32, `class_ids` int32 and `labels` string, each [batch, 5] (or as
many as there are classes), best first; scores are probabilities. `classify` takes `inputs`, string [batch], serialized
tf.Example with the feature "image/encoded", and returns `classes` string and `scores` float32, of the same shape.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from model_export.datasets.records import objects
from model_export.exportable import Exportable
from model_export.served import Endpoint, pictures
from model_export.served.ranking import classify_of_examples, ranked
from model_export.signatures import EXAMPLE_FEATURE, example_of


def endpoints(network: Any, labels: Any, model: Exportable) -> dict[str, Endpoint]:
    """See `Served`."""
    import tensorflow as tf

    def best(pixels: Any) -> dict[str, Any]:
        return ranked(network(pixels, training=False), labels, len(model.labels))

    found = pictures.endpoints(best, model.image)
    classify = classify_of_examples(EXAMPLE_FEATURE, found["serving_default"].function)
    return found | {"classify": Endpoint(classify, [tf.TensorSpec([None], tf.string, name="inputs")])}


def warmup_input(model: Exportable) -> bytes:
    """See `Served`."""
    return pictures.warmup_picture()


def probes(model: Exportable) -> dict[str, npt.NDArray[Any]]:
    """See `Served`."""
    found = pictures.probes(model.image)
    examples = [example_of(EXAMPLE_FEATURE, file) for file in found["serving_default"]]
    return found | {"classify": objects(examples)}
