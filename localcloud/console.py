"""What a person sees while the local clouds come up: one live line on a terminal, plain lines without one."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

_PLAIN_EVERY_S = 10.0


class Phases:
    """Prints the phases of a command with their durations, and keeps the durations for `phases.json`."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self.durations: dict[str, float] = {}
        self._started = time.monotonic()

    @contextmanager
    def phase(self, name: str) -> Iterator[Callable[[str], None]]:
        """Run a phase; the yielded function shows what it is doing right now."""
        start = last = time.monotonic()
        live = self._console.is_terminal
        status = self._console.status(f"{name} ...") if live else None
        if status is not None:
            status.start()
        else:
            print(f"{name} ...", flush=True)

        def show(text: str) -> None:
            nonlocal last
            now = time.monotonic()
            if status is not None:
                status.update(f"{name} [dim]{now - start:.0f} s[/dim] {text}")
            elif now - last >= _PLAIN_EVERY_S:
                last = now
                print(f"  {name}: {now - start:.0f} s, {text}", flush=True)

        try:
            yield show
        finally:
            if status is not None:
                status.stop()
        self.durations[name] = time.monotonic() - start
        self.say(f"{name}: done in {self.durations[name]:.1f} s")

    def say(self, text: str) -> None:
        """Print one line."""
        self._console.print(text, markup=False) if self._console.is_terminal else print(text, flush=True)

    def save(self, file: Path) -> None:
        """Write the durations in seconds, in order, and their total."""
        self.durations["total"] = time.monotonic() - self._started
        file.write_text(json.dumps(self.durations, indent=1))


def fail(message: str) -> int:
    """Print an error to standard error and return the exit code 1."""
    print(f"error: {message}", file=sys.stderr, flush=True)
    return 1
