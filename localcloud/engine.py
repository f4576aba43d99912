"""Running the Pulumi CLI on the local stack, with progress from its event log."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud.environment import STACK, variables
from localcloud.errors import LocalCloudError
from localcloud.paths import RunPaths, project_directory

_POLL_S = 0.2
_INTERRUPT_GRACE_S = 30
_KEPT_OPERATIONS = {"same", "read", "refresh"}


@dataclass
class Progress:
    """What an engine run has done so far, counted from its events."""

    running: dict[str, str] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    def add(self, event: dict[str, Any]) -> None:
        """Take one engine event into account."""
        if "resourcePreEvent" in event:
            metadata = event["resourcePreEvent"]["metadata"]
            if metadata["op"] not in _KEPT_OPERATIONS:
                self.running[metadata["urn"]] = metadata["op"]
        elif "resOutputsEvent" in event:
            metadata = event["resOutputsEvent"]["metadata"]
            self.running.pop(metadata["urn"], None)
            self.done[metadata["op"]] += 1
        elif "resOpFailedEvent" in event:
            self.running.pop(event["resOpFailedEvent"]["metadata"]["urn"], None)
        elif "diagnosticEvent" in event:
            diagnostic = event["diagnosticEvent"]
            if diagnostic["severity"] == "error" and not diagnostic.get("ephemeral"):
                self.errors.append(diagnostic["message"])

    def line(self) -> str:
        """Return one line for a person: counts, and what runs now."""
        counts = ", ".join(f"{count} {op}" for op, count in sorted(self.done.items()) if op not in _KEPT_OPERATIONS)
        names = sorted({urn.rsplit("::", 1)[-1] for urn in self.running})
        more = f" (+{len(names) - 3})" if len(names) > 3 else ""
        return f"{counts or 'starting'}" + (f"; now: {', '.join(names[:3])}{more}" if names else "")


def _read_events(file: Path, offset: int, progress: Progress) -> int:
    try:
        with file.open("rb") as stream:
            stream.seek(offset)
            for raw in stream:
                if not raw.endswith(b"\n"):
                    break  # still being written
                offset += len(raw)
                with contextlib.suppress(ValueError, KeyError):
                    progress.add(json.loads(raw))
    except FileNotFoundError:
        pass
    return offset


def environment(paths: RunPaths) -> dict[str, str]:
    """Return the complete environment for programs of the local run."""
    return {**os.environ, **variables(paths), "PULUMI_DEBUG_COMMANDS": "true"}


def pulumi(paths: RunPaths, *arguments: str) -> str:
    """Run a short CLI command and return its output.

    Raises:
        LocalCloudError: With the command and what it printed, if it fails.
    """
    command = ["pulumi", *arguments, "--non-interactive", "--color=never"]
    done = subprocess.run(
        command,
        cwd=project_directory(),
        env=environment(paths),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        text = (done.stderr or done.stdout).strip()
        raise LocalCloudError(f"`{' '.join(command[:3])}` failed with exit code {done.returncode}:\n{text}")
    return done.stdout


def operate(paths: RunPaths, operation: Sequence[str], show: Callable[[Progress], None]) -> Progress:
    """Run `pulumi up`, `destroy` or `refresh` on the local stack to its end, calling `show` as events come in.

    Raises:
        LocalCloudError: With the engine's own error messages, if it fails.
        KeyboardInterrupt: After the engine was asked to stop and has saved its state.
    """
    log = paths.root / "logs" / f"pulumi-{operation[0]}.log"
    events = paths.root / "logs" / f"pulumi-{operation[0]}.events"
    log.parent.mkdir(parents=True, exist_ok=True)
    events.unlink(missing_ok=True)
    command = ["pulumi", *operation, "--stack", STACK, "--yes", "--non-interactive", "--color=never"]
    command += ["--event-log", str(events)]
    progress, offset = Progress(), 0
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=project_directory(), env=environment(paths), stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            while process.poll() is None:
                offset = _read_events(events, offset, progress)
                show(progress)
                time.sleep(_POLL_S)
        except KeyboardInterrupt:
            _stop(process)
            raise
    _read_events(events, offset, progress)
    if process.returncode != 0:
        messages = "\n".join(dict.fromkeys(each.strip() for each in progress.errors)) or log.read_text()[-3000:]
        raise LocalCloudError(f"`pulumi {operation[0]}` failed:\n{messages}\n(the whole output: {log})")
    return progress


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the engine to stop as Ctrl-C would, once, so that it saves its state; end it if it does not."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_INTERRUPT_GRACE_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
