"""What every component shares: the package name, argument coercion and refusal of bad arguments."""

import dataclasses
import types
from collections.abc import Iterable
from typing import Optional, TypeVar, Union, cast, get_args, get_origin

import pulumi

PACKAGE = "tricorn"
"""Package part of every type token, `tricorn:index:<Class>`."""

_Args = TypeVar("_Args")


def token(cls: type) -> str:
    """Type token of a component class."""
    return f"{PACKAGE}:index:{cls.__name__}"


def reject(owner: str, problems: Iterable[tuple[str, str]]) -> None:
    """Refuse a component's arguments, naming every problem at once.

    Args:
        owner: Class name of the component.
        problems: Pairs of argument name (camelCase) and what is wrong with it; nothing happens when empty.

    Raises:
        pulumi.InputPropertiesError: If there is a problem. The whole text is in its message, because a component
            host drops the property paths.
    """
    found = list(problems)
    if found:
        lines = "\n".join(f"  {path}: {reason}" for path, reason in found)
        raise pulumi.InputPropertiesError(
            f"{owner} cannot be created:\n{lines}",
            [pulumi.InputPropertyErrorDetails(property_path=path, reason=reason) for path, reason in found],
        )


def coerce(cls: type[_Args], args: object) -> _Args:
    """Give component arguments their class: a component host passes a dict in which every number is a float.

    Raises:
        pulumi.InputPropertiesError: If a key is unknown, a required one is missing, or a count is not whole.
    """
    if isinstance(args, cls):
        return args
    owner = cls.__name__.removesuffix("Args")
    if not isinstance(args, dict):
        raise TypeError(f"{owner} takes {cls.__name__}, got {type(args).__name__}")
    given = cast("dict[str, object]", args)
    # fields() and not get_type_hints(): the latter cannot resolve the names inside pulumi.Input.
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]  # every Args class is a dataclass
    problems = [
        (key, f"is not an argument; use one of {', '.join(sorted(fields))}") for key in given if key not in fields
    ]
    problems += [
        (name, "is required")
        for name, f in fields.items()
        if name not in given and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    values = dict(given)
    for name, value in given.items():
        if name in fields:
            try:
                values[name] = _convert(fields[name].type, value)
            except _NotWhole as error:
                problems.append((name, f"must be a whole number, got {error}"))
    reject(owner, problems)
    return cls(**values)


class _NotWhole(ValueError):
    """A count with a fraction."""


def _convert(annotation: object, value: object) -> object:
    """Give numbers and nested arguments the types of an annotation; anything else stays as it is."""
    if get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            value = _convert(part, value)
        return value
    if annotation is int and isinstance(value, float):
        if not value.is_integer():
            raise _NotWhole(value)
        return int(value)
    if isinstance(value, dict):
        if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
            return coerce(annotation, value)
        if get_origin(annotation) is dict:
            return {key: _convert(get_args(annotation)[1], each) for key, each in value.items()}
    return value


def protected(parent: pulumi.Resource, protect: Optional[bool], **options: object) -> pulumi.ResourceOptions:
    """Options of a child that holds state nobody can rebuild: refuses deletion unless `protect` is False."""
    return pulumi.ResourceOptions(parent=parent, protect=protect is not False, **options)  # type: ignore[arg-type]  # options of the one signature
