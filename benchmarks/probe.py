"""Times version folders in the C++ loader that TensorFlow Serving uses, in a process of its own, without TensorFlow.

`python -m benchmarks.probe first FOLDER RUNS [cold]`: loads one folder, replays its warm-up requests unless `cold`, and
times for every signature and batch size the first request after that and RUNS more of the same kind.

`python -m benchmarks.probe pair FOLDER OTHER ROUNDS RUNS`: loads both folders by turns until they have served their
warm-up requests, and then runs both by turns.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model_export import golden, warmup
from model_export.children import child
from model_export.loader import LoadedModel

Inputs = dict[str, npt.NDArray[Any]]


def requests(folder: Path) -> dict[tuple[str, int], Inputs]:
    """Return a request for every signature and batch size that is warmed up, of other contents than the warm-up's."""
    answers = golden.read(folder)
    found = {}
    for signature, batch, _ in warmup.read(folder):
        inputs = answers[signature][0]
        found[signature, batch] = {name: np.resize(value, (batch, *value.shape[1:])) for name, value in inputs.items()}
    return found


def run(model: LoadedModel, signature: str, inputs: Inputs) -> float:
    """Return the milliseconds of a request."""
    started = time.perf_counter()
    model.run(signature, inputs)
    return (time.perf_counter() - started) * 1e3


def ready(folder: Path, *, warm: bool = True) -> tuple[LoadedModel, float]:
    """Load a folder and replay its warm-up requests; return the seconds it took."""
    started = time.perf_counter()
    model = LoadedModel(folder)
    for signature, _, inputs in warmup.read(folder) if warm else ():
        model.run(signature, inputs)
    return model, time.perf_counter() - started


def first(folder: Path, runs: int, *, warm: bool) -> list[dict[str, Any]]:
    """Return signature, batch, first and steady milliseconds; steady is the median of the runs after the first."""
    model, _ = ready(folder, warm=warm)
    found = []
    for (signature, batch), inputs in requests(folder).items():
        begun = run(model, signature, inputs)
        steady = statistics.median(run(model, signature, inputs) for _ in range(runs))
        found.append({"signature": signature, "batch": batch, "first": begun, "steady": steady})
    return found


def pair(folders: list[Path], rounds: int, runs: int) -> dict[str, Any]:
    """Return per side seconds until ready by round, and per batch size of one signature milliseconds by run."""
    ready(folders[0])  # reads the library from the disk
    load_s: list[list[float]] = [[], []]
    models: list[Any] = [None, None]
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", flush=True)
        for side in (0, 1) if number % 2 else (1, 0):
            models[side], took = ready(folders[side])
            load_s[side].append(took)
    all_requests = requests(folders[0])
    signatures = [signature for signature, _ in all_requests]
    # The one whose time is the network's: pixels where there are any, for encoded images are decoded first.
    signature = "image_uint8" if "image_uint8" in signatures else signatures[0]
    batches = sorted(batch for name, batch in all_requests if name == signature)
    latency = {}
    for batch in (batches[0], batches[-1]):
        inputs = all_requests[signature, batch]
        took_ms: list[list[float]] = [[], []]
        for number in range(runs):
            for side in (0, 1) if number % 2 else (1, 0):
                took_ms[side].append(run(models[side], signature, inputs))
        latency[str(batch)] = took_ms
    return {"load_s": load_s, "signature": signature, "latency_ms": latency}


if __name__ == "__main__":
    with child() as report:
        what, *rest = sys.argv[1:]
        if what == "first":
            report(first(Path(rest[0]), int(rest[1]), warm="cold" not in rest))
        else:
            report(pair([Path(each) for each in rest[:2]], int(rest[2]), int(rest[3])))
