"""The folder of a run: every file whole or not there, and what is broken is named."""

import json
from dataclasses import replace

import numpy as np
import pytest

from model_export.errors import ExportError
from model_export.registry import Augmentation, Recipe
from model_export.training import run as runs
from model_export.training.run import Order, Progress

ORDER = Order(
    family="vgg16", preset="small", data="digits", data_digest="ab", classes=("0", "1"), license="CC0-1.0", seed=3,
    recipe=Recipe(epochs=2, batch_size=4, learning_rate=0.1, augmentation=Augmentation(shift=0.1)),
)  # fmt: skip


class Variable:
    """As much of a Keras variable as the folder needs."""

    def __init__(self, value):
        self.value = np.asarray(value, np.float32)

    @property
    def shape(self):
        return self.value.shape

    def __array__(self, dtype=None, copy=None):
        return self.value

    def assign(self, value):
        self.value = value


def test_an_order_is_read_as_it_was_written(tmp_path):
    runs.write_order(tmp_path / "run", ORDER)
    assert runs.read_order(tmp_path / "run") == ORDER
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["run.json"]


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(ExportError, match=r"holds no training run; give the folder that `train` wrote"):
        runs.read_order(tmp_path)


@pytest.mark.parametrize("content", ["", "{", '{"format": 9}', '{"format": 1}', '{"format": 1, "recipe": 3}'])
def test_a_broken_order_is_named(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ExportError, match=r"run\.json: cannot be read: .*; train again into another folder"):
        runs.read_order(tmp_path)


def test_state_and_best_come_back(tmp_path):
    saved = [Variable([[1, 2], [3, 4]]), Variable(5.0)]
    runs.save_state(tmp_path, saved, Progress(3, 0.5, 2))
    runs.save_best(tmp_path, saved[:1], {"accuracy": 0.5})
    loaded = [Variable(np.zeros((2, 2))), Variable(0.0)]
    assert runs.load_state(tmp_path, loaded) == Progress(3, 0.5, 2)
    assert [each.value.tolist() for each in loaded] == [[[1, 2], [3, 4]], 5.0]
    assert runs.load_best(tmp_path, [Variable(np.zeros((2, 2)))]) == {"accuracy": 0.5}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["best.npz", "state.npz"]


def test_more_variables_than_ten_keep_their_order(tmp_path):
    runs.save_best(tmp_path, [Variable(float(number)) for number in range(120)], {})
    loaded = [Variable(0.0) for _ in range(120)]
    runs.load_best(tmp_path, loaded)
    assert [float(each.value) for each in loaded] == list(range(120))


def test_a_new_run_is_at_its_start_and_has_no_weights(tmp_path):
    progress = runs.load_state(tmp_path, [])
    assert (progress.epoch, progress.best_epoch) == (0, 0)
    assert progress.best < -1e9
    with pytest.raises(ExportError, match="has no weights yet; let `train` finish an epoch"):
        runs.load_best(tmp_path, [])


def test_another_models_weights_are_refused_and_nothing_is_changed(tmp_path):
    runs.save_best(tmp_path, [Variable([1, 2])], {})
    kept = Variable([7, 7, 7])
    for variables in ([kept], [kept, kept]):
        with pytest.raises(ExportError, match="holds another model's weights"):
            runs.load_best(tmp_path, variables)
    assert kept.value.tolist() == [7, 7, 7]


@pytest.mark.parametrize("damage", ["empty", "cut", "noise", "text"])
def test_a_broken_state_is_named(tmp_path, damage):
    runs.save_state(tmp_path, [Variable(np.arange(500))], Progress(1, 0.5, 1))
    file = tmp_path / runs.STATE
    whole = file.read_bytes()
    middle = len(whole) // 2
    noise = whole[:middle] + bytes(each ^ 255 for each in whole[middle : middle + 40]) + whole[middle + 40 :]
    file.write_bytes({"empty": b"", "cut": whole[:middle], "noise": noise, "text": b"not an archive"}[damage])
    with pytest.raises(ExportError, match=r"state\.npz: cannot be read: .*train again into another folder"):
        runs.load_state(tmp_path, [Variable(np.zeros(500))])


def test_a_write_that_fails_leaves_the_old_state(tmp_path, monkeypatch):
    runs.save_state(tmp_path, [Variable(1.0)], Progress(1, 0.5, 1))

    def full(_file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runs, "sync", full)
    with pytest.raises(OSError, match="No space left"):
        runs.save_state(tmp_path, [Variable(2.0)], Progress(2, 0.5, 1))
    loaded = Variable(0.0)
    assert runs.load_state(tmp_path, [loaded]).epoch == 1
    assert float(loaded.value) == 1


def test_the_history_forgets_epochs_that_are_done_again(tmp_path):
    for epoch in (1, 2, 3):
        runs.append_history(tmp_path, {"epoch": epoch, "loss": float(epoch)})
    runs.append_history(tmp_path, {"epoch": 2, "loss": 9.0})
    assert [(line["epoch"], line["loss"]) for line in runs.history(tmp_path)] == [(1, 1.0), (2, 9.0)]


@pytest.mark.parametrize(
    "change", [{"seed": 4}, {"data_digest": "cd"}, {"recipe": replace(ORDER.recipe, epochs=9)}, {"preset": "full"}]
)
def test_a_run_of_another_order_is_refused(tmp_path, change):
    from model_export.training import trainer

    runs.write_order(tmp_path / "run", ORDER)
    before = (tmp_path / "run" / runs.RUN).read_bytes()
    other = replace(ORDER, **change)
    with pytest.raises(ExportError, match=rf"--out: .* holds a run with another {next(iter(change))} "):
        trainer.train(tmp_path / "run", other, None, None, "none", print)
    assert (tmp_path / "run" / runs.RUN).read_bytes() == before


def test_a_folder_of_something_else_is_refused(tmp_path):
    from model_export.training import trainer

    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ExportError, match="is not empty and holds no run; give another folder"):
        trainer.train(tmp_path, ORDER, None, None, "none", print)


def test_the_order_is_json_that_people_can_read(tmp_path):
    runs.write_order(tmp_path, ORDER)
    content = json.loads((tmp_path / runs.RUN).read_text())
    assert content["format"] == 1
    assert content["recipe"]["augmentation"]["shift"] == 0.1


def test_a_batch_must_fit_the_devices(tmp_path, monkeypatch):
    from model_export.training import trainer

    three = type("Three", (), {"num_replicas_in_sync": 3})()
    monkeypatch.setattr(trainer, "strategy_scope", lambda _name: three)
    with pytest.raises(ExportError, match=r"--batch-size: must be a multiple of 3, .*, got 4"):
        trainer.train(tmp_path / "run", ORDER, None, None, "mirrored", print)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("text", ["no json", "[]", '{"task": {"index": "x"}}'])
def test_a_broken_tf_config_is_named(tmp_path, monkeypatch, text):
    from model_export.training import trainer

    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ExportError, match=r"TF_CONFIG: must be a JSON object with task\.index"):
        trainer.train(tmp_path / "run", ORDER, None, None, "none", print)


def test_an_unknown_strategy_is_refused(tmp_path):
    from model_export.training import trainer

    with pytest.raises(ExportError, match="--strategy: must be one of none, mirrored, multi-worker, got 'tpu'"):
        trainer.train(tmp_path / "run", ORDER, None, None, "tpu", print)
    assert not (tmp_path / "run").exists()
