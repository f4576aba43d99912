"""The sections of a classifier's report: classes, confusion, certainty, ROC, and its worst mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.evaluation.report import Section, confusion_figure, figure, worst_classes

_WORST = 12
_BINS = 10


def sections(scores: npt.NDArray[np.float32], labels: npt.NDArray[np.int32], classes: Sequence[str]) -> list[Section]:
    """Return the sections about the answers.

    Args:
        scores: float32 [n, classes], probabilities.
        labels: int32 [n], class ids.
        classes: Names of the classes.
    """
    return [
        _by_class(scores, labels, classes),
        _confusion(scores, labels, classes),
        _reliability(scores, labels),
        _roc(scores, labels, classes),
    ]


def _by_class(scores: npt.NDArray[Any], labels: npt.NDArray[Any], classes: Sequence[str]) -> Section:
    from sklearn.metrics import precision_recall_fscore_support

    every = np.arange(len(classes))
    found = precision_recall_fscore_support(labels, scores.argmax(axis=1), labels=every, zero_division=0)
    rows = [
        {"class": classes[each], "examples": int(n), "precision": float(p), "recall": float(r), "F1": float(f)}
        for each, p, r, f, n in zip(every, *found, strict=True)
        if n
    ]
    rows.sort(key=lambda row: float(str(row["F1"])))
    return worst_classes(rows)


def _confusion(scores: npt.NDArray[Any], labels: npt.NDArray[Any], classes: Sequence[str]) -> Section:
    answers = scores.argmax(axis=1)
    counts = np.zeros((len(classes), len(classes)), int)
    np.add.at(counts, (labels, answers), 1)
    made = confusion_figure(
        counts, classes, 2 + 0.35 * min(len(classes), 40), lambda truth, answer: str(counts[truth, answer])
    )
    return Section("Confusion", "Each row is a true class; its colours add up to 1.", (), "confusion", made)


def _reliability(scores: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Section:
    certainty, right = scores.max(axis=1), scores.argmax(axis=1) == labels
    bins = np.minimum((certainty * _BINS).astype(int), _BINS - 1)
    made, axes = figure()
    used = np.unique(bins)
    axes.plot([0, 1], [0, 1], "k--", linewidth=1, label="perfect")
    axes.bar(
        [(each + 0.5) / _BINS for each in used], [right[bins == each].mean() for each in used], width=0.9 / _BINS,
        label="answers",
    )  # fmt: skip
    axes.set_xlabel("certainty")
    axes.set_ylabel("part that is right")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.legend()
    return Section("Certainty", "Bars below the line: more certain than right.", (), "certainty", made)


def _roc(scores: npt.NDArray[Any], labels: npt.NDArray[Any], classes: Sequence[str]) -> Section:
    from sklearn.metrics import auc, roc_curve

    made, axes = figure()
    areas = []
    for each in range(len(classes)):
        truth = labels == each
        if not 0 < truth.sum() < len(truth):
            continue
        false, true, _ = roc_curve(truth, scores[:, each])
        areas.append((float(auc(false, true)), each, false, true))
    areas.sort(key=lambda found: found[0])
    for area, each, false, true in areas[:10]:
        axes.plot(false, true, label=f"{classes[each]} ({area:.3f})")
    axes.plot([0, 1], [0, 1], "k--", linewidth=1)
    axes.set_xlabel("part of the others that is taken for the class")
    axes.set_ylabel("part of the class that is found")
    axes.legend(fontsize=8)
    mean = float(np.mean([area for area, *_ in areas])) if areas else float("nan")
    return Section("ROC", f"One class against all others; mean area {mean:.4f}.", (), "roc", made)


def worst(scores: npt.NDArray[Any], labels: npt.NDArray[Any], classes: Sequence[str], image_of: Any) -> Section | None:
    """Return the examples the model is most certain and wrong about, as pictures; None when nothing is wrong.

    Args:
        scores: float32 [n, classes], probabilities.
        labels: int32 [n], class ids.
        classes: Names of the classes.
        image_of: Function from a row to uint8 [height, width, 3].
    """
    from matplotlib.figure import Figure

    wrong = np.flatnonzero(scores.argmax(axis=1) != labels)
    rows = wrong[np.argsort(-scores[wrong].max(axis=1), kind="stable")][:_WORST]
    if not len(rows):
        return None
    made = Figure(figsize=(9, 2.4 * -(-len(rows) // 4)))
    for place, row in enumerate(rows, 1):
        axes = made.add_subplot(-(-len(rows) // 4), 4, place)
        axes.imshow(image_of(row))
        axes.set_axis_off()
        answer = int(scores[row].argmax())
        axes.set_title(f"{classes[labels[row]]} taken for\n{classes[answer]} ({scores[row, answer]:.0%})", fontsize=8)
    text = f"{len(wrong)} of {len(labels)} are wrong; the most certain ones:"
    return Section("Mistakes", text, (), "mistakes", made)
