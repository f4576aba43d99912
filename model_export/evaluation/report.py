"""The report of an evaluation: one Markdown page and its pictures, written whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

PAGE = "report.md"
SHOWN_CLASSES = 30
"""Classes with a row or a name of their own; of more, the worst."""


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    title: str
    text: str = ""
    table: Sequence[Mapping[str, object]] = ()
    """Rows by column; all have the same columns."""
    picture: str = ""
    """Name of the picture, without a suffix; empty for none."""
    figure: Any = None
    """Matplotlib figure of the picture."""


@dataclass
class Report:
    """A page in the making."""

    title: str
    sections: list[Section] = field(default_factory=list)

    def write(self, folder: Path) -> Path:
        """Write the page and its pictures into a folder, which is replaced; returns the page."""
        part = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        lines = [f"# {self.title}", ""]
        for section in self.sections:
            lines += [f"## {section.title}", ""]
            if section.text:
                lines += [section.text, ""]
            if section.table:
                lines += [*_table(section.table), ""]
            if section.figure is not None:
                section.figure.savefig(part / f"{section.picture}.png", dpi=120, bbox_inches="tight")
                lines += [f"![{section.title}]({section.picture}.png)", ""]
        (part / PAGE).write_text("\n".join(lines), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        part.replace(folder)
        return folder / PAGE


def _table(rows: Sequence[Mapping[str, object]]) -> list[str]:
    columns = list(rows[0])
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return lines + [f"| {' | '.join(_shown(row[column]) for column in columns)} |" for row in rows]


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return str(value).replace("|", "\\|")


def figure(width: float = 6.0, height: float = 4.0) -> tuple[Any, Any]:
    """Return a Matplotlib figure and its axes, without a display."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height))
    return made, made.add_subplot()


def confusion_figure(
    counts: npt.NDArray[Any], classes: Sequence[str], side: float, told: Callable[[int, int], str]
) -> Any:
    """Return a Matplotlib figure of a confusion matrix, coloured by each class's shares.

    Args:
        counts: int [classes, classes], by true class and answer.
        classes: Names of the classes; of more than thirty neither names nor cells are written.
        side: Inches of each side.
        told: What is written into the cell of a true class and an answer that occur together.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    made, axes = figure(side, side)
    axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    if len(classes) <= SHOWN_CLASSES:
        axes.set_xticks(range(len(classes)), classes, rotation=90)
        axes.set_yticks(range(len(classes)), classes)
        for truth, answer in zip(*np.nonzero(counts), strict=True):
            color = "w" if shares[truth, answer] > 0.5 else "k"
            axes.text(answer, truth, told(truth, answer), ha="center", va="center", color=color, fontsize=8)
    return made


def worst_classes(rows: Sequence[Mapping[str, object]]) -> Section:
    """Return the section about the classes, at most thirty of them.

    Args:
        rows: What is known of each class, worst first.
    """
    text = "Worst first." if len(rows) <= SHOWN_CLASSES else f"The {SHOWN_CLASSES} worst of {len(rows)} classes."
    return Section("Classes", text, rows[:SHOWN_CLASSES])
