"""How predictions are shown: as JSON, as lines, as a table."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from serving.client import Prediction
from serving.drawing import SMALLEST_SCORE

_SHOWN_LABELS = 5


def _labels(outputs: dict[str, Any]) -> list[dict[str, Any]]:
    """Return label and score pairs of the first example, best first; empty when the model gives none."""
    names = outputs.get("labels", outputs.get("classes"))
    scores = outputs.get("scores")
    if names is None or scores is None or names.ndim != 2 or names.shape != scores.shape:
        return []
    pairs = sorted(zip(names[0].tolist(), scores[0].tolist(), strict=True), key=lambda pair: -pair[1])
    return [{"label": _text(name), "score": round(score, 4)} for name, score in pairs[:_SHOWN_LABELS]]


def document(source: str, found: Prediction) -> dict[str, Any]:
    """Return what is shown of one prediction: who answered, and the labels, objects or outputs of its first example."""
    told: dict[str, Any] = {
        "input": source,
        "site": found.site,
        "address": found.address,
        "latency_ms": round(1000 * found.latency_s, 1),
        "attempts": found.attempts,
    }
    if "boxes" in found.outputs and "count" in found.outputs:
        told["objects"] = _objects(found.outputs)
    elif labels := _labels(found.outputs):
        told["labels"] = labels
    else:
        told["outputs"] = {
            name: {"shape": list(value.shape), "dtype": str(value.dtype), "first": _first(value)}
            for name, value in sorted(found.outputs.items())
        }
    return told


def _first(value: Any) -> list[Any]:
    """Return the first few numbers or texts of an output."""
    return [
        each.decode(errors="replace") if isinstance(each, bytes) else each
        for each in value.reshape(-1)[:_SHOWN_LABELS].tolist()
    ]


def _objects(outputs: dict[str, Any]) -> list[dict[str, Any]]:
    """Return label, score and box of the first example's objects, best first."""
    return [
        {"label": _text(label), "score": round(score, 4), "box": [round(each, 4) for each in box]}
        for label, score, box in zip(
            outputs["labels"][0].tolist(), outputs["scores"][0].tolist(), outputs["boxes"][0].tolist(), strict=True
        )
        if score >= SMALLEST_SCORE
    ]


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _rows(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for each in document.get("labels", ()):
        yield f"{each['score']:.2%}", each["label"]
    for each in document.get("objects", ()):
        yield f"{each['score']:.2%}", f"{each['label']} at {each['box']}"
    if document.get("objects") == []:
        yield "", f"nothing with a score of {SMALLEST_SCORE:.0%} or more"
    for output, value in document.get("outputs", {}).items():
        yield output, f"{value['dtype']}{value['shape']} {value['first']}"


def _said_by(document: dict[str, Any], transport: str) -> str:
    tried = f", {document['attempts']} attempts" if document["attempts"] > 1 else ""
    who = document["site"] or document["address"]
    return f"answered by {who} over {transport} in {document['latency_ms']} ms{tried}"


def show(documents: list[dict[str, Any]], transport: str) -> None:
    """Print predictions for people: lines, or tables on a terminal."""
    if not sys.stdout.isatty():
        for document in documents:
            print(document["input"])
            for left, right in _rows(document):
                print(f"  {left:>7}  {right}")
            if "picture" in document:
                print(f"  drawn: {document['picture']}")
            print(f"  {_said_by(document, transport)}")
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    for document in documents:
        table = Table(
            show_header=False, title=escape(document["input"]), caption=escape(_said_by(document, transport)),
            title_justify="left", caption_justify="left",
        )  # fmt: skip
        for left, right in _rows(document):
            table.add_row(escape(left), escape(right))
        if "picture" in document:
            table.add_row("drawn", escape(document["picture"]))
        Console().print(table)
