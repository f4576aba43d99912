"""The provider protocol's message classes, imported without the rest of the Pulumi SDK.

`import pulumi` costs a third of a second, which a provider process would pay on each of the many starts of a Pulumi
command. The message classes need nothing of it, so the two parent packages are entered without running their
`__init__`, unless the SDK is already loaded.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path


def _enter(name: str, directory: Path) -> None:
    module = types.ModuleType(name)
    module.__path__ = [str(directory)]
    sys.modules[name] = module


if "pulumi" not in sys.modules:
    _spec = importlib.util.find_spec("pulumi")
    if _spec is None or not _spec.submodule_search_locations:
        raise ImportError("the Pulumi SDK is not installed in this Python environment")
    _root = Path(next(iter(_spec.submodule_search_locations)))
    _enter("pulumi", _root)
    _enter("pulumi.runtime", _root / "runtime")

from pulumi.runtime.proto import (  # noqa: E402 - only after the packages are entered
    engine_pb2,
    engine_pb2_grpc,
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
    status_pb2,
)

__all__ = ["engine_pb2", "engine_pb2_grpc", "plugin_pb2", "provider_pb2", "provider_pb2_grpc", "status_pb2"]
