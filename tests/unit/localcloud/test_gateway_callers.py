"""Who may ask for predictions, and how often, at a real Envoy: the policies of `serving.access` as callers see them."""

import base64
import http.client
import json
import time
from concurrent import futures

import grpc
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from gateway_envoy import Envoy
from gateway_peering import METHOD, NAMESPACE, PEER_PORT, PUBLIC_PORT, Site, authority, cluster_objects, leaf

from localcloud.addresses import to_loopback
from serving.settings_access import Callers

pytestmark = pytest.mark.tools
SITE = Site("aws", "203.0.113.246", "10.250.1.13", "10.250.2.13")
PEER = Site("gcp", "203.0.113.247", "10.250.1.14", "10.250.2.14")
ISSUER, AUDIENCE = "https://issuer.example.test", "tricorn"
KEY = ec.generate_private_key(ec.SECP256R1())


def url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwks(key):
    numbers = key.public_key().public_numbers()
    x, y = (url64(each.to_bytes(32, "big")) for each in (numbers.x, numbers.y))
    return json.dumps(
        {"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "alg": "ES256", "use": "sig", "x": x, "y": y}]}
    )


def token(key=KEY, **claims):
    head = {"alg": "ES256", "kid": "k", "typ": "JWT"}
    body = {"iss": ISSUER, "aud": AUDIENCE, "sub": "caller", "exp": int(time.time()) + 300, **claims}
    text = ".".join(url64(json.dumps(each).encode()) for each in (head, body))
    r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{url64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def keys(**callers):
    data = {name: base64.b64encode(value.encode()).decode() for name, value in callers.items()}
    metadata = {"name": "callers", "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": data}


@pytest.fixture(scope="module")
def server():
    seen = []

    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            seen.append(dict(details.invocation_metadata))
            return grpc.unary_unary_rpc_method_handler(lambda request, context: b"aws")

    found = grpc.server(futures.ThreadPoolExecutor(4))
    found.add_generic_rpc_handlers((Handler(),))
    found.add_insecure_port(f"{to_loopback(SITE.pod)}:8500")
    found.start()
    yield seen
    found.stop(0)


@pytest.fixture
def gateway(tmp_path, server):
    envoy = Envoy(tmp_path, ("127.250.0.3", 19000))
    root, other = authority("root"), authority("other")

    def place(callers, *more):
        objects = cluster_objects(
            SITE, PEER, leaf(root, "aws.peer.example.test"), other.certificate,
            callers=Callers.model_validate(callers, by_name=True),
        )  # fmt: skip
        backends = {(SITE.service, 8500): [(SITE.pod, 8500)]}
        envoy.place([*objects, *more], SITE.public, (PUBLIC_PORT, PEER_PORT), backends)
        with grpc.insecure_channel(f"{to_loopback(SITE.public)}:{PUBLIC_PORT}") as channel:
            grpc.channel_ready_future(channel).result(15)
        return envoy

    yield place
    envoy.stop()


def call(**metadata):
    """Return the status of one request with these headers."""
    pairs = [("x-model", "scenes"), *((name.replace("_", "-"), value) for name, value in metadata.items())]
    with grpc.insecure_channel(f"{to_loopback(SITE.public)}:{PUBLIC_PORT}") as channel:
        try:
            channel.unary_unary(METHOD)(b"x", timeout=5, metadata=pairs, wait_for_ready=True)
        except grpc.RpcError as error:
            return error.code().name
        return "OK"


def rest(path="/v1/models/scenes:predict", **headers):
    connection = http.client.HTTPConnection(to_loopback(SITE.public), PUBLIC_PORT, timeout=5)
    connection.request("POST", path, b"{}", headers)
    return connection.getresponse().status


def test_a_caller_without_a_key_is_refused_and_the_key_goes_no_further(gateway, server):
    gateway({"api_keys": {"secret": "callers"}}, keys(alice="k-alice", bob="k-bob"))
    assert call() == "UNAUTHENTICATED"
    assert rest() == 401
    assert call(x_api_key="k-nobody") == "UNAUTHENTICATED"
    server.clear()
    assert [call(x_api_key=each) for each in ("k-alice", "k-bob")] == ["OK", "OK"]
    assert server
    assert not any("x-api-key" in each for each in server)


def test_a_key_that_is_taken_out_of_the_secret_stops_working(gateway):
    gateway({"api_keys": {"secret": "callers"}}, keys(alice="k-alice", bob="k-bob"))
    assert call(x_api_key="k-bob") == "OK"
    gateway({"api_keys": {"secret": "callers"}}, keys(alice="k-alice"))
    deadline = time.monotonic() + 10
    while call(x_api_key="k-bob") == "OK" and time.monotonic() < deadline:
        time.sleep(0.2)
    assert call(x_api_key="k-bob") == "UNAUTHENTICATED"
    assert call(x_api_key="k-alice") == "OK"


def test_only_tokens_of_the_issuer_for_this_audience_and_in_time_are_taken(gateway):
    gateway({"jwt": {"issuer": ISSUER, "audiences": [AUDIENCE], "jwks": jwks(KEY)}})
    assert call() == "UNAUTHENTICATED"
    assert call(authorization=f"Bearer {token()}") == "OK"
    bad = {
        "another issuer": token(iss="https://other.test"),
        "another audience": token(aud="other"),
        "expired": token(exp=int(time.time()) - 300),
        "another key": token(ec.generate_private_key(ec.SECP256R1())),
    }
    answers = {name: call(authorization=f"Bearer {each}") for name, each in bad.items()}
    assert set(answers.values()) <= {"UNAUTHENTICATED", "PERMISSION_DENIED"}, answers
    assert rest(f"/v1/models/scenes:predict?access_token={token()}") == 401


def test_with_keys_and_tokens_either_is_enough_and_neither_is_refused(gateway):
    callers = {"jwt": {"issuer": ISSUER, "audiences": [AUDIENCE], "jwks": jwks(KEY)}, "api_keys": {"secret": "callers"}}
    gateway(callers, keys(alice="k-alice"))
    assert call(x_api_key="k-alice") == "OK"
    assert call(authorization=f"Bearer {token()}") == "OK"
    assert call() == "UNAUTHENTICATED"
    assert call(x_api_key="wrong", authorization=f"Bearer {token()}") == "UNAUTHENTICATED"


def test_health_checks_need_no_credentials(gateway):
    gateway({"api_keys": {"secret": "callers"}}, keys(alice="k-alice"))
    # No REST server runs here: what counts is that the request gets past the policy.
    assert rest("/-/local-health/scenes") == 503


def test_requests_beyond_the_limit_are_told_so_and_later_ones_served(gateway):
    gateway({"requests_per_second": 5})
    answers = [call() for _ in range(15)]
    assert answers[0] == "OK"
    # Envoy Gateway has no way to say RESOURCE_EXHAUSTED: gRPC reads status 429 as UNAVAILABLE.
    assert set(answers) == {"OK", "UNAVAILABLE"}
    assert {rest() for _ in range(10)} >= {429}
    time.sleep(1.2)
    assert call() == "OK"


def test_every_policy_is_accepted(gateway):
    callers = {
        "jwt": {"issuer": ISSUER, "audiences": [AUDIENCE], "jwks": jwks(KEY)}, "api_keys": {"secret": "callers"},
        "requests_per_second": 5,
    }  # fmt: skip
    envoy = gateway(callers, keys(alice="k-alice"))
    policies = {key: status for key, status in envoy.statuses.items() if key[0] == "SecurityPolicy"}
    assert len(policies) == 2
    for status in policies.values():
        found = [each for ancestor in status["ancestors"] for each in ancestor["conditions"]]
        assert {(each["type"], each["status"]) for each in found} == {("Accepted", "True")}
    assert "k-alice" in "".join(file.read_text() for file in envoy.directory.iterdir() if file.suffix == ".json")
    holders = [file for file in envoy.directory.iterdir() if file.is_file() and "k-alice" in file.read_text()]
    assert all(file.stat().st_mode & 0o077 == 0 for file in holders)
