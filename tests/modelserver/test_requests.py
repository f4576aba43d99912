import base64
import json

import numpy as np
import pytest

from localcloud.modelserver.messages import HealthCheckRequest, HealthCheckResponse
from serving.protos import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    regression_pb2,
)
from tests.modelserver.running_server import refusal, strings

pytestmark = pytest.mark.model


def test_grpc_and_rest_predict_the_same(server):
    over_grpc = server.predict({"text": strings(b"1.5", b"-0.1")})
    assert over_grpc["doubled"].tolist() == [3.0, np.float32(-0.2)]
    assert over_grpc["text_bytes"].tolist() == [b"1.5", b"-0.1"]

    status, text = server.http(
        "/v1/models/toy:predict", {"instances": ["1.5", {"b64": base64.b64encode(b"-0.1").decode()}]}
    )
    rows = json.loads(text)["predictions"]
    assert status == 200
    assert [np.float32(row["doubled"]) for row in rows] == over_grpc["doubled"].tolist()
    assert '"doubled": -0.2' in text, "float32 is written as its shortest decimal"
    assert [row["text"] for row in rows] == ["1.5", "-0.1"]
    assert [base64.b64decode(row["text_bytes"]["b64"]) for row in rows] == [b"1.5", b"-0.1"]

    status, text = server.http("/v1/models/toy/versions/1:predict", {"inputs": {"text": ["1.5", "-0.1"]}})
    assert json.loads(text)["outputs"]["doubled"] == [3.0, -0.2]


def test_every_number_type_survives_the_way_through(server):
    a = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    inputs = {"a": a, "b": np.array([10, 20], np.int64), "c": np.array([True, False])}
    out = server.predict(inputs, "mixed")
    assert out["sums"].tolist() == [16.0, 35.0]
    assert out["half"].dtype == np.float16
    assert out["half"].tolist() == a.tolist()
    assert out["double"].dtype == np.float64
    assert out["not_c"].tolist() == [False, True]
    assert server.predict({"image": np.full((3, 2, 2), 255, np.uint8)}, "pixels")["total"].tolist() == [1020] * 3
    body = {"signature_name": "mixed", "instances": [{"a": [1, 2, 3], "b": 10, "c": True}]}
    status, text = server.http("/v1/models/toy:predict", body)
    assert status == 200, text
    assert json.loads(text)["predictions"] == [
        {"double": [1.0, 2.0, 3.0], "half": [1.0, 2.0, 3.0], "not_c": False, "sums": 16.0}
    ]


def test_an_output_filter_leaves_out_the_rest(server):
    request = server.request({"text": strings(b"2")})
    request.output_filter.append("doubled")
    assert list(server.stub.Predict(request, timeout=20).outputs) == ["doubled"]
    request.output_filter.append("nothing")
    code, text = refusal(lambda: server.stub.Predict(request, timeout=20))
    assert (code, "output tensor alias not found in signature: nothing" in text) == ("INVALID_ARGUMENT", True)


def test_classify_over_grpc_and_rest(server):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = "toy", "classify"
    for value in (0.25, 1.0):
        feature = request.input.example_list.examples.add().features.feature["x"]
        feature.float_list.value.append(value)
    answer = server.stub.Classify(request, timeout=20)
    found = [[(c.label, c.score) for c in row.classes] for row in answer.result.classifications]
    assert found == [[("low", 0.75), ("high", 0.25)], [("low", 0.0), ("high", 1.0)]]
    assert answer.model_spec.version.value == 1
    body = {"signature_name": "classify", "examples": [{"x": 0.25}]}
    assert json.loads(server.http("/v1/models/toy:classify", body)[1]) == {"results": [[["low", 0.75], ["high", 0.25]]]}
    code, text = server.http("/v1/models/toy:classify", {"examples": [{"x": 0.25}]})
    assert (code, "No classification inputs found" in text) == (400, True)


@pytest.mark.parametrize(
    ("inputs", "signature", "code", "says"),
    [
        ({"text": strings(b"1")}, "nope", "FAILED_PRECONDITION", 'Serving signature key "nope" not found.'),
        ({"text": np.array([1.0], np.float32)}, "", "INVALID_ARGUMENT", "input 'text' must be string, got float"),
        ({"image": np.zeros((1, 3, 2), np.uint8)}, "pixels", "INVALID_ARGUMENT", "have the shape [?,2,2], got [1,3,2]"),
        ({"image": np.zeros(4, np.uint8)}, "pixels", "INVALID_ARGUMENT", "must have the shape [?,2,2], got [4]"),
        ({"nope": strings(b"1")}, "", "INVALID_ARGUMENT", "Sent extra: {nope}. Missing but required: {text}."),
        ({"text": strings(b"pear")}, "", "INVALID_ARGUMENT", "pear"),
        (
            {"text": strings(*[b"1"] * 9)},
            "",
            "INVALID_ARGUMENT",
            "Task size 9 is larger than maximum input batch size 8",
        ),
        ({"text": strings()}, "", "INVALID_ARGUMENT", "at least one row"),
        ({"x": np.zeros(2, np.float32)}, "unbatched", "FAILED_PRECONDITION", "0 dimensions"),
        (
            {"a": np.zeros((2, 3), np.float32), "b": np.zeros(1, np.int64), "c": np.zeros(2, bool)},
            "mixed",
            "INVALID_ARGUMENT",
            "equal 0th-dimension size",
        ),
    ],
)
def test_a_wrong_request_is_refused_with_its_reason(server, inputs, signature, code, says):
    found, text = refusal(lambda: server.predict(inputs, signature))
    assert found == code
    assert says in text


def test_an_unknown_model_or_version_is_not_found(server):
    call = {"text": strings(b"1")}
    assert refusal(lambda: server.predict(call, model="other")) == (
        "NOT_FOUND",
        "Servable not found for request: Latest(other)",
    )
    assert refusal(lambda: server.predict(call, version=7))[1] == "Servable not found for request: Specific(toy, 7)"
    assert server.http("/v1/models/other:predict", {"instances": ["1"]})[0] == 404
    assert server.http("/v1/models/other")[0] == 404


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/v1/models/toy:predict", b"{", 400, "JSON Parse error"),
        ("/v1/models/toy:predict", {"instances": [1.5]}, 400, "not of expected type: string"),
        ("/v1/models/toy:predict", {"instances": []}, 400, "No values in 'instances' array"),
        ("/v1/models/toy:predict", {"rows": ["1"]}, 400, "Missing 'inputs' or 'instances' key"),
        ("/v1/models/toy:predict", {"instances": [{"b64": "!"}]}, 400, "Unable to base64 decode"),
        ("/v1/models/toy:predict", {"signature_name": "nope", "instances": ["1"]}, 400, "not found in signature def"),
        ("/v1/models/toy:predict", {"signature_name": "pixels", "instances": [[[1, 2], [3]]]}, 400, "unequal sizes"),
        ("/v1/models/toy:predict", {"signature_name": "pixels", "instances": [[[1, 2], [3, 256]]]}, 400, "in 0..255"),
        ("/v1/models/toy:predict", {"signature_name": "pixels", "instances": [[[1, 2], [3, 4.5]]]}, 400, "uint8"),
        ("/v1/models/toy/labels/none:predict", {"instances": ["1"]}, 400, "Unrecognized servable version label: none"),
        ("/v1/models/toy/versions/1", b"x", 400, "Malformed request: POST /v1/models/toy/versions/1"),
        ("/v1/models/toy:regress", {}, 501, "regress"),
    ],
)
def test_rest_refuses_what_is_malformed_with_json(server, path, body, status, says):
    code, text = server.http(path, body)
    assert code == status
    assert says in json.loads(text)["error"]


def test_status_is_exactly_the_originals(server):
    expected = (
        '{"model_version_status":[{"version":"1","state":"AVAILABLE","status":{"error_code":"OK","error_message":""}}]}'
    )
    for path in ("/v1/models/toy", "/v1/models/toy/versions/1"):
        status, text = server.http(path)
        assert (status, "".join(text.split())) == (200, expected)
    stub = model_service_pb2_grpc.ModelServiceStub(server.channel)
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "toy"
    (version,) = stub.GetModelStatus(request, timeout=20).model_version_status
    assert (version.version, version.state) == (1, get_model_status_pb2.ModelVersionStatus.AVAILABLE)
    request.model_spec.version.value = 2
    assert refusal(lambda: stub.GetModelStatus(request, timeout=20))[0] == "NOT_FOUND"


def test_metadata_shows_the_signatures(server):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "toy"
    answer = server.stub.GetModelMetadata(request, timeout=20)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    assert "pixels" in signatures.signature_def
    document = json.loads(server.http("/v1/models/toy/metadata")[1])
    assert document["model_spec"] == {"name": "toy", "signature_name": "", "version": "1"}
    shown = document["metadata"]["signature_def"]["signature_def"]["pixels"]["inputs"]["image"]
    assert shown["dtype"] == "DT_UINT8"
    assert [dim["size"] for dim in shown["tensor_shape"]["dim"]] == ["-1", "2", "2"]


def test_health_answers_for_the_originals_services(server):
    path = "/grpc.health.v1.Health/"
    check = server.channel.unary_unary(
        path + "Check", HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString
    )
    for service in ("", "ModelService", "PredictionService"):
        assert check(HealthCheckRequest(service=service), timeout=20).status == 1
    assert refusal(lambda: check(HealthCheckRequest(service="x"), timeout=20))[0] == "NOT_FOUND"
    watch = server.channel.unary_stream(
        path + "Watch", HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString
    )
    stream = watch(HealthCheckRequest(service="x"), timeout=20)
    assert next(stream).status == 3
    stream.cancel()


def test_what_is_not_part_of_it_is_unimplemented(server):
    assert refusal(lambda: server.stub.Regress(regression_pb2.RegressionRequest(), timeout=20))[0] == "UNIMPLEMENTED"


def test_requests_are_counted_under_the_originals_names(server):
    def count(key):
        return server.metrics().get(key, 0)

    good = ':tensorflow:serving:request_count{model_name="toy",status="OK"}'
    bad = ':tensorflow:serving:request_count{model_name="toy",status="INVALID_ARGUMENT"}'
    latency = ':tensorflow:serving:request_latency_count{model_name="toy",API="Predict",entrypoint="GRPC"}'
    rest = ':tensorflow:serving:request_latency_count{model_name="toy",API="predict",entrypoint="REST"}'
    before = [count(key) for key in (good, bad, latency, rest)]
    server.predict({"text": strings(b"1")})
    refusal(lambda: server.predict({"text": strings(b"pear")}))
    server.http("/v1/models/toy:predict", {"instances": ["1"]})
    assert [count(key) - old for key, old in zip((good, bad, latency, rest), before, strict=True)] == [2, 1, 1, 1]
    assert any(key.startswith(":tensorflow:serving:model_warmup_latency_bucket") for key in server.metrics())
