import json

import numpy as np
import pytest

from localcloud.modelserver import json_tensors
from localcloud.modelserver.errors import ServingError
from serving.protos import meta_graph_pb2


def infos(**dtypes):
    return {name: meta_graph_pb2.TensorInfo(dtype=dtype) for name, dtype in dtypes.items()}


TWO = infos(a=1, s=7)


def read(document, signature=TWO):
    return json_tensors.read_inputs(document, signature)


def test_rows_and_columns_mean_the_same():
    rows, as_rows = read({"instances": [{"a": [1, 2], "s": "x"}, {"a": [3, 4.5], "s": {"b64": "AP8="}}]})
    columns, as_columns = read({"inputs": {"a": [[1, 2], [3, 4.5]], "s": ["x", {"b64": "AP8="}]}})
    assert (as_rows, as_columns) == (True, False)
    for found in (rows, columns):
        assert found["a"].dtype == np.float32
        assert found["a"].tolist() == [[1, 2], [3, 4.5]]
        assert found["s"].tolist() == [b"x", b"\x00\xff"]


def test_a_single_input_needs_no_name():
    one = infos(s=7)
    assert read({"instances": ["a", "b"]}, one)[0]["s"].tolist() == [b"a", b"b"]
    assert read({"inputs": {"b64": "YQ=="}}, one)[0]["s"].tolist() == b"a"
    assert read({"inputs": [["a"], ["b"]]}, one)[0]["s"].shape == (2, 1)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"instances": [1], "inputs": [1]}, "only one of 'inputs' or 'instances'"),
        ({"instances": 1}, "Expecting 'instances' to be an list/array"),
        ({"instances": ["x"]}, "expecting list of objects"),
        ({"instances": [{"a": 1, "s": "x"}, 2]}, "Expecting object but got list at item 1"),
        ({"instances": [{"a": 1}]}, "keys must be equal to: a,s"),
        ({"inputs": {"a": [1]}}, "Missing named input: s"),
        ({"inputs": {"a": [True], "s": ["x"]}}, "is not of expected type: float32"),
        ({"inputs": {"a": [[1], [1, 2]], "s": ["x"]}}, "input 'a': lists of unequal sizes"),
        ({"inputs": {"a": [1], "s": ["x", ["y"]]}}, "input 's': lists of unequal sizes"),
        ({"inputs": {"a": [1], "s": [None]}}, "null of input 's'"),
    ],
)
def test_a_malformed_request_is_refused_with_the_reason(document, says):
    with pytest.raises(ServingError) as caught:
        read(document)
    assert says in caught.value.message


def test_outputs_are_written_as_the_original_writes_them():
    outputs = {"score": np.array([0.1, 2], np.float32), "raw_bytes": np.array([b"\xff", b""], object)}
    assert json.dumps(json_tensors.write_outputs(outputs, True)) == (
        '{"predictions": [{"score": 0.1, "raw_bytes": {"b64": "/w=="}}, {"score": 2.0, "raw_bytes": {"b64": ""}}]}'
    )
    assert json_tensors.write_outputs({"n": np.array([[1], [2]])}, True) == {"predictions": [[1], [2]]}
    assert json_tensors.write_outputs({"n": np.array([1, 2])}, False) == {"outputs": [1, 2]}
    with pytest.raises(ServingError, match="inconsistent batch sizes"):
        json_tensors.write_outputs({"a": np.zeros(1), "b": np.zeros(2)}, True)


def test_examples_take_their_kind_from_the_json_values():
    found = json_tensors.read_examples(
        {"context": {"c": "x"}, "examples": [{"f": [1.5, 2.0], "i": 3, "b": {"b64": "YQ=="}}]}
    )
    listed = found.example_list_with_context
    assert list(listed.context.features.feature["c"].bytes_list.value) == [b"x"]
    feature = listed.examples[0].features.feature
    assert list(feature["f"].float_list.value) == [1.5, 2.0]
    assert list(feature["i"].int64_list.value) == [3]
    assert list(feature["b"].bytes_list.value) == [b"a"]
    with pytest.raises(ServingError, match="Feature: f has elements of more than one type"):
        json_tensors.read_examples({"examples": [{"f": [1.5, 2]}]})
