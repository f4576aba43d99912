"""Conditions and statuses of cert-manager's objects."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

Object = dict[str, Any]


def timestamp(moment: datetime.datetime) -> str:
    """Return a time as the API writes it."""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(found: Object, kind: str, good: bool, reason: str, message: str) -> Object:
    """Return a condition of an object; its time is kept while its status stays."""
    status = "True" if good else "False"
    old = conditions(found).get(kind) or {}
    since = old.get("lastTransitionTime") if old.get("status") == status else None
    made: Object = {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since or timestamp(datetime.datetime.now(datetime.UTC)),
    }
    if found["kind"] != "CertificateRequest":
        made["observedGeneration"] = found["metadata"].get("generation", 1)
    return made


def conditions(found: Object) -> dict[str, Object]:
    """Return an object's conditions by type."""
    return {each["type"]: each for each in (found.get("status") or {}).get("conditions") or []}


def is_true(found: Object, kind: str) -> bool:
    """Return whether an object has a condition that is true."""
    return (conditions(found).get(kind) or {}).get("status") == "True"


def merged(found: Object, changed: Sequence[Object], **fields: Any) -> Object:
    """Return a status to merge into an object's: changed conditions among the others, and fields."""
    kept = conditions(found) | {each["type"]: each for each in changed}
    return {"conditions": list(kept.values()), **fields}


def differs(found: Object, status: Mapping[str, Any]) -> bool:
    """Return whether merging a status would change an object."""
    current = found.get("status") or {}
    return any(current.get(key) != value for key, value in status.items())
