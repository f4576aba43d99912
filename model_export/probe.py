"""Loads one version folder as TensorFlow Serving does, checks and measures it.

Run as `python -m model_export.probe FOLDER [REFERENCE]` in a process of its own.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from model_export import signatures, warmup
from model_export.children import child
from model_export.errors import ExportError
from model_export.loader import LoadedModel, read_meta_graph

FORBIDDEN_OPS = frozenset({"ReadFile", "WriteFile", "PyFunc", "PyFuncStateless", "EagerPyFunc"})
SCORE_TOLERANCE = 1e-5
"""Largest difference, absolute or relative to numbers above 1, between Keras and the loaded SavedModel: float32
rounding of fused kernels."""
DIFFERING_SHARE = 0.001
"""Largest part of whole numbers and texts that may differ: where two scores are equal, rounding decides."""
_LATENCY_RUNS = 15


def _operations(meta_graph: Any) -> Iterator[str]:
    yield from (node.op for node in meta_graph.graph_def.node)
    for function in meta_graph.graph_def.library.function:
        yield from (node.op for node in function.node_def)


def _check_operations(meta_graph: Any) -> None:
    found = sorted(FORBIDDEN_OPS & set(_operations(meta_graph)))
    if found:
        raise ExportError(
            f"saved_model.pb: the graph holds {', '.join(found)}, which reaches files or Python outside the model; "
            "use TensorFlow operations and tracked assets instead"
        )


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


def _compare(model: LoadedModel, reference: Path) -> float:
    """Return the largest difference of a number from Keras's; texts and whole numbers must be the same."""
    with np.load(reference, allow_pickle=True) as found:  # written by this export, a moment ago
        stored = {name: found[name] for name in found.files}
    largest = 0.0
    for signature in sorted({name.partition("/")[0] for name in stored}):
        given = {name.split("/")[2]: stored[name] for name in stored if name.startswith(f"{signature}/in/")}
        answers = model.run(signature, given)
        prefix = f"{signature}/out/"
        for name, expected in ((key.removeprefix(prefix), stored[key]) for key in stored if key.startswith(prefix)):
            value = answers[name]
            if value.dtype != np.float32:
                different = float(np.mean(value != expected))
                if different > DIFFERING_SHARE:
                    raise ExportError(f"signature {signature}: {different:.1%} of {name} differ from Keras's")
                continue
            difference = float((np.abs(value - expected) / np.maximum(1.0, np.abs(expected))).max(initial=0.0))
            if not difference <= SCORE_TOLERANCE:
                raise ExportError(
                    f"signature {signature}: {name} differ from Keras by {difference:.2g}, more than "
                    f"{SCORE_TOLERANCE:.0e}"
                )
            largest = max(largest, difference)
    return largest


def _peak_memory_mib() -> float:
    # Not getrusage: after exec its maximum still includes the parent's memory.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    raise ExportError("/proc/self/status has no VmHWM; this needs Linux")


def probe(folder: Path, reference: Path | None) -> dict[str, Any]:
    """Check a version folder and return its signatures and measurements.

    Raises:
        ExportError: Naming the file or signature that is wrong.
    """
    meta_graph = read_meta_graph(folder)
    _check_operations(meta_graph)
    described = signatures.describe(meta_graph.signature_def)
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
    single = next((r for r in requests if r.batch == 1 and r.signature == "serving_default"), requests[0])
    latencies = []
    for _ in range(_LATENCY_RUNS):
        started = time.perf_counter()
        model.run(single.signature, single.inputs)
        latencies.append((time.perf_counter() - started) * 1000)
    return {
        "signatures": described,
        "difference": _compare(model, reference) if reference else None,
        "warmed": warmed,
        "warmup_requests": len(requests),
        "peak_memory_mib": peak,
        "load_s": round(load_s, 3),
        "latency_ms": round(statistics.median(latencies), 2),
    }


if __name__ == "__main__":
    with child() as report:
        report(probe(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None))
