import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.protos import tensor_pb2, types_pb2
from serving.tensors import from_proto, to_proto

DTYPES = ["float32", "float64", "int32", "int64", "uint8", "int8", "int16", "bool", "float16"]


@given(
    st.sampled_from(DTYPES),
    st.lists(st.integers(0, 4), max_size=3),
    st.integers(0, 2**32 - 1),
)
def test_numbers_survive_the_way_there_and_back(dtype, shape, seed):
    array = np.random.default_rng(seed).integers(0, 100, shape).astype(dtype)
    back = from_proto(to_proto(array))
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert np.array_equal(back, array)


@given(st.lists(st.binary(max_size=20), max_size=5))
def test_bytes_survive_the_way_there_and_back(values):
    back = from_proto(to_proto(np.array(values, dtype=object)))
    assert back.tolist() == values


def test_text_alone_and_in_lists_is_sent_as_utf_8_strings():
    for value, expected in (("ä", "ä".encode()), (["a", "b"], [b"a", b"b"]), ([[b"x"]], [[b"x"]])):
        proto = to_proto(value)
        assert proto.dtype == types_pb2.DT_STRING
        assert from_proto(proto).tolist() == expected


def test_bytes_that_end_in_zero_keep_their_zeros():
    assert from_proto(to_proto([b"JPEG\0\0"])).tolist() == [b"JPEG\0\0"]


@pytest.mark.parametrize(
    ("dtype", "field", "values"),
    [
        ("DT_FLOAT", "float_val", [1.5]),
        ("DT_INT64", "int64_val", [7]),
        ("DT_INT32", "int_val", [3]),
        ("DT_BOOL", "bool_val", [True]),
    ],
)
def test_repeated_last_values_are_filled_in(dtype, field, values):
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DataType.Value(dtype))
    proto.tensor_shape.dim.add().size = 3
    getattr(proto, field).extend(values)
    assert from_proto(proto).tolist() == values * 3


def test_types_that_models_do_not_take_are_refused_by_name():
    with pytest.raises(TypeError, match="complex128"):
        to_proto(np.array([1j]))
    with pytest.raises(TypeError, match="DT_RESOURCE"):
        from_proto(tensor_pb2.TensorProto(dtype=types_pb2.DT_RESOURCE))
