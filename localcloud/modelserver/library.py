"""TensorFlow's C interface through ctypes, without importing the `tensorflow` package.

Importing that package takes seconds and half a gigabyte, and three servers start at once on a laptop.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from localcloud.modelserver.errors import Code, ServingError

Array = npt.NDArray[Any]
"""Numbers, or bytes objects for strings."""

STRING = 7
NUMPY_TYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype(np.float32),
    2: np.dtype(np.float64),
    3: np.dtype(np.int32),
    4: np.dtype(np.uint8),
    5: np.dtype(np.int16),
    6: np.dtype(np.int8),
    9: np.dtype(np.int64),
    10: np.dtype(np.bool_),
    17: np.dtype(np.uint16),
    19: np.dtype(np.float16),
    22: np.dtype(np.uint32),
    23: np.dtype(np.uint64),
}
_TSTRING_BYTES = 24
_COMPUTE_NICENESS = 5

_pointer, _text, _size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t


class Output(ctypes.Structure):
    """TF_Output: one output of one operation of a graph."""

    _fields_ = [("oper", _pointer), ("index", ctypes.c_int)]


class Buffer(ctypes.Structure):
    """TF_Buffer: bytes owned by TensorFlow."""

    _fields_ = [("data", _pointer), ("length", _size), ("release", _pointer)]


# Calls that may take long let other Python threads run; the many short ones keep the interpreter's lock, because
# giving it up and waiting for it again costs far more than the call.
_LONG = {
    "TF_LoadSessionFromSavedModel": (
        _pointer,
        [_pointer, _pointer, _text, ctypes.POINTER(_text), ctypes.c_int, _pointer, ctypes.POINTER(Buffer), _pointer],
    ),
    "TF_SessionRun": (
        None,
        [_pointer, _pointer]
        + [ctypes.POINTER(Output), ctypes.POINTER(_pointer), ctypes.c_int] * 2
        + [_pointer, ctypes.c_int, _pointer, _pointer],
    ),
    "TF_CloseSession": (None, [_pointer, _pointer]),
    "TF_DeleteSession": (None, [_pointer, _pointer]),
    "TF_DeleteGraph": (None, [_pointer]),
}
_SHORT = {
    "TF_Version": (_text, []),
    "TF_NewStatus": (_pointer, []),
    "TF_DeleteStatus": (None, [_pointer]),
    "TF_GetCode": (ctypes.c_int, [_pointer]),
    "TF_Message": (_text, [_pointer]),
    "TF_NewGraph": (_pointer, []),
    "TF_GraphOperationByName": (_pointer, [_pointer, _text]),
    "TF_NewSessionOptions": (_pointer, []),
    "TF_DeleteSessionOptions": (None, [_pointer]),
    "TF_SetConfig": (None, [_pointer, _text, _size, _pointer]),
    "TF_NewBuffer": (ctypes.POINTER(Buffer), []),
    "TF_DeleteBuffer": (None, [ctypes.POINTER(Buffer)]),
    "TF_AllocateTensor": (_pointer, [ctypes.c_int, ctypes.POINTER(ctypes.c_int64), ctypes.c_int, _size]),
    "TF_DeleteTensor": (None, [_pointer]),
    "TF_TensorData": (_pointer, [_pointer]),
    "TF_TensorByteSize": (_size, [_pointer]),
    "TF_TensorType": (ctypes.c_int, [_pointer]),
    "TF_NumDims": (ctypes.c_int, [_pointer]),
    "TF_Dim": (ctypes.c_int64, [_pointer, ctypes.c_int]),
    "TF_StringInit": (None, [_pointer]),
    "TF_StringCopy": (None, [_pointer, _text, _size]),
    "TF_StringGetDataPointer": (_pointer, [_pointer]),
    "TF_StringGetSize": (_size, [_pointer]),
}


@functools.cache
def library() -> SimpleNamespace:
    """Load TensorFlow's shared libraries once and return their C functions as attributes.

    Raises:
        ServingError: UNAVAILABLE when TensorFlow is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or not spec.submodule_search_locations:
        raise ServingError(Code.UNAVAILABLE, "TensorFlow is not installed: install the extra 'export'")
    folder = Path(next(iter(spec.submodule_search_locations)))
    ctypes.CDLL(str(folder / "libtensorflow_framework.so.2"), mode=ctypes.RTLD_GLOBAL)
    path = str(folder / "libtensorflow_cc.so.2")
    functions = SimpleNamespace()
    for loaded, table in ((ctypes.CDLL(path), _LONG), (ctypes.PyDLL(path), _SHORT)):
        for name, (result, arguments) in table.items():
            function = getattr(loaded, name)
            function.restype = result
            function.argtypes = arguments
            setattr(functions, name, function)
    return functions


def yield_to_requests() -> None:
    """Let the calling thread, and every thread it starts from now on, compute only when nothing else wants the CPU.

    Without it TensorFlow's threads, which may be as many as there are CPUs, make the event loop wait: the requests of
    one batch would trickle in over tens of milliseconds and be torn into small batches.
    """
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _COMPUTE_NICENESS)


class Status:
    """A TF_Status for the time of a `with` block; `check` turns it into an error."""

    def __enter__(self) -> Status:
        self.handle = library().TF_NewStatus()
        return self

    def __exit__(self, *_: object) -> None:
        library().TF_DeleteStatus(self.handle)

    def check(self) -> None:
        """Raise ServingError with TensorFlow's own code and message unless all is well."""
        tf = library()
        code = tf.TF_GetCode(self.handle)
        if code:
            raise ServingError(Code(code), tf.TF_Message(self.handle).decode(errors="replace"))


class InputTensor:
    """A tensor made of the rows of several arrays, and padding; freed by `release`.

    Args:
        dtype: TensorFlow's number of the type.
        parts: Arrays of that type (objects of bytes for strings); equal shapes but for the first dimension.
        padding: Rows to add, copies of the last part's first row, as BatchingSession pads.
    """

    def __init__(self, dtype: int, parts: list[Array], padding: int = 0) -> None:
        tf = library()
        first = parts[0]
        shape = list(first.shape)
        if shape:
            shape[0] = sum(len(part) for part in parts) + padding
        count = int(np.prod(shape, dtype=np.int64))
        dims = (ctypes.c_int64 * max(len(shape), 1))(*shape)
        size = count * (_TSTRING_BYTES if dtype == STRING else NUMPY_TYPES[dtype].itemsize)
        self.handle = tf.TF_AllocateTensor(dtype, dims, len(shape), size)
        if not self.handle:
            raise ServingError(Code.RESOURCE_EXHAUSTED, f"no memory for an input tensor of {size} bytes")
        address = tf.TF_TensorData(self.handle)
        if dtype == STRING:
            _write_strings(address, parts, padding)
        elif size:
            memory = memoryview((ctypes.c_char * size).from_address(address)).cast("B")
            target = np.frombuffer(memory, NUMPY_TYPES[dtype]).reshape(shape)
            if not shape:
                target[...] = first
                return
            row = 0
            for part in parts:
                target[row : row + len(part)] = part
                row += len(part)
            if padding:
                target[row:] = parts[-1][0]

    def release(self) -> None:
        """Free the tensor, its strings included."""
        library().TF_DeleteTensor(self.handle)


def _write_strings(address: int, parts: list[Array], padding: int) -> None:
    tf = library()
    values = [value for part in parts for value in part.ravel().tolist()]
    if padding:
        values += np.atleast_1d(parts[-1][0]).ravel().tolist() * padding
    for position, value in enumerate(values):
        place = address + position * _TSTRING_BYTES
        tf.TF_StringInit(place)
        tf.TF_StringCopy(place, value, len(value))


def take_tensor(handle: int) -> Array:
    """Copy a tensor that a session returned to an array, and free it.

    Raises:
        ServingError: UNIMPLEMENTED for a type without a NumPy counterpart.
    """
    tf = library()
    try:
        shape = [tf.TF_Dim(handle, i) for i in range(tf.TF_NumDims(handle))]
        dtype = tf.TF_TensorType(handle)
        address = tf.TF_TensorData(handle)
        if dtype == STRING:
            values = np.empty(int(np.prod(shape, dtype=np.int64)), object)
            for i in range(len(values)):
                place = address + i * _TSTRING_BYTES
                values[i] = ctypes.string_at(tf.TF_StringGetDataPointer(place), tf.TF_StringGetSize(place))
            return values.reshape(shape)
        if dtype not in NUMPY_TYPES:
            raise ServingError(Code.UNIMPLEMENTED, f"outputs of TensorFlow's data type {dtype} are not supported")
        data = ctypes.string_at(address, tf.TF_TensorByteSize(handle))
        array: Array = np.frombuffer(data, NUMPY_TYPES[dtype]).reshape(shape)
        return array
    finally:
        tf.TF_DeleteTensor(handle)


class Session:
    """A SavedModel loaded by the C++ loader that TensorFlow Serving calls; it refuses what that refuses.

    Args:
        path: The SavedModel's directory.
        tags: Tags of the graph to load.
        config: A serialized ConfigProto.

    Attributes:
        meta_graph: The serialized MetaGraphDef, with the signatures.

    Raises:
        ServingError: The loader's own code and message.
    """

    def __init__(self, path: str, tags: list[str], config: bytes) -> None:
        tf = library()
        self._graph = tf.TF_NewGraph()
        self._outputs: dict[str, Output] = {}
        names = (_text * len(tags))(*(tag.encode() for tag in tags))
        options, buffer = tf.TF_NewSessionOptions(), tf.TF_NewBuffer()
        try:
            with Status() as status:
                tf.TF_SetConfig(options, config, len(config), status.handle)
                status.check()
                self._handle = tf.TF_LoadSessionFromSavedModel(
                    options, None, path.encode(), names, len(tags), self._graph, buffer, status.handle
                )
                status.check()
            self.meta_graph: bytes = ctypes.string_at(buffer.contents.data, buffer.contents.length)
        except ServingError:
            tf.TF_DeleteGraph(self._graph)
            raise
        finally:
            tf.TF_DeleteSessionOptions(options)
            tf.TF_DeleteBuffer(buffer)

    def output(self, tensor: str) -> Output:
        """Return the graph's output named like `operation:0`; raises ServingError FAILED_PRECONDITION if absent."""
        if tensor not in self._outputs:
            operation, _, index = tensor.partition(":")
            found = library().TF_GraphOperationByName(self._graph, operation.encode())
            if not found:
                raise ServingError(Code.FAILED_PRECONDITION, f"the graph has no operation named {operation!r}")
            self._outputs[tensor] = Output(found, int(index or 0))
        return self._outputs[tensor]

    def run(self, feeds: dict[str, InputTensor], fetches: list[str]) -> list[Array]:
        """Run the graph once and return the fetched tensors; the caller releases the feeds.

        Raises:
            ServingError: TensorFlow's own code and message.
        """
        tf = library()
        inputs = (Output * len(feeds))(*(self.output(name) for name in feeds))
        values = (_pointer * len(feeds))(*(tensor.handle for tensor in feeds.values()))
        outputs = (Output * len(fetches))(*(self.output(name) for name in fetches))
        results = (_pointer * len(fetches))()
        with Status() as status:
            tf.TF_SessionRun(
                self._handle, None, inputs, values, len(feeds), outputs, results, len(fetches),
                None, 0, None, status.handle,
            )  # fmt: skip
            status.check()
        pending = iter(list(results))
        try:
            return [take_tensor(handle) for handle in pending]
        finally:
            for handle in pending:
                tf.TF_DeleteTensor(handle)

    def close(self) -> None:
        """Free the session and its graph; nothing may be running in it."""
        tf = library()
        with Status() as status:
            tf.TF_CloseSession(self._handle, status.handle)
            tf.TF_DeleteSession(self._handle, status.handle)
        tf.TF_DeleteGraph(self._graph)
