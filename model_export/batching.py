"""The batching parameters of one model: `batching_params.pbtxt` in its version folder.

TensorFlow Serving reads it with `--enable_per_model_batching_parameters`; a model without it is not batched. The number
of threads comes from the server's own file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

FILE = "batching_params.pbtxt"
TIMEOUT_US = 2000
MAX_ENQUEUED_BATCHES = 8


def parameters(sizes: Sequence[int]) -> str:
    """Return the parameters in text protobuf form; the last of the ascending sizes is the largest batch run."""
    largest = sizes[-1]
    lines = [
        f"max_batch_size {{ value: {largest} }}",
        *(f"allowed_batch_sizes: {size}" for size in sizes),
        f"batch_timeout_micros {{ value: {TIMEOUT_US} }}",
        f"max_enqueued_batches {{ value: {MAX_ENQUEUED_BATCHES} }}",
        "pad_variable_length_inputs: false",
    ]
    return "\n".join(lines) + "\n"


def allowed_sizes(text: str) -> list[int]:
    """Return the allowed batch sizes that a batching file lists."""
    return [int(size) for size in re.findall(r"^allowed_batch_sizes:\s*(\d+)\s*$", text, re.MULTILINE)]
