"""What a client shows of itself, and whom it trusts."""

import ssl
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from fake_sites import DOMAIN, GrpcSite, RestSite, free_port
from test_serving_rest import certificate

from serving.identity import Identity, identity
from serving.protos import prediction_service_pb2_grpc
from serving.rest import RestTransport
from serving.transports import GrpcTransport, RequestError

TOKEN, KEY = "ey.a.b", "k-123"  # made up, for this file
PROVEN = Identity(headers={"authorization": f"Bearer {TOKEN}", "x-api-key": KEY})


@pytest.fixture
def secrets(monkeypatch):
    monkeypatch.setenv("TRICORN_TOKEN", TOKEN)
    monkeypatch.setenv("TRICORN_API_KEY", KEY)
    return monkeypatch


def test_token_and_key_come_from_the_environment(secrets):
    assert identity(tls=True).headers == PROVEN.headers
    secrets.setenv("TRICORN_API_KEY_HEADER", "X-Team-Key")
    assert identity(tls=True).headers["x-team-key"] == KEY


def test_nothing_in_the_environment_means_nobody(monkeypatch):
    for name in ("TRICORN_TOKEN", "TRICORN_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert identity() == Identity()


def test_secrets_never_travel_unencrypted(secrets):
    with pytest.raises(ValueError, match="with TLS only") as caught:
        identity(tls=False)
    assert TOKEN not in str(caught.value)
    assert KEY not in str(caught.value)


def test_secrets_are_not_in_the_text_of_an_identity(secrets):
    assert TOKEN not in repr(identity(tls=True))
    assert KEY not in repr(identity(tls=True))


@pytest.mark.parametrize(("content", "said"), [(None, "cannot be read"), ("no certificate", "holds no certificates")])
def test_authorities_that_are_none_are_one_clear_error(tmp_path, content, said):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ValueError, match=said):
        identity(tls=True, authorities=file)


def test_the_headers_reach_a_site_over_rest():
    site = RestSite("aws", "127.0.0.25", free_port("127.0.0.25"))
    try:
        RestTransport(DOMAIN, PROVEN).signatures(site.address, site.port, "scenes", 5)
        sent = site.behaviour.requests[-1]["headers"]
    finally:
        site.stop()
    assert (sent["authorization"], sent["x-api-key"]) == (f"Bearer {TOKEN}", KEY)


def test_the_headers_reach_a_site_over_grpc():
    site = GrpcSite("aws", "127.0.0.26", free_port("127.0.0.26"))
    transport = GrpcTransport(DOMAIN, PROVEN)
    try:
        transport.signatures(site.address, site.port, "scenes", 5)
        sent = site.behaviour.requests[-1]["headers"]
    finally:
        transport.close()
        site.stop()
    assert (sent["authorization"], sent["x-api-key"]) == (f"Bearer {TOKEN}", KEY)


@pytest.mark.parametrize("trusted", [True, False])
def test_a_named_authority_is_trusted_over_rest_and_the_machines_are_not_enough(tmp_path, trusted):
    file = certificate(tmp_path, DOMAIN)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    site = RestSite("aws", "127.0.0.27", free_port("127.0.0.27"), context)
    try:
        transport = RestTransport(DOMAIN, identity(tls=True, authorities=public_part(file) if trusted else None))
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
    transport = GrpcTransport(DOMAIN, identity(tls=True, authorities=public_part(file) if trusted else None))
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


def public_part(file):
    """The certificate of a file that also holds the key."""
    text = file.read_text()
    public = file.with_name("public.pem")
    public.write_text(text[text.index("-----BEGIN CERTIFICATE") :])
    return public
