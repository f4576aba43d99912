import datetime
import ssl

import numpy as np
import pytest
from fake_sites import DOMAIN, LABELS, RestSite, free_port

from serving.client import PredictClient, PredictError
from serving.rest import RestTransport
from serving.transports import Request, RequestError

INPUTS = {"image_bytes": [b"\xff\xd8photo"]}


@pytest.fixture
def client(rest_world):
    with PredictClient(DOMAIN, port=rest_world.port, dns=rest_world.dns.address) as made:
        yield made


def test_an_answer_has_the_form_of_the_one_over_grpc(rest_world, client):
    found = client.predict("scenes", INPUTS, rest=True)
    assert found.outputs["labels"].tolist() == [LABELS]
    assert found.outputs["scores"].shape == (1, 2)
    assert found.site in rest_world.sites


def test_the_request_names_host_version_and_signature_and_sends_bytes_as_base64(rest_world, client):
    rest_world.only("aws")
    client.predict("scenes", INPUTS, rest=True, version=7, signature="other")
    (request,) = rest_world.sites["aws"].behaviour.requests
    assert request["path"] == "/v1/models/scenes/versions/7:predict"
    assert request["host"] == DOMAIN
    assert b'"signature_name": "other"' in request["body"]
    assert b'{"b64": "/9hwaG90bw=="}' in request["body"]


def test_arrays_are_sent_as_nested_lists(rest_world, client):
    rest_world.only("aws")
    client.predict("scenes", {"image": np.arange(4, dtype=np.uint8).reshape(2, 2)}, rest=True)
    assert b'"image": [[0, 1], [2, 3]]' in rest_world.sites["aws"].behaviour.requests[0]["body"]


@pytest.mark.parametrize("status", ["429", "502", "503", "504", "408"])
def test_statuses_of_a_site_send_the_request_to_another_one(rest_world, client, status):
    rest_world.only("aws")
    rest_world.sites["aws"].behaviour.code = status
    found = client.predict("scenes", INPUTS, rest=True)
    assert found.site != "aws"
    assert found.attempts == 2


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("400", "INVALID_ARGUMENT"),
        ("401", "UNAUTHENTICATED"),
        ("404", "NOT_FOUND"),
        ("418", "UNKNOWN"),
        ("500", "INTERNAL"),
    ],
)
def test_statuses_of_the_request_are_never_sent_twice(rest_world, client, status, code):
    for site in rest_world.sites.values():
        site.behaviour.code = status
    with pytest.raises(PredictError) as caught:
        client.predict("scenes", INPUTS, rest=True)
    assert caught.value.code == code
    assert caught.value.message.startswith("as told")
    assert sum(rest_world.asked().values()) == 1


def test_an_unknown_model_is_named_in_the_error(client):
    with pytest.raises(PredictError, match=r"NOT_FOUND: .*/v1/models/nothing:predict; check the model's name"):
        client.predict("nothing", INPUTS, rest=True)


def test_a_site_that_is_down_is_left_for_another_one(rest_world, client):
    rest_world.only("aws")
    rest_world.sites["aws"].stop()
    assert client.predict("scenes", INPUTS, rest=True).attempts == 2


def test_an_answer_of_something_else_is_an_error_and_no_traceback(rest_world, monkeypatch):
    transport = RestTransport(DOMAIN, tls=False)
    request = Request("scenes", "serving_default", None, INPUTS)
    for wrong in ([1], "x", None):
        monkeypatch.setattr(RestSite, "_document", lambda *_, answer=wrong: answer)
        with pytest.raises(RequestError):
            transport.predict("127.0.0.21", rest_world.port, request, 5)
    monkeypatch.setattr(RestSite, "_document", lambda *_: {"metadata": 5})
    with pytest.raises(RequestError, match="no signatures"):
        transport.signatures("127.0.0.21", rest_world.port, "scenes", 5)


def test_binary_outputs_and_single_outputs_are_understood(rest_world, monkeypatch):
    transport = RestTransport(DOMAIN, tls=False)
    request = Request("scenes", "serving_default", None, INPUTS)
    monkeypatch.setattr(RestSite, "_document", lambda *_: {"outputs": [{"b64": "AAE="}]})
    answer = transport.predict("127.0.0.21", rest_world.port, request, 5)
    assert answer.outputs["output"].tolist() == [b"\0\1"]
    monkeypatch.setattr(RestSite, "_document", lambda *_: {"outputs": [[1.5, 2.5]]})
    answer = transport.predict("127.0.0.21", rest_world.port, request, 5)
    assert answer.outputs["output"].tolist() == [[1.5, 2.5]]


def certificate(folder, name):
    """Write a self-signed certificate for a name; return the file with certificate and key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.mark.parametrize(("name", "good"), [(DOMAIN, True), ("other.test", False)])
def test_over_tls_the_certificate_must_be_valid_for_the_public_name(tmp_path, monkeypatch, name, good):
    file = certificate(tmp_path, name)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    site = RestSite("aws", "127.0.0.24", free_port("127.0.0.24"), context)
    try:
        transport = RestTransport(DOMAIN, tls=True)
        if good:
            assert transport.signatures(site.address, site.port, "scenes", 5)
        else:
            with pytest.raises(RequestError, match="certificate"):
                transport.signatures(site.address, site.port, "scenes", 5)
    finally:
        site.stop()
