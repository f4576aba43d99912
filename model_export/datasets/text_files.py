"""Texts in files: CSV with the columns `text` and `label`, or JSON Lines with an object of the two per line.

A third one, `slice`, may name the part of the data that a text belongs to; `evaluate` reports every part.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from model_export.datasets.records import BadRecord, Dataset, Examples, objects, split
from model_export.errors import ExportError
from model_export.registry import Task
from model_export.tokens import MAX_BYTES

TEXT, LABEL, SLICE = "text", "label", "slice"
_NOT_UTF8 = "is not UTF-8"
_Row = tuple[int, str, str, str]
"""Line of the record's beginning, text, label, slice (empty for none)."""


def csv_file(path: Path, seed: int) -> Dataset:
    """Read a CSV file whose first line names the columns, `text` and `label` among them.

    Fields that are quoted may have several lines. Rows that cannot be used are left out and listed.

    Args:
        path: The file, UTF-8.
        seed: Decides which quarter of each label is kept for evaluation.

    Raises:
        ExportError: If a column is missing, or too little is left.
    """
    bad: list[BadRecord] = []
    return _dataset(path, list(_csv_rows(path, bad)), bad, seed)


def jsonl_file(path: Path, seed: int) -> Dataset:
    """Read a file with a JSON object per line: {"text": "...", "label": "..."}; empty lines are nothing.

    Lines that cannot be used are left out and listed; arguments and errors are those of `csv_file`.
    """
    bad: list[BadRecord] = []
    return _dataset(path, list(_json_rows(path, bad)), bad, seed)


def _csv_rows(path: Path, bad: list[BadRecord]) -> Iterator[_Row]:
    # What is not UTF-8 becomes half surrogate pairs, which no UTF-8 holds, so that the row's line is known.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        columns = _columns(path, reader)
        while True:
            line = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                bad.append(BadRecord(str(path), line, f"is not CSV: {error}"))
                continue
            if not row:
                continue
            if len(row) != len(columns):
                reason = f"has {len(row)} columns, the first line has {len(columns)}"
                bad.append(BadRecord(str(path), line, reason))
                continue
            part = row[columns.index(SLICE)] if SLICE in columns else ""
            yield line, row[columns.index(TEXT)], row[columns.index(LABEL)], part


def _columns(path: Path, reader: Iterator[list[str]]) -> list[str]:
    try:
        columns = next(reader, [])
    except csv.Error as error:
        raise ExportError(f"{path}: line 1: is not CSV: {error}; write {TEXT},{LABEL} there") from None
    if columns.count(TEXT) != 1 or columns.count(LABEL) != 1 or columns.count(SLICE) > 1:
        raise ExportError(
            f"{path}: line 1: must name the columns {TEXT} and {LABEL} once each, and {SLICE} at most once, got "
            f"{', '.join(columns)!r}; write {TEXT},{LABEL} there"
        )
    return columns


def _json_rows(path: Path, bad: list[BadRecord]) -> Iterator[_Row]:
    with path.open("rb") as stream:
        for line, content in enumerate(stream, 1):
            found = _json_row(content)
            if isinstance(found, str):
                bad.append(BadRecord(str(path), line, found))
            elif found:
                yield line, *found


def _json_row(content: bytes) -> tuple[str, str, str] | str | None:
    """Return text, label and slice of a line, or why there are none, or None for an empty line."""
    try:
        line = content.decode("utf-8-sig").strip()
        record: Any = json.loads(line) if line else None
    except UnicodeDecodeError:
        return _NOT_UTF8
    except json.JSONDecodeError as error:
        return f"is not JSON: {error}"
    except (RecursionError, ValueError) as error:  # too deep, or a number of too many digits
        return f"cannot be read: {error}"
    if not line:
        return None
    if not isinstance(record, dict):
        return "is not an object"
    text, label, part = record.get(TEXT), _name(record.get(LABEL)), _name(record.get(SLICE, ""))
    for name, value in ((TEXT, text), (LABEL, label), (SLICE, part)):
        if not isinstance(value, str):
            return f"has no {name}" if name not in record else f"{name} is not a string"
    return str(text), str(label), str(part)


def _name(value: object) -> object:
    """Return a whole number as text, anything else as it is."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _dataset(path: Path, rows: list[_Row], bad: list[BadRecord], seed: int) -> Dataset:
    good: list[tuple[bytes, str, str]] = []
    for line, text, label, part in rows:
        reason = _problem(text, label.strip(), part.strip())
        if reason:
            bad.append(BadRecord(str(path), line, reason))
        else:
            good.append((text.encode(), label.strip(), part.strip()))
    classes = tuple(sorted({label for _, label, _ in good}))
    number = {label: each for each, label in enumerate(classes)}
    labels = np.array([number[label] for _, label, _ in good], np.int32)
    examples = Examples(
        inputs=objects([text for text, _, _ in good]), targets={"label": labels},
        slices=objects([part for _, _, part in good]),
    )  # fmt: skip
    train, test = split(examples, labels, seed)
    bad.sort(key=lambda record: record.line or 0)
    return Dataset(
        name=path.stem, task=Task.LABEL, classes=classes, train=train, test=test, license="unknown",
        source=str(path), bad=tuple(bad),
    )  # fmt: skip


def _problem(text: str, label: str, part: str) -> str:
    """Return why a record cannot be used; empty when it can."""
    try:
        size = len(text.encode())
        (label + part).encode()
    except UnicodeEncodeError:
        return _NOT_UTF8
    if not text.strip():
        return "the text is empty"
    if size > MAX_BYTES:
        return f"the text has {size} bytes, more than {MAX_BYTES}"
    if not label:
        return "the label is empty"
    if not label.isprintable():
        return "the label has a line break or control character"  # the exported labels are lines of a file
    if not part.isprintable():
        return "the slice has a line break or control character"
    return ""
