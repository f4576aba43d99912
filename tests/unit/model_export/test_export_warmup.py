import numpy as np
import pytest

from model_export import batching, warmup
from model_export.errors import ExportError
from model_export.protos import example_pb2, prediction_log_pb2

IMAGE = b"\xff\xd8an image"
SIGNATURES = {
    "serving_default": {"inputs": {"image_bytes": {"dtype": "string", "shape": [None]}}},
    "image_uint8": {"inputs": {"image": {"dtype": "uint8", "shape": [None, 8, 8, 3]}}},
    "classify": {"inputs": {"inputs": {"dtype": "string", "shape": [None]}}},
}


@pytest.fixture
def folder(tmp_path):
    warmup.write(tmp_path, "scenes", SIGNATURES, (1, 4), IMAGE, "image/encoded")
    return tmp_path


def test_every_signature_is_requested_with_every_batch_size(folder):
    requests = warmup.read(folder)
    assert [(r.signature, r.batch) for r in requests] == [(name, batch) for name in SIGNATURES for batch in (1, 4)]


def test_the_inputs_read_back_as_the_server_sees_them(folder):
    images, pixels, examples = (request.inputs for request in warmup.read(folder)[1::2])
    assert images["image_bytes"].tolist() == [IMAGE] * 4
    assert pixels["image"].shape == (4, 8, 8, 3)
    assert pixels["image"].dtype == np.uint8
    assert len(np.unique(pixels["image"])) == 1
    example = example_pb2.Example.FromString(examples["inputs"][0])
    assert list(example.features.feature["image/encoded"].bytes_list.value) == [IMAGE]


def test_pixels_cost_no_space(folder):
    assert (folder / warmup.FILE).stat().st_size < 2000


def test_a_damaged_record_is_refused(folder):
    file = folder / warmup.FILE
    data = bytearray(file.read_bytes())
    data[-10] ^= 1
    file.write_bytes(data)
    with pytest.raises(ExportError, match="the record is damaged"):
        warmup.read(folder)


@pytest.mark.parametrize("keep", [5, 30])
def test_a_file_cut_short_is_refused(folder, keep):
    file = folder / warmup.FILE
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ExportError, match="the record is damaged"):
        warmup.read(folder)


def test_a_missing_or_empty_file_is_refused(folder):
    (folder / warmup.FILE).write_bytes(b"")
    with pytest.raises(ExportError, match="0 records"):
        warmup.read(folder)
    (folder / warmup.FILE).unlink()
    with pytest.raises(ExportError, match="missing"):
        warmup.read(folder)


def test_a_record_of_another_kind_is_refused(folder):
    log = prediction_log_pb2.PredictionLog()
    log.regress_log.request.model_spec.name = "scenes"
    (folder / warmup.FILE).write_bytes(warmup._record(log.SerializeToString()))
    with pytest.raises(ExportError, match="regress_log; only predict and classify"):
        warmup.read(folder)


def test_the_checksum_is_crc32c():
    """Castagnoli's check value for "123456789" is 0xE3069283; TFRecord rotates it by 15 bits and adds a constant."""
    crc = 0xE3069283
    assert warmup._masked_crc(b"123456789") == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_the_batching_file_lists_the_sizes_that_read_back():
    text = batching.parameters([1, 2, 8])
    assert batching.allowed_sizes(text) == [1, 2, 8]
    assert "max_batch_size { value: 8 }" in text
