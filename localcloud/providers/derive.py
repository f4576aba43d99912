"""Derive the wire types of a provider's resources from its Pulumi SDK: `python -m localcloud.providers.derive`.

Arguments are a directory, the Python package, and resource tokens; one JSON file per token is written to the
directory. It runs as a process of its own because SDKs take seconds to import.
"""

from __future__ import annotations

import enum
import importlib
import importlib.util
import inspect
import json
import os
import re
import sys
import tempfile
import typing
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi
from pulumi import _types

from localcloud.providers.inputs import file_name

_SCALARS = {str: "string", bool: "boolean", int: "integer", float: "number"}


def tokens(package: str) -> dict[str, tuple[str, str]]:
    """Return every resource token of an SDK with the module and class that implement it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the Pulumi SDK {package} is not installed in this Python environment")
    match = re.search(r'resource_modules="""\n(.*?)"""', Path(spec.origin).read_text(), re.DOTALL)
    if match is None:
        raise ValueError(f"{spec.origin} lists no resource modules")
    return {
        token: (entry["fqn"], name) for entry in json.loads(match.group(1)) for token, name in entry["classes"].items()
    }


class _Types:
    """Turns Python annotations into type descriptions, collecting object types by name."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}

    def describe(self, annotation: Any) -> Any:
        if annotation in _SCALARS:
            return _SCALARS[annotation]
        origin = typing.get_origin(annotation)
        if origin is typing.Union:
            return self._union(typing.get_args(annotation))
        if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
            return {"map": self.describe(typing.get_args(annotation)[1])}
        if origin is not None and isinstance(origin, type) and issubclass(origin, Sequence):
            return {"list": self.describe(typing.get_args(annotation)[0])}
        if isinstance(annotation, type):
            if issubclass(annotation, enum.Enum):
                return {"enum": [member.value for member in annotation]}
            if issubclass(annotation, pulumi.Asset | pulumi.Archive):
                return "asset"
            if _types.is_input_type(annotation):
                return {"object": self._object(annotation, self.properties)}
            if _types.is_output_type(annotation):
                return {"object": self._object(annotation, self._output_properties)}
        return "any"

    def _union(self, parts: Sequence[Any]) -> Any:
        found: list[Any] = []
        for part in parts:
            if part is type(None) or typing.get_origin(part) in (pulumi.Output, Awaitable):
                continue
            described = self.describe(part)
            if described not in found:
                found.append(described)
        if len(found) == 1:
            return found[0]
        # `str | Enum` means that other values are fine, too.
        if "string" in found and all(each == "string" or "enum" in each for each in found):
            return "string"
        return {"any_of": found} if found else "any"

    def _object(self, cls: type, properties: Callable[[type], dict[str, Any]]) -> str:
        name = f"{cls.__module__}.{cls.__qualname__}"
        if name not in self.objects:
            self.objects[name] = {}  # types may contain themselves
            self.objects[name] = properties(cls)
        return name

    def _output_properties(self, cls: type) -> dict[str, Any]:
        return {name: {"type": self.describe(each)} for name, each in _types.output_type_types(cls).items()}

    def properties(self, cls: type) -> dict[str, Any]:
        parameters = inspect.signature(cls.__init__).parameters  # type: ignore[misc]  # generated classes take keywords
        annotations = _types.input_type_types(cls)
        found = {}
        for python_name, wire_name in _types.input_type_py_to_pulumi_names(cls).items():
            parameter = parameters.get(python_name)
            found[wire_name] = {
                "type": self.describe(annotations.get(wire_name, annotations.get(python_name))),
                "required": parameter is not None and parameter.default is inspect.Parameter.empty,
            }
        return found


def schema(module: str, name: str) -> dict[str, Any]:
    """Return the input properties, object types and output types of a resource class."""
    resource = getattr(importlib.import_module(module), name)
    implementation = importlib.import_module(resource.__module__)
    # Where an object type has the name of the resource, the arguments of the resource are called InitArgs.
    arguments = getattr(implementation, f"{name}InitArgs", None) or getattr(implementation, f"{name}Args")
    types = _Types()
    inputs = types.properties(arguments)
    outputs = {name: types.describe(each) for name, each in sorted(_types.resource_types(resource).items())}
    return {"inputs": inputs, "objects": types.objects, "outputs": outputs}


def write(directory: Path, token: str, content: object) -> None:
    """Write a token's file, whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=directory, suffix=".part")
    with os.fdopen(handle, "w") as stream:
        json.dump(content, stream)
    os.replace(part, directory / file_name(token))


def main(arguments: list[str]) -> int:
    """Write the schema of every token; a token the SDK does not have gets `null`."""
    directory, package, wanted = Path(arguments[0]), arguments[1], arguments[2:]
    known = tokens(package)
    for token in wanted:
        if not (directory / file_name(token)).exists():
            write(directory, token, schema(*known[token]) if token in known else None)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
