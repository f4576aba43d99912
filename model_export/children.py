"""Child processes: TensorFlow runs in them, so that a crash of its C++ code is an error message and not our end.

A child prints lines of progress, and last `result: JSON` or `error: JSON`.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from model_export.errors import ExportError

_PR_SET_PDEATHSIG = 1
_RESULT = "result: "
_ERROR = "error: "
_STATUS_EVERY_S = 5.0
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "CUDA_VISIBLE_DEVICES": "-1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "KERAS_BACKEND": "tensorflow",
}
"""Of every child: the same hashes every time, no GPU, and no start-up messages of TensorFlow."""


@contextlib.contextmanager
def child() -> Iterator[Callable[[Any], None]]:
    """In a child: yield the function that reports the result, and report an ExportError as one line.

    The child is killed when its parent dies, so that nothing goes on writing behind a killed command.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        yield lambda result: print(_RESULT + json.dumps(result), flush=True)
    except ExportError as error:
        print(_ERROR + json.dumps(str(error)), flush=True)
        sys.exit(1)


def _failure(module: str, code: int, stderr: str) -> ExportError:
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return ExportError(f"{module} {how}: {lines[-1][:300] if lines else 'it printed no reason'}")


def _lines(process: subprocess.Popen[str]) -> queue.Queue[str | None]:
    """Return a queue of the process's output lines, ended by None."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in process.stdout or ():
            lines.put(line.rstrip("\n"))
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines


def _follow(process: subprocess.Popen[str], module: str, timeout_s: float, say: Callable[[str], None]) -> str:
    """Pass the progress on until the output ends; return the last line."""
    lines = _lines(process)
    started = time.monotonic()
    step, last = "starting", ""
    while True:
        if time.monotonic() - started > timeout_s:
            raise ExportError(f"{module} took longer than {timeout_s:.0f} s ({step})")
        try:
            line = lines.get(timeout=_STATUS_EVERY_S)
        except queue.Empty:
            say(f"{step}: {time.monotonic() - started:.0f} s so far")
            continue
        if line is None:
            return last
        last = line
        if not line.startswith((_RESULT, _ERROR)):
            step = line
            say(line)


def run(module: str, arguments: Sequence[str], cwd: Path, timeout_s: float, say: Callable[[str], None]) -> Any:
    """Run a module of this package in a child process and return its result.

    Args:
        module: Full module name.
        arguments: Its command line.
        cwd: Its working folder.
        timeout_s: Seconds until it is killed.
        say: Gets the child's lines of progress, and every 5 s without one how long it has taken.

    Raises:
        ExportError: If the child reports an error, crashes or takes too long.
    """
    environment = os.environ | ENVIRONMENT | {"PYTHONPATH": str(Path(__file__).parents[1])}
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        with process:
            try:
                last = _follow(process, module, timeout_s, say)
                code = process.wait()
            except BaseException:
                process.kill()
                raise
        errors.seek(0)
        if last.startswith(_ERROR):
            raise ExportError(json.loads(last.removeprefix(_ERROR)))
        if code != 0 or not last.startswith(_RESULT):
            raise _failure(module, code, errors.read())
        return json.loads(last.removeprefix(_RESULT))
