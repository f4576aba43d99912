"""Building one tool, in a way that can be interrupted, repeated and raced."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from toolchain.cache import ToolchainError, built, cache_root
from toolchain.pins import MODULES, OLDEST_GO, Definitions, Tool

_REPORT_EVERY_S = 15.0
_QUIET_S = 5.0
_PROBE_TIMEOUT_S = 20
_NETWORK = re.compile(
    r"dial tcp|no such host|connection refused|i/o timeout|TLS handshake|Forbidden|proxyconnect|unexpected EOF|50\d "
)
_ADDRESS = re.compile(r'"?https?://\S+')


def on_path(tool: Tool) -> Path | None:
    """Return a program on PATH whose version fits, or None."""
    found = shutil.which(tool.name)
    if found is None:
        return None
    try:
        done = subprocess.run([found, *tool.probe], capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Path(found) if tool.accepts(done.stdout + done.stderr) else None


def require_go(wanted_by: Sequence[str]) -> str:
    """Return the path of a fitting `go`.

    Raises:
        ToolchainError: If there is none; names the tools that need it.
    """
    names = ", ".join(wanted_by)
    wanted = ".".join(map(str, OLDEST_GO))
    advice = f"install Go {wanted} or newer (https://go.dev/dl) or put fitting versions of these on PATH: {names}"
    go = shutil.which("go")
    if go is None:
        raise ToolchainError(f"no Go compiler is on PATH, and {len(wanted_by)} tools must be built: {advice}")
    done = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, env=_environment())
    match = re.match(r"go(\d+)\.(\d+)", done.stdout)
    if match is None or (int(match[1]), int(match[2])) < OLDEST_GO:
        raise ToolchainError(f"{go} is {done.stdout.strip() or 'of unknown version'}, which is too old: {advice}")
    return go


def _environment() -> dict[str, str]:
    # GOTOOLCHAIN=local: a too old Go says so instead of downloading another one.
    return {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock of the cache, so that two runs never build the same thing at once."""
    directory = cache_root() / "locks"
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / name).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"  {name}: waiting for another run that builds it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def explain(name: str, output: str) -> str:
    """Turn the output of a failed `go` command into one message without addresses of module proxies."""
    lines = [_ADDRESS.sub("(address)", line).strip() for line in output.splitlines() if line.strip()]
    if any("checksum mismatch" in line or "SECURITY ERROR" in line for line in lines):
        return f"{name}: a downloaded module does not match its checksum in go.sum; nothing was built from it"
    if any("no space left on device" in line for line in lines):
        return (
            f"{name}: the disk is full ({cache_root()} and Go's build cache need about 6 GB); free some and run again"
        )
    network = [line for line in lines if _NETWORK.search(line)]
    if network:
        return f"{name}: a Go module could not be fetched; run again to go on where it stopped: {network[0]}"
    reason = next((line for line in lines if not line.startswith(("go: downloading", "#"))), "no reason given")
    return f"{name}: the build failed: {reason}"


def _run_go(name: str, command: Sequence[str], directory: Path, label: str) -> str:
    """Run a go command with progress; return its output.

    Raises:
        ToolchainError: If it fails.
        KeyboardInterrupt: After the whole process group has been ended.
    """
    process = subprocess.Popen(
        command, cwd=directory, env=_environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    lines: list[str] = []
    fetched: list[tuple[float, str]] = []

    def read() -> None:
        for line in process.stdout or ():
            lines.append(line)
            if line.startswith("go: downloading"):
                fetched.append((time.monotonic(), line.split()[2]))

    def activity() -> str:
        # Go says when it starts to fetch a module and never that it has begun to compile.
        if fetched and time.monotonic() - fetched[-1][0] < _QUIET_S:
            return f"downloading {fetched[-1][1]}"
        return "compiling"

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    started = last = time.monotonic()
    live = sys.stdout.isatty()
    try:
        while process.poll() is None:
            time.sleep(0.2)
            now = time.monotonic()
            if live:
                print(f"\r\033[K  {label}: {now - started:.0f} s, {activity()[:60]}", end="", flush=True)
            elif now - last >= _REPORT_EVERY_S:
                last = now
                print(f"  {label}: {now - started:.0f} s, {activity()}", flush=True)
    except KeyboardInterrupt:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    finally:
        if live:
            print("\r\033[K", end="", flush=True)
    reader.join()
    if process.returncode != 0:
        raise ToolchainError(explain(name, "".join(lines)))
    return "".join(lines)


def build(tool: Tool, go: str, label: str) -> Path:
    """Build a tool unless it is in the cache, and return it; an interrupted build leaves nothing half done.

    Raises:
        ToolchainError: If the build fails.
    """
    target = built(tool)
    with locked(tool.name):
        if target.exists():
            return target
        started = time.monotonic()
        print(f"  {label}: building {tool.version}", flush=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            output = Path(scratch) / tool.name
            command = [go, "build", "-mod=readonly", "-trimpath", *tool.flags, "-o", str(output), tool.package]
            _run_go(tool.name, command, MODULES / tool.module, label)
            try:
                output.replace(target)
            except OSError as error:
                reason = "the disk is full" if error.errno == errno.ENOSPC else str(error)
                raise ToolchainError(f"{tool.name}: could not be stored in {target.parent}: {reason}") from None
        print(f"  {label}: built in {time.monotonic() - started:.0f} s", flush=True)
    return target


def fetch_sources(definitions: Definitions, go: str) -> Path:
    """Return the directory of a module's sources, downloading them where they are missing.

    Raises:
        ToolchainError: If they cannot be fetched.
    """
    directory, name = MODULES / definitions.module, definitions.name
    _run_go(name, [go, "mod", "download", definitions.source], directory, name)
    return Path(_run_go(name, [go, "list", "-m", "-f", "{{.Dir}}", definitions.source], directory, name).strip())
