"""TensorFlow's and TensorFlow Serving's message classes, imported without TensorFlow.

The generated modules import `tensorflow.core.*`, whose parent package takes seconds and half a gigabyte to import, and
a process that loads TensorFlow's C++ library by ctypes must not import it at all. So the parent is entered without
running its `__init__` and forgotten afterwards: a later `import tensorflow` works as ever.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def package_dir(package: str) -> Path:
    """Return the folder of an installed package without importing it.

    Raises:
        ImportError: If it is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"the package {package!r} is not installed in this Python environment")
    return Path(next(iter(spec.submodule_search_locations)))


@contextmanager
def _entered(package: str) -> Iterator[None]:
    if package in sys.modules:
        yield
        return
    module = types.ModuleType(package)
    module.__path__ = [str(package_dir(package))]
    sys.modules[package] = module
    try:
        yield
    finally:
        del sys.modules[package]


with _entered("tensorflow"):
    from tensorflow.core.example import example_pb2
    from tensorflow.core.framework import op_def_pb2, tensor_pb2, types_pb2
    from tensorflow.core.protobuf import config_pb2, meta_graph_pb2, saved_model_pb2
    from tensorflow_serving.apis import classification_pb2, predict_pb2, prediction_log_pb2

__all__ = [
    "classification_pb2",
    "config_pb2",
    "example_pb2",
    "meta_graph_pb2",
    "op_def_pb2",
    "package_dir",
    "predict_pb2",
    "prediction_log_pb2",
    "saved_model_pb2",
    "tensor_pb2",
    "types_pb2",
]
