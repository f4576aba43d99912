"""A site without model servers, callers that must show who they are, and TLS: on the running clouds."""

import contextlib
import json
import os
import socket
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from localcloud.addresses import to_loopback
from serving.client import PredictClient
from tests.e2e.conftest import ROOT, LocalRun, photo

pytestmark = pytest.mark.e2e
SITE, OTHERS = "gcp", {"aws", "azure"}
PEER_PORT = 8443
SETTLED_S = 60.0
IMAGE = str(photo("chelsea.png"))


def kubectl(run: LocalRun, *arguments: str, stdin: str | None = None) -> str:
    """Run kubectl on the site's cluster and return what it prints."""
    command = ["kubectl", "--context", SITE, "--namespace", "serving", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=run.environment, input=stdin or "", capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def apply(run: LocalRun, *objects: dict) -> None:
    kubectl(run, "apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))


def wait_until(condition: Callable[[], bool], what: str, seconds: float = SETTLED_S) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:g} s still waiting for {what}"
        time.sleep(0.5)


def public_address(run: LocalRun) -> str:
    service = json.loads(kubectl(run, "get", "service", "serving-public", "-n", "envoy-gateway-system", "-o", "json"))
    return str(service["status"]["loadBalancer"]["ingress"][0]["ip"])


@contextlib.contextmanager
def client(run: LocalRun, **options: object) -> Iterator[PredictClient]:
    environment = run.environment
    with PredictClient(
        environment["TRICORN_DOMAIN"], port=int(environment["TRICORN_PORT"]), dns=environment["TRICORN_DNS"], **options
    ) as found:
        yield found


def sites(asked: PredictClient, count: int, *, rest: bool = False) -> Counter[str]:
    """Return who answered requests that were all sent to the one site; one that fails fails the test."""
    image = photo("chelsea.png").read_bytes()
    found: Counter[str] = Counter()
    for _ in range(count):
        answer = asked.predict("scenes", {"image_bytes": [image]}, site=SITE, rest=rest)
        assert answer.attempts == 1
        found[answer.site] += 1
    return found


def once(run: LocalRun, *arguments: str, **variables: str) -> str:
    """Send one request to the site; return its name, or the code of the error."""
    done = subprocess.run(
        [f"{ROOT}/.venv/bin/python", "-m", "serving", "predict", "scenes", IMAGE, "--json", "--site", SITE,
         "--timeout", "4", *arguments],
        cwd=ROOT, env={**run.environment, **variables}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    if done.returncode == 0:
        return str(json.loads(done.stdout)["site"])
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.strip().splitlines() if not line.startswith("warning: ")]
    assert len(errors) == 1, done.stderr
    return errors[0].removeprefix("error: ").partition(":")[0]


def scale(run: LocalRun, replicas: int) -> None:
    kubectl(run, "scale", "deployment", "scenes-v1", f"--replicas={replicas}")


@pytest.mark.timeout(600)  # a model server is ended and another one loads the model
def test_a_site_that_loses_its_model_servers_goes_on_answering_through_its_peers(local_run: LocalRun):
    with client(local_run) as asked:
        assert sites(asked, 5) == {SITE: 5}
        scale(local_run, 0)
        try:
            wait_until(lambda: set(sites(asked, 2)) <= OTHERS, "peers to answer")
            for rest in (False, True):
                seen = sites(asked, 10, rest=rest)
                assert set(seen) == OTHERS
            # The site says that it cannot serve itself, so that DNS leads callers elsewhere.
            done = local_run.python("serving", "status", "--json")
            states = {each["site"]: each["healthy"] for each in json.loads(done.stdout)["sites"]}
            assert states == {SITE: False, **dict.fromkeys(OTHERS, True)}
        finally:
            scale(local_run, 1)
        wait_until(lambda: sites(asked, 3) == {SITE: 3}, "the site to answer itself again", 120)


def answer_of_peer_port(address: str) -> bytes:
    """Return the first byte that a client without a certificate is sent, whoever the server is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((address, PEER_PORT), timeout=5) as plain,
        context.wrap_socket(plain) as secured,
    ):
        secured.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        return secured.recv(1)


def test_nobody_without_a_certificate_of_a_peer_gets_in_by_the_peers_port(local_run: LocalRun):
    address = to_loopback(public_address(local_run))

    def refused() -> bool:
        try:
            answer = answer_of_peer_port(address)
        except ssl.SSLError as error:
            # In TLS 1.3 a client learns of the refusal when it reads; a listener that is just replaced only closes.
            return "certificate required" in str(error).lower().replace("_", " ")
        except ConnectionError:
            return False
        raise AssertionError(f"the port answered a client without a certificate: {answer!r}")

    wait_until(refused, "the refusal of a client without a certificate", 15)


def test_every_certificate_is_ready_and_every_object_of_the_gateway_accepted(local_run: LocalRun):
    kinds = "certificates,issuers,backends,clienttrafficpolicies,backendtrafficpolicies,grpcroutes,httproutes,gateways"
    items = json.loads(kubectl(local_run, "get", kinds, "-o", "json"))["items"]
    assert {each["kind"] for each in items} >= {"Certificate", "Issuer", "Backend", "ClientTrafficPolicy", "GRPCRoute"}
    for each in items:
        status = each.get("status") or {}
        holders = [*status.get("parents", []), *status.get("ancestors", []), *status.get("listeners", []), status]
        found = {c["type"]: c["status"] for holder in holders for c in holder.get("conditions", [])}
        name = f"{each['kind']} {each['metadata']['name']}"
        assert found, f"{name} has no status"
        assert found.keys() & {"Ready", "Accepted"}, name
        assert set(found.values()) == {"True"}, f"{name}: {found}"


@pytest.fixture
def keys(local_run: LocalRun) -> Iterator[None]:
    group = "gateway.networking.k8s.io"
    targets = [{"group": group, "kind": kind, "name": "scenes"} for kind in ("GRPCRoute", "HTTPRoute")]
    secret = {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "callers", "namespace": "serving"},
        "stringData": {"alice": "key-of-alice"},
    }  # fmt: skip
    policy = {
        "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "SecurityPolicy",
        "metadata": {"name": "callers", "namespace": "serving"},
        "spec": {
            "targetRefs": targets,
            "apiKeyAuth": {
                "credentialRefs": [{"group": "", "kind": "Secret", "name": "callers"}],
                "extractFrom": [{"headers": ["x-api-key"]}], "sanitize": True,
            },
        },
    }  # fmt: skip
    apply(local_run, secret, policy)
    yield
    kubectl(local_run, "delete", "securitypolicy", "callers")
    kubectl(local_run, "delete", "secret", "callers")
    wait_until(lambda: once(local_run) == SITE, "the site to be open again")


def test_where_keys_are_asked_for_only_their_owners_are_answered(local_run: LocalRun, keys: None):
    wait_until(lambda: once(local_run) == "UNAUTHENTICATED", "the key to be asked for")
    assert once(local_run, "--rest") == "UNAUTHENTICATED"
    assert once(local_run, TRICORN_API_KEY="key-of-alice") == SITE
    assert once(local_run, "--rest", TRICORN_API_KEY="key-of-alice") == SITE
    assert once(local_run, TRICORN_API_KEY="key-of-nobody") == "UNAUTHENTICATED"


@pytest.fixture
def limited(local_run: LocalRun) -> Iterator[None]:
    limit = {"local": {"rules": [{"limit": {"requests": 1, "unit": "Hour"}}]}}
    kubectl(local_run, "patch", "backendtrafficpolicy", "scenes", "--type=merge", "-p",
            json.dumps({"spec": {"rateLimit": limit}}))  # fmt: skip
    yield
    remove = json.dumps([{"op": "remove", "path": "/spec/rateLimit"}])
    kubectl(local_run, "patch", "backendtrafficpolicy", "scenes", "--type=json", "-p", remove)
    wait_until(lambda: once(local_run, "--rest") == SITE, "the limit to be gone")


def test_a_caller_beyond_the_limit_is_told_so(local_run: LocalRun, limited: None):
    wait_until(lambda: once(local_run, "--rest") == "RESOURCE_EXHAUSTED", "the limit")
    done = local_run.python("serving", "predict", "scenes", IMAGE, "--site", SITE, "--rest", "--timeout", "2")
    assert "rate_limited" in done.stderr


@pytest.fixture
def secured(local_run: LocalRun) -> Iterator[None]:
    """The site's public port with TLS, by a certificate that cert-manager gets by DNS-01."""
    domain = local_run.environment["TRICORN_DOMAIN"]
    acme = {
        "server": "https://acme.example.test/directory", "email": "ops@example.test",
        "privateKeySecretRef": {"name": "acme-account"}, "solvers": [{"dns01": {"route53": {"region": "us-east-1"}}}],
    }  # fmt: skip
    issuer = {"kind": "ClusterIssuer", "name": "acme-test"}
    apply(
        local_run,
        {
            "apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": {"name": "acme-test"},
            "spec": {"acme": acme},
        },
        {
            "apiVersion": "cert-manager.io/v1", "kind": "Certificate",
            "metadata": {"name": "front", "namespace": "serving"},
            "spec": {"secretName": "front", "dnsNames": [domain], "issuerRef": issuer},
        },
    )  # fmt: skip
    kubectl(local_run, "wait", "--for=condition=Ready", "certificate/front", "--timeout=60s")
    tls = {"mode": "Terminate", "certificateRefs": [{"group": "", "kind": "Secret", "name": "front"}]}
    listener = "/spec/listeners/0"
    change = [
        {"op": "replace", "path": f"{listener}/protocol", "value": "HTTPS"},
        {"op": "add", "path": f"{listener}/tls", "value": tls},
    ]
    kubectl(local_run, "patch", "gateway", "serving", "--type=json", "-p", json.dumps(change))
    yield
    back = [
        {"op": "replace", "path": f"{listener}/protocol", "value": "HTTP"},
        {"op": "remove", "path": f"{listener}/tls"},
    ]
    kubectl(local_run, "patch", "gateway", "serving", "--type=json", "-p", json.dumps(back))
    kubectl(local_run, "delete", "certificate", "front")
    kubectl(local_run, "delete", "secret", "front")
    kubectl(local_run, "delete", "clusterissuer", "acme-test")
    wait_until(lambda: once(local_run) == SITE, "the site without TLS")


def test_a_caller_that_trusts_the_authority_is_answered_over_tls_and_others_are_not(local_run: LocalRun, secured: None):
    authority = str(local_run.root / "ca" / "ca.crt")
    wait_until(lambda: once(local_run, "--ca", authority) == SITE, "TLS")
    assert once(local_run, "--ca", authority, "--rest") == SITE
    assert once(local_run, "--tls") == "UNAVAILABLE"
    assert once(local_run) == "UNAVAILABLE"
    with client(local_run, ca=authority) as asked:
        assert sites(asked, 3) == {SITE: 3}


def test_what_these_tests_changed_is_as_the_program_wants_it_again(local_run: LocalRun):
    assert "TRICORN_API_KEY" not in os.environ
    done = local_run.run(
        "pulumi", "preview", "-s", "local", "--refresh", "--expect-no-changes", "--non-interactive", timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
