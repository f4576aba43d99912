"""Tensors in the REST interface's JSON: rows (`instances`) and columns (`inputs`)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from localcloud.modelserver.errors import ServingError, invalid
from localcloud.modelserver.library import NUMPY_TYPES, STRING, Array
from localcloud.modelserver.tensors import type_name
from serving.protos import classification_pb2, example_pb2

_SHOWN = 40
_KINDS = {"f": "iuf", "i": "iu", "u": "iu", "b": "b"}


def parse(body: bytes) -> dict[str, Any]:
    """Read a request's body; raises ServingError INVALID_ARGUMENT unless it is a JSON object."""
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid(f"JSON Parse error: {error}") from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {_shown(document)} Is not object")
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid("JSON Value not formatted correctly. 'signature_name' key must be a string value.")
    return document


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None


def _strings(value: Any, name: str) -> tuple[list[int], list[bytes]]:
    if isinstance(value, list):
        parts = [_strings(each, name) for each in value]
        if any(part[0] != parts[0][0] for part in parts):
            raise invalid(f"input '{name}': lists of unequal sizes or levels")
        return [len(value), *(parts[0][0] if parts else [])], [each for part in parts for each in part[1]]
    if _is_base64(value):
        return [], [_decoded(value["b64"])]
    if isinstance(value, str):
        return [], [value.encode()]
    raise invalid(f"JSON Value: {_shown(value)} of input '{name}' is not of expected type: string")


def _array(value: Any, name: str, dtype: int) -> Array:
    if dtype == STRING:
        shape, values = _strings(value, name)
        strings = np.empty(len(values), object)
        strings[:] = values
        return strings.reshape(shape)
    if dtype not in NUMPY_TYPES:
        raise invalid(f"Conversion of JSON Value to type: {type_name(dtype)} is not supported (input '{name}')")
    target = NUMPY_TYPES[dtype]
    try:
        array = np.array(value)
    except (ValueError, OverflowError):
        raise invalid(f"input '{name}': lists of unequal sizes or levels") from None
    if array.size and array.dtype.kind not in _KINDS[target.kind]:
        raise invalid(f"JSON Value: {_shown(value)} of input '{name}' is not of expected type: {target}")
    if target.kind in "iu" and array.size:
        limits: Any = np.iinfo(target)
        if int(array.min()) < limits.min or int(array.max()) > limits.max:
            raise invalid(f"input '{name}': values must be in {limits.min}..{limits.max}")
    return array.astype(target)


def read_inputs(document: Mapping[str, Any], signature_inputs: Mapping[str, Any]) -> tuple[dict[str, Array], bool]:
    """Return the inputs of a predict request and whether they came as rows.

    Args:
        document: The parsed body.
        signature_inputs: TensorInfo messages by name.

    Raises:
        ServingError: INVALID_ARGUMENT naming the input and what is wrong with it.
    """
    if "instances" in document and "inputs" in document:
        raise invalid("Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ")
    if "instances" in document:
        return _read_rows(document["instances"], signature_inputs), True
    if "inputs" in document:
        return _read_columns(document["inputs"], signature_inputs), False
    raise invalid("Missing 'inputs' or 'instances' key")


def _read_rows(rows: Any, infos: Mapping[str, Any]) -> dict[str, Array]:
    if not isinstance(rows, list):
        raise invalid("Expecting 'instances' to be an list/array")
    if not rows:
        raise invalid("No values in 'instances' array")
    named = [isinstance(row, dict) and not _is_base64(row) for row in rows]
    if not any(named):
        if len(infos) != 1:
            raise invalid(
                "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
                "tensorinfo_map"
            )
        rows = [{next(iter(infos)): row} for row in rows]
    elif not all(named):
        raise invalid(f"Expecting object but got list at item {named.index(False)} of input list")
    for number, row in enumerate(rows):
        if set(row) != set(infos):
            raise invalid(
                f"Failed to process element: {number} of 'instances' list. JSON object: {_shown(row)} keys must be "
                f"equal to: {','.join(sorted(infos))}"
            )
    return {name: _array([row[name] for row in rows], name, info.dtype) for name, info in infos.items()}


def _read_columns(value: Any, infos: Mapping[str, Any]) -> dict[str, Array]:
    if not isinstance(value, dict) or _is_base64(value):
        if len(infos) != 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        value = {next(iter(infos)): value}
    for name in infos:
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: _array(value[name], name, info.dtype) for name, info in infos.items()}


def _plain(name: str, array: Array) -> Any:
    """Return nested lists; float32 as the shortest decimal that reads back, bytes as base64 if the name says so."""
    if array.dtype == object:
        values = np.empty(array.shape, object)
        binary = name.endswith("_bytes")
        for index, value in np.ndenumerate(array):
            if binary:
                values[index] = {"b64": base64.b64encode(value).decode()}
            else:
                values[index] = value.decode(errors="replace")
        return values.tolist()
    if array.dtype in (np.float32, np.float16):
        return array.astype(str).astype(np.float64).tolist()
    return array.tolist()


def write_outputs(outputs: Mapping[str, Array], as_rows: bool) -> dict[str, Any]:
    """Return the answer to a predict request as JSON values.

    Raises:
        ServingError: INVALID_ARGUMENT when rows are asked for and the outputs do not have the same first dimension.
    """
    plain = {name: _plain(name, array) for name, array in outputs.items()}
    if not as_rows:
        return {"outputs": plain if len(plain) > 1 else next(iter(plain.values()))}
    for name, array in outputs.items():
        if array.ndim == 0:
            raise invalid(f"Tensor name: {name} has no shape information ")
    sizes = {len(array) for array in outputs.values()}
    if len(sizes) > 1:
        raise invalid(f"The outputs have inconsistent batch sizes: {sorted(sizes)}")
    if len(plain) == 1:
        return {"predictions": next(iter(plain.values()))}
    return {"predictions": [dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True)]}


def read_examples(document: Mapping[str, Any]) -> Any:
    """Return the Input message of a classify request.

    Raises:
        ServingError: INVALID_ARGUMENT naming the feature and what is wrong with it.
    """
    examples = document.get("examples")
    if examples is None:
        raise invalid("When method is classify, key 'examples' is expected and was not found")
    if not isinstance(examples, list):
        raise invalid("Expecting 'examples' value to be an list/array")
    if not examples:
        raise invalid("'examples' value is an empty array")
    request = classification_pb2.ClassificationRequest()
    if "context" in document:
        target = request.input.example_list_with_context
        target.context.CopyFrom(_example(document["context"]))
    else:
        target = request.input.example_list
    target.examples.extend(_example(each) for each in examples)
    return request.input


def _example(value: Any) -> Any:
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {_shown(value)}")
    example = example_pb2.Example()
    for name, content in value.items():
        feature = example.features.feature[name]
        for item in content if isinstance(content, list) else [content]:
            try:
                _add_value(feature, item)
            except ServingError as error:
                raise invalid(f"Feature: {name} {error.message}") from None
    return example


def _add_value(feature: Any, item: Any) -> None:
    value: bytes | float | int
    if isinstance(item, str) or _is_base64(item):
        kind, value = "bytes_list", item.encode() if isinstance(item, str) else _decoded(item["b64"])
    elif isinstance(item, float):
        kind, value = "float_list", item
    elif isinstance(item, int) and -(1 << 63) <= item < 1 << 63:
        kind, value = "int64_list", int(item)
    else:
        raise invalid(f"has element with unexpected JSON type: {_shown(item)}")
    if feature.WhichOneof("kind") not in (None, kind):
        raise invalid(f"has elements of more than one type, among them {_shown(item)}")
    getattr(feature, kind).value.append(value)
