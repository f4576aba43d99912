"""One local run for all end-to-end tests, brought up and down by the commands a person types.

The tests of this folder run in the order of their files: `test_1_...` finds a fresh run, the last one takes it down.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
UP_LIMIT_S = 900


@dataclass
class LocalRun:
    """A local run below `root`; `output` is what `up` printed, `phases` how long its phases took in seconds."""

    root: Path
    environment: dict[str, str]
    output: str
    phases: Mapping[str, float]

    def run(self, *command: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a command as a person would in a shell with the environment of `make env`."""
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout,
        )  # fmt: skip

    def python(self, module: str, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run `python -m module`."""
        return self.run(sys.executable, "-m", module, *arguments, timeout=timeout)

    def predict(self, *arguments: str) -> dict:
        """Predict with the client command and return its JSON; fails the test when it fails."""
        done = self.python("serving", "predict", "scenes", str(photo("chelsea.png")), "--json", *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def photo(name: str) -> Path:
    """Return a sample photo that a package ships."""
    spec = importlib.util.find_spec("skimage")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "data" / name


def own_environment(root: Path) -> dict[str, str]:
    """Return the surroundings of a run that is apart from the checkout's own."""
    return {**os.environ, "TRICORN_LOCAL": str(root)}


def exported(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that the lines of `python -m localcloud env` set, as a shell does it."""
    lines = subprocess.run(
        [sys.executable, "-m", "localcloud", "env"], cwd=ROOT, env=dict(environment), capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip
    script = f"set -e\n{lines}\nenv -0"
    printed = subprocess.run(["sh", "-c", script], env=dict(environment), capture_output=True, check=True).stdout
    return dict(entry.split("=", 1) for entry in printed.decode().split("\0") if entry)


def processes_of(root: Path) -> list[psutil.Process]:
    """Return every process of a run, found by its environment, registered or not."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TRICORN_LOCAL") == str(root) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def end_everything(root: Path, environment: Mapping[str, str]) -> None:
    subprocess.run(
        [sys.executable, "-m", "localcloud", "down"], cwd=ROOT, env=dict(environment), stdin=subprocess.DEVNULL,
        timeout=300, check=False,
    )  # fmt: skip
    deadline = time.monotonic() + 10
    while (left := processes_of(root)) and time.monotonic() < deadline:
        for process in left:
            if process.pid != os.getpid():
                process.send_signal(signal.SIGKILL)
        time.sleep(0.2)


@pytest.fixture(scope="session")
def local_run(tmp_path_factory: pytest.TempPathFactory):
    """The local clouds, up."""
    root = tmp_path_factory.mktemp("run") / "local"
    environment = own_environment(root)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "localcloud", "up"], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=UP_LIMIT_S,
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        phases = json.loads((root / "phases.json").read_text())
        yield LocalRun(root, exported(environment), done.stdout, phases)
    finally:
        end_everything(root, environment)
