"""TensorFlow Serving's own configuration files, as protobuf text."""

import json
from collections.abc import Sequence

BASE_PATH = "/models"
"""Where the pod mounts the model volume."""
METRICS_PATH = "/monitoring/prometheus/metrics"


def models_config(model: str, version: int) -> str:
    """Return models.config: one model at one explicit version, so that a pod never changes what it serves.

    Args:
        model: Name callers use.
        version: The one version to load.
    """
    return (
        "model_config_list {\n"
        "  config {\n"
        f"    name: {_text(model)}\n"
        f"    base_path: {_text(f'{BASE_PATH}/{model}')}\n"
        '    model_platform: "tensorflow"\n'
        f"    model_version_policy {{ specific {{ versions: {version} }} }}\n"
        "  }\n"
        "}\n"
    )


def batching_config(max_batch_size: int, allowed_batch_sizes: Sequence[int], timeout_micros: int, threads: int) -> str:
    """Return batching.config.

    Args:
        max_batch_size: Most examples computed together.
        allowed_batch_sizes: Sizes a batch is padded to, ascending; the last one is `max_batch_size`.
        timeout_micros: Longest wait for a batch to fill, in microseconds.
        threads: Batches computed at the same time; TensorFlow Serving's guide says the number of CPU cores.

    Raises:
        ValueError: If the sizes do not ascend to `max_batch_size`.
    """
    sizes = list(allowed_batch_sizes)
    if sizes != sorted(set(sizes)) or not sizes or sizes[-1] != max_batch_size:
        raise ValueError(f"allowed_batch_sizes must ascend to max_batch_size {max_batch_size}, got {sizes}")
    lines = [
        f"max_batch_size {{ value: {max_batch_size} }}",
        *(f"allowed_batch_sizes: {size}" for size in sizes),
        f"batch_timeout_micros {{ value: {timeout_micros} }}",
        f"num_batch_threads {{ value: {threads} }}",
        # Online serving: a queue longer than what is being computed only adds latency; full means UNAVAILABLE.
        f"max_enqueued_batches {{ value: {max(threads, 8)} }}",
    ]
    return "\n".join(lines) + "\n"


def monitoring_config() -> str:
    """Return monitoring.config: Prometheus metrics on the REST port."""
    return f"prometheus_config {{ enable: true path: {_text(METRICS_PATH)} }}\n"


def _text(value: str) -> str:
    """Quote a string as protobuf text does; JSON's escapes are a subset for the characters names may have."""
    return json.dumps(value)
