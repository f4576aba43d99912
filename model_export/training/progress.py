"""What a person sees of a running training: a bar on a terminal, plain lines elsewhere, never silence for long."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO

QUIET_S = 5.0
"""Without a terminal, longest time without a line."""


class Meter:
    """Shows what is being done; used by one thread, and by its own that breaks the silence.

    Args:
        stream: Where lines go.
        quiet_s: Longest time without a line where `stream` is no terminal.
    """

    def __init__(self, stream: TextIO | None = None, quiet_s: float = QUIET_S) -> None:
        self._stream = stream or sys.stdout
        self._quiet_s = quiet_s
        self._started = self._spoke = time.monotonic()
        self._doing = "starting"
        self._step = ""
        self._lock = threading.Lock()
        self._over = threading.Event()

    def say(self, text: str) -> None:
        """Show a line that stays."""
        self._line(text)

    def phase(self, text: str) -> None:
        """Name what is being done from now on."""
        self._doing, self._step = text, ""

    def step(self, done: int, steps: int, loss: float) -> None:
        """Tell how far the phase is."""
        self._step = f": step {done} of {steps}, loss {loss:.4f}"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Keep showing what is being done until the block ends."""
        ticker = threading.Thread(target=self._tick, daemon=True)
        ticker.start()
        try:
            yield
        finally:
            self._over.set()
            ticker.join()

    def _line(self, text: str) -> None:
        with self._lock:
            self._spoke = time.monotonic()
            print(f"  {self._spoke - self._started:5.1f} s  {text}", file=self._stream, flush=True)

    def _tick(self) -> None:
        while not self._over.wait(self._quiet_s / 10):
            if time.monotonic() - self._spoke >= 0.8 * self._quiet_s:
                self._line(f"{self._doing}{self._step}")


class Bar(Meter):
    """The same on a terminal: one bar that moves, under the lines that stay."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        super().__init__()
        self._progress = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(),
            console=Console(highlight=False, markup=False), transient=True,
        )  # fmt: skip
        self._task = self._progress.add_task("starting", total=None)

    def phase(self, text: str) -> None:
        """See `Meter`."""
        # A bar that had a length keeps it; a new one begins without.
        self._progress.remove_task(self._task)
        self._task = self._progress.add_task(text, total=None)

    def step(self, done: int, steps: int, loss: float) -> None:
        """See `Meter`."""
        self._progress.update(self._task, completed=done, total=steps)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """See `Meter`."""
        with self._progress:
            yield

    def _line(self, text: str) -> None:
        self._progress.console.print(f"  {time.monotonic() - self._started:5.1f} s  {text}")


def meter() -> Meter:
    """Return the meter for standard output."""
    return Bar() if sys.stdout.isatty() else Meter()
