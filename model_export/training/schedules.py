"""Learning-rate schedules and optimisers by name."""

from __future__ import annotations

import math
from typing import Any

from model_export.errors import ExportError
from model_export.registry import Recipe

OPTIMIZERS = ("sgd", "adam", "adamw")
SCHEDULES = ("cosine", "step", "constant")
_MOMENTUM = 0.9
_CLIP_NORM = 10.0
_STEP_AT = (0.6, 0.85)


def rate(recipe: Recipe, step: int, steps: int) -> float:
    """Return the learning rate of a step, from 0, of a run of `steps` steps."""
    warmup = max(1, round(steps * recipe.warmup))
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    if recipe.schedule == "cosine":
        return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    if recipe.schedule == "step":
        return recipe.learning_rate * 0.1 ** sum(done >= each for each in _STEP_AT)
    return recipe.learning_rate


def check(recipe: Recipe) -> None:
    """Refuse a recipe that cannot be followed.

    Raises:
        ExportError: Naming the value, the rule and the choices.
    """
    if recipe.optimizer not in OPTIMIZERS:
        raise ExportError(f"--optimizer: must be one of {', '.join(OPTIMIZERS)}, got {recipe.optimizer!r}")
    if recipe.schedule not in SCHEDULES:
        raise ExportError(f"--schedule: must be one of {', '.join(SCHEDULES)}, got {recipe.schedule!r}")
    if recipe.epochs < 1:
        raise ExportError(f"--epochs: must be at least 1, got {recipe.epochs}")
    if recipe.batch_size < 1:
        raise ExportError(f"--batch-size: must be at least 1, got {recipe.batch_size}")
    if not 0 < recipe.learning_rate < math.inf:
        raise ExportError(f"--learning-rate: must be above 0, got {recipe.learning_rate}")


def optimizer(recipe: Recipe, steps: int) -> Any:
    """Return the Keras optimiser of a recipe, its rate following the schedule over `steps` steps."""
    import keras
    import numpy as np

    table = np.array([rate(recipe, step, steps) for step in range(steps)], np.float32)

    class Schedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # Keras has no types
        """The rates above, one per step."""

        def __call__(self, step: Any) -> Any:
            last = len(table) - 1
            return keras.ops.take(table, keras.ops.minimum(keras.ops.cast(step, "int32"), last))

        def get_config(self) -> dict[str, Any]:
            return {}

    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(
            Schedule(), momentum=_MOMENTUM, weight_decay=recipe.weight_decay or None, global_clipnorm=_CLIP_NORM
        )
    kind = keras.optimizers.AdamW if recipe.optimizer == "adamw" else keras.optimizers.Adam
    decay = {"weight_decay": recipe.weight_decay} if recipe.optimizer == "adamw" else {}
    return kind(Schedule(), global_clipnorm=_CLIP_NORM, **decay)
