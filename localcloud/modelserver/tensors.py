"""TensorProto to NumPy and back, by the rules of the original's `Tensor::FromProto` and `Tensor::AsProtoField`."""

from __future__ import annotations

from typing import Any

import numpy as np

from localcloud.modelserver.errors import invalid
from localcloud.modelserver.library import NUMPY_TYPES, STRING, Array
from serving.protos import types_pb2

_FIELDS = {
    1: "float_val", 2: "double_val", 3: "int_val", 4: "int_val", 5: "int_val", 6: "int_val", 7: "string_val",
    9: "int64_val", 10: "bool_val", 17: "int_val", 19: "half_val", 22: "uint32_val", 23: "uint64_val",
}  # fmt: skip
_NUMBERS = {dtype: number for number, dtype in NUMPY_TYPES.items()}
MAX_ELEMENTS = 1 << 31


def type_name(dtype: int) -> str:
    """Return a type's short name, e.g. `uint8`."""
    try:
        return str(types_pb2.DataType.Name(dtype)).removeprefix("DT_").lower()
    except ValueError:
        return f"type {dtype}"


def from_proto(name: str, proto: Any) -> Array:
    """Read a tensor; strings become an array of bytes objects, numbers may be a read-only view of the message.

    Args:
        name: The input's name, for messages.
        proto: A TensorProto.

    Raises:
        ServingError: INVALID_ARGUMENT: an unsupported type, or contents that do not fill the shape.
    """
    dtype, shape = proto.dtype, [dim.size for dim in proto.tensor_shape.dim]
    if dtype not in _FIELDS:
        raise invalid(f"tensor parsing error: {name}: data type {type_name(dtype)} is not supported")
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise invalid(f"tensor parsing error: {name}: the shape {shape} is not fully defined")
    count = int(np.prod(shape, dtype=object)) if shape else 1
    if count > MAX_ELEMENTS:
        raise invalid(f"tensor parsing error: {name}: the shape {shape} is too large")
    if proto.tensor_content:
        return _from_content(name, proto, shape, count)
    values = getattr(proto, _FIELDS[dtype])
    if dtype == STRING:
        array = np.empty(count, object)
        array[: len(values)] = list(values)[:count]
    elif dtype == 19:
        array = np.array(values, np.uint16)[:count].view(np.float16)
    else:
        array = np.fromiter(values, np.int64 if _FIELDS[dtype] == "int_val" else NUMPY_TYPES[dtype], len(values))
        array = array[:count].astype(NUMPY_TYPES[dtype], copy=False)
    if len(values) < count:
        # A message may leave out the tail when it repeats the last value, and everything when all is zero.
        fill: Any = values[-1] if len(values) else (b"" if dtype == STRING else 0)
        if dtype == STRING:
            array[len(values) :] = [fill] * (count - len(values))
        else:
            array = np.pad(array, (0, count - len(array)), constant_values=array[-1] if len(array) else 0)
    return array.reshape(shape)


def _from_content(name: str, proto: Any, shape: list[int], count: int) -> Array:
    if proto.dtype == STRING:
        raise invalid(f"tensor parsing error: {name}: strings must be given in string_val, not in tensor_content")
    dtype = NUMPY_TYPES[proto.dtype]
    if len(proto.tensor_content) != count * dtype.itemsize:
        raise invalid(
            f"tensor parsing error: {name}: tensor_content has {len(proto.tensor_content)} bytes, but the shape "
            f"{shape} of {type_name(proto.dtype)} takes {count * dtype.itemsize}"
        )
    array: Array = np.frombuffer(proto.tensor_content, dtype).reshape(shape)
    return array


def to_proto(array: Array, proto: Any, as_content: bool) -> None:
    """Write an array into an empty TensorProto.

    Args:
        array: A numeric array, or one of bytes objects.
        proto: The message to fill.
        as_content: Numbers as raw bytes (`--enable_serialization_as_tensor_content`) instead of typed values.
    """
    dtype = STRING if array.dtype == object else _NUMBERS[array.dtype]
    proto.dtype = dtype
    for size in array.shape:
        proto.tensor_shape.dim.add().size = size
    if dtype == STRING:
        proto.string_val.extend(array.ravel().tolist())
    elif as_content:
        proto.tensor_content = array.tobytes()
    elif dtype == 19:
        proto.half_val.extend(array.ravel().view(np.uint16).tolist())
    else:
        getattr(proto, _FIELDS[dtype]).extend(array.ravel().tolist())


def check(name: str, array_type: int, shape: tuple[int, ...], info: Any) -> None:
    """Compare an input with its TensorInfo in the signature.

    The original leaves this to the graph, which answers late, unclearly, or (for a shape that the graph happens to
    accept) with numbers that mean nothing; every request it would serve rightly passes here as well.

    Raises:
        ServingError: INVALID_ARGUMENT naming the input, what was expected and what came.
    """
    if array_type != info.dtype:
        raise invalid(f"input '{name}' must be {type_name(info.dtype)}, got {type_name(array_type)}")
    if info.tensor_shape.unknown_rank:
        return
    expected = [dim.size for dim in info.tensor_shape.dim]
    if len(expected) != len(shape) or any(e not in (-1, s) for e, s in zip(expected, shape, strict=True)):
        text = ",".join("?" if size < 0 else str(size) for size in expected)
        raise invalid(f"input '{name}' must have the shape [{text}], got [{','.join(map(str, shape))}]")
