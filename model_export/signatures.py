"""Signatures as they read back from a SavedModel."""

from __future__ import annotations

from typing import Any

from model_export.errors import ExportError
from model_export.protos import example_pb2, types_pb2

EXAMPLE_FEATURE = "image/encoded"
TEXT_FEATURE = "text"
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


def example_of(feature: str, content: bytes) -> bytes:
    """Return a serialized tf.Example message with one feature of one string."""
    example = example_pb2.Example()
    example.features.feature[feature].bytes_list.value.append(content)
    return bytes(example.SerializeToString(deterministic=True))


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
