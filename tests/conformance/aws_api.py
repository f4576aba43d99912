"""Checks inputs of `aws:*` resources against the vendor's own API model, the one botocore carries.

`problems(token, inputs)` is the interface. Every resource type in `APIS` is one or more API calls; an input that goes
nowhere, a value outside an enumeration, pattern or bound, and a required member that is missing are problems. What
cannot be compared stands in the table with its reason.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import botocore.session
from botocore.model import OperationModel, Shape
from botocore.validate import ParamValidator

from tests.conformance.aws_api_calls import APIS, Call

COVERAGE = {token: f"{calls[0].service}.{calls[0].operation} (botocore)" for token, calls in APIS.items()}
"""API operation that each resource type was checked against."""
_NUMBERS = ("integer", "long", "double", "float")


def problems(token: str, inputs: Mapping[str, Any]) -> list[str]:
    """What the API would refuse about a resource's inputs, as lines that name the input.

    Raises:
        KeyError: If the type is not in the table.
    """
    calls = APIS[token]
    claimed = {key for call in calls[1:] for key in call.keys}
    found = []
    for number, call in enumerate(calls):
        mine = {
            key: value
            for key, value in inputs.items()
            if (key in call.keys if number else key not in claimed) and key not in calls[0].skipped
        }
        if mine or not number:
            found += _call_problems(call, mine)
    return found


@functools.cache
def operation(service: str, name: str) -> OperationModel:
    """Model of an API operation."""
    return botocore.session.get_session().get_service_model(service).operation_model(name)


def _call_problems(call: Call, inputs: Mapping[str, Any]) -> list[str]:
    shape = operation(call.service, call.operation).input_shape
    bad: list[str] = []
    many = inputs[call.each] if call.each else [inputs]
    for one in many:
        prepared = call.prepare(dict(one)) if call.prepare else one
        params = {**_structure(shape, prepared, call, "", bad), **call.supplied}
        report = ParamValidator().validate(params, shape)
        if report.has_errors():
            bad += report.generate_report().splitlines()
        bad += list(_value_problems(shape, params, call.operation))
    return bad


# -- from the provider's words to the API's


def _structure(shape: Any, value: Mapping[str, Any], call: Call, path: str, bad: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, each in value.items():
        here = f"{path}.{key}" if path else key
        if here in call.skipped:
            continue
        if here == "tags" and call.tagged:
            found["TagSpecifications"] = [{"ResourceType": call.tagged, "Tags": _pairs(each, ("Key", "Value"))}]
            continue
        inner, target, names = shape, found, call.renamed.get(here, key).split(".")
        for depth, name in enumerate(names):
            member = _member(inner, name)
            if member is None:
                bad.append(f"{here} is no member of {inner.name}")
                break
            inner = inner.members[member]
            if depth < len(names) - 1:
                target = target.setdefault(member, {})
            else:
                target[member] = _value(inner, each, call, here, bad)
    return found


def _member(shape: Any, name: str) -> str | None:
    if shape.type_name != "structure":
        return None
    return next((each for each in shape.members if each.lower() == name.lower()), None)


def _value(shape: Any, value: Any, call: Call, path: str, bad: list[str]) -> Any:
    kind = shape.type_name
    if kind == "structure":
        # The provider has lists of at most one block where the API has an object, and the other way round.
        inner = value[0] if isinstance(value, list) and len(value) == 1 else value
        return _structure(shape, inner, call, path, bad) if isinstance(inner, dict) else value
    if kind == "list":
        keys = tuple(shape.member.members) if shape.member.type_name == "structure" else ()
        if isinstance(value, dict) and len(keys) == 2 and keys[0].lower().endswith("key"):
            return _pairs(value, keys)
        many = value if isinstance(value, list) else [value]
        return [_value(shape.member, each, call, path, bad) for each in many]
    if kind == "boolean" and value in ("true", "false"):
        return value == "true"
    if kind in _NUMBERS and isinstance(value, str) and value.isdigit():
        return int(value)
    return value


def _pairs(tags: Mapping[str, str], keys: tuple[str, ...]) -> list[dict[str, str]]:
    return [{keys[0]: key, keys[1]: value} for key, value in tags.items()]


# -- what botocore's own validation leaves to the server


def _value_problems(shape: Any, value: Any, path: str) -> Iterator[str]:
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        for key, each in value.items():
            if key in shape.members:
                yield from _value_problems(shape.members[key], each, f"{path}.{key}")
    elif kind == "list" and isinstance(value, list):
        yield from _bound_problems(shape, len(value), path)
        for index, each in enumerate(value):
            yield from _value_problems(shape.member, each, f"{path}[{index}]")
    elif kind == "map" and isinstance(value, dict):
        yield from _bound_problems(shape, len(value), path)
        for key, each in value.items():
            yield from _value_problems(shape.key, key, f"{path} key")
            yield from _value_problems(shape.value, each, f"{path}.{key}")
    elif kind == "string" and isinstance(value, str):
        yield from _bound_problems(shape, len(value), path)
        yield from _text_problems(shape, value, path)
    elif kind in _NUMBERS and isinstance(value, int | float):
        yield from _bound_problems(shape, value, path)


def _bound_problems(shape: Shape, size: float, path: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if (least is not None and size < least) or (most is not None and size > most):
        yield f"{path} must be from {least} to {most}, got {size}"


def _text_problems(shape: Any, value: str, path: str) -> Iterator[str]:
    if shape.enum and value not in shape.enum:
        yield f"{path} must be one of {', '.join(shape.enum)}, got {value!r}"
    pattern = _compiled(shape.metadata.get("pattern"))
    if pattern is not None and not pattern.search(value):
        yield f"{path} must match {pattern.pattern}, got {value!r}"


@functools.cache
def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    """A pattern of the model as a whole-value pattern; None where there is none or Python has no such syntax."""
    if pattern is None:
        return None
    try:
        return re.compile(rf"\A(?:{pattern})\Z")
    except re.error:
        return None


def uncompared_patterns(token: str) -> list[str]:
    """Patterns of a type's calls that are written in another dialect than Python's, and so not compared."""
    found: list[str] = []
    for call in APIS[token]:
        seen: set[str] = set()
        _collect_patterns(operation(call.service, call.operation).input_shape, seen, found)
    return sorted(set(found))


def _collect_patterns(shape: Any, seen: set[str], found: list[str]) -> None:
    if shape.name in seen:
        return
    seen.add(shape.name)
    pattern = shape.metadata.get("pattern")
    if pattern is not None and _compiled(pattern) is None:
        found.append(pattern)
    inner = list(shape.members.values()) if shape.type_name == "structure" else []
    inner += [shape.member] if shape.type_name == "list" else []
    inner += [shape.key, shape.value] if shape.type_name == "map" else []
    for each in inner:
        _collect_patterns(each, seen, found)
