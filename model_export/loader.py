"""Loads and runs a SavedModel through TensorFlow's C API by ctypes, without importing TensorFlow.

`TF_LoadSessionFromSavedModel` calls the same C++ loader as TensorFlow Serving, which refuses models that
`tf.saved_model.load` accepts. Use it in a process that never imports `tensorflow`: the two together crash.
"""

from __future__ import annotations

import ctypes as c
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.errors import ExportError
from model_export.protos import config_pb2, op_def_pb2, package_dir, saved_model_pb2, types_pb2

TAG = "serve"
_STRING_SIZE = 24  # sizeof(TF_TString), tensorflow/core/platform/ctstring_internal.h
_CODES = {3: "INVALID_ARGUMENT", 5: "NOT_FOUND", 8: "RESOURCE_EXHAUSTED", 9: "FAILED_PRECONDITION", 12: "UNIMPLEMENTED"}
_NUMPY: dict[int, np.dtype[Any]] = {
    types_pb2.DT_FLOAT: np.dtype(np.float32),
    types_pb2.DT_INT32: np.dtype(np.int32),
    types_pb2.DT_UINT8: np.dtype(np.uint8),
    types_pb2.DT_INT64: np.dtype(np.int64),
}
_TENSORFLOW = {dtype: number for number, dtype in _NUMPY.items()}
_pointer, _text, _size = c.c_void_p, c.c_char_p, c.c_size_t


class _Output(c.Structure):
    """TF_Output: one output of an operation."""

    _fields_ = (("operation", _pointer), ("index", c.c_int))


class _Buffer(c.Structure):
    """TF_Buffer: bytes that TensorFlow owns."""

    _fields_ = (("data", _pointer), ("length", _size), ("deallocator", _pointer))


_TENSORS = [c.POINTER(_Output), c.POINTER(_pointer), c.c_int]
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "TF_NewStatus": (_pointer, []),
    "TF_DeleteStatus": (None, [_pointer]),
    "TF_GetCode": (c.c_int, [_pointer]),
    "TF_Message": (_text, [_pointer]),
    "TF_GetAllOpList": (c.POINTER(_Buffer), []),
    "TF_DeleteBuffer": (None, [c.POINTER(_Buffer)]),
    "TF_NewGraph": (_pointer, []),
    "TF_NewSessionOptions": (_pointer, []),
    "TF_SetConfig": (None, [_pointer, _text, _size, _pointer]),
    "TF_LoadSessionFromSavedModel": (
        _pointer,
        [_pointer, _pointer, _text, c.POINTER(_text), c.c_int, _pointer, _pointer, _pointer],
    ),
    "TF_GraphOperationByName": (_pointer, [_pointer, _text]),
    "TF_AllocateTensor": (_pointer, [c.c_int, c.POINTER(c.c_int64), c.c_int, _size]),
    "TF_DeleteTensor": (None, [_pointer]),
    "TF_TensorData": (_pointer, [_pointer]),
    "TF_TensorByteSize": (_size, [_pointer]),
    "TF_NumDims": (c.c_int, [_pointer]),
    "TF_Dim": (c.c_int64, [_pointer, c.c_int]),
    "TF_TensorType": (c.c_int, [_pointer]),
    "TF_StringInit": (None, [_pointer]),
    "TF_StringCopy": (None, [_pointer, _text, _size]),
    "TF_StringGetDataPointer": (_pointer, [_pointer]),
    "TF_StringGetSize": (_size, [_pointer]),
    "TF_SessionRun": (None, [_pointer, _pointer, *_TENSORS, *_TENSORS, _pointer, c.c_int, _pointer, _pointer]),
}


def _library() -> Any:
    folder = package_dir("tensorflow")
    c.CDLL(str(folder / "libtensorflow_framework.so.2"), mode=c.RTLD_GLOBAL)
    library = c.CDLL(str(folder / "libtensorflow_cc.so.2"))
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def known_operations() -> frozenset[str]:
    """Return the names of the operations that the C++ library has."""
    library = _library()
    buffer = library.TF_GetAllOpList()
    try:
        listed = op_def_pb2.OpList.FromString(c.string_at(buffer.contents.data, buffer.contents.length))
    finally:
        library.TF_DeleteBuffer(buffer)
    return frozenset(operation.name for operation in listed.op)


class LoadedModel:
    """A SavedModel in a C++ session; kept until the process ends."""

    def __init__(self, folder: Path, *, threads: int = 0) -> None:
        """Load the model with the tag `serve`.

        Args:
            folder: Version folder.
            threads: Threads for one operation and between operations; 0 = as many as the machine has cores.

        Raises:
            ExportError: If the loader refuses it, with its reason.
        """
        self._tf = _library()
        self._graph = self._tf.TF_NewGraph()
        self.meta_graph = read_meta_graph(folder)
        options = self._tf.TF_NewSessionOptions()
        config = config_pb2.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads)
        encoded = config.SerializeToString()
        with _Status(self._tf, "session options") as status:
            self._tf.TF_SetConfig(options, encoded, len(encoded), status)
        tags = (_text * 1)(TAG.encode())
        with _Status(self._tf, "the C++ loader refuses the model") as status:
            self._session = self._tf.TF_LoadSessionFromSavedModel(
                options, None, str(folder).encode(), tags, 1, self._graph, None, status
            )

    def run(self, signature: str, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Run a signature; strings are object arrays of bytes.

        Raises:
            ExportError: If the signature or an input is unknown, or the run fails, with TensorFlow's reason.
        """
        if signature not in self.meta_graph.signature_def:
            raise ExportError(f"signature {signature!r} is not in the model: {sorted(self.meta_graph.signature_def)}")
        definition = self.meta_graph.signature_def[signature]
        if set(inputs) != set(definition.inputs):
            raise ExportError(f"signature {signature}: takes {sorted(definition.inputs)}, got {sorted(inputs)}")
        names = sorted(definition.outputs)
        feeds = [self._output(definition.inputs[name].name) for name in inputs]
        fetches = [self._output(definition.outputs[name].name) for name in names]
        given = (_pointer * len(feeds))(*(self._tensor(value) for value in inputs.values()))
        taken = (_pointer * len(names))()
        try:
            with _Status(self._tf, f"signature {signature}") as status:
                self._tf.TF_SessionRun(
                    *(self._session, None, (_Output * len(feeds))(*feeds), given, len(feeds)),
                    *((_Output * len(names))(*fetches), taken, len(names), None, 0, None, status),
                )
            return {name: self._array(tensor) for name, tensor in zip(names, taken, strict=True)}
        finally:
            for tensor in (*given, *taken):
                if tensor:
                    self._tf.TF_DeleteTensor(tensor)

    def _output(self, tensor_name: str) -> _Output:
        name, _, index = tensor_name.partition(":")
        operation = self._tf.TF_GraphOperationByName(self._graph, name.encode())
        if not operation:
            raise ExportError(f"a signature names the operation {name!r}, which is not in the graph")
        return _Output(operation, int(index or 0))

    def _tensor(self, array: npt.NDArray[Any]) -> Any:
        shape = (c.c_int64 * array.ndim)(*array.shape)
        if array.dtype == object:
            tensor = self._tf.TF_AllocateTensor(types_pb2.DT_STRING, shape, array.ndim, _STRING_SIZE * array.size)
            data = self._tf.TF_TensorData(tensor)
            for index, value in enumerate(array.ravel().tolist()):
                self._tf.TF_StringInit(data + _STRING_SIZE * index)
                self._tf.TF_StringCopy(data + _STRING_SIZE * index, value, len(value))
            return tensor
        array = np.ascontiguousarray(array)
        tensor = self._tf.TF_AllocateTensor(_TENSORFLOW[array.dtype], shape, array.ndim, array.nbytes)
        c.memmove(self._tf.TF_TensorData(tensor), array.ctypes.data, array.nbytes)
        return tensor

    def _array(self, tensor: Any) -> npt.NDArray[Any]:
        shape = [self._tf.TF_Dim(tensor, axis) for axis in range(self._tf.TF_NumDims(tensor))]
        data = self._tf.TF_TensorData(tensor)
        kind = self._tf.TF_TensorType(tensor)
        if kind == types_pb2.DT_STRING:
            values = np.empty(int(np.prod(shape)), object)
            for index in range(values.size):
                at = data + _STRING_SIZE * index
                values[index] = c.string_at(self._tf.TF_StringGetDataPointer(at), self._tf.TF_StringGetSize(at))
            return values.reshape(shape)
        return np.frombuffer(c.string_at(data, self._tf.TF_TensorByteSize(tensor)), _NUMPY[kind]).reshape(shape)


class _Status:
    """A TF_Status for one call; leaving raises its error as an ExportError."""

    def __init__(self, library: Any, action: str) -> None:
        self._tf, self._action = library, action

    def __enter__(self) -> Any:
        self._status = self._tf.TF_NewStatus()
        return self._status

    def __exit__(self, kind: object, *_: object) -> None:
        code = self._tf.TF_GetCode(self._status)
        message = self._tf.TF_Message(self._status).decode(errors="replace")
        self._tf.TF_DeleteStatus(self._status)
        if kind is None and code:
            reason = " ".join(message.split())[:300]
            raise ExportError(f"{self._action}: {_CODES.get(code, f'code {code}')}: {reason}")


def read_meta_graph(folder: Path) -> Any:
    """Return the MetaGraphDef with the tag `serve` of a version folder.

    Raises:
        ExportError: If the file is missing, not a SavedModel, or has no such graph.
    """
    file = folder / "saved_model.pb"
    try:
        model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    except FileNotFoundError:
        raise ExportError("saved_model.pb: missing; a bundle holds it at its root") from None
    except Exception as error:  # protobuf's DecodeError has no stable import path
        raise ExportError(f"saved_model.pb: not a SavedModel: {error}") from None
    for graph in model.meta_graphs:
        if list(graph.meta_info_def.tags) == [TAG]:
            return graph
    raise ExportError(f"saved_model.pb: no graph with the tag {TAG!r}, which TensorFlow Serving loads")
