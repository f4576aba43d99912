"""The commands `train` and `evaluate`, which work in this process, with TensorFlow, and `job`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from model_export import datasets, registry
from model_export.errors import ExportError, Interrupted
from model_export.job import TrainingJob, text
from model_export.registry import Family
from model_export.samples import sample
from model_export.training.progress import Meter, meter
from model_export.training.run import Order, Progress

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
    chosen = registry.find(family)
    given: dict[str, Any] = {
        "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "optimizer": optimizer,
        "schedule": schedule, "patience": patience,
    }  # fmt: skip
    changed = {name: value for name, value in given.items() if value is not None}
    recipe = replace(chosen.preset(preset).recipe, **changed)
    _quiet()
    shown = meter()
    try:
        with shown.running():
            progress = _train(chosen, preset, data, out, seed, recipe, mixed_precision, strategy, shown)
    except KeyboardInterrupt:
        raise Interrupted(f"the same command goes on after the last finished epoch of {out}") from None
    print(f"{out}: best result {progress.best:.4f} after epoch {progress.best_epoch}")


def _train(
    family: Family, preset: str, data: str, out: Path, seed: int, recipe: registry.Recipe, mixed_precision: bool,
    strategy: str, shown: Meter,
) -> Progress:  # fmt: skip
    shown.phase("loading TensorFlow")
    from model_export.datasets.texts import vocabulary
    from model_export.training.trainer import train as run

    shown.phase("reading the data")
    dataset = datasets.load(data, seed)
    if dataset.task != family.task:
        raise ExportError(f"--data: {data} is for the task {dataset.task}, {family.name} does {family.task}")
    for bad in dataset.bad:
        shown.say(f"left out: {bad}")
    order = Order(
        family=family.name, preset=preset, data=data, data_digest=dataset.digest, classes=dataset.classes,
        license=dataset.license, seed=seed, recipe=recipe, mixed_precision=mixed_precision,
        vocabulary=vocabulary(dataset, family.preset(preset)),
    )  # fmt: skip
    shown.say(f"training {family.name} ({preset}) on {len(dataset.train)} examples, {len(dataset.classes)} classes")
    return run(out, order, family.preset(preset), dataset, strategy, shown.say, shown)


def evaluate(
    run: Annotated[Path, typer.Argument(help="folder of a training run")],
    data: Annotated[str | None, typer.Option(help="other data with the same classes; the run's own if absent")] = None,
    slices: Annotated[Path | None, typer.Option(help="CSV file,slice: results on parts of the pictures")] = None,
) -> None:
    """Evaluate a run's best weights on data it was not trained on and write a report with pictures."""
    _quiet()
    from model_export.evaluation.evaluate import evaluate as run_evaluation

    found, page = run_evaluation(run, data, slices)
    for name, value in found.items():
        print(f"{name}: {value:.4f}")
    print(f"report: {page}")


def job(
    family: Annotated[str, typer.Option(help="model family; `list` shows them")],
    data: Annotated[str, typer.Option(help="as of `train`; a path must be in the image or under /runs")],
    image: Annotated[str, typer.Option(help="container image with this package")],
    claim: Annotated[str, typer.Option(help="PersistentVolumeClaim of the runs; ReadWriteMany for several workers")],
    name: Annotated[str | None, typer.Option(help="name of the Job and its run; train-FAMILY if absent")] = None,
    namespace: Annotated[str, typer.Option(help="namespace of the Job")] = "default",
    preset: Annotated[str, typer.Option(help="size of the model")] = registry.FULL,
    workers: Annotated[int, typer.Option(help="pods that train together")] = 1,
    gpus: Annotated[int, typer.Option(help="GPUs of each worker")] = 0,
    cpu: Annotated[str, typer.Option(help="CPUs of each worker")] = "2",
    memory: Annotated[str, typer.Option(help="memory of each worker")] = "4Gi",
    arguments: Annotated[list[str] | None, typer.Argument(help="more options of `train`, after --")] = None,
) -> None:
    """Print the Kubernetes manifests of a training Job; pipe them into `kubectl apply -f -`."""
    registry.find(family).preset(preset)
    wanted = TrainingJob(
        name=name or f"train-{family}", image=image, claim=claim, family=family, preset=preset, data=data,
        namespace=namespace, workers=workers, gpus=gpus, cpu=cpu, memory=memory, arguments=tuple(arguments or ()),
    )  # fmt: skip
    print(text(wanted), end="")


def _quiet() -> None:
    """Keep TensorFlow's start-up messages and the warnings of packages it imports out of what a person reads."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"google\.")


COMMANDS: tuple[Callable[..., None], ...] = (train, evaluate, job, sample)
