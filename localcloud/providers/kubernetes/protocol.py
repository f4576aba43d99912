"""The provider protocol's message classes, imported without the rest of the Pulumi SDK.

`import pulumi` costs a third of a second, which a provider process would pay on each of the many starts of a Pulumi
command. The message classes need nothing of it, so their parent packages are entered without running their `__init__`
while they are imported, and forgotten afterwards: a later `import pulumi` works as ever and finds them.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PACKAGES = {"pulumi": (), "pulumi.runtime": ("runtime",)}


@contextmanager
def _entered() -> Iterator[None]:
    if "pulumi" in sys.modules:
        yield
        return
    spec = importlib.util.find_spec("pulumi")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("the Pulumi SDK is not installed in this Python environment")
    root = Path(next(iter(spec.submodule_search_locations)))
    for name, parts in _PACKAGES.items():
        module = types.ModuleType(name)
        module.__path__ = [str(root.joinpath(*parts))]
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in _PACKAGES:
            del sys.modules[name]


with _entered():
    from pulumi.runtime.proto import (
        engine_pb2,
        engine_pb2_grpc,
        plugin_pb2,
        provider_pb2,
        provider_pb2_grpc,
        status_pb2,
    )

__all__ = ["engine_pb2", "engine_pb2_grpc", "plugin_pb2", "provider_pb2", "provider_pb2_grpc", "status_pb2"]
