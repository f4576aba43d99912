"""Loads one version folder as TensorFlow Serving does, checks and measures it.

Run as `python -m model_export.probe FOLDER PRECISION` in a process of its own.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Any

from model_export import golden, graph_rules, signatures, warmup
from model_export.children import child
from model_export.errors import ExportError
from model_export.loader import LoadedModel, known_operations, read_meta_graph

_LATENCY_RUNS = 15
_FEWEST_RUNS = 3
_BATCH_SECONDS = 1.0
"""Seconds after which a batch size is not run again once it has had its fewest runs: large batches take long."""


def _replay(model: LoadedModel, requests: list[warmup.Request]) -> None:
    """Run every warm-up request and check that each output has one row per input row, as batching needs."""
    for number, request in enumerate(requests, 1):
        try:
            outputs = model.run(request.signature, request.inputs)
        except ExportError as error:
            raise ExportError(f"warm-up record {number}: {error}") from None
        for name, value in outputs.items():
            if value.ndim == 0 or value.shape[0] != request.batch:
                raise ExportError(
                    f"signature {request.signature}: output {name} has shape {list(value.shape)} for a batch of "
                    f"{request.batch}; its first dimension must be the batch"
                )


def _compare(model: LoadedModel, answers: golden.Answers, precision: str) -> float:
    """Return the largest difference of a number from Keras's."""
    return max(
        golden.compare(signature, outputs, model.run(signature, inputs), precision)
        for signature, (inputs, outputs) in answers.items()
    )


def _check_assets(folder: Path, meta_graph: Any) -> None:
    """Refuse assets that the graph does not use."""
    tracked = {asset.filename for asset in meta_graph.asset_file_def}
    for path in sorted((folder / "assets").rglob("*")):
        name = path.relative_to(folder / "assets").as_posix()
        if name not in tracked:
            raise ExportError(f"assets/{name}: not an asset of the graph; track it or leave it out")


def _peak_memory_mib() -> float:
    # Not getrusage: after exec its maximum still includes the parent's memory.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    raise ExportError("/proc/self/status has no VmHWM; this needs Linux")


def _latencies(model: LoadedModel, requests: list[warmup.Request]) -> dict[str, float]:
    """Return the median milliseconds of a request by its batch size, ascending, of the default signature."""
    default = [request for request in requests if request.signature == "serving_default"] or requests
    return {
        str(request.batch): _median_ms(model, request) for request in sorted(default, key=lambda request: request.batch)
    }


def _median_ms(model: LoadedModel, request: warmup.Request) -> float:
    latencies: list[float] = []
    begun = time.perf_counter()
    while len(latencies) < _LATENCY_RUNS:
        started = time.perf_counter()
        model.run(request.signature, request.inputs)
        latencies.append((time.perf_counter() - started) * 1000)
        if len(latencies) >= _FEWEST_RUNS and time.perf_counter() - begun > _BATCH_SECONDS:
            break
    return round(statistics.median(latencies), 2)


def probe(folder: Path, precision: str) -> dict[str, Any]:
    """Check a version folder and return its signatures and measurements.

    Args:
        folder: Version folder; golden answers in it are compared with what the model answers.
        precision: What it computes in, `float32` or `bfloat16`; decides the tolerance.

    Raises:
        ExportError: Naming the file or signature that is wrong.
    """
    meta_graph = read_meta_graph(folder)
    graph_rules.check_operations(meta_graph, known_operations())
    graph_rules.check_paths(meta_graph)
    graph_rules.check_tables(meta_graph)
    graph_rules.check_precision(meta_graph, precision)
    _check_assets(folder, meta_graph)
    described = signatures.describe(meta_graph.signature_def)
    answers = golden.read(folder) if (folder / golden.FILE).exists() else {}
    if answers and (difference := answers.keys() ^ described.keys()):
        raise ExportError(f"{golden.FILE}: the signatures {', '.join(sorted(difference))} are not in file and graph")
    requests = warmup.read(folder)
    warmed: dict[str, list[int]] = {name: [] for name in described}
    for request in requests:
        warmed.setdefault(request.signature, []).append(request.batch)
    cold = [name for name, batches in warmed.items() if not batches]
    if cold:
        raise ExportError(f"{warmup.FILE}: no request of the signatures {', '.join(cold)}")
    print("loading through the C++ loader", flush=True)
    started = time.perf_counter()
    model = LoadedModel(folder)
    load_s = time.perf_counter() - started
    print(f"replaying {len(requests)} warm-up requests", flush=True)
    _replay(model, requests)
    peak = _peak_memory_mib()
    latencies = _latencies(model, requests)
    return {
        "signatures": described,
        "difference": _compare(model, answers, precision) if answers else None,
        "warmed": warmed,
        "warmup_requests": len(requests),
        "peak_memory_mib": peak,
        "load_s": round(load_s, 3),
        "latency_ms": next(iter(latencies.values())),
        "latency_ms_by_batch": latencies,
    }


if __name__ == "__main__":
    with child() as report:
        report(probe(Path(sys.argv[1]), sys.argv[2]))
