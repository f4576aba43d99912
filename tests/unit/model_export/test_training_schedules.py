from dataclasses import replace

import numpy as np
import pytest

from model_export.errors import ExportError
from model_export.registry import Recipe
from model_export.training import schedules

RECIPE = Recipe(epochs=2, batch_size=4, learning_rate=0.1, warmup=0.1)


def rates(recipe, steps=100):
    return np.array([schedules.rate(recipe, step, steps) for step in range(steps)])


@pytest.mark.parametrize("schedule", schedules.SCHEDULES)
def test_every_schedule_warms_up_to_the_highest_rate_and_never_passes_it(schedule):
    found = rates(replace(RECIPE, schedule=schedule))
    np.testing.assert_allclose(found[:10], np.arange(1, 11) / 100)
    assert found.max() == pytest.approx(0.1)
    assert found.min() > 0


def test_the_shape_of_each_schedule():
    cosine = rates(replace(RECIPE, schedule="cosine"))
    assert (np.diff(cosine[10:]) < 0).all()
    assert cosine[55] == pytest.approx(0.05)
    assert cosine[-1] < 0.001
    step = rates(replace(RECIPE, schedule="step"))
    np.testing.assert_allclose(step[[20, 70, 95]], [0.1, 0.01, 0.001])
    assert (rates(replace(RECIPE, schedule="constant"))[10:] == 0.1).all()


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_run_of_few_steps_has_rates(steps):
    assert np.isfinite(rates(RECIPE, steps)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "lion"}, "--optimizer: must be one of sgd, adam, adamw, got 'lion'"),
        ({"schedule": "linear"}, "--schedule: must be one of cosine, step, constant, got 'linear'"),
        ({"epochs": 0}, "--epochs: must be at least 1, got 0"),
        ({"batch_size": 0}, "--batch-size: must be at least 1, got 0"),
        ({"learning_rate": 0.0}, "--learning-rate: must be above 0, got 0.0"),
        ({"learning_rate": float("inf")}, "--learning-rate: must be above 0, got inf"),
        ({"learning_rate": float("nan")}, "--learning-rate: must be above 0, got nan"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_refused(change, message):
    with pytest.raises(ExportError) as error:
        schedules.check(replace(RECIPE, **change))
    assert str(error.value) == message


@pytest.mark.parametrize(("name", "kind"), [("sgd", "SGD"), ("adam", "Adam"), ("adamw", "AdamW")])
def test_the_optimizer_follows_the_schedule(name, kind):
    made = schedules.optimizer(replace(RECIPE, optimizer=name, weight_decay=0.01), 100)
    assert type(made).__name__ == kind
    assert made.weight_decay == (None if name == "adam" else 0.01)
    expected = rates(RECIPE)
    for step in (0, 5, 50, 99):
        made.iterations.assign(step)
        assert float(made.learning_rate) == pytest.approx(expected[step], rel=1e-5)
    made.iterations.assign(1000)
    assert float(made.learning_rate) == pytest.approx(expected[-1], rel=1e-5)
