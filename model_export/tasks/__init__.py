"""What differs between the tasks: targets, losses and results while training."""

from __future__ import annotations

from typing import Any, Protocol

from model_export.datasets.records import Dataset
from model_export.errors import ExportError
from model_export.evaluation.report import Section
from model_export.registry import Preset, Recipe, Task


class TaskTraining(Protocol):
    """A data set and a network's task, as the training loop needs them."""

    metric: str
    """The result that decides which weights are best; higher is better."""
    steps: int
    """Batches per epoch."""

    def batches(self, epoch: int, seed: int) -> Any:
        """Return tf.data of one epoch: (inputs, targets)."""
        ...

    def loss(self, network: Any) -> Any:
        """Return the loss that Keras trains with: (targets, outputs) -> float32 []."""
        ...

    def evaluate(self, network: Any) -> dict[str, float]:
        """Return the results on the evaluation examples."""
        ...

    def sections(self, network: Any) -> list[Section]:
        """Return the sections of the report about the evaluation examples."""
        ...


def training_of(dataset: Dataset, preset: Preset, recipe: Recipe, vocabulary: tuple[str, ...] = ()) -> TaskTraining:
    """Return the task of a data set; a text model's has the vocabulary of its run.

    Raises:
        ExportError: If nothing here trains it.
    """
    if dataset.task is Task.CLASSIFY:
        from model_export.tasks.classify import ClassifyTraining

        return ClassifyTraining(dataset, preset, recipe)
    if dataset.task is Task.SEGMENT:
        from model_export.tasks.segment import SegmentTraining

        return SegmentTraining(dataset, preset, recipe)
    if dataset.task is Task.DETECT:
        from model_export.tasks.detect import DetectTraining

        return DetectTraining(dataset, preset, recipe)
    if dataset.task is Task.LABEL:
        from model_export.tasks.label import LabelTraining

        return LabelTraining(dataset, preset, recipe, vocabulary)
    raise ExportError(f"--data: {dataset.name} is for the task {dataset.task}, which cannot be trained")
