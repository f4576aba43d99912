"""Arrays to TensorProto and back, without TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np

from serving.protos import tensor_pb2, types_pb2

_TYPES: dict[int, Any] = {
    types_pb2.DT_FLOAT: np.float32,
    types_pb2.DT_DOUBLE: np.float64,
    types_pb2.DT_INT32: np.int32,
    types_pb2.DT_INT64: np.int64,
    types_pb2.DT_UINT8: np.uint8,
    types_pb2.DT_INT8: np.int8,
    types_pb2.DT_INT16: np.int16,
    types_pb2.DT_BOOL: np.bool_,
    types_pb2.DT_HALF: np.float16,
}
_NUMBERS = {np.dtype(value): key for key, value in _TYPES.items()}
_FIELDS = {
    types_pb2.DT_FLOAT: "float_val",
    types_pb2.DT_DOUBLE: "double_val",
    types_pb2.DT_INT64: "int64_val",
    types_pb2.DT_BOOL: "bool_val",
    types_pb2.DT_HALF: "half_val",
}
Array = Any
"""A numpy array; strings are arrays of dtype object that hold bytes."""


def to_proto(value: Any) -> Any:
    """Return the TensorProto of an array, a list or a scalar.

    Strings and bytes, alone or in lists, become DT_STRING; other values take numpy's dtype.

    Raises:
        TypeError: If TensorFlow Serving has no type for the values.
    """
    array = np.asarray(value, dtype=object) if _holds_text(value) else np.asarray(value)
    proto = tensor_pb2.TensorProto()
    for size in array.shape:
        proto.tensor_shape.dim.add().size = size
    if array.dtype.kind in "OSU":
        proto.dtype = types_pb2.DT_STRING
        proto.string_val.extend(
            each.encode() if isinstance(each, str) else bytes(each) for each in array.reshape(-1).tolist()
        )
        return proto
    if array.dtype not in _NUMBERS:
        raise TypeError(f"arrays of dtype {array.dtype} cannot be sent; convert them to float32 or int64, for example")
    proto.dtype = _NUMBERS[array.dtype]
    proto.tensor_content = np.ascontiguousarray(array).tobytes()
    return proto


def _holds_text(value: Any) -> bool:
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return isinstance(value, str | bytes)


def from_proto(proto: Any) -> Array:
    """Return the array of a TensorProto; strings come as an object array of bytes.

    Raises:
        TypeError: If its dtype is not one that TensorFlow Serving models commonly return.
    """
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if proto.dtype == types_pb2.DT_STRING:
        return _filled(np.array(list(proto.string_val), dtype=object), shape)
    if proto.dtype not in _TYPES:
        raise TypeError(f"tensors of type {types_pb2.DataType.Name(proto.dtype)} are not supported")
    dtype = _TYPES[proto.dtype]
    if proto.tensor_content:
        return np.frombuffer(proto.tensor_content, dtype=dtype).reshape(shape).copy()
    values = getattr(proto, _FIELDS.get(proto.dtype, "int_val"))
    if proto.dtype == types_pb2.DT_HALF:
        return _filled(np.array(list(values), dtype=np.uint16).view(np.float16), shape)
    return _filled(np.array(list(values), dtype=dtype), shape)


def _filled(values: Array, shape: list[int]) -> Array:
    """Give values their shape; TensorProto leaves out trailing values that repeat the last one."""
    count = int(np.prod(shape)) if shape else 1
    if values.size < count:
        last = values[-1:] if values.size else np.zeros(1, dtype=values.dtype)
        values = np.concatenate([values, np.repeat(last, count - values.size)])
    return values.reshape(shape)
