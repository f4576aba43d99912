"""What differs between the tasks: targets, losses and results while training."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Protocol

from model_export.datasets.records import Dataset
from model_export.evaluation.report import Section
from model_export.evaluation.slices import Slice, SliceResult
from model_export.registry import Preset, Recipe, Task


class TaskTraining(Protocol):
    """A data set and a network's task, as the training loop needs them."""

    metric: str
    """The result that decides which weights are best; higher is better."""
    steps: int
    """Batches per epoch."""

    def batches(self, epochs: range, seed: int) -> Any:
        """Return tf.data of epochs on end, `steps` batches each: (inputs, targets)."""
        ...

    def loss(self, network: Any) -> Any:
        """Return the loss that Keras trains with: (targets, outputs) -> float32 []."""
        ...

    def answers(self, network: Any) -> Any:
        """Return what a network says of the evaluation examples, as `results` and `sections` take it."""
        ...

    def results(self, answers: Any) -> dict[str, float]:
        """Return the results on the evaluation examples."""
        ...

    def sections(self, answers: Any) -> list[Section]:
        """Return the sections of the report about the evaluation examples."""
        ...

    def slices(self, answers: Any, given: Sequence[Slice]) -> tuple[float, list[SliceResult]]:
        """Return the metric on all evaluation examples, and on the parts of them that the task knows or is given.

        Classes count that a part's truth holds: else one wrong answer would add a class without a hit.
        """
        ...


_CLASSES = {
    Task.CLASSIFY: "ClassifyTraining",
    Task.SEGMENT: "SegmentTraining",
    Task.DETECT: "DetectTraining",
    Task.LABEL: "LabelTraining",
}
"""Class in this package's module of the task's name."""


def training_of(dataset: Dataset, preset: Preset, recipe: Recipe, vocabulary: tuple[str, ...] = ()) -> TaskTraining:
    """Return the task of a data set; a text model's has the vocabulary of its run."""
    more = (vocabulary,) if dataset.task is Task.LABEL else ()
    module: Any = importlib.import_module(f"{__name__}.{dataset.task.value}")
    made: TaskTraining = getattr(module, _CLASSES[dataset.task])(dataset, preset, recipe, *more)
    return made
