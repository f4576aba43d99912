"""Counters and histograms with TensorFlow Serving's names, buckets and Prometheus text format."""

from __future__ import annotations

import bisect
import threading
from dataclasses import dataclass, field

PROMETHEUS_PATH = "/monitoring/prometheus/metrics"


def _exponential(scale: float, growth: float, count: int) -> tuple[float, ...]:
    return tuple(scale * growth**i for i in range(count))


_LATENCY = _exponential(10, 1.8, 33)  # microseconds, to about 20 minutes
_QUEUE = _exponential(100, 1.2, 52)  # microseconds, to about 1.3 seconds
_SIZES = _exponential(1, 2, 14)


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@dataclass
class _Metric:
    name: str
    labels: tuple[str, ...]

    @property
    def full_name(self) -> str:
        return f":tensorflow:serving:{self.name}"

    def label_text(self, values: tuple[str, ...]) -> str:
        return ",".join(f'{name}="{_escape(value)}"' for name, value in zip(self.labels, values, strict=True))


@dataclass
class Counter(_Metric):
    """A count that only grows, per combination of label values."""

    cells: dict[tuple[str, ...], int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, *labels: str, amount: int = 1) -> None:
        """Count `amount` more under these label values."""
        with self.lock:
            self.cells[labels] = self.cells.get(labels, 0) + amount

    def lines(self) -> list[str]:
        """Return the metric in Prometheus' text format."""
        with self.lock:
            cells = dict(self.cells)
        rows = [f"{self.full_name}{{{self.label_text(labels)}}} {count}" for labels, count in cells.items()]
        return [f"# TYPE {self.full_name} counter", *rows] if rows else []


@dataclass
class Histogram(_Metric):
    """A distribution over fixed upper bounds, per combination of label values."""

    bounds: tuple[float, ...]
    cells: dict[tuple[str, ...], tuple[list[int], list[float]]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, value: float, *labels: str) -> None:
        """Record one observation under these label values."""
        with self.lock:
            counts, total = self.cells.setdefault(labels, ([0] * (len(self.bounds) + 1), [0.0]))
            counts[bisect.bisect_right(self.bounds, value)] += 1
            total[0] += value

    def lines(self) -> list[str]:
        """Return the metric in Prometheus' text format."""
        with self.lock:
            cells = {labels: (list(counts), total[0]) for labels, (counts, total) in self.cells.items()}
        rows = []
        for labels, (counts, total) in cells.items():
            text = self.label_text(labels)
            prefix = f"{text}," if text else ""
            running = 0
            for bound, count in zip((*(f"{b:g}" for b in self.bounds), "+Inf"), counts, strict=True):
                running += count
                rows.append(f'{self.full_name}_bucket{{{prefix}le="{bound}"}} {running}')
            rows.append(f"{self.full_name}_sum{{{text}}} {total:.17g}")
            rows.append(f"{self.full_name}_count{{{text}}} {running}")
        return [f"# TYPE {self.full_name} histogram", *rows] if rows else []


class Metrics:
    """All metrics of one server."""

    def __init__(self) -> None:
        self.request_count = Counter("request_count", ("model_name", "status"))
        self.request_latency = Histogram("request_latency", ("model_name", "API", "entrypoint"), _LATENCY)
        self.runtime_latency = Histogram("runtime_latency", ("model_name", "API", "runtime"), _LATENCY)
        self.warmup_latency = Histogram("model_warmup_latency", ("model_path", "status"), _LATENCY)
        self.warmup_records = Counter("model_warmup_records_read", ("model_path", "status"))
        self.queuing_latency = Histogram("batching_session:queuing_latency", ("thread_pool_name",), _QUEUE)
        self.wrapped_run_count = Counter("batching_session:wrapped_run_count", ())
        self.input_batch_size = Histogram("batching_session:input_batch_size", (), _SIZES)
        self.processed_batch_size = Histogram("batching_session:processed_batch_size", (), _SIZES)
        self.padding_size = Histogram("batching_session:padding_size", ("execution_batch_size",), _SIZES)

    def page(self) -> str:
        """Return the page that Prometheus scrapes."""
        metrics: list[Counter | Histogram] = sorted(vars(self).values(), key=lambda metric: metric.name)
        return "\n".join(line for metric in metrics for line in metric.lines()) + "\n"
