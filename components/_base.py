"""What every component shares: the package name, argument coercion and refusal of bad arguments."""

import dataclasses
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
        if name in fields and isinstance(value, float) and _is_int(fields[name].type):
            if value.is_integer():
                values[name] = int(value)
            else:
                problems.append((name, f"must be a whole number, got {value}"))
    reject(owner, problems)
    return cls(**values)


def _is_int(annotation: object) -> bool:
    if get_origin(annotation) is Union:
        return any(_is_int(part) for part in get_args(annotation))
    return annotation is int


def protected(parent: pulumi.Resource, protect: Optional[bool], **options: object) -> pulumi.ResourceOptions:
    """Options of a child that holds state nobody can rebuild: refuses deletion unless `protect` is False."""
    return pulumi.ResourceOptions(parent=parent, protect=protect is not False, **options)  # type: ignore[arg-type]  # options of the one signature
