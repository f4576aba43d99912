"""Everything that the stack files declare, held against the policy pack: prod has no finding, nor have the others."""

from __future__ import annotations

from typing import Any

import pytest

from policy.check import UNKNOWN, Resource
from policy.registry import CHECKS, STACK_CHECKS
from tests.components.recording import UNKNOWN as RECORDED_UNKNOWN
from tests.components.recording import Recording, Row
from tests.components.test_program import Program, program, settings_of

__all__ = ["program"]


def resource(row: Row) -> Resource:
    return Resource(row.type, row.name, row.urn, _plain(row.inputs), row.provider, row.links)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return UNKNOWN if value == RECORDED_UNKNOWN else value


def findings(recording: Recording, *, production: bool) -> list[str]:
    resources = [resource(row) for row in recording.rows]
    found = [finding for check in CHECKS for each in resources for finding in check.findings(each, production)]
    found += [finding for check in STACK_CHECKS for finding in check.findings(resources, production)]
    return [str(each) for each in found]


@pytest.mark.parametrize("stack", ["prod", "dev", "local"])
def test_a_stack_keeps_the_rules_it_is_held_to(program: Program, preview: bool, stack: str) -> None:
    settings = settings_of(stack)
    recording = program(settings, preview=preview)
    found = findings(recording, production=settings["protect"])
    assert not found, "\n".join(found)


def test_every_check_meets_a_resource_of_the_production_stack(program: Program) -> None:
    """A check that nothing is held against would prove nothing here."""
    types = {row.type for row in program(settings_of("prod")).rows}
    unmet = [check.name for check in CHECKS if check.types and not types & set(check.types)]
    assert unmet == ["kubernetes-ingress"]
