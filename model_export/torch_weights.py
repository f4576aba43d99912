"""Reads the weights of a PyTorch file (legacy format, before torch 1.6) without PyTorch and without running its pickle.

Layout: four pickles (magic number, protocol version, system information, state dict), a pickled list of storage keys,
then for every key an int64 element count and the raw little-endian values.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from model_export.errors import ExportError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES: dict[str, np.dtype[Any]] = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
}


class _Storage(NamedTuple):
    dtype: np.dtype[Any]
    key: str
    length: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(storage: _Storage, offset: int, size: Any, stride: Any, *_: object) -> _Tensor:
    return _Tensor(storage, int(offset), tuple(map(int, size)), tuple(map(int, stride)))


class _Unpickler(pickle.Unpickler):
    """Knows three names; any other is refused, so a file cannot run code."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _DTYPES:
            return name
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a weights file")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage_type, key, _location, length, *_ = pid
        if kind != "storage" or storage_type not in _DTYPES:
            raise pickle.UnpicklingError(f"{kind} {storage_type} is not a known storage")
        return _Storage(_DTYPES[storage_type], str(key), int(length))


def _values(tensor: _Tensor, storages: dict[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    data = storages[tensor.storage.key]
    if not all(n > 0 for n in tensor.shape):
        return np.zeros(tensor.shape, data.dtype)
    last = tensor.offset + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
    if tensor.offset < 0 or any(s < 0 for s in tensor.strides) or last >= data.size:
        raise ValueError(f"a tensor of shape {tensor.shape} reaches element {last} of {data.size}")
    # Convolution kernels are stored permuted, so the strides matter.
    strides = [s * data.itemsize for s in tensor.strides]
    view = np.lib.stride_tricks.as_strided(data[tensor.offset :], tensor.shape, strides, writeable=False)
    return np.ascontiguousarray(view)


def _parse(content: bytes) -> dict[str, npt.NDArray[Any]]:
    stream = io.BytesIO(content)
    magic, protocol, _system = (_Unpickler(stream).load() for _ in range(3))
    if (magic, protocol) != (_MAGIC, _PROTOCOL):
        raise ValueError(f"magic number {magic!r}, protocol {protocol!r}: not a legacy PyTorch file")
    tensors = _Unpickler(stream).load()
    if not isinstance(tensors, dict) or not all(isinstance(tensor, _Tensor) for tensor in tensors.values()):
        raise ValueError("it does not hold a state dict")
    dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in tensors.values()}
    storages: dict[str, npt.NDArray[Any]] = {}
    for key in _Unpickler(stream).load():
        (count,) = struct.unpack("<q", stream.read(8))
        size = count * dtypes[key].itemsize
        raw = stream.read(size)
        if count < 0 or len(raw) != size:
            raise ValueError(f"storage {key} is cut short: {len(raw)} of {size} bytes")
        storages[key] = np.frombuffer(raw, dtypes[key])
    return {name: _values(tensor, storages) for name, tensor in tensors.items()}


def read_state_dict(file: Path, sha256: str) -> dict[str, npt.NDArray[Any]]:
    """Return the tensors of a PyTorch file by name, contiguous, in their stored dtype.

    Raises:
        ExportError: If the file is missing, has another SHA-256, or is not a plain state dict.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ExportError(f"weights: cannot read {file}: {error.strerror}; reinstall the package") from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ExportError(f"weights: {file} has SHA-256 {found}, expected {sha256}; reinstall the package")
    try:
        return _parse(content)
    except (pickle.UnpicklingError, ValueError, KeyError, EOFError, TypeError, struct.error, AttributeError) as error:
        raise ExportError(f"weights: {file} is not a PyTorch state dict: {error}") from None
