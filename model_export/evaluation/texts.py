"""The section about a text model's worst mistakes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from model_export.datasets.records import Examples
from model_export.evaluation.report import Section

_WORST = 20
_SHOWN = 120
"""Characters of a text that are shown."""


def mistakes(scores: npt.NDArray[np.float32], examples: Examples, classes: Sequence[str]) -> Section | None:
    """Return the texts the model is most certain and wrong about; None when nothing is wrong.

    Args:
        scores: float32 [n, classes], probabilities.
        examples: The n texts with their `label`.
        classes: Names of the classes.
    """
    labels, answers = examples.targets["label"], scores.argmax(axis=1)
    wrong = np.flatnonzero(answers != labels)
    rows = wrong[np.argsort(-scores[wrong].max(axis=1), kind="stable")][:_WORST]
    if not len(rows):
        return None
    table = [
        {
            "text": shown(examples.content(row)),
            "truth": classes[labels[row]],
            "answer": classes[answers[row]],
            "certainty": float(scores[row].max()),
        }
        for row in rows
    ]
    return Section("Mistakes", f"{len(wrong)} of {len(labels)} are wrong; the most certain ones:", table)


def shown(text: bytes) -> str:
    """Return the beginning of a text on one line, for a table."""
    line = " ".join(text.decode(errors="replace").split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
