"""Create `.venv` from `requirements.lock`: every package by its hash, nothing else.

Uses the standard library alone, because it runs before anything is installed. Run again it does nothing while the lock
is unchanged; interrupted it starts over from what pip has cached.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / ".complete"
OLDEST, NEWEST = (3, 11), (3, 13)
_REPORT_EVERY_S = 15


def _digest() -> str:
    return hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 1


def _reason(output: str) -> str:
    """Pick the line of pip's output that says why, without addresses of package indexes."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:] or ["pip gave no reason"]
    return " ".join(word for word in errors[0].split() if "://" not in word)


def _install() -> subprocess.CompletedProcess[str]:
    started = time.monotonic()
    done = threading.Event()

    def report() -> None:
        while not done.wait(_REPORT_EVERY_S):
            print(f"  installing Python packages: {time.monotonic() - started:.0f} s", flush=True)

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    try:
        return subprocess.run(
            [*command, "--quiet", "--require-hashes", "--requirement", str(LOCK)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    finally:
        done.set()
        reporter.join()


def main() -> int:
    """Make the environment complete; return the exit code."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        wanted = f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
        return _fail(
            f"Python {sys.version_info.major}.{sys.version_info.minor} ({sys.executable}) cannot be used: "
            f"Tricorn needs {wanted}; name another with `make PYTHON=python3.12 ...`"
        )
    if STAMP.is_file() and STAMP.read_text() == _digest():
        return 0
    print("Python environment .venv ...", flush=True)
    started = time.monotonic()
    shutil.rmtree(VENV, ignore_errors=True)
    made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True)
    if made.returncode != 0:
        return _fail(
            f"`{Path(sys.executable).name} -m venv` failed: {_reason(made.stdout + made.stderr)} "
            "(on Debian and Ubuntu, install the package python3-venv)"
        )
    installed = _install()
    if installed.returncode != 0:
        return _fail(
            f"installing the Python packages failed, run the command again to go on: {_reason(installed.stderr)}"
        )
    STAMP.with_suffix(".part").write_text(_digest())
    os.replace(STAMP.with_suffix(".part"), STAMP)
    print(f"Python environment: done in {time.monotonic() - started:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ninterrupted; run the command again to go on", file=sys.stderr)
        sys.exit(130)
