"""Marks in settings that are half wrong, so that rules spanning sections keep quiet about what has a line already."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from pydantic import ValidationError

from serving.settings_sites import CLOUDS


class Refused(Enum):
    """Stands for a value that breaks a rule of its own field."""

    VALUE = "<refused>"


REFUSED: Final = Refused.VALUE


def path_of(location: tuple[int | str, ...]) -> list[int | str]:
    """Where an error of pydantic is in the file: without the tags of unions."""
    path = list(location)
    if len(path) > 2 and path[0] == "sites" and path[2] in CLOUDS:
        del path[2]
    return path


def mark_refused(raw: object, error: ValidationError) -> object:
    """Copy of the settings with `REFUSED` for every value that pydantic refused, and for what it misses."""
    marked = _copy(raw)
    for details in error.errors(include_url=False):
        path = path_of(details["loc"])
        if details["type"] == "extra_forbidden":
            continue
        if path and path[-1] == "[key]":
            path.pop()
        if not path:
            return REFUSED
        here: Any = marked
        *steps, last = path
        for step in steps:
            here = _inside(here, step)
        if _holds(here, last):
            here[last] = REFUSED
    return marked


def _holds(container: Any, step: int | str) -> bool:
    """Whether there is room for a value at a step: an entry of a list must be there, a key need not."""
    if isinstance(container, list):
        return isinstance(step, int) and step < len(container)
    return isinstance(container, dict)


def _inside(value: Any, step: int | str) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    return value[step] if isinstance(value, list) and isinstance(step, int) and step < len(value) else None


def _copy(value: object) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(each) for key, each in value.items()}
    return [_copy(each) for each in value] if isinstance(value, list | tuple) else value
