"""The annotation `pulumi.com/waitFor`: what a program wants to be true before an object counts as ready.

Its value is `condition=Type[=Status]`, `jsonpath={.path}[=value]`, or a JSON list of these, all of which must be met.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
ANNOTATION = "pulumi.com/waitFor"
_JSON_PATH = re.compile(r"^jsonpath=\{(?P<path>[^}]+)\}(?:=(?P<value>.*))?$", re.DOTALL)
_STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\[['\"]([^'\"]+)['\"]\]|\[(\d+)\]")


class WaitForError(Exception):
    """The annotation cannot be understood; the text says why."""


@dataclass(frozen=True)
class Wish:
    """One expression; `missing` returns what an object lacks, empty when it has it."""

    text: str
    missing: Callable[[Object], str]


def wishes(value: str) -> list[Wish]:
    """Return the expressions of an annotation's value.

    Raises:
        WaitForError: If one is neither a condition nor a plain JSONPath.
    """
    try:
        found = json.loads(value)
        texts = found if isinstance(found, list) and all(isinstance(each, str) for each in found) else [value]
    except ValueError:
        texts = [value]
    if not texts:
        raise WaitForError(f"{ANNOTATION}: at least one condition must be specified")
    return [Wish(each, _condition(each) if each.startswith("condition=") else _json_path(each)) for each in texts]


def _condition(text: str) -> Callable[[Object], str]:
    kind, _, status = text.removeprefix("condition=").partition("=")
    wanted = status or "True"
    if not kind:
        raise WaitForError(f"{ANNOTATION}: {text!r} names no condition")

    def missing(live: Object) -> str:
        conditions = (live.get("status") or {}).get("conditions") or []
        found = next((each for each in conditions if each.get("type") == kind), None)
        if found is None:
            return f"it has no condition {kind} yet" + _others(conditions, kind)
        if str(found.get("status", "")).lower() == wanted.lower() and _current(live, found):
            return ""
        said = ": ".join(each for each in (found.get("reason"), found.get("message")) if each)
        return (
            f"condition {kind} is {found.get('status')}, not {wanted}"
            + (f" ({said})" if said else "")
            + _others(conditions, kind)
        )

    return missing


def _current(live: Object, condition: Object) -> bool:
    """Tell whether a condition speaks of the object as it is now, where it says of which generation it speaks."""
    observed = condition.get("observedGeneration")
    return observed is None or int(observed) >= int(live["metadata"].get("generation", 0))


def _others(conditions: list[Object], kind: str) -> str:
    """Return what the other conditions say: why something is not ready stands there as often as not."""
    told = [f"{each['type']}: {each['message']}" for each in conditions if each["type"] != kind and each.get("message")]
    return f"; {'; '.join(told)}" if told else ""


def _json_path(text: str) -> Callable[[Object], str]:
    match = _JSON_PATH.match(text)
    steps = list(_STEP.finditer(match["path"])) if match else []
    if match is None or "".join(each[0] for each in steps) != match["path"]:
        raise WaitForError(
            f"{ANNOTATION}: {text!r} is neither condition=Type nor a plain jsonpath={{.path}}[=value]; "
            "the local clouds know no filters"
        )
    path, wanted = match["path"], match["value"]

    def missing(live: Object) -> str:
        found: Any = live
        for step in steps:
            key = step[1] or step[2]
            if key and isinstance(found, dict) and key in found:
                found = found[key]
            elif step[3] and isinstance(found, list) and int(step[3]) < len(found):
                found = found[int(step[3])]
            else:
                return f"it has no {path} yet"
        if wanted is None or _text(found) == wanted.strip("'\""):
            return ""
        return f"{path} is {_text(found)!r}, not {wanted!r}"

    return missing


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
