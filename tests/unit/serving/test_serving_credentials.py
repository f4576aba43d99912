"""What a client shows of itself, and whom it trusts."""

import ssl
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from fake_sites import DOMAIN, GrpcSite, RestSite, free_port
from test_serving_rest import certificate

from serving.__main__ import _client
from serving.client import PredictClient
from serving.protos import prediction_service_pb2_grpc
from serving.rest import RestTransport
from serving.transports import GrpcTransport, RequestError

TOKEN, KEY = "ey.a.b", "k-123"  # made up, for this file
HEADERS = {"authorization": f"Bearer {TOKEN}", "x-api-key": KEY}


def public_part(file):
    """The certificate of a file that also holds the key."""
    text = file.read_text()
    public = file.with_name("public.pem")
    public.write_text(text[text.index("-----BEGIN CERTIFICATE") :])
    return public


@pytest.mark.parametrize("rest", [True, False])
def test_token_and_key_of_the_environment_reach_a_site(monkeypatch, capsys, rest):
    monkeypatch.setenv("TRICORN_TOKEN", TOKEN)
    monkeypatch.setenv("TRICORN_API_KEY", KEY)
    address = "127.0.0.25"
    site = (RestSite if rest else GrpcSite)("aws", address, free_port(address))
    client = _client(DOMAIN, site.port, "127.0.0.1:53", tls=False, ca=None)
    try:
        client._transports[rest].signatures(address, site.port, "scenes", 5)
        sent = site.behaviour.requests[-1]["headers"]
    finally:
        client.close()
        site.stop()
    assert {name: sent[name] for name in HEADERS} == HEADERS
    said = capsys.readouterr().err
    assert "travel unencrypted" in said
    assert TOKEN not in said
    assert KEY not in said


def test_a_key_may_have_a_header_of_its_own(monkeypatch, capsys):
    monkeypatch.setenv("TRICORN_API_KEY", KEY)
    monkeypatch.setenv("TRICORN_API_KEY_HEADER", "x-team-key")
    client = _client(DOMAIN, 443, "127.0.0.1:53", tls=True, ca=None)
    assert client.rest._headers == {"x-team-key": KEY}
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("trusted", [True, False])
def test_a_named_authority_is_trusted_over_rest_and_the_machines_are_not_enough(tmp_path, trusted):
    file = certificate(tmp_path, DOMAIN)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    site = RestSite("aws", "127.0.0.27", free_port("127.0.0.27"), context)
    try:
        transport = RestTransport(DOMAIN, True, public_part(file).read_bytes() if trusted else None)
        if trusted:
            assert transport.signatures(site.address, site.port, "scenes", 5)
        else:
            with pytest.raises(RequestError, match="certificate"):
                transport.signatures(site.address, site.port, "scenes", 5)
    finally:
        site.stop()


@pytest.mark.parametrize("trusted", [True, False])
def test_a_named_authority_is_trusted_over_grpc_and_the_machines_are_not_enough(tmp_path, trusted):
    file = certificate(tmp_path, DOMAIN)
    port = free_port("127.0.0.28")
    server = grpc.server(ThreadPoolExecutor(2))
    site = GrpcSite("aws", "127.0.0.28", free_port("127.0.0.28"))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(site, server)
    pem = file.read_bytes()
    server.add_secure_port(f"127.0.0.28:{port}", grpc.ssl_server_credentials([(pem, public_part(file).read_bytes())]))
    server.start()
    transport = GrpcTransport(DOMAIN, True, public_part(file).read_bytes() if trusted else None)
    try:
        if trusted:
            assert transport.signatures("127.0.0.28", port, "scenes", 5)
        else:
            with pytest.raises(RequestError, match="UNAVAILABLE"):
                transport.signatures("127.0.0.28", port, "scenes", 3)
    finally:
        transport.close()
        server.stop(0)
        site.stop()


def test_a_file_without_certificates_is_refused(tmp_path):
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(ValueError, match="holds no PEM certificate"):
        PredictClient(DOMAIN, dns="127.0.0.1:53", ca=file)
