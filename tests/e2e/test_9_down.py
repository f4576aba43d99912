"""`down` leaves nothing, after a whole run and after an interrupted one."""

import signal
import subprocess
import sys
import time

import pytest

from localcloud.checks import check_ports
from tests.e2e.conftest import ROOT, LocalRun, end_everything, own_environment, processes_of

pytestmark = pytest.mark.e2e


def test_down_leaves_no_process_port_file_or_state(local_run: LocalRun):
    done = local_run.python("localcloud", "down", timeout=300)
    assert done.returncode == 0, done.stderr
    assert not processes_of(local_run.root)
    assert not local_run.root.exists()
    check_ports()


def test_down_without_a_run_says_so(local_run: LocalRun):
    done = local_run.python("localcloud", "down")
    assert done.returncode == 0
    assert "nothing is up" in done.stdout


def test_kill_without_a_run_names_the_command_that_starts_one(local_run: LocalRun):
    done = local_run.python("localcloud", "kill", "gcp")
    assert done.returncode == 1
    assert "make up" in done.stderr


@pytest.mark.parametrize(
    ("line", "then_s"), [("checks", 0.0), ("local clouds", 0.5), ("pulumi up", 2.0), ("pulumi up", 15.0)]
)
def test_ctrl_c_at_any_moment_followed_by_down_leaves_nothing(tmp_path, line: str, then_s: float):
    root = tmp_path / "local"
    environment = own_environment(root)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "localcloud", "up"], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        output = ""
        while not output.endswith(f"{line} ...\n"):
            read = process.stdout.readline()
            assert read, output
            output += read
        time.sleep(then_s)
        process.send_signal(signal.SIGINT)
        output += process.communicate(timeout=90)[0]
        assert process.returncode == 130, output
        assert "Traceback" not in output
        down = subprocess.run(
            [sys.executable, "-m", "localcloud", "down"], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert down.returncode == 0, down.stderr
        assert not processes_of(root)
        assert not root.exists()
        check_ports()
    finally:
        end_everything(root, environment)
