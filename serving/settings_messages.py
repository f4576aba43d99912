"""Readable lines for what pydantic refuses in the settings."""

import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from serving.settings_refused import path_of
from serving.settings_sites import CLOUDS

_KEY_RULES = {
    "sites": "a site's name must be a lower-case letter, then at most 19 of a-z, 0-9 and '-'",
    "pools": "a pool's name must be a lower-case letter, then at most 7 of a-z and 0-9",
    "models": "a model's name must be a lower-case letter, then at most 39 of a-z, 0-9 and '-', not ending in '-'",
    "labels": "a label's key must be a lower-case letter, then at most 62 of a-z, 0-9, '_' and '-'",
}
_TOP = "begin with domain and sites, as Pulumi.dev.yaml does"


def explain(root: type[BaseModel], error: ValidationError) -> list[str]:
    """One line per mistake that pydantic found: path, rule, value, and what the field means."""
    details = error.errors(include_url=False)
    return [_line(root, each) for each in details if not _follows(each, details)]


def _follows(details: ErrorDetails, all_details: Sequence[ErrorDetails]) -> bool:
    """Whether a list is only too short because some of its elements were refused, which have lines of their own."""
    place = details["loc"]
    return details["type"] == "too_short" and any(
        len(each["loc"]) > len(place) and each["loc"][: len(place)] == place for each in all_details
    )


def _line(root: type[BaseModel], details: ErrorDetails) -> str:
    location = path_of(details["loc"])
    kind, value = details["type"], details["input"]
    if location and location[-1] == "[key]":
        return f"{_path(location[:-1])}: {_KEY_RULES[str(location[0])]} (got {value!r}); rename it"
    if kind == "extra_forbidden":
        return _unknown_key(root, details, location)
    field = _field_at(root, details["loc"])
    description = field.description if field is not None else None if location else _TOP
    meaning = f"; {description}" if description else ""
    if kind == "missing":
        return f"{_path(location)}: is required (got nothing){meaning}"
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        cloud = (value if isinstance(value, Mapping) else {}).get("cloud")
        got = "nothing" if cloud is None else repr(cloud)
        path = _path([*location, "cloud"])
        return f"{path}: must be one of {', '.join(CLOUDS)} (got {got}); it decides the site's other keys"
    return f"{_path(location)}: {_rule(details)} (got {_shown(value)}){meaning}"


def _rule(details: ErrorDetails) -> str:
    context: dict[str, Any] = details.get("ctx", {})
    rules = {
        "greater_than_equal": "must be at least {ge}",
        "less_than_equal": "must be at most {le}",
        "string_pattern_mismatch": "must match {pattern}",
        "string_too_long": "must have at most {max_length} characters",
        "string_too_short": "must not be empty",
        "too_short": "must not be empty"
        if context.get("min_length") == 1
        else "must have at least {min_length} entries",
        "too_long": "must have at most {max_length} entries",
        "literal_error": "must be {expected}",
        "string_type": "must be text; put it in quotes",
        "int_type": "must be a whole number without quotes",
        "bool_type": "must be true or false without quotes",
        "dict_type": "must be a mapping of names to values",
        "model_type": "must be a mapping of keys to values",
        "model_attributes_type": "must be a mapping of keys to values",
        "tuple_type": "must be a list",
        "value_error": "{error}",
    }
    rule = rules.get(details["type"])
    return details["msg"] if rule is None else rule.format(**context)


def _unknown_key(root: type[BaseModel], details: ErrorDetails, location: Sequence[int | str]) -> str:
    key = str(location[-1])
    allowed = _aliases(_model_at(root, details["loc"][:-1]))
    close = difflib.get_close_matches(key, allowed, n=1, cutoff=0.6)
    camel = key.replace("_", "").lower()
    close = [name for name in allowed if name.lower() == camel] or close
    hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(allowed)}"
    return f"{_path(location)}: unknown key (got {key!r}); {hint}"


def _aliases(model: type[BaseModel] | None) -> list[str]:
    return [] if model is None else [field.alias or name for name, field in model.model_fields.items()]


def _field_at(root: type[BaseModel], location: Sequence[int | str]) -> FieldInfo | None:
    for end in range(len(location), 0, -1):
        model = _model_at(root, location[: end - 1])
        for name, field in (model.model_fields if model else {}).items():
            if (field.alias or name) == location[end - 1]:
                return field
    return None


def _model_at(root: type[BaseModel], location: Sequence[int | str]) -> type[BaseModel] | None:
    """Class of the section at a path, following the aliases, the keys of mappings and the tags of unions."""
    here: Any = root
    for step in location:
        models = _models(here)
        if len(models) > 1:
            tags = {tag: m for m in models for tag in typing.get_args(m.model_fields["cloud"].annotation)}
            here = tags.get(step)
            continue
        mapping = next((kind for kind in _parts(here) if typing.get_origin(kind) is dict), None)
        if models:
            found = [f for name, f in models[0].model_fields.items() if (f.alias or name) == step]
            here = found[0].annotation if found else None
        elif mapping is not None:
            here = typing.get_args(mapping)[1]
        else:
            return None
    return next(iter(_models(here)), None)


def _models(annotation: Any) -> list[type[BaseModel]]:
    return [kind for kind in _parts(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _parts(annotation: Any) -> list[Any]:
    """Members of a union, without the wrappings of `Annotated`."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _parts(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [part for member in typing.get_args(annotation) for part in _parts(member)]
    return [annotation]


def _path(location: Sequence[int | str]) -> str:
    return ".".join(map(str, location)) or "(top)"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
