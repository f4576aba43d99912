"""Checking a resource's inputs, and shaping its outputs, by the types of its Pulumi SDK.

The types are derived once per SDK version by `derive` and cached as JSON, so that a provider process never imports an
SDK. Checked are: unknown properties, missing required ones, and values of the wrong kind.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from localcloud.paths import project_directory
from localcloud.providers.wire import UNKNOWN, is_asset
from localcloud.store import JsonDict

_FORMAT = 2
Problem = tuple[str, str]
Schema = JsonDict


def file_name(token: str) -> str:
    """Return the name of a token's file in the cache."""
    return token.replace(":", ".").replace("/", "-") + ".json"


def cache_directory(package: str, version: str) -> Path:
    """Return the directory with the types of one version of an SDK."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "tricorn" / "schemas" / f"{package}-{version}-{_FORMAT}"


class Schemas:
    """The types of one SDK's resources, loaded when they are first asked for."""

    def __init__(self, package: str, version: str, likely: Iterable[str]) -> None:
        self._package = package
        self._likely = tuple(likely)
        self._directory = cache_directory(package, version)
        self._loaded: dict[str, Schema | None] = {}

    def find(self, token: str) -> Schema | None:
        """Return a token's types, or None if the SDK has no such resource.

        A token that is not in the cache costs some seconds, in which the likely ones are derived along with it.

        Raises:
            RuntimeError: If the SDK cannot be read.
        """
        if token not in self._loaded:
            file = self._directory / file_name(token)
            if not file.exists():
                self._derive(token)
            self._loaded[token] = json.loads(file.read_text())
        return self._loaded[token]

    def _derive(self, token: str) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        with (self._directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (self._directory / file_name(token)).exists():
                return  # another provider process has just done it
            wanted = dict.fromkeys((token, *self._likely))
            command = [sys.executable, "-m", "localcloud.providers.derive", str(self._directory), self._package]
            done = subprocess.run(
                [*command, *wanted], cwd=project_directory(), stdin=subprocess.DEVNULL, capture_output=True, text=True
            )
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise RuntimeError(f"the types of {self._package} could not be derived: {last}")


def problems(schema: Schema, inputs: JsonDict) -> list[Problem]:
    """Return what is wrong with a resource's inputs, as pairs of property path and reason."""
    return list(_object_problems(schema["objects"], schema["inputs"], inputs, ""))


def _object_problems(objects: JsonDict, properties: JsonDict, value: JsonDict, path: str) -> Iterator[Problem]:
    for key, item in value.items():
        if key.startswith("__"):
            continue
        here = f"{path}.{key}" if path else key
        if key not in properties:
            yield here, f"is not a property; use one of {', '.join(sorted(properties))}"
        else:
            yield from _value_problems(objects, properties[key]["type"], item, here)
    for key, described in properties.items():
        if described["required"] and value.get(key) is None:
            yield (f"{path}.{key}" if path else key), "is required but was not given"


def shaped(schema: Schema, outputs: JsonDict, placeholder: str | None) -> JsonDict:
    """Return outputs in which nothing has another shape than the SDK expects, which would end the program.

    Some properties are a list where a program sets them and a map where the API returns them. Such a value becomes
    `placeholder`, or is left out when that is None.
    """
    described = {key: {"type": type_} for key, type_ in schema["outputs"].items()}
    return _shaped_object(schema["objects"], described, outputs, placeholder)


def _shaped_object(objects: JsonDict, properties: JsonDict, value: JsonDict, placeholder: str | None) -> JsonDict:
    found = {}
    for key, item in value.items():
        shape = properties[key]["type"] if key in properties else "any"
        fitting = _shaped(objects, shape, item, placeholder)
        if fitting is not None:
            found[key] = fitting
    return found


def _shaped(objects: JsonDict, type_: Any, value: Any, placeholder: str | None) -> Any:
    if value == UNKNOWN or type_ in ("any", "asset") or (isinstance(type_, dict) and "any_of" in type_):
        return value
    if isinstance(type_, dict) and "list" in type_:
        if isinstance(value, list):
            return [_shaped(objects, type_["list"], item, placeholder) for item in value]
        return placeholder
    if isinstance(type_, dict) and ("map" in type_ or "object" in type_):
        if not isinstance(value, dict):
            return placeholder
        if "map" in type_:
            return {key: _shaped(objects, type_["map"], item, placeholder) for key, item in value.items()}
        return _shaped_object(objects, objects[type_["object"]], value, placeholder)
    return placeholder if isinstance(value, dict | list) else value


def _value_problems(objects: JsonDict, type_: Any, value: Any, path: str) -> Iterator[Problem]:
    if value is None or value == UNKNOWN or type_ == "any":
        return
    if isinstance(type_, dict) and "any_of" in type_:
        found = [list(_value_problems(objects, each, value, path)) for each in type_["any_of"]]
        if all(found):
            yield from min(found, key=len)
        return
    if not _is_kind(type_, value):
        yield path, f"must be {_words(type_)}, got {_shown(value)}"
    elif isinstance(type_, dict):
        if "list" in type_:
            for index, item in enumerate(value):
                yield from _value_problems(objects, type_["list"], item, f"{path}[{index}]")
        elif "map" in type_:
            for key, item in value.items():
                yield from _value_problems(objects, type_["map"], item, f"{path}.{key}")
        elif "object" in type_:
            yield from _object_problems(objects, objects[type_["object"]], value, path)


def _is_kind(type_: Any, value: Any) -> bool:
    if isinstance(type_, dict):
        if "enum" in type_:
            return value in type_["enum"]
        return isinstance(value, list if "list" in type_ else dict)
    if type_ == "asset":
        return is_asset(value) or (isinstance(value, dict) and "path" in value)
    if type_ == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if type_ == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, bool if type_ == "boolean" else str)


def _words(type_: Any) -> str:
    if isinstance(type_, dict):
        if "enum" in type_:
            return f"one of {', '.join(map(repr, type_['enum']))}"
        return "a list" if "list" in type_ else "an object" if "object" in type_ else "a map"
    article = "an" if type_[0] in "ai" else "a"
    return f"{article} {type_}"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return f"{value!r}"[:80]
