import math
import struct

import numpy as np
import pytest

from localcloud.modelserver import messages, tensors, warmup
from localcloud.modelserver.batching import QueueOptions
from localcloud.modelserver.errors import Code, ServingError
from localcloud.modelserver.metrics import Metrics
from serving.protos import tensor_pb2

MODEL = 'config { name: "m" base_path: "/models/m" model_platform: "tensorflow" }'


def write(tmp_path, text):
    file = tmp_path / "file.config"
    file.write_text(text)
    return file


def test_batching_parameters_are_read(tmp_path):
    text = """max_batch_size { value: 32 } batch_timeout_micros { value: 2000 } allowed_batch_sizes: [8, 32]
    max_enqueued_batches { value: 8 } num_batch_threads { value: 4 } pad_variable_length_inputs: false"""
    message = messages.read(write(tmp_path, text), messages.BatchingParameters)
    options = QueueOptions.from_message(message)
    assert (options.max_batch_size, options.batch_timeout_s, options.max_enqueued_batches) == (32, 0.002, 8)
    assert [options.padded(size) for size in (1, 8, 9, 32)] == [8, 8, 32, 32]
    assert message.num_batch_threads.value == 4


def test_absent_batching_parameters_have_the_originals_defaults(tmp_path):
    options = QueueOptions.from_message(messages.read(write(tmp_path, ""), messages.BatchingParameters))
    assert (options.max_batch_size, options.batch_timeout_s, options.max_enqueued_batches) == (1000, 0, 10)
    assert options.padded(7) == 7


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("max_batch_sise { value: 8 }", 'no field named "max_batch_sise"'),
        ("max_batch_size: 8", "1:"),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: 4",
            "must match max_batch_size; last entry was 4; expected 8",
        ),
        ("max_batch_size { value: 8 } allowed_batch_sizes: [4, 2, 8]", "increasing"),
        ("max_batch_size { value: 0 }", "max_batch_size must be positive; was 0"),
        ("max_enqueued_batches { value: 0 }", "max_enqueued_batches must be positive; was 0"),
        (
            (
                "max_batch_size { value: 8 } enable_large_batch_splitting { value: true } "
                "max_execution_batch_size { value: 9 }"
            ),
            "greater than or equal to max_execution_batch_size",
        ),
    ],
)
def test_wrong_batching_parameters_are_refused_with_the_reason(tmp_path, text, says):
    with pytest.raises(ServingError) as caught:
        QueueOptions.from_message(messages.read(write(tmp_path, text), messages.BatchingParameters))
    assert caught.value.code == Code.INVALID_ARGUMENT
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"model_config_list {{ {MODEL} {MODEL} }}", "Illegal to list model m multiple times"),
        ('model_config_list { config { name: "m" base_path: "m" model_platform: "tensorflow" } }', "absolute path"),
        ('model_config_list { config { name: "m" base_path: "/m" } }', "neither ModelServerConfig::model_type"),
        (
            'model_config_list { config { name: "m" base_path: "/m" model_platform: "onnx" } }',
            "unsupported platform onnx",
        ),
        ('model_config_list { config { nam: "m" } }', 'no field named "nam"'),
    ],
)
def test_a_wrong_model_configuration_is_refused_with_the_reason(tmp_path, text, says):
    assert messages.read_models(write(tmp_path, f"model_config_list {{ {MODEL} }}"))
    with pytest.raises(ServingError) as caught:
        messages.read_models(write(tmp_path, text))
    assert says in caught.value.message


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1.5, -2.0]], np.float32),
        np.array([1.5], np.float64),
        np.array([1.5, 65504], np.float16),
        np.arange(6, dtype=np.uint8).reshape(1, 2, 3),
        np.array([-1], np.int8),
        np.array([1 << 62], np.int64),
        np.array([1 << 63], np.uint64),
        np.array([True, False]),
        np.array(3, np.int32),
        np.zeros((0, 2), np.float32),
        np.array([b"a\0b", b""], object),
    ],
    ids=lambda array: f"{array.dtype}{list(array.shape)}",
)
@pytest.mark.parametrize("as_content", [True, False])
def test_tensors_come_back_as_they_went(array, as_content):
    proto = tensor_pb2.TensorProto()
    tensors.to_proto(array, proto, as_content)
    back = tensors.from_proto("x", tensor_pb2.TensorProto.FromString(proto.SerializeToString()))
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tolist() == array.tolist()


def test_a_message_may_leave_out_repeated_values():
    proto = tensor_pb2.TensorProto(dtype=1, float_val=[1, 2])
    proto.tensor_shape.dim.add().size = 4
    assert tensors.from_proto("x", proto).tolist() == [1, 2, 2, 2]
    del proto.float_val[:]
    assert tensors.from_proto("x", proto).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("proto", "says"),
    [
        ({"dtype": 1, "tensor_content": b"123"}, "has 3 bytes, but the shape [2] of float takes 8"),
        ({"dtype": 20}, "data type resource is not supported"),
        ({"dtype": 0}, "data type invalid is not supported"),
        ({"dtype": 7, "tensor_content": b"1"}, "string_val"),
    ],
)
def test_a_malformed_tensor_is_refused_with_the_reason(proto, says):
    message = tensor_pb2.TensorProto(**proto)
    message.tensor_shape.dim.add().size = 2
    with pytest.raises(ServingError) as caught:
        tensors.from_proto("x", message)
    assert says in caught.value.message


def test_the_checksum_is_castagnolis():
    assert warmup.masked_crc(b"123456789") == ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) & 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"abc", "truncated record at 0"),
        (struct.pack("<QI", 5, 1) + b"12345" + b"0000", "corrupted record at 0"),
        (struct.pack("<QI", 5, warmup.masked_crc(struct.pack("<Q", 5))) + b"123", "truncated record at 0"),
    ],
)
def test_a_broken_warmup_file_is_data_loss(tmp_path, data, says):
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / warmup.FILE).write_bytes(data)
    with pytest.raises(ServingError) as caught:
        list(warmup.read(tmp_path))
    assert caught.value.code == Code.DATA_LOSS
    assert says in caught.value.message


def test_no_warmup_file_is_no_records(tmp_path):
    assert list(warmup.read(tmp_path)) == []


def test_metrics_have_the_originals_names_and_buckets():
    metrics = Metrics()
    metrics.request_count.add('a"b', "OK")
    metrics.input_batch_size.add(1)  # a value on a bound counts above it, as in TensorFlow's own histograms
    metrics.request_latency.add(17, "m", "Predict", "GRPC")
    metrics.request_latency.add(1e12, "m", "Predict", "GRPC")
    page = metrics.page()
    name = ":tensorflow:serving:request_latency"
    labels = 'model_name="m",API="Predict",entrypoint="GRPC"'
    lines = page.splitlines()
    assert ':tensorflow:serving:request_count{model_name="a\\"b",status="OK"} 1' in lines
    assert f"# TYPE {name} histogram" in lines
    assert f'{name}_bucket{{{labels},le="10"}} 0' in lines
    assert f'{name}_bucket{{{labels},le="18"}} 1' in lines
    assert f'{name}_bucket{{{labels},le="+Inf"}} 2' in lines
    assert f"{name}_count{{{labels}}} 2" in lines
    assert math.isclose(float(next(x for x in lines if x.startswith(f"{name}_sum")).split()[-1]), 1e12 + 17)
    assert ':tensorflow:serving:batching_session:input_batch_size_bucket{le="1"} 0' in lines
    assert "processed_batch_size" not in page, "what never happened is not shown"
