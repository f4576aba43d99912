"""The training loop: epochs of Keras steps, each saved whole, so that a killed run goes on to the same result."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from model_export.datasets.records import Dataset
from model_export.errors import ExportError
from model_export.registry import Preset
from model_export.tasks import TaskTraining, training_of
from model_export.training import run as runs
from model_export.training.progress import Meter
from model_export.training.run import Order, Progress
from model_export.training.schedules import check, optimizer

STRATEGIES = ("none", "mirrored", "multi-worker")
EPOCHS_AT_ONCE = 16
"""Epochs that one tf.data pipeline serves; bounds the memory for the order of their examples."""
Say = Callable[[str], None]


def strategy_scope(name: str) -> Any:
    """Return the `tf.distribute` strategy of a flag.

    `mirrored` uses every GPU of this machine, or every logical CPU device; `multi-worker` reads TF_CONFIG, as the
    training Job's pods have it.

    Raises:
        ExportError: If there is no such strategy.
    """
    import tensorflow as tf

    if name not in STRATEGIES:
        raise ExportError(f"--strategy: must be one of {', '.join(STRATEGIES)}, got {name!r}")
    if name == "none":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        devices = [each.name for each in tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")]
        return tf.distribute.MirroredStrategy(devices)
    return tf.distribute.MultiWorkerMirroredStrategy()


@contextlib.contextmanager
def precision(mixed: bool) -> Iterator[None]:
    """Compute in bfloat16 where it is safe, keeping variables in float32."""
    import keras

    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16" if mixed else "float32")
    try:
        yield
    finally:
        keras.mixed_precision.set_dtype_policy(before)


def train(
    folder: Path, order: Order, preset: Preset, dataset: Dataset, strategy: str, say: Say, shown: Meter | None = None
) -> Progress:
    """Train, or go on where a run of the same order was left.

    Args:
        folder: The run's folder; made if missing.
        order: What to do; a folder that holds a run must hold this one.
        preset: The preset that `order` names.
        dataset: The data that `order` names.
        strategy: One of `STRATEGIES`.
        say: Gets a line per epoch.
        shown: Is told of every step.

    Raises:
        ExportError: If the folder holds another run, a value is out of its range, or training breaks down.
    """
    import keras
    import tensorflow as tf

    check(order.recipe)
    chief = _is_chief()
    # TensorFlow wants to know of other workers before it runs anything.
    distribution = strategy_scope(strategy)
    if order.recipe.batch_size % (replicas := distribution.num_replicas_in_sync):
        raise ExportError(
            f"--batch-size: must be a multiple of {replicas}, the number of devices that train together, "
            f"got {order.recipe.batch_size}"
        )
    if chief:
        _claim(folder, order)
    keras.utils.set_random_seed(order.seed)
    tf.config.experimental.enable_op_determinism()
    shown = shown or Meter()
    shown.phase("decoding the data")
    task = training_of(dataset, preset, order.recipe, order.vocabulary)
    steps = task.steps * order.recipe.epochs
    with precision(order.mixed_precision), distribution.scope():
        network = preset.network(len(dataset.classes))
        followed = optimizer(order.recipe, steps)
        followed.build(network.trainable_variables)
    variables = [*network.variables, *followed.variables]
    progress = runs.load_state(folder, variables)
    if progress.epoch:
        say(f"going on after epoch {progress.epoch} of {order.recipe.epochs}")
    step = train_step(network, task, followed, distribution)
    agree = _agreement(network, distribution)
    board = tf.summary.create_file_writer(str(folder / "tensorboard")) if chief else None
    epochs = range(progress.epoch, order.recipe.epochs)
    batches = train_batches(task, epochs, order.seed, distribution)
    for epoch in epochs:
        if _patience_is_over(progress, order):
            say(f"no better result for {order.recipe.patience} epochs: stopping early")
            break
        shown.phase(f"epoch {epoch + 1} of {order.recipe.epochs}")
        loss = _epoch(epoch, batches, step, order, task.steps, shown)
        agree()
        shown.phase(f"evaluating epoch {epoch + 1} of {order.recipe.epochs}")
        metrics = task.results(task.answers(network))
        progress = _advanced(progress, metrics[task.metric])
        if board:
            if progress.best_epoch == progress.epoch:
                runs.save_best(folder, network.variables, metrics)
            runs.append_history(folder, {"epoch": epoch + 1, "loss": loss, **metrics})
            runs.save_state(folder, variables, progress)
            _plot(board, epoch + 1, {"loss": loss, "learning_rate": float(followed.learning_rate), **metrics})
        say(f"epoch {epoch + 1} of {order.recipe.epochs}: loss {loss:.4f}, {_told(metrics)}")
    return progress


def _is_chief() -> bool:
    """Return whether this process writes the run's folder: the only one, or the first of several workers."""
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        return int(json.loads(text).get("task", {}).get("index", 0)) == 0
    except (ValueError, AttributeError):
        raise ExportError(f"TF_CONFIG: must be a JSON object with task.index, a number, got {text!r}") from None


def train_batches(task: TaskTraining, epochs: range, seed: int, distribution: Any) -> Iterator[Any]:
    """Yield the batches of all epochs; to start a pipeline takes as long as several small steps."""
    for first in epochs[::EPOCHS_AT_ONCE]:
        together = range(first, min(first + EPOCHS_AT_ONCE, epochs.stop))
        yield from distribution.experimental_distribute_dataset(task.batches(together, seed))


def train_step(network: Any, task: TaskTraining, followed: Any, distribution: Any) -> Callable[[Any], Any]:
    """Return a function that trains on a batch, part of it on each replica, and returns its loss.

    Keras' own `fit` cannot train on several workers (https://github.com/keras-team/keras/issues/20585).
    """
    import tensorflow as tf

    loss = task.loss(network)
    variables = network.trainable_variables

    def on_replica(inputs: Any, targets: Any) -> Any:
        with tf.GradientTape() as tape:
            # The replicas' gradients are added up.
            value = loss(targets, network(inputs, training=True)) / distribution.num_replicas_in_sync
        followed.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))
        return value

    def step(batch: Any) -> Any:
        return distribution.reduce("SUM", distribution.run(on_replica, args=batch), axis=None)

    compiled: Callable[[Any], Any] = tf.function(step)
    return compiled


def _agreement(network: Any, distribution: Any) -> Callable[[], None]:
    """Return a function that gives all replicas the same averages of normalisation layers.

    Each replica keeps its own while training, but there is one evaluation and one saved state.
    """
    import tensorflow as tf

    averages = [each.value for each in network.non_trainable_variables if "float" in each.dtype]
    if distribution.num_replicas_in_sync == 1 or not averages:
        return lambda: None

    def on_replica() -> None:
        context = tf.distribute.get_replica_context()
        means = context.all_reduce("MEAN", [tf.identity(each) for each in averages])
        for variable, mean in zip(averages, means, strict=True):
            variable.assign(mean)

    compiled: Callable[[], None] = tf.function(lambda: distribution.run(on_replica))
    return compiled


def _claim(folder: Path, order: Order) -> None:
    if (folder / runs.RUN).exists():
        if (existing := runs.read_order(folder)) != order:
            differs = next(key for key in vars(order) if getattr(order, key) != getattr(existing, key))
            raise ExportError(
                f"--out: {folder} holds a run with another {differs} ({getattr(existing, differs)!r}); "
                "give another folder, or the same settings to go on with it"
            )
        return
    if folder.exists() and any(folder.iterdir()):
        raise ExportError(f"--out: {folder} is not empty and holds no run; give another folder")
    runs.write_order(folder, order)


def _patience_is_over(progress: Progress, order: Order) -> bool:
    patience = order.recipe.patience
    return bool(patience) and bool(progress.best_epoch) and progress.epoch - progress.best_epoch >= patience


def _epoch(
    epoch: int, batches: Iterator[Any], step: Callable[[Any], Any], order: Order, steps: int, shown: Meter
) -> float:
    """Train one epoch and return its mean loss."""
    total = 0.0
    for done, batch in enumerate(itertools.islice(batches, steps), 1):
        loss = float(step(batch))
        if not math.isfinite(loss):
            raise ExportError(
                f"epoch {epoch + 1}, step {done}: the loss is {loss}; "
                f"lower --learning-rate (now {order.recipe.learning_rate})"
            )
        total += loss
        shown.step(done, steps, loss)
    return total / done


def _plot(board: Any, epoch: int, values: Mapping[str, float]) -> None:
    import tensorflow as tf

    with board.as_default(step=epoch):
        for name, value in values.items():
            tf.summary.scalar(name, value)
    board.flush()


def _advanced(progress: Progress, result: float) -> Progress:
    if result > progress.best:
        return Progress(progress.epoch + 1, result, progress.epoch + 1)
    return Progress(progress.epoch + 1, progress.best, progress.best_epoch)


def _told(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
