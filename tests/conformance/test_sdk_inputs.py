"""Every input that the components send exists in the installed SDKs, with the right kind, at every depth.

Mocks accept any key. A provider does not: an unknown key is an error at best, and silently ignored at worst.
"""

import functools
import importlib
import importlib.metadata
import inspect
import json
import re
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import pytest
from pulumi import _types

from tests.components import recording
from tests.components.clusters import CLOUDS, declare_all_of

SDKS = {
    "aws": "pulumi_aws",
    "gcp": "pulumi_gcp",
    "azure-native": "pulumi_azure_native",
    "kubernetes": "pulumi_kubernetes",
}
IMPLICIT = {"kubernetes": {"apiVersion", "kind"}}
"""Inputs that an SDK adds itself, so that its input class has no argument for them."""


@functools.cache
def _modules(sdk: str) -> dict[str, tuple[str, str]]:
    """Module and class of every resource type, from the table each SDK registers."""
    text = Path(importlib.import_module(sdk).__file__ or "").read_text()
    table = re.search(r'resource_modules="""\n(.*?)"""', text, re.DOTALL)
    assert table, f"{sdk} registers its resources in another way"
    return {
        token: (entry["fqn"], cls) for entry in json.loads(table.group(1)) for token, cls in entry["classes"].items()
    }


def input_class(token: str) -> type:
    """The SDK's input class of a resource type."""
    fqn, name = _modules(SDKS[token.partition(":")[0]])[token]
    implementation = importlib.import_module(getattr(importlib.import_module(fqn), name).__module__)
    found = getattr(implementation, f"{name}InitArgs", None) or getattr(implementation, f"{name}Args")
    assert isinstance(found, type)
    return found


@functools.cache
def _fields(cls: type) -> dict[str, tuple[Any, bool]]:
    """Type of every input by its name on the wire, and whether it is required."""
    annotations = _types.input_type_types(cls)
    parameters = inspect.signature(cls).parameters
    fields = {}
    for python_name, wire_name in _types.input_type_py_to_pulumi_names(cls).items():
        parameter = parameters.get(python_name)
        required = parameter is not None and parameter.default is inspect.Parameter.empty
        fields[wire_name] = (annotations.get(wire_name, annotations.get(python_name)), required)
    return fields


def _parts(annotation: Any) -> list[Any]:
    """The types a value may have, without Inputs and Optionals around them."""
    if get_origin(annotation) in (Union, types.UnionType):
        return [each for part in get_args(annotation) for each in _parts(part)]
    return [annotation]


def problems(cls: type, given: Mapping[str, Any], path: str) -> list[str]:
    """Inputs that a class does not have, has with another kind, or misses."""
    fields = _fields(cls)
    found = [f"{path}.{name} is required" for name, (_, required) in fields.items() if required and name not in given]
    for name, value in given.items():
        if name not in fields:
            found.append(f"{path}.{name} does not exist")
        else:
            found += _mismatches(fields[name][0], value, f"{path}.{name}")
    return found


def _mismatches(annotation: Any, value: Any, path: str) -> list[str]:
    parts = _parts(annotation)
    if value == recording.UNKNOWN or Any in parts or annotation is None:
        return []
    classes = [part for part in parts if isinstance(part, type) and _types.is_input_type(part)]
    if isinstance(value, dict):
        if "<asset>" in value or "<secret>" in value:
            return []
        if classes:
            return problems(classes[0], value, path)
        inner = [get_args(part)[1] for part in parts if get_origin(part) in (dict, Mapping) and get_args(part)]
        if not inner and not any(part is dict or get_origin(part) in (dict, Mapping) for part in parts):
            return [f"{path} must not be an object"]
        return [
            line for key, each in value.items() for kind in inner for line in _mismatches(kind, each, f"{path}.{key}")
        ]
    if isinstance(value, list):
        elements = [get_args(part)[0] for part in parts if _is_sequence(part)]
        if not elements:
            return [f"{path} must not be a list"]
        return [
            line
            for i, each in enumerate(value)
            for kind in elements
            for line in _mismatches(kind, each, f"{path}[{i}]")
        ]
    return [] if _is_scalar(parts, value) else [f"{path} must not be {value!r}"]


def _is_sequence(part: Any) -> bool:
    origin = get_origin(part)
    return isinstance(origin, type) and not issubclass(origin, Mapping) and origin.__name__ in ("list", "Sequence")


def _is_scalar(parts: list[Any], value: Any) -> bool:
    if isinstance(value, bool):
        return bool in parts
    if isinstance(value, int | float):
        return int in parts or float in parts
    enums = any(isinstance(part, type) and part.__module__.endswith("._enums") for part in parts)
    return str in parts or enums


def _rows(cloud: str) -> list[recording.Row]:
    return recording.run(lambda: declare_all_of(cloud)).children()


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_recorded_input_exists_in_the_sdk(cloud: str) -> None:
    rows = _rows(cloud)
    found = []
    for row in rows:
        implicit = IMPLICIT.get(row.type.partition(":")[0], set())
        given = {name: value for name, value in row.inputs.items() if name not in implicit}
        found += problems(input_class(row.type), given, f"{row.type} {row.name}")
    assert len(rows) >= 15
    assert not found, "\n".join(found)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_ignored_change_names_an_input(cloud: str) -> None:
    """A typo here would let the autoscaler's count be reset at every update."""
    checked = 0
    for row in _rows(cloud):
        for path in row.ignore_changes:
            cls: Any = input_class(row.type)
            for name in re.sub(r"\[[0-9]+\]", "", path).split("."):
                assert name in _fields(cls), f"{row.type} has no input {path}"
                annotation = _fields(cls)[name][0]
                inner = [part for whole in _parts(annotation) for part in (whole, *get_args(whole))]
                cls = next((p for part in inner for p in _parts(part) if _types.is_input_type(p)), None)
            checked += 1
    assert checked >= 3


@pytest.mark.parametrize(
    ("token", "given", "problem"),
    [
        ("aws:eks/nodeGroup:NodeGroup", {"instanceTipes": ["a"]}, "instanceTipes does not exist"),
        ("aws:eks/nodeGroup:NodeGroup", {"clusterName": "a"}, "nodeRoleArn is required"),
        ("aws:eks/nodeGroup:NodeGroup", {"diskSize": "many"}, "diskSize must not be 'many'"),
        ("aws:eks/nodeGroup:NodeGroup", {"instanceTypes": "a"}, "instanceTypes must not be 'a'"),
        ("aws:eks/nodeGroup:NodeGroup", {"labels": {"a": True}}, "labels.a must not be True"),
        ("gcp:container/nodePool:NodePool", {"nodeConfig": {"spott": True}}, "nodeConfig.spott does not exist"),
        (
            "gcp:container/nodePool:NodePool",
            {"nodeConfig": {"guestAccelerators": [{"count": 1}]}},
            "nodeConfig.guestAccelerators[0].type is required",
        ),
        ("azure-native:containerservice:AgentPool", {"count": [1]}, "count must not be a list"),
        ("azure-native:containerservice:AgentPool", {"mode": {"a": 1}}, "mode must not be an object"),
        ("azure-native:containerservice:AgentPool", {"spotMaxPrice": "low"}, "spotMaxPrice must not be 'low'"),
    ],
)
def test_a_wrong_input_is_noticed(token: str, given: dict[str, Any], problem: str) -> None:
    assert any(line.endswith(problem) for line in problems(input_class(token), given, "it"))
