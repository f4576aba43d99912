"""Evaluating a training run on data that it did not train on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from model_export import datasets
from model_export.datasets.records import Dataset
from model_export.errors import ExportError
from model_export.evaluation import slices
from model_export.evaluation.report import Report, Section, figure
from model_export.files import write_whole
from model_export.registry import find
from model_export.tasks import training_of
from model_export.training import run as runs
from model_export.training.run import Order

_BAD_SHOWN = 50


def evaluate(folder: Path, data: str | None, slices_file: Path | None = None) -> tuple[dict[str, float], Path]:
    """Evaluate a run's best weights and write its report.

    Args:
        folder: The run's folder; gets `report/` and `results.json`.
        data: Another data set than the run's own; its classes must be the run's.
        slices_file: CSV file with the columns `file` and `slice`, for data whose examples are files.

    Returns:
        The results, and the report's page.

    Raises:
        ExportError: If the run has no weights, or the data does not fit.
    """
    order = runs.read_order(folder)
    dataset = datasets.load(data or order.data, order.seed)
    if dataset.classes != order.classes:
        raise ExportError(
            f"--data: {data or order.data} has the classes {', '.join(dataset.classes)}, the run was trained for "
            f"{', '.join(order.classes)}; give data with the same classes"
        )
    given = slices.given(dataset.test) if slices_file is None else slices.of_file(slices_file, dataset)
    preset = find(order.family).preset(order.preset)
    network = preset.network(len(order.classes))
    runs.load_best(folder, network.variables)
    task = training_of(dataset, preset, order.recipe, order.vocabulary)
    answers = task.answers(network)
    found = task.results(answers)
    whole, parts = task.slices(answers, given)
    report = Report(f"{order.family} ({order.preset}) on {dataset.name}")
    report.sections += [_summary(order, dataset, found), _history(folder)]
    report.sections += task.sections(answers)
    report.sections += [slices.section(parts, whole, task.metric)] if parts else []
    report.sections += _left_out(dataset)
    page = report.write(folder / runs.REPORT)
    content = {
        "data": dataset.name, "data_digest": dataset.digest, **found, "slices": slices.as_json(parts, whole)
    }  # fmt: skip
    write_whole(folder / runs.RESULTS, (json.dumps(content, indent=2) + "\n").encode())
    return found, page


def _summary(order: Order, dataset: Dataset, found: dict[str, float]) -> Section:
    text = (
        f"{len(dataset.test)} examples that were not trained on, {len(dataset.classes)} classes; trained on "
        f"{len(dataset.train)}. Data: {dataset.source} ({dataset.license}). Seed {order.seed}."
    )
    rows: list[dict[str, Any]] = [{"result": name, "value": value} for name, value in found.items()]
    return Section("Results", text, rows)


def _history(folder: Path) -> Section:
    lines = runs.history(folder)
    made, axes = figure()
    epochs = [line["epoch"] for line in lines]
    axes.plot(epochs, [line["loss"] for line in lines], label="loss (training)")
    metric = next(name for name in lines[0] if name not in ("epoch", "loss"))
    axes.plot(epochs, [line[metric] for line in lines], label=f"{metric} (evaluation)")
    axes.set_xlabel("epoch")
    axes.set_ylim(bottom=0)
    axes.legend()
    return Section("Training", "", (), "training", made)


def _left_out(dataset: Dataset) -> list[Section]:
    if not dataset.bad:
        return []
    rows = [{"record": str(each)} for each in dataset.bad[:_BAD_SHOWN]]
    return [Section("Left out", f"{len(dataset.bad)} records could not be used.", rows)]
