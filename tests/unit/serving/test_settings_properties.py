"""Generated mistakes in the settings: each field in every way its rule can be broken, and each rule between fields.

Every mistake gives one line with the path, the value, the rule and what to do; a field that nothing here breaks fails.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from serving.settings import Settings, SettingsError, parse_settings
from tests.unit.serving.settings_breakers import REMOVED, Breaker, of_model, put

EXAMPLES = 8
"""Values per way of breaking a field."""
_EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "Pulumi.example.yaml"
WHOLE: dict[str, Any] = yaml.safe_load(_EXAMPLE.read_text())["config"]["tricorn:settings"]
"""Settings with every section and every field, except those that exclude one another."""
OTHER: dict[str, Any] = {
    **WHOLE,
    "ingress": {"tlsSecret": "certificate"},
    "access": {"callers": {"jwt": {"issuer": "https://a.example.com", "audiences": ["b"], "jwks": '{"keys": []}'}}},
}
"""The fields that WHOLE cannot have."""
BREAKERS: list[tuple[dict[str, Any], Breaker]] = [(WHOLE, each) for each in of_model(Settings, WHOLE)]
_known = {breaker.owner for _, breaker in BREAKERS}
BREAKERS += [(OTHER, each) for each in of_model(Settings, OTHER) if each.owner not in _known]


def problems(document: Any) -> list[str]:
    try:
        parse_settings(document)
    except SettingsError as error:
        return list(error.problems)
    return []


def broken(document: dict[str, Any], breaker: Breaker, value: Any) -> tuple[dict[str, Any], str, Any]:
    """Settings with a mistake, the path its line must begin with, and the value it must show."""
    if breaker.kind == "unknown-key":
        path = (*breaker.path, value)
        return put(document, path, 1), ".".join(map(str, path)), value
    if breaker.kind == "bad-key":
        inside = dict(document)
        for step in breaker.path:
            inside = inside[step]
        path = (*breaker.path, value)
        return put(document, path, next(iter(inside.values()))), ".".join(map(str, path)), value
    return put(document, breaker.path, value), ".".join(map(str, breaker.path)), value


def assert_clear(line: str, path: str) -> None:
    """path: rule (got value); fix."""
    where, _, rest = line.partition(": ")
    assert where == path, line
    rule, _, after = rest.partition(" (got ")
    assert re.match(r"(must|is required|unknown key|a (site|pool|model|label)'s)", rule), line
    fix = after.rpartition("); ")[2]
    assert len(fix) > 5, line
    assert len(line) < 420, line
    for jargon in ("pydantic", "validation", "Input should", "str_", "NoneType", "tuple", "dict", "literal", "$defs"):
        assert jargon not in rule, line


@pytest.mark.parametrize(("document", "breaker"), BREAKERS, ids=[breaker.id for _, breaker in BREAKERS])
def test_a_broken_field_gives_one_line_with_path_value_rule_and_fix(document, breaker):
    @settings(
        derandomize=True, max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(breaker.values)
    def check(value: Any) -> None:
        raw, path, shown = broken(document, breaker, value)
        found = problems(raw)
        assert len(found) == 1, (value, found)
        assert_clear(found[0], path)
        if shown is REMOVED:
            assert "(got nothing)" in found[0]
        elif len(repr(shown)) < 60:
            assert repr(shown) in found[0] or "(got nothing)" in found[0], found[0]

    check()


def fields(model: type[BaseModel], seen: set[type] | None = None) -> Iterator[str]:
    """Every field of every section, as class and name."""
    seen = set() if seen is None else seen
    if model in seen:
        return
    seen.add(model)
    for name, field in model.model_fields.items():
        yield f"{model.__name__}.{name}"
        for inner in _models(field.annotation):
            yield from fields(inner, seen)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _models(inner)


def test_the_settings_that_are_broken_here_are_right_in_themselves():
    assert problems(WHOLE) == []
    assert problems(OTHER) == []


def test_no_field_is_forgotten():
    assert {breaker.owner for _, breaker in BREAKERS if "." in breaker.owner} >= set(fields(Settings))


def test_there_are_at_least_two_hundred_ways_to_be_wrong():
    assert len({(breaker.path, breaker.kind) for _, breaker in BREAKERS}) >= 200


@pytest.mark.parametrize("raw", [None, [], "text", 7, True])
def test_settings_that_are_no_mapping_are_one_line(raw):
    assert len(problems(raw)) == 1
    assert_clear(problems(raw)[0], "(top)")


@given(st.data())
@settings(derandomize=True, max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_several_mistakes_are_told_together(data):
    """In different sections: one of them may hide another in its own."""
    sections = data.draw(st.permutations(sorted({str(b.path[0]) for d, b in BREAKERS if b.path and d is WHOLE})))[:3]
    raw, expected = WHOLE, []
    for section in sections:
        choices = [b for d, b in BREAKERS if d is WHOLE and b.path and b.path[0] == section and len(b.path) > 1]
        choices = choices or [b for d, b in BREAKERS if d is WHOLE and b.path == (section,)]
        breaker = data.draw(st.sampled_from(choices))
        raw, path, _ = broken(raw, breaker, data.draw(breaker.values))
        expected.append(path)
    found = [line.partition(": ")[0] for line in problems(raw)]
    assert set(expected) <= set(found), (expected, problems(raw))
