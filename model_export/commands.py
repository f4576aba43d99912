"""The commands `train` and `evaluate`; each does its work in this process, with TensorFlow."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from model_export import datasets, registry
from model_export.datasets.records import Dataset
from model_export.errors import ExportError
from model_export.registry import Preset, TextInput
from model_export.training.run import Order

_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}


def train(
    family: Annotated[str, typer.Argument(help="model family; `list` shows them")],
    data: Annotated[str, typer.Option(help="a sample set (digits, languages), or folder:PATH, csv:PATH, jsonl:PATH")],
    out: Annotated[Path, typer.Option(help="folder of the run; one that was interrupted is gone on with")],
    preset: Annotated[str, typer.Option(help="size of the model")] = registry.SMALL,
    epochs: Annotated[int | None, typer.Option(min=1, help="rounds over the data; the preset's if absent")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="examples per step")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="highest learning rate")] = None,
    optimizer: Annotated[str | None, typer.Option(help="sgd, adam or adamw")] = None,
    schedule: Annotated[str | None, typer.Option(help="cosine, step or constant")] = None,
    patience: Annotated[int | None, typer.Option(min=0, help="epochs without a better result before stopping")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2000, help="decides weights, order and augmentation")] = 0,
    mixed_precision: Annotated[bool, typer.Option("--mixed-precision", help="compute in bfloat16")] = False,
    strategy: Annotated[str, typer.Option(help="none, mirrored (all GPUs here) or multi-worker (TF_CONFIG)")] = "none",
) -> None:
    """Train a model; a run that was killed goes on after its last finished epoch, with the same result."""
    chosen = registry.find(family).preset(preset)
    given: dict[str, Any] = {
        "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "optimizer": optimizer,
        "schedule": schedule, "patience": patience,
    }  # fmt: skip
    recipe = replace(chosen.recipe, **{name: value for name, value in given.items() if value is not None})
    _quiet()
    from model_export.training.trainer import train as run

    dataset = datasets.load(data, seed)
    if dataset.task != registry.find(family).task:
        raise ExportError(f"--data: {data} is for the task {dataset.task}, {family} does {registry.find(family).task}")
    for bad in dataset.bad:
        print(f"left out: {bad}", flush=True)
    order = Order(
        family=family, preset=preset, data=data, data_digest=dataset.digest, classes=dataset.classes,
        license=dataset.license, seed=seed, recipe=recipe, mixed_precision=mixed_precision,
        vocabulary=_vocabulary(dataset, chosen),
    )  # fmt: skip
    print(f"training {family} ({preset}) on {len(dataset.train)} examples, {len(dataset.classes)} classes", flush=True)
    progress = run(out, order, chosen, dataset, strategy, _say)
    print(f"{out}: best result {progress.best:.4f} after epoch {progress.best_epoch}")


def evaluate(
    run: Annotated[Path, typer.Argument(help="folder of a training run")],
    data: Annotated[str | None, typer.Option(help="other data with the same classes; the run's own if absent")] = None,
) -> None:
    """Evaluate a run's best weights on data it was not trained on and write a report with pictures."""
    _quiet()
    from model_export.evaluation.evaluate import evaluate as run_evaluation

    found, page = run_evaluation(run, data)
    for name, value in found.items():
        print(f"{name}: {value:.4f}")
    print(f"report: {page}")


def _vocabulary(dataset: Dataset, preset: Preset) -> tuple[str, ...]:
    if not isinstance(preset.input, TextInput):
        return ()
    from model_export.tokens import vocabulary_of

    return vocabulary_of((dataset.train.content(row) for row in range(len(dataset.train))), preset.input)


def _say(text: str) -> None:
    print(f"  {text}", flush=True)


def _quiet() -> None:
    """Keep TensorFlow's start-up messages and the warnings of packages it imports out of what a person reads."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"google\.")


COMMANDS: tuple[Callable[..., None], ...] = (train, evaluate)
