"""The training commands as the tests run them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 250
SLOW_S = 300


def command(*arguments):
    return [sys.executable, "-m", "model_export", *map(str, arguments)]


def environment(**more):
    # As a user has it: what TensorFlow may say on the error stream is the command's own business.
    inherited = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    # One thread: numbers are added up in the same order wherever the tests run.
    return {**inherited, "TF_NUM_INTRAOP_THREADS": "1", "OMP_NUM_THREADS": "1", **more}


def run(*arguments, timeout=TIMEOUT_S, **more):
    """Run a command to its end and return it."""
    return subprocess.run(
        command(*arguments), cwd=ROOT, env=environment(**more), capture_output=True, text=True, timeout=timeout
    )


def start(*arguments, **more):
    """Start a command whose output is read while it runs."""
    return subprocess.Popen(
        command(*arguments), cwd=ROOT, env=environment(**more), text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for(process, text):
    """Read a process's output until a line holds `text`."""
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"ended without {text!r}: {process.stderr.read()}")


def successful(result):
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def history(folder):
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def arrays(file):
    """Return the arrays of a state by name, without the facts."""
    with np.load(file) as found:
        return {name: found[name] for name in found.files if name != "facts"}


def reported(text, name):
    """Return a result as `evaluate` prints it."""
    return float(re.search(rf"^{name}: ([0-9.]+)$", text, re.MULTILINE).group(1))
