"""Training by command line: good, repeatable, interruptible, on several devices."""

import json
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from training_command import ROOT, arrays, environment, history, run, start, successful, wait_for

pytestmark = pytest.mark.model
SHORT = ("train", "vgg16", "--data", "digits", "--epochs", "3", "--patience", "0")


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    """Folder of an unbroken run of three epochs."""
    folder = tmp_path_factory.mktemp("runs") / "short"
    successful(run(*SHORT, "--out", folder))
    return folder


def assert_same_state(one, other):
    for name in ("state.npz", "best.npz"):
        first, second = arrays(one / name), arrays(other / name)
        assert first.keys() == second.keys()
        for key in first:
            np.testing.assert_array_equal(first[key], second[key], err_msg=f"{name} {key}")
    assert history(one) == history(other)


def test_vgg16_learns_the_digits(digits_run):
    lines = history(digits_run)
    assert max(line["accuracy"] for line in lines) >= 0.97
    assert lines[-1]["loss"] < 0.3 * lines[0]["loss"]
    assert [line["epoch"] for line in lines] == list(range(1, len(lines) + 1))


def test_efficientnet_b0_learns_the_digits(models):
    assert max(line["accuracy"] for line in history(models.run("efficientnet-b0"))) >= 0.97


def test_a_run_leaves_whole_files_and_tensorboard_events(digits_run):
    names = {file.name for file in digits_run.iterdir()}
    assert {"run.json", "state.npz", "best.npz", "history.jsonl", "tensorboard"} <= names
    assert not [name for name in names if "part" in name]
    events = b"".join(file.read_bytes() for file in (digits_run / "tensorboard").iterdir())
    for name in (b"loss", b"learning_rate", b"accuracy"):
        assert name in events


@pytest.mark.parametrize("moment_s", [0.0, 0.7])
def test_a_killed_run_goes_on_to_the_very_same_weights(short_run, tmp_path, moment_s):
    folder = tmp_path / "run"
    process = start(*SHORT, "--out", folder)
    wait_for(process, "epoch 1 of 3: loss")
    time.sleep(moment_s)
    process.kill()
    process.communicate()
    assert len(history(folder)) < 3
    assert "going on after epoch" in successful(run(*SHORT, "--out", folder))
    assert_same_state(short_run, folder)


def test_a_finished_run_is_left_as_it_is(short_run):
    before = (short_run / "state.npz").read_bytes()
    successful(run(*SHORT, "--out", short_run))
    assert (short_run / "state.npz").read_bytes() == before


def test_another_order_is_refused(short_run):
    result = run(*SHORT, "--seed", "1", "--out", short_run)
    assert result.returncode == 1
    assert "holds a run with another" in result.stderr


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """Folder, exit code and errors of a run with another seed that Ctrl-C ended after an epoch."""
    folder = tmp_path_factory.mktemp("runs") / "stopped"
    process = start(*SHORT, "--seed", "1", "--out", folder)
    wait_for(process, "epoch 1 of 3: loss")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    return folder, process.returncode, told


def test_another_seed_gives_other_weights(short_run, stopped):
    assert history(stopped[0])[0]["loss"] != history(short_run)[0]["loss"]


def test_ctrl_c_says_how_to_go_on(stopped):
    _, code, told = stopped
    assert code == 130
    assert len(told.strip().splitlines()) == 1
    assert "interrupted; the same command goes on after the last finished epoch of" in told


def test_training_stops_when_nothing_gets_better(tmp_path):
    # At this rate the answers do not change, so that the first result stays the best one.
    arguments = ("--learning-rate", "1e-12", "--epochs", "9", "--patience", "2", "--out", tmp_path / "run")
    told = successful(run(*SHORT[:4], *arguments))
    assert "no better result for 2 epochs: stopping early" in told
    assert len(history(tmp_path / "run")) < 9


def test_a_loss_that_is_no_number_is_one_clear_error(tmp_path):
    result = run(*SHORT, "--learning-rate", "1e30", "--optimizer", "sgd", "--out", tmp_path / "run")
    assert result.returncode == 1
    assert len(result.stderr.strip().splitlines()) == 1
    assert "error: epoch 1, step " in result.stderr
    assert "lower --learning-rate (now 1e+30)" in result.stderr
    assert not (tmp_path / "run" / "state.npz").exists()


def test_mixed_precision_trains_and_keeps_float32_weights(tmp_path):
    successful(run(*SHORT, "--mixed-precision", "--out", tmp_path / "run"))
    lines = history(tmp_path / "run")
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]
    assert {each.dtype.kind for each in arrays(tmp_path / "run" / "best.npz").values()} <= {"f", "u", "i"}


@pytest.fixture(scope="module")
def mirrored_run(tmp_path_factory):
    """Folder of a run on two logical CPU devices."""
    folder = tmp_path_factory.mktemp("runs") / "mirrored"
    script = (
        "import sys, tensorflow as tf\n"
        "cpu = tf.config.list_physical_devices('CPU')[0]\n"
        "tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)\n"
        "from model_export.__main__ import main\n"
        "sys.exit(main())"
    )
    call = [sys.executable, "-c", script, *SHORT, "--strategy", "mirrored", "--out", str(folder)]
    successful(subprocess.run(call, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=200))
    return folder


def test_two_devices_train_as_one_does(short_run, mirrored_run):
    """Each has half of a batch; normalisation sees other halves, so that the losses are alike, not equal."""
    one, two = history(short_run), history(mirrored_run)
    assert two[0]["loss"] == pytest.approx(one[0]["loss"], rel=0.1)
    assert two[-1]["accuracy"] > 0.8


def test_two_workers_train_as_two_devices_do(mirrored_run, tmp_path):
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        workers = [f"127.0.0.1:{each.getsockname()[1]}" for each in (first, second)]
    processes = [
        start(
            *SHORT, "--strategy", "multi-worker", "--out", tmp_path / "run",
            TF_CONFIG=json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}),
        )
        for index in (0, 1)
    ]  # fmt: skip
    told = [process.communicate(timeout=200) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    found, expected = history(tmp_path / "run"), history(mirrored_run)
    assert [line["loss"] for line in found] == pytest.approx([line["loss"] for line in expected], rel=1e-3)
    ends = [out.splitlines()[-1] for out, _ in told]
    assert ends[0] == ends[1]
