"""What the input pipeline leaves of the training speed: real batches beside one batch that stays in memory, per preset.

    python -m benchmarks.input_pipeline [FAMILY ...] [--rounds 7] [--seconds 1] [--floor 0]

Both sides run the training's own compiled step and take turns in one process; a round is as many epochs as fill the
seconds. Where other work disturbs the machine, the pairs of a round suffer alike and the median of their ratios stands.
The start of a pipeline, once in 16 epochs, is counted as well. With `--floor`, the command fails where a preset's
median lies below it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from benchmarks.machine import load, machine, spread, versions
from benchmarks.models import add_families, quiet, sample, trainable
from model_export.registry import SMALL, Family

TARGET = 0.95


class Measured(NamedTuple):
    """One preset's rounds."""

    utilisation: list[float]
    """Speed with real batches over speed with one in memory, by round."""
    real: float
    """Steps per second with real batches."""
    start_s: float
    """Seconds until a pipeline gives its first batch."""


def seconds_of(step: Callable[[Any], Any], batches: Iterable[Any]) -> float:
    """Train on batches as the training loop does, waiting for the loss of each; return the seconds it took."""
    started = time.perf_counter()
    for batch in batches:
        float(step(batch))
    return time.perf_counter() - started


def measure(family: Family, rounds: int, seconds: float) -> Measured:
    """Measure the small preset of a family on its sample data."""
    import itertools

    import keras
    import tensorflow as tf

    from model_export.datasets.texts import vocabulary
    from model_export.tasks import training_of
    from model_export.training.schedules import optimizer
    from model_export.training.trainer import EPOCHS_AT_ONCE, train_batches, train_step

    keras.utils.set_random_seed(0)
    preset, dataset = family.preset(SMALL), sample(family)
    task = training_of(dataset, preset, preset.recipe, vocabulary(dataset, preset))
    network = preset.network(len(dataset.classes))
    followed = optimizer(preset.recipe, task.steps * preset.recipe.epochs)
    followed.build(network.trainable_variables)
    distribution = tf.distribute.get_strategy()
    step = train_step(network, task, followed, distribution)

    def pipeline() -> Iterator[Any]:
        return train_batches(task, range(1_000_000), 0, distribution)

    kept = next(pipeline())  # decodes the data
    seconds_of(step, [kept] * 3)  # compiles
    started = time.perf_counter()
    batches = pipeline()
    next(batches)
    start_s = time.perf_counter() - started
    steps = max(1, round(seconds / seconds_of(step, [kept] * task.steps))) * task.steps
    share = start_s * steps / (task.steps * min(EPOCHS_AT_ONCE, preset.recipe.epochs))
    utilisation, real = [], []
    for number in range(rounds):
        sides = [itertools.islice(batches, steps), itertools.repeat(kept, steps)]
        order = (0, 1) if number % 2 else (1, 0)
        took = {side: seconds_of(step, sides[side]) for side in order}
        utilisation.append(took[1] / (took[0] + share))
        real.append(steps / (took[0] + share))
    return Measured(utilisation, statistics.median(real), start_s)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_families(parser)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one side of a round")
    parser.add_argument("--floor", type=float, default=0.0, help=f"exit with 1 below it; the target is {TARGET}")
    options = parser.parse_args()
    families = trainable(options.family)
    quiet()
    print(f"{machine()}; {versions()}; {load()}", flush=True)
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()  # as training does
    print(f"{'preset':24} {'utilisation':>24} {'steps/s':>9} {'start, s':>9}")
    medians = {}
    for family in families:
        found = measure(family, options.rounds, options.seconds)
        medians[family.name] = statistics.median(found.utilisation)
        name = f"{family.name}, small"
        print(f"{name:24} {spread(found.utilisation):>24} {found.real:9.1f} {found.start_s:9.2f}", flush=True)
    reached = sum(each >= TARGET for each in medians.values())
    print(f"{reached} of {len(medians)} presets reach {TARGET}; {options.rounds} rounds; {load()}")
    return int(any(each < options.floor for each in medians.values()))


if __name__ == "__main__":
    sys.exit(main())
