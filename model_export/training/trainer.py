"""The training loop: epochs of Keras steps, each saved whole, so that a killed run goes on to the same result."""

from __future__ import annotations

import contextlib
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
    if chief := _is_chief():
        _claim(folder, order)
    # TensorFlow wants to know of other workers before it runs anything.
    distribution = strategy_scope(strategy)
    keras.utils.set_random_seed(order.seed)
    tf.config.experimental.enable_op_determinism()
    shown = shown or Meter()
    shown.phase("decoding the data")
    task = training_of(dataset, preset, order.recipe, order.vocabulary)
    steps = task.steps * order.recipe.epochs
    with precision(order.mixed_precision), distribution.scope():
        network = _trainable(preset.network(len(dataset.classes)), task)
        network.compile(optimizer=optimizer(order.recipe, steps))
        network.optimizer.build(network.trainable_variables)
    variables = [*network.variables, *network.optimizer.variables]
    progress = runs.load_state(folder, variables)
    if progress.epoch:
        say(f"going on after epoch {progress.epoch} of {order.recipe.epochs}")
    board = keras.callbacks.TensorBoard(str(folder / "tensorboard"), write_graph=False, profile_batch=0)
    boards = [board] if chief else []
    steps_shown = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: shown.step(batch + 1, task.steps, float(logs["loss"]))
    )
    for epoch in range(progress.epoch, order.recipe.epochs):
        if _patience_is_over(progress, order):
            say(f"no better result for {order.recipe.patience} epochs: stopping early")
            break
        shown.phase(f"epoch {epoch + 1} of {order.recipe.epochs}")
        loss = _epoch(network, task, order, epoch, [*boards, steps_shown])
        shown.phase(f"evaluating epoch {epoch + 1} of {order.recipe.epochs}")
        metrics = task.evaluate(network)
        progress = _advanced(progress, metrics[task.metric])
        if chief:
            if progress.best_epoch == progress.epoch:
                runs.save_best(folder, network.variables, metrics)
            runs.append_history(folder, {"epoch": epoch + 1, "loss": loss, **metrics})
            runs.save_state(folder, variables, progress)
        say(f"epoch {epoch + 1} of {order.recipe.epochs}: loss {loss:.4f}, {_told(metrics)}")
    return progress


def _is_chief() -> bool:
    """Return whether this process writes the run's folder: the only one, or the first of several workers."""
    task = json.loads(os.environ.get("TF_CONFIG") or "{}").get("task", {})
    return int(task.get("index", 0)) == 0


def _trainable(network: Any, task: TaskTraining) -> Any:
    """Return the network as a Keras model whose loss is the task's, over all outputs together."""
    import keras
    import tensorflow as tf

    loss = task.loss(network)

    class Trainable(keras.Model):  # type: ignore[misc]  # Keras has no types
        """The same layers and variables."""

        def compute_loss(
            self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
        ) -> Any:
            # Keras adds up the replicas' gradients.
            return loss(y, y_pred) / tf.distribute.get_strategy().num_replicas_in_sync

    return Trainable(network.inputs, network.output)


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


def _epoch(network: Any, task: TaskTraining, order: Order, epoch: int, callbacks: list[Any]) -> float:
    """Train one epoch and return its mean loss."""
    batches = task.batches(epoch, order.seed)
    # The order is the pipeline's own; Keras must not shuffle a second time.
    found = network.fit(batches, initial_epoch=epoch, epochs=epoch + 1, verbose=0, shuffle=False, callbacks=callbacks)
    loss = float(found.history["loss"][0])
    if not math.isfinite(loss):
        raise ExportError(
            f"epoch {epoch + 1}: the loss is {loss}; lower --learning-rate (now {order.recipe.learning_rate})"
        )
    return loss


def _advanced(progress: Progress, result: float) -> Progress:
    if result > progress.best:
        return Progress(progress.epoch + 1, result, progress.epoch + 1)
    return Progress(progress.epoch + 1, progress.best, progress.best_epoch)


def _told(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
