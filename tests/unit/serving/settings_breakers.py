"""Ways to break every field of the settings, derived from the schema: see test_settings_properties.py."""

from __future__ import annotations

import copy
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, BeforeValidator, StringConstraints
from pydantic.fields import FieldInfo

REMOVED = object()
_PLAIN = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
_LIST, _MAPPING = st.lists(_PLAIN, min_size=1, max_size=2), st.dictionaries(_PLAIN, _PLAIN, min_size=1, max_size=2)
_WHOLE, _FRACTION = st.integers(-5, 99_999), st.floats(0.25, 9.75).filter(lambda each: not each.is_integer())

BY_VALIDATOR: dict[str, st.SearchStrategy[Any]] = {
    "private_network": st.sampled_from(
        ["10.0.0.0/8", "10.0.0.0/24", "8.8.0.0/16", "10.1.2.3/16", "here", "10.0.0.0/9x"]
    ),
    "caller_network": st.sampled_from(["0.0.0.0/0", "198.51.100.7/24", "office", "::/0", "300.1.1.0/24"]),
    "address": st.sampled_from(["203.0.113", "203.0.113.0/24", "example.com", "::1", "203.0.113.256"]),
    "_kubernetes_version": st.sampled_from(["1.10", "1.29"]),
    "_image": st.sampled_from(
        ["serving", "serving:1", "docker.io/a/b", "docker.io/a/b:latest", "docker.io/a/b@sha256:1"]
    ),
    "public_key": st.sampled_from(["release", "", "release.pub", "-----BEGIN PUBLIC KEY-----", "ssh-ed25519 AAAA"]),
    "_gpu_class": st.sampled_from(["B200", "GB200", "RTX-PRO-6000", "blackwell-class", "b100"]),
}  # fmt: skip
"""Values that a validator of ours refuses, by its name."""


@dataclass(frozen=True)
class Breaker:
    """One way to break the value at a path."""

    path: tuple[str | int, ...]
    kind: str
    values: st.SearchStrategy[Any]
    owner: str
    """Class and name of the field it breaks."""

    @property
    def id(self) -> str:
        return f"{'.'.join(map(str, self.path))}-{self.kind}"


def put(document: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """Copy of the settings with another value at a path, or without it."""
    whole = copy.deepcopy(document)
    here: Any = whole
    for step in path[:-1]:
        here = here[step]
    if value is REMOVED:
        del here[path[-1]]
    else:
        here[path[-1]] = value
    return whole


def of_model(model: type[BaseModel], value: Mapping[str, Any], path: tuple[str | int, ...] = ()) -> Iterator[Breaker]:
    """Every way to break a section that is there, with everything in it."""
    unknown = st.sampled_from(["nonsense", "Domain", "wight", "x_y"]).filter(lambda each: each not in value)
    yield Breaker(path, "unknown-key", unknown, model.__name__)
    for name, field in model.model_fields.items():
        alias = field.alias or name
        if alias not in value:
            continue
        owner, here = f"{model.__name__}.{name}", (*path, alias)
        if field.is_required():
            yield Breaker(here, "missing", st.just(REMOVED), owner)
        yield from _of_type(field.annotation, list(field.metadata), value[alias], here, owner)


def _of_type(
    annotation: Any, metadata: list[Any], value: Any, path: tuple[str | int, ...], owner: str
) -> Iterator[Breaker]:
    parts, rules, optional = _unwrapped(annotation, metadata)
    if not optional:
        yield Breaker(path, "null", st.none(), owner)
    kinds: dict[str, st.SearchStrategy[Any]] = {}
    models = [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]
    if len(models) > 1:
        yield Breaker(path, "not-a-mapping", _PLAIN | _LIST | _WHOLE, owner)
        yield Breaker((*path, "cloud"), "tag-missing", st.just(REMOVED), owner)
        yield Breaker((*path, "cloud"), "tag-unknown", st.sampled_from(["oracle", "AWS", "", 7]), owner)
        yield from of_model(next(m for m in models if value["cloud"] in _options(m)), value, path)
    elif models:
        yield Breaker(path, "not-a-mapping", _PLAIN | _LIST | _WHOLE | st.booleans(), owner)
        yield from of_model(models[0], value, path)
    elif str in parts:
        kinds = {"not-text": _WHOLE | st.booleans() | _LIST | _MAPPING, **_text(rules, value)}
    elif int in parts:
        kinds = {
            "not-whole": _PLAIN | _FRACTION | st.booleans() | _LIST,
            "quoted": st.just(str(value)),
            **_range(rules),
        }
    elif bool in parts:
        kinds = {"not-a-switch": st.sampled_from(["yes", "true", 0, 1, []])}
    elif typing.get_origin(parts[0]) is typing.Literal:
        allowed = typing.get_args(parts[0])
        kinds = {
            "not-allowed": (_PLAIN | _WHOLE).filter(lambda each: each not in allowed),
            "no-scalar": _LIST | _MAPPING,
            **_text(rules, value),
        }
    elif typing.get_origin(parts[0]) is tuple:
        yield Breaker(path, "not-a-list", _PLAIN | _MAPPING | _WHOLE, owner)
        least, most = _limit(rules, "min_length"), _limit(rules, "max_length")
        if least:
            yield Breaker(path, "too-few", st.just(value[: least - 1]), owner)
        if most is not None:
            yield Breaker(path, "too-many", st.just([value[0]] * (most + 1)), owner)
        inner = typing.get_args(parts[0])[0]
        for position, each in enumerate(value):
            yield from _of_type(inner, [], each, (*path, position), owner)
    elif typing.get_origin(parts[0]) is dict:
        yield from _of_mapping(parts[0], rules, value, path, owner)
    else:
        raise AssertionError(f"{owner}: nothing here breaks {annotation}")
    for kind, values in kinds.items():
        yield Breaker(path, kind, values, owner)


def _of_mapping(kind: Any, rules: list[Any], value: Any, path: tuple[str | int, ...], owner: str) -> Iterator[Breaker]:
    keys, values = typing.get_args(kind)
    yield Breaker(path, "not-a-mapping", _PLAIN | _LIST | _WHOLE, owner)
    if _limit(rules, "min_length"):
        yield Breaker(path, "empty", st.just({}), owner)
    pattern = next((_pattern(rule) for rule in _unwrapped(keys, [])[1] if _pattern(rule)), None)
    if pattern is not None:
        bad = (_PLAIN | st.sampled_from(["Upper", "-a", "a_b", "1", "a" * 64])).filter(
            lambda k: not re.search(pattern, k)
        )
        yield Breaker(path, "bad-key", bad.filter(lambda each: "." not in each), owner)
    for key, each in value.items():
        yield from _of_type(values, [], each, (*path, key), owner)


def _text(rules: list[Any], value: Any) -> dict[str, st.SearchStrategy[Any]]:
    found: dict[str, st.SearchStrategy[Any]] = {}
    for rule in rules:
        if pattern := _pattern(rule):
            near = st.sampled_from([f"{value}!", f" {value}", f"{value} ", "", "?", f"{value}\t"])
            found["pattern"] = (near | _PLAIN).filter(lambda each, p=pattern: not re.search(p, each))
        elif isinstance(rule, AfterValidator | BeforeValidator):
            name = getattr(rule.func, "__name__", "")
            found[name] = BY_VALIDATOR[name]  # KeyError: a validator that no value here breaks
    if _limit(rules, "min_length"):
        found["empty"] = st.just("")
    if (most := _limit(rules, "max_length")) is not None:
        found["too-long"] = st.just((str(value).rstrip(".") + ".a" * most)[: most + 2].rstrip(".") + "a")
    return found


def _range(rules: list[Any]) -> dict[str, st.SearchStrategy[Any]]:
    found: dict[str, st.SearchStrategy[Any]] = {}
    if (least := _limit(rules, "ge")) is not None:
        found["too-low"] = st.integers(least - 1_000, least - 1)
    if (most := _limit(rules, "le")) is not None:
        found["too-high"] = st.integers(most + 1, most + 1_000_000)
    return found


def _unwrapped(annotation: Any, metadata: list[Any]) -> tuple[list[Any], list[Any], bool]:
    """Members of a union without None, every rule about them, and whether None is allowed."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        inner, *notes = typing.get_args(annotation)
        rules = [rule for note in notes for rule in (note.metadata if isinstance(note, FieldInfo) else [note])]
        return _unwrapped(inner, [*rules, *metadata])
    if origin in (typing.Union, types.UnionType):
        parts, rules, optional = [], list(metadata), False
        for member in typing.get_args(annotation):
            if member is type(None):
                optional = True
                continue
            more, its_rules, _ = _unwrapped(member, [])
            parts, rules = [*parts, *more], [*rules, *its_rules]
        return parts, rules, optional
    return [annotation], metadata, False


def _options(model: type[BaseModel]) -> tuple[Any, ...]:
    return typing.get_args(model.model_fields["cloud"].annotation)


def _pattern(rule: Any) -> str | None:
    pattern = rule.pattern if isinstance(rule, StringConstraints) else getattr(rule, "pattern", None)
    return str(pattern) if pattern else None


def _limit(rules: list[Any], name: str) -> int | None:
    return next((value for rule in rules if (value := getattr(rule, name, None)) is not None), None)
