"""What a benchmark says of where it ran, and how it sums up rounds."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path


def machine() -> str:
    """Describe the machine in one line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        model = next((line.split(": ")[1] for line in info.read_text().splitlines() if "model name" in line), model)
    return f"{model}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}, no GPU"


def versions() -> str:
    """Name the versions that decide how fast and how large models are, in one line."""
    names = ("tensorflow", "tensorflow-cpu", "keras", "numpy")
    installed = {each.metadata["Name"].lower() for each in importlib.metadata.distributions()}
    found = [f"{name} {importlib.metadata.version(name)}" for name in names if name in installed]
    return ", ".join([f"Python {platform.python_version()}", *found])


def load() -> str:
    """Say how busy the machine was, since other work falsifies times."""
    return f"load average {os.getloadavg()[0]:.1f} in the last minute"


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return the median with the least and the largest value."""
    low, middle, high = (f"{each:.{digits}f}" for each in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({low} to {high})"
