"""A resource that keeps every rule of a check, and changes that each break one; see test_policy_checks.py."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import Any

REMOVED = object()


@dataclass(frozen=True)
class Bad:
    """One change of a good resource that breaks one rule."""

    path: str
    value: Any
    found_at: str = ""
    """Where the finding is; the changed path unless it is given."""
    production: bool = False
    """Whether it is wrong for production only."""


@dataclass(frozen=True)
class Case:
    check: str
    type: str
    good: dict[str, Any]
    bad: tuple[Bad, ...]
    also_good: tuple[tuple[str, Any], ...] = ()
    """Changes that break nothing."""


def changed(props: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Copy of the inputs with another value at a path; numbers in it are positions in lists."""
    whole = copy.deepcopy(props)
    here: Any = whole
    *steps, last = path.split(".")
    for step in steps:
        here = here[int(step)] if isinstance(here, list) else here.setdefault(step, {})
    if value is REMOVED:
        del here[int(last) if isinstance(here, list) else last]
    else:
        here[int(last) if isinstance(here, list) else last] = value
    return whole


def document(**statement: Any) -> str:
    """A policy document with one statement."""
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})
