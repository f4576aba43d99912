"""Warm-up requests: one for every signature and allowed batch size, so that no client meets a first call.

The file is `assets.extra/tf_serving_warmup_requests`, a TFRecord file of PredictionLog messages that TensorFlow Serving
replays while it loads a model; one failing record fails the load. Record layout: uint64 length, masked CRC-32C of it,
the message, masked CRC-32C of the message, little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from model_export.errors import ExportError
from model_export.protos import example_pb2, prediction_log_pb2, tensor_pb2, types_pb2

FILE = "assets.extra/tf_serving_warmup_requests"
MAX_RECORDS = 1000
_CRC_POLYNOMIAL = 0x82F63B78
_CRC_MASK_DELTA = 0xA282EAD8
_UINT32 = 0xFFFFFFFF


def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (_CRC_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_CRC_TABLE = _crc_table()


def _masked_crc(data: bytes) -> int:
    crc = _UINT32
    for byte in data:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= _UINT32
    return ((crc >> 15 | crc << 17) + _CRC_MASK_DELTA) & _UINT32


def _record(message: bytes) -> bytes:
    length = struct.pack("<Q", len(message))
    return b"".join((length, struct.pack("<I", _masked_crc(length)), message, struct.pack("<I", _masked_crc(message))))


def _read_records(file: Path) -> Iterator[bytes]:
    data = file.read_bytes()
    start = 0
    while start < len(data):
        header = data[start : start + 12]
        length = struct.unpack_from("<Q", header)[0] if len(header) == 12 else len(data)
        message = data[start + 12 : start + 12 + length]
        end = data[start + 12 + length : start + 16 + length]
        if len(end) != 4 or _record(message) != header + message + end:
            raise ExportError(f"{FILE}: byte {start}: the record is damaged; export the model again")
        yield message
        start += 16 + length


def _bytes_tensor(values: list[bytes]) -> Any:
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=values)
    tensor.tensor_shape.dim.add(size=len(values))
    return tensor


def _grey_tensor(shape: list[int]) -> Any:
    """Return a uint8 tensor of one value; a TensorProto repeats its last value, so the record stays tiny."""
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_UINT8, int_val=[127])
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    return tensor


def _log(model: str, signature: str, input_name: str, info: Any, batch: int, image: bytes, feature: str) -> Any:
    log = prediction_log_pb2.PredictionLog()
    if signature == "classify":
        classify = log.classify_log.request
        classify.model_spec.name, classify.model_spec.signature_name = model, signature
        for _ in range(batch):
            example = example_pb2.Example()
            example.features.feature[feature].bytes_list.value.append(image)
            classify.input.example_list.examples.append(example)
        return log
    predict = log.predict_log.request
    predict.model_spec.name, predict.model_spec.signature_name = model, signature
    text = info["dtype"] == "string"
    tensor = _bytes_tensor([image] * batch) if text else _grey_tensor([batch, *info["shape"][1:]])
    predict.inputs[input_name].CopyFrom(tensor)
    return log


def write(
    folder: Path, model: str, signatures: dict[str, Any], batches: Iterable[int], image: bytes, feature: str
) -> None:
    """Write the warm-up file of a version folder: every signature with every batch size.

    Args:
        folder: Version folder.
        model: Name of the served model.
        signatures: As `signatures.describe` returns them.
        batches: Allowed batch sizes.
        image: A small encoded image.
        feature: Name of the tf.Example feature that `classify` reads.
    """
    records = []
    for name, signature in signatures.items():
        ((input_name, info),) = signature["inputs"].items()
        for batch in batches:
            log = _log(model, name, input_name, info, batch, image, feature)
            records.append(_record(log.SerializeToString(deterministic=True)))
    file = folder / FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"".join(records))


class Request(NamedTuple):
    """A warm-up record as the loader takes it."""

    signature: str
    batch: int
    inputs: dict[str, npt.NDArray[Any]]


def _array(tensor: Any) -> npt.NDArray[Any]:
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if tensor.dtype == types_pb2.DT_STRING:
        values = np.empty(len(tensor.string_val), object)
        values[:] = list(tensor.string_val)
        return values.reshape(shape)
    dtype: type[np.generic]
    if tensor.dtype == types_pb2.DT_UINT8:
        dtype, listed = np.uint8, tensor.int_val
    elif tensor.dtype == types_pb2.DT_FLOAT:
        dtype, listed = np.float32, tensor.float_val
    else:
        raise ExportError(f"{FILE}: a record holds {types_pb2.DataType.Name(tensor.dtype)}, which is not replayed here")
    count = int(np.prod(shape))
    array = np.frombuffer(tensor.tensor_content, dtype) if tensor.tensor_content else np.array(listed, dtype)
    if array.size < count:
        array = np.concatenate([array, np.full(count - array.size, array[-1])])
    return array.reshape(shape)


def read(folder: Path) -> list[Request]:
    """Return the warm-up requests of a version folder.

    Raises:
        ExportError: If the file is missing, damaged, empty or longer than TensorFlow Serving allows.
    """
    file = folder / FILE
    if not file.is_file():
        raise ExportError(f"{FILE}: missing; export the model again")
    requests = []
    for message in _read_records(file):
        log = prediction_log_pb2.PredictionLog.FromString(message)
        kind = log.WhichOneof("log_type")
        if kind == "predict_log":
            request = log.predict_log.request
            inputs = {name: _array(tensor) for name, tensor in request.inputs.items()}
        elif kind == "classify_log":
            request = log.classify_log.request
            examples = np.empty(len(request.input.example_list.examples), object)
            examples[:] = [example.SerializeToString() for example in request.input.example_list.examples]
            inputs = {"inputs": examples}
        else:
            raise ExportError(f"{FILE}: a record of kind {kind}; only predict and classify requests are replayed")
        batch = len(next(iter(inputs.values()), ()))
        requests.append(Request(request.model_spec.signature_name, batch, inputs))
    if not 0 < len(requests) <= MAX_RECORDS:
        raise ExportError(f"{FILE}: {len(requests)} records; TensorFlow Serving takes 1 to {MAX_RECORDS}")
    return requests
