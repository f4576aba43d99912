import shutil
import signal
import socket
import struct
import time

import numpy as np
import pytest

from localcloud.modelserver.tensors import to_proto
from localcloud.modelserver.warmup import FILE, masked_crc
from serving.protos import (
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_log_pb2,
)
from tests.modelserver.running_server import refusal, strings

pytestmark = pytest.mark.model


def write_records(path, records):
    with path.open("wb") as file:
        for record in records:
            header = struct.pack("<Q", len(record))
            file.write(header + struct.pack("<I", masked_crc(header)) + record + struct.pack("<I", masked_crc(record)))


def open_port(server):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", server.port)) == 0


def test_the_log_says_what_it_is(server):
    assert "Stand-in for tensorflow_model_server" in server.text()
    assert "simulated GPU, computing on the CPU" in server.text()
    assert "2 warmup records, 2 times each" in server.text()


def test_sigterm_is_ignored_and_sigkill_ends_it(start):
    with start() as server:
        server.wait_ready()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert server.process.poll() is None
        assert server.predict({"text": strings(b"1")})["doubled"].tolist() == [2.0]
        server.process.kill()
        assert server.wait_end(10) == -signal.SIGKILL


def test_a_failing_warmup_record_ends_the_process(start):
    def break_warmup(base):
        log = prediction_log_pb2.PredictionLog()
        proto = log.predict_log.request.inputs["text"]
        proto.dtype = 7
        proto.tensor_shape.dim.add().size = 1
        proto.string_val.append(b"pear")
        write_records(base / "1" / FILE, [log.SerializeToString()])

    with start(prepare=break_warmup) as server:
        assert server.wait_end() == 255
        assert "Failed to start server" in server.text()
        assert "warm-up" in server.text()
        assert "pear" in server.text()
        assert "Traceback" not in server.text()
        assert server.text().count("failed: INVALID_ARGUMENT") == 2, "it is tried once more"


def test_a_warmup_file_that_is_no_tfrecord_ends_the_process(start):
    with start(prepare=lambda base: (base / "1" / FILE).write_bytes(b"not a record file")) as server:
        assert server.wait_end() == 255
        assert "verify your warmup data is in TFRecord format" in server.text()


def test_warmup_can_be_switched_off(start):
    broken = lambda base: (base / "1" / FILE).write_bytes(b"not a record file")  # noqa: E731
    with start("--enable_model_warmup=false", prepare=broken) as server:
        server.wait_ready()


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("saved_model.pb", None, "NOT_FOUND: Could not find SavedModel"),
        ("saved_model.pb", b"no model", "OUT_OF_RANGE: Read less bytes than requested"),
        ("variables/variables.data-00000-of-00001", b"", "OUT_OF_RANGE: Read less bytes than requested"),
    ],
)
def test_what_the_loader_refuses_ends_the_process_with_its_reason(start, file, content, says):
    def damage(base):
        (base / "1" / file).unlink()
        if content is not None:
            (base / "1" / file).write_bytes(content)

    with start(prepare=damage) as server:
        assert server.wait_end() == 255
        assert "{{name: toy version: 1} due to error: " in server.text()
        assert says in server.text()
        assert "Traceback" not in server.text()
        assert not open_port(server)


def test_a_keras_3_model_saved_in_a_module_is_refused_as_the_original_refuses_it(start):
    """Python's loader accepts it. The C++ loader loads it, and the first run finds its variables missing."""
    log = prediction_log_pb2.PredictionLog()
    to_proto(np.zeros((1, 2), np.float32), log.predict_log.request.inputs["x"], as_content=True)

    def add_warmup(base):
        (base / "1" / "assets.extra").mkdir()
        write_records(base / "1" / FILE, [log.SerializeToString()])

    with start(model="refused", prepare=add_warmup) as server:
        assert server.wait_end() == 255
        assert "FAILED_PRECONDITION: warm-up of" in server.text()
        assert "Could not find variable" in server.text()
        assert "Traceback" not in server.text()
    with start(model="refused") as server:
        server.wait_ready()
        code, text = refusal(lambda: server.predict({"x": np.zeros((1, 2), np.float32)}))
        assert (code, "Could not find variable" in text) == ("FAILED_PRECONDITION", True)


def test_wrong_batching_parameters_end_the_process(start):
    wrong = "max_batch_size { value: 32 } allowed_batch_sizes: 16"
    with start(prepare=lambda base: (base / "1" / "batching_params.pbtxt").write_text(wrong)) as server:
        assert server.wait_end() == 255
        assert "Last entry in allowed_batch_sizes must match max_batch_size" in server.text()


def test_an_empty_base_path_waits_with_closed_ports_until_a_version_appears(start, saved_models):
    with start("--file_system_poll_wait_seconds=1", versions=()) as server:
        time.sleep(3)
        assert server.process.poll() is None
        assert not open_port(server)
        assert "No versions of servable toy found under base path" in server.text()
        hidden = server.base / ".1.part"
        shutil.copytree(saved_models / "toy", hidden)
        hidden.rename(server.base / "1")
        server.wait_ready(20)


def test_the_latest_version_replaces_the_old_one(start, saved_models):
    with start("--file_system_poll_wait_seconds=1", policy="latest { num_versions: 1 }") as server:
        server.wait_ready()
        hidden = server.base / "part"
        shutil.copytree(saved_models / "toy", hidden)
        hidden.rename(server.base / "2")
        deadline = time.monotonic() + 20
        while '"END"' not in server.http("/v1/models/toy/versions/1")[1] and time.monotonic() < deadline:
            assert server.predict({"text": strings(b"1")})["doubled"].tolist() == [2.0], "it serves all the time"
        assert server.predict({"text": strings(b"1")}, version=2)["doubled"].tolist() == [2.0]
        assert refusal(lambda: server.predict({"text": strings(b"1")}, version=1))[0] == "NOT_FOUND"


def test_a_reload_moves_labels_in_two_phases(start):
    with start("--allow_version_labels_for_unavailable_models", versions=("1", "2")) as server:
        server.wait_ready()
        stub = model_service_pb2_grpc.ModelServiceStub(server.channel)

        def reload(versions, **labels):
            request = model_management_pb2.ReloadConfigRequest()
            model = request.config.model_config_list.config.add(
                name="toy", base_path=str(server.base), model_platform="tensorflow"
            )
            model.model_version_policy.specific.versions.extend(versions)
            model.version_labels.update(labels)
            return stub.HandleReloadConfigRequest(request, timeout=60).status

        assert reload([1], stable=1).error_code == 0
        refused = reload([1, 2], stable=2)
        assert refused.error_code == 9
        assert "not currently available for inference" in refused.error_message
        assert reload([1, 2], stable=1, canary=2).error_code == 0
        assert reload([1, 2], stable=2).error_code == 0
        assert server.http("/v1/models/toy/labels/stable:predict", {"instances": ["1"]})[0] == 200
        assert server.http("/v1/models/toy/labels/canary:predict", {"instances": ["1"]})[0] == 400


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--enable_batchin"], "unknown argument: --enable_batchin"),
        (["--model_config_file=/nowhere/models.config"], "cannot read ModelServerConfig from /nowhere/models.config"),
    ],
)
def test_a_wrong_command_line_ends_the_process_with_one_line(start, flags, says):
    with start(*flags) as server:
        assert server.wait_end(20) == 255
        assert says in server.text()
        assert "Traceback" not in server.text()


def test_a_port_in_use_ends_the_process(start, server):
    with start(f"--port={server.port}") as second:
        assert second.wait_end() == 255
        assert f"cannot listen for gRPC on 127.0.0.1:{server.port}" in second.text()
