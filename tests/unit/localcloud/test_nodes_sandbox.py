"""Containers in every form of sandbox that this machine has."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from localcloud.errors import LocalCloudError
from localcloud.nodes import sandbox
from localcloud.nodes.sandbox import Box, Mount

AVAILABLE = [form for form in sandbox.FORMS if shutil.which(form) and not sandbox.trial(form)]
ENVIRONMENT = {"PATH": "/usr/bin:/bin"}


@pytest.fixture(params=AVAILABLE)
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def shell(script: str, directory: Path, form: str, **options: object) -> subprocess.CompletedProcess[str]:
    box = Box(command=["/bin/sh", "-c", script], directory=directory / "box", **options)  # type: ignore[arg-type]  # per test
    return subprocess.run(
        sandbox.arguments(box, form),
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
    )


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_this_machine_has_a_sandbox() -> None:
    assert AVAILABLE
    sandbox.check()


def test_the_command_runs_as_the_given_user_without_privileges(tmp_path: Path, form: str) -> None:
    done = shell(
        "id -u; id -g; grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status", tmp_path, form, uid=1000, gid=1001
    )
    lines = done.stdout.split()
    assert lines[:2] == ["1000", "1001"]
    assert lines[2:] == ["CapEff:", "0" * 16, "CapBnd:", "0" * 16, "NoNewPrivs:", "1"]


def test_a_read_only_root_lets_nothing_but_volumes_be_written(tmp_path: Path, form: str) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    script = "for f in /x /tmp/x /etc/x /usr/x /fixed/x /models/x; do touch $f 2>/dev/null && echo $f; done"
    mounts = [Mount(volume, "/models", read_only=False), Mount(volume, "/fixed")]
    done = shell(script, tmp_path, form, uid=1000, gid=1000, read_only_root=True, mounts=mounts)
    assert done.stdout.split() == ["/models/x"]
    assert (volume / "x").exists()


def test_a_writable_root_has_a_temporary_directory_of_its_own(tmp_path: Path, form: str) -> None:
    done = shell("touch /tmp/only-inside && ls /tmp", tmp_path, form, uid=1000, gid=1000)
    assert done.stdout.split() == ["only-inside"]


def test_files_of_this_machine_are_not_visible(tmp_path: Path, form: str) -> None:
    (tmp_path / "secret").write_text("x")
    done = shell(f"cat {tmp_path}/secret; ls /root /home", tmp_path, form)
    assert done.returncode != 0
    assert done.stdout == ""


def test_the_command_is_process_one_of_its_own_tree(tmp_path: Path, form: str) -> None:
    assert shell("echo $$; ls /proc | grep -c '^[0-9]'", tmp_path, form).stdout.split()[0] == "1"


def test_exit_codes_and_missing_programs_are_reported(tmp_path: Path, form: str) -> None:
    assert shell("exit 7", tmp_path, form).returncode == 7
    box = Box(command=["no-such-program"], directory=tmp_path / "other")
    done = subprocess.run(sandbox.arguments(box, form), env=ENVIRONMENT, capture_output=True, text=True, timeout=20)
    assert done.returncode != 0
    assert "no-such-program" in done.stderr


def test_every_process_dies_with_the_sandbox(tmp_path: Path, form: str) -> None:
    box = Box(command=["/bin/sh", "-c", "sleep 300 & sleep 301"], directory=tmp_path / "box", uid=1000, gid=1000)
    outer = subprocess.Popen(sandbox.arguments(box, form), env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        inside: list[int] = []
        while len(inside) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
            inside = [each.pid for each in psutil.Process(outer.pid).children(recursive=True)]
        command = sandbox.container_pid(outer.pid)
        assert command in inside
        os.kill(command, signal.SIGTERM)
        time.sleep(0.2)
        assert outer.poll() is None  # process 1 ignores what it does not handle, as in a real container
    finally:
        outer.kill()
        outer.wait()
    deadline = time.monotonic() + 5
    while not all(gone(pid) for pid in inside) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert all(gone(pid) for pid in inside)


def test_without_any_sandbox_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    sandbox.working_form.cache_clear()
    try:
        with pytest.raises(LocalCloudError, match="apt install bubblewrap"):
            sandbox.check()
    finally:
        sandbox.working_form.cache_clear()
