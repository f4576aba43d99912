"""Golden answers: inputs of every signature and what Keras answers, packed into the bundle for the same-answer check.

The file is `assets.extra/golden.bin`: the line `golden 1`, one line of JSON, then the arrays' bytes in that order. The
JSON is a list of `{"name", "dtype", "shape", "bytes"}`, sorted by name; a name is `SIGNATURE/in/INPUT` or
`SIGNATURE/out/OUTPUT`. Numbers are little-endian in C order; a string is its length, uint32 little-endian, and its
bytes. It holds no pickles and no times, so the same answers always give the same file.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model_export import agreement
from model_export.errors import ExportError

FILE = "assets.extra/golden.bin"
TOLERANCES = {"float32": 1e-5, "bfloat16": 1e-2}
"""By precision: largest difference, absolute or relative to numbers above 1, between Keras and the loaded model."""
DIFFERING_SHARES = {"float32": 0.001, "bfloat16": 0.01}
"""By precision: largest part of whole numbers and texts that may differ; rounding decides where scores are equal."""
RANKED_SHARE = 0.1
"""Largest part of a bfloat16 classifier's or detector's entries that may disagree, as `agreement` counts them."""
_MASK, _SHARES = "mask", "scores"
"""Outputs of a segmenter; the second counts the pixels of the first and may differ by as much as they do."""
_HEADER = b"golden 1\n"
_DTYPES = ("float32", "int32", "int64", "uint8")
_LENGTH = struct.Struct("<I")

Answers = dict[str, tuple[dict[str, npt.NDArray[Any]], dict[str, npt.NDArray[Any]]]]
"""By signature: inputs and outputs by name; strings are object arrays of bytes."""


def write(folder: Path, answers: Answers) -> None:
    """Write the file of a version folder.

    Raises:
        ExportError: If an array has a dtype that is not served.
    """
    arrays = {
        f"{signature}/{kind}/{name}": value
        for signature, (inputs, outputs) in answers.items()
        for kind, values in (("in", inputs), ("out", outputs))
        for name, value in values.items()
    }
    entries, contents = [], []
    for name, value in sorted(arrays.items()):
        text = value.dtype == object
        if not text and value.dtype.name not in _DTYPES:
            raise ExportError(f"{name}: {value.dtype} is not served; use {', '.join(_DTYPES)} or strings")
        content = b"".join(_LENGTH.pack(len(one)) + one for one in value.ravel().tolist()) if text else value.tobytes()
        dtype = "string" if text else value.dtype.name
        entries.append({"name": name, "dtype": dtype, "shape": list(value.shape), "bytes": len(content)})
        contents.append(content)
    file = folder / FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(_HEADER + json.dumps(entries, separators=(",", ":")).encode() + b"\n" + b"".join(contents))


def _strings(content: bytes, count: int) -> npt.NDArray[Any]:
    found = np.empty(count, object)
    start = 0
    for index in range(count):
        (length,) = _LENGTH.unpack_from(content, start)
        start += _LENGTH.size
        if start + length > len(content):
            raise ValueError("a string is longer than its array")
        found[index] = content[start : start + length]
        start += length
    if start != len(content):
        raise ValueError("bytes are left over after the last string")
    return found


def _array(entry: Mapping[str, Any], content: bytes) -> npt.NDArray[Any]:
    shape = [int(size) for size in entry["shape"]]
    if len(content) != entry["bytes"] or min(shape, default=0) < 0:
        raise ValueError(f"{entry['name']} is cut off")
    if entry["dtype"] == "string":
        # Every string takes at least its length, so a huge shape is refused before memory is taken for it.
        if int(np.prod(shape)) * _LENGTH.size > len(content):
            raise ValueError(f"{entry['name']} is shorter than its shape")
        return _strings(content, int(np.prod(shape))).reshape(shape)
    if entry["dtype"] not in _DTYPES:
        raise ValueError(f"{entry['name']} has the dtype {entry['dtype']}")
    return np.frombuffer(content, np.dtype(entry["dtype"]).newbyteorder("<")).reshape(shape)


def read(folder: Path) -> Answers:
    """Return the golden answers of a version folder.

    Raises:
        ExportError: If the file is missing or damaged.
    """
    file = folder / FILE
    if not file.is_file():
        raise ExportError(f"{FILE}: missing; export the model again")
    data = file.read_bytes()
    answers: Answers = {}
    try:
        if not data.startswith(_HEADER):
            raise ValueError("it does not begin with 'golden 1'")
        start = data.index(b"\n", len(_HEADER)) + 1
        for entry in json.loads(data[len(_HEADER) : start]):
            signature, kind, name = entry["name"].split("/")
            content = data[start : start + entry["bytes"]]
            answers.setdefault(signature, ({}, {}))[("in", "out").index(kind)][name] = _array(entry, content)
            start += entry["bytes"]
        if start != len(data):
            raise ValueError("bytes are left over after the last array")
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise ExportError(f"{FILE}: damaged: {error}; export the model again") from None
    return answers


def compare(
    signature: str,
    expected: Mapping[str, npt.NDArray[Any]],
    answers: Mapping[str, npt.NDArray[Any]],
    precision: str,
) -> float:
    """Return the largest difference of a number from what Keras answers in float32.

    Args:
        signature: Its name, for the error.
        expected: Keras's outputs.
        answers: The loaded model's outputs, of the same names.
        precision: What the model computes in; decides the tolerance.

    Raises:
        ExportError: If a float differs by more than the tolerance, or too many whole numbers or texts differ; for
            classes and boxes in bfloat16 if more than a tenth of the entries disagree.
    """
    if expected.keys() != answers.keys():
        raise ExportError(f"signature {signature}: returns {sorted(answers)}, Keras {sorted(expected)}")
    for name, value in expected.items():
        if answers[name].shape != value.shape:
            shape = list(answers[name].shape)
            raise ExportError(f"signature {signature}: {name} has the shape {shape}, not {value.shape}")
    tolerance = TOLERANCES[precision]
    if precision == "bfloat16" and agreement.is_ranked(expected):
        return _compare_ranked(signature, expected, answers, tolerance)
    largest = 0.0
    for name, value in expected.items():
        answer = answers[name]
        if answer.dtype != np.float32:
            different = float(np.mean(answer != value)) if value.size else 0.0
            if different > DIFFERING_SHARES[precision]:
                raise ExportError(f"signature {signature}: {different:.1%} of {name} differ from Keras's")
            continue
        differences = np.abs(answer - value) / np.maximum(1.0, np.abs(value))
        if name == _SHARES and _MASK in expected:
            # A pixel that falls to another class takes its share along.
            moved = np.mean(answers[_MASK] != expected[_MASK], axis=(1, 2))
            differences = np.maximum(0.0, differences - moved[:, None])
        difference = float(differences.max(initial=0.0))
        if not difference <= tolerance:
            raise ExportError(
                f"signature {signature}: {name} differ from Keras by {difference:.2g}, more than {tolerance:.0e}"
            )
        largest = max(largest, difference)
    return largest


def _compare_ranked(
    signature: str,
    expected: Mapping[str, npt.NDArray[Any]],
    answers: Mapping[str, npt.NDArray[Any]],
    tolerance: float,
) -> float:
    """Return the largest difference of a score of the entries that agree."""
    alone, largest = agreement.compare(expected, answers, tolerance)
    if alone > RANKED_SHARE:
        raise ExportError(
            f"signature {signature}: {alone:.1%} of the entries disagree with Keras's by more than {tolerance:.0e} in "
            f"score or have no counterpart there, more than {RANKED_SHARE:.0%}; export this model in float32"
        )
    return largest
