"""What differs between two bundle versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_export.manifest import read_manifest

_LEFT_OUT = ("format", "archive")
"""The archive's name is its digest."""


@dataclass(frozen=True)
class Change:
    """A field with different values; None where one version lacks it."""

    field: str
    before: Any
    after: Any

    @property
    def relative(self) -> float | None:
        """How much a number grew, as a share of what it was; None for the version, other values and from 0."""
        if self.field == "version" or not _is_number(self.before) or not _is_number(self.after) or self.before == 0:
            return None
        return float((self.after - self.before) / abs(self.before))


def diff(first: Path, second: Path) -> list[Change]:
    """Return the fields of two manifests that differ, in the manifest's order.

    Raises:
        ExportError: If a manifest is missing or not valid.
    """
    before, after = (dict(_flat(read_manifest(file).model_dump(mode="json"))) for file in (first, second))
    return [
        Change(field, before.get(field), after.get(field))
        for field in dict.fromkeys((*before, *after))
        if before.get(field) != after.get(field)
    ]


def as_json(changes: list[Change]) -> list[dict[str, Any]]:
    """Return the changes as JSON values."""
    return [
        {"field": each.field, "before": each.before, "after": each.after, "relative": each.relative} for each in changes
    ]


def as_text(changes: list[Change]) -> str:
    """Return the changes as a table."""
    if not changes:
        return "no difference"
    rows = [("field", "before", "after", "change")]
    for each in changes:
        relative = "" if each.relative is None else f"{each.relative:+.1%}"
        rows.append((each.field, _shown(each.before), _shown(each.after), relative))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def tensor_text(tensor: Mapping[str, Any]) -> str:
    """Return a tensor of a signature in words, such as `float32 [any, 5]`."""
    shape = ", ".join("any" if each is None else str(each) for each in tensor["shape"])
    return f"{tensor['dtype']} [{shape}]"


def _flat(content: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        here = f"{path}.{key}" if path else key
        if here in _LEFT_OUT:
            continue
        if isinstance(value, Mapping) and set(value) == {"dtype", "shape"}:
            yield here, tensor_text(value)
        elif isinstance(value, Mapping) and set(value) == {"sha256", "size"}:
            yield here, f"{value['size']} bytes, {value['sha256'][:12]}"
        elif isinstance(value, Mapping):
            yield from _flat(value, here)
        else:
            yield here, value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
