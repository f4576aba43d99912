"""The signatures of an image classifier: how they are built into the graph and how they read back from a SavedModel."""

from __future__ import annotations

from typing import Any, NamedTuple

from model_export.errors import ExportError
from model_export.images import decode_batch
from model_export.protos import types_pb2
from model_export.registry import ImageInput

TOP = 5
EXAMPLE_FEATURE = "image/encoded"
PREDICT_METHOD = "tensorflow/serving/predict"
CLASSIFY_METHOD = "tensorflow/serving/classify"
_METHODS = {PREDICT_METHOD: "predict", CLASSIFY_METHOD: "classify"}
_DTYPES = {
    types_pb2.DT_FLOAT: "float32",
    types_pb2.DT_INT32: "int32",
    types_pb2.DT_INT64: "int64",
    types_pb2.DT_UINT8: "uint8",
    types_pb2.DT_STRING: "string",
}

Signature = dict[str, Any]
"""{"method": "predict", "inputs": {name: {"dtype", "shape"}}, "outputs": {...}} as in a manifest; null = any size."""


class Endpoint(NamedTuple):
    """One signature to be exported: a function of tensors and the specification of its inputs."""

    function: Any
    inputs: list[Any]


def image_classifier(network: Any, labels: Any, image: ImageInput, classes: int) -> dict[str, Endpoint]:
    """Return the endpoints of an image classifier by signature name.

    Args:
        network: Keras model of the family.
        labels: Lookup table int64 class id -> string class name.
        image: The network's input.
        classes: Number of classes.

    `serving_default` takes `image_bytes`, string [batch], encoded images; `image_uint8` takes `image`, uint8
    [batch, size, size, 3], RGB. Both return `scores` float32, `class_ids` int32 and `labels` string, each [batch, 5]
    (or as many as there are classes), best first. `classify` takes `inputs`, string [batch], serialized tf.Example with
    the feature "image/encoded", and returns `classes` string and `scores` float32, of the same shape.
    """
    import tensorflow as tf

    def top(pixels: Any) -> dict[str, Any]:
        scores, ids = tf.math.top_k(network(pixels, training=False), min(TOP, classes))
        return {"scores": scores, "class_ids": ids, "labels": labels.lookup(tf.cast(ids, tf.int64))}

    def serving_default(image_bytes: Any) -> dict[str, Any]:
        return top(decode_batch(image_bytes, image))

    def image_uint8(pixels: Any) -> dict[str, Any]:
        return top(tf.cast(pixels, tf.float32))

    def classify(inputs: Any) -> dict[str, Any]:
        features = tf.io.parse_example(inputs, {EXAMPLE_FEATURE: tf.io.FixedLenFeature([], tf.string)})
        best = top(decode_batch(features[EXAMPLE_FEATURE], image))
        return {"classes": best["labels"], "scores": best["scores"]}

    size = image.size
    return {
        "serving_default": Endpoint(serving_default, [tf.TensorSpec([None], tf.string, name="image_bytes")]),
        "image_uint8": Endpoint(image_uint8, [tf.TensorSpec([None, size, size, 3], tf.uint8, name="image")]),
        "classify": Endpoint(classify, [tf.TensorSpec([None], tf.string, name="inputs")]),
    }


def _tensors(infos: Any, signature: str) -> dict[str, dict[str, Any]]:
    described = {}
    for name in sorted(infos):
        info = infos[name]
        dtype = _DTYPES.get(info.dtype)
        if dtype is None:
            kind = types_pb2.DataType.Name(info.dtype)
            raise ExportError(f"signature {signature}: {name}: {kind} is not served; use {', '.join(_DTYPES.values())}")
        if info.tensor_shape.unknown_rank:
            raise ExportError(f"signature {signature}: {name}: its rank is unknown; set the shape in the graph")
        shape = [None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim]
        described[name] = {"dtype": dtype, "shape": shape}
    return described


def describe(definitions: Any) -> dict[str, Signature]:
    """Return the signatures of a MetaGraphDef's `signature_def`, without the loader's internal ones.

    Raises:
        ExportError: If a signature has a method, dtype or rank that is not served.
    """
    described = {}
    for name in sorted(definitions):
        definition = definitions[name]
        if name.startswith("__saved_model"):
            continue
        method = _METHODS.get(definition.method_name)
        if method is None:
            raise ExportError(f"signature {name}: method {definition.method_name!r} is not one of {list(_METHODS)}")
        described[name] = {
            "method": method,
            "inputs": _tensors(definition.inputs, name),
            "outputs": _tensors(definition.outputs, name),
        }
    return described


def is_classify(definition: Any) -> bool:
    """Say whether a SignatureDef has the keys of TensorFlow Serving's Classify method."""
    outputs = set(definition.outputs)
    return set(definition.inputs) == {"inputs"} and bool(outputs) and outputs <= {"classes", "scores"}
