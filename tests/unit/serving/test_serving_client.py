import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack

import numpy as np
import pytest
from fake_sites import DOMAIN, LABELS

from serving import client as client_module
from serving import transports
from serving.client import PredictClient, PredictError
from serving.resolver import ResolutionError, Resolver

INPUTS = {"image_bytes": [b"photo"]}


@pytest.fixture
def opened(request):
    """Make clients of a world that are closed at the end."""
    with ExitStack() as stack:

        def open_(world, **options) -> PredictClient:
            return stack.enter_context(PredictClient(DOMAIN, port=world.port, dns=world.dns.address, **options))

        yield open_


def failure(call) -> PredictError:
    with pytest.raises(PredictError) as caught:
        call()
    return caught.value


def test_a_prediction_has_outputs_site_address_latency_and_attempts(world, opened):
    world.only("gcp")
    found = opened(world).predict("scenes", INPUTS)
    assert found.outputs["labels"].tolist() == [LABELS]
    assert found.outputs["scores"].dtype == np.float32
    assert (found.site, found.address, found.attempts) == ("gcp", "127.0.0.22", 1)
    assert 0 < found.latency_s < 5


def test_model_version_and_signature_are_told_and_the_model_is_in_the_metadata(world, opened):
    world.only("aws")
    opened(world).predict("scenes", INPUTS, "other", 7)
    (request,) = world.sites["aws"].behaviour.requests
    assert request["model"] == "scenes"
    assert (request["spec"].name, request["spec"].signature_name) == ("scenes", "other")
    assert request["spec"].version.value == 7


@pytest.mark.parametrize(
    "code", ["INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "PERMISSION_DENIED", "INTERNAL"]
)
def test_errors_of_the_request_are_never_sent_twice(world, opened, code):
    for site in world.sites.values():
        site.behaviour.code = code
    error = failure(lambda: opened(world).predict("scenes", INPUTS))
    assert (error.code, error.message, error.attempts) == (code, "as told", 1)
    assert sum(world.asked().values()) == 1


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"])
def test_errors_of_a_site_send_the_request_to_another_one_and_keep_the_next_ones_away(world, opened, code):
    world.only("aws")
    world.sites["aws"].behaviour.code = code
    client = opened(world)
    first = client.predict("scenes", INPUTS)
    assert (first.site, first.attempts) in {("gcp", 2), ("azure", 2)}
    for _ in range(5):
        assert client.predict("scenes", INPUTS).attempts == 1
    assert world.asked()["aws"] == 1


def test_after_the_penalty_a_site_is_asked_again(world, opened, monkeypatch):
    monkeypatch.setattr(client_module, "PENALTY_S", 0.2)
    world.only("aws")
    world.sites["aws"].behaviour.code = "UNAVAILABLE"
    client = opened(world)
    client.predict("scenes", INPUTS)
    world.sites["aws"].behaviour.code = ""
    time.sleep(0.3)
    assert client.predict("scenes", INPUTS).site == "aws"


def test_other_answers_of_the_name_come_before_the_sites_of_the_srv_records(world, opened):
    world.only("aws", "azure")
    world.sites["aws"].stop()
    client = opened(world)
    assert {client.predict("scenes", INPUTS).site for _ in range(10)} == {"azure"}
    assert world.asked()["gcp"] == 0


def test_a_site_of_weight_zero_gets_no_request_unless_asked_by_name(world, opened):
    world.dns.sites["azure"] = ("127.0.0.23", 0)
    world.only("aws")
    for name in ("aws", "gcp"):
        world.sites[name].stop()
    client = opened(world)
    assert failure(lambda: client.predict("scenes", INPUTS, timeout_s=0.8)).code == "UNAVAILABLE"
    assert world.asked()["azure"] == 0
    assert client.predict("scenes", INPUTS, site="azure").site == "azure"


def test_penalised_sites_are_better_than_none(world, opened):
    for site in world.sites.values():
        site.behaviour.code = "UNAVAILABLE"
    client = opened(world)
    failure(lambda: client.predict("scenes", INPUTS, timeout_s=0.3))
    for site in world.sites.values():
        site.behaviour.code = ""
    assert client.predict("scenes", INPUTS).site


def test_when_nobody_answers_the_error_names_the_last_address_within_the_deadline(world, opened):
    for site in world.sites.values():
        site.stop()
    started = time.monotonic()
    error = failure(lambda: opened(world).predict("scenes", INPUTS, timeout_s=1.5))
    assert time.monotonic() - started < 3
    assert error.code == "UNAVAILABLE"
    assert f":{world.port}: " in error.message
    assert "refused" in error.message.lower()
    assert error.attempts >= 3


def test_between_rounds_the_client_waits_longer_and_longer(world, opened, monkeypatch):
    pauses = []
    sleep = time.sleep
    monkeypatch.setattr(client_module.time, "sleep", lambda seconds: (pauses.append(seconds), sleep(0.001)))
    for site in world.sites.values():
        site.stop()
    clock = iter(range(0, 10_000))
    monkeypatch.setattr(client_module.time, "monotonic", lambda: next(clock) / 20)
    failure(lambda: opened(world).predict("scenes", INPUTS))
    bounds = [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert len(pauses) >= 3
    assert all(bound / 2 <= pause <= bound for pause, bound in zip(pauses, bounds, strict=False))


def test_a_site_that_hangs_costs_one_attempt_and_not_the_deadline(world, opened, monkeypatch):
    monkeypatch.setattr(client_module, "ATTEMPT_S", 0.4)
    world.only("aws")
    world.sites["aws"].behaviour.delay_s = 3
    found = opened(world).predict("scenes", INPUTS)
    assert found.site != "aws"
    assert 0.4 <= found.latency_s < 2


@pytest.mark.parametrize("rest", [False, True])
def test_an_address_that_swallows_packets_costs_the_connect_limit(world, rest_world, opened, monkeypatch, rest):
    monkeypatch.setattr(transports, "CONNECT_S", 0.5)
    monkeypatch.setattr("serving.rest.CONNECT_S", 0.5)
    here = rest_world if rest else world
    here.only("aws")
    here.sites["aws"].stop()
    with ExitStack() as stack:
        hole = stack.enter_context(socket.socket())
        hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        hole.bind(("127.0.0.21", here.port))
        hole.listen(0)
        for _ in range(3):  # fill the queue of connections, then nobody answers any more
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.21", here.port))
        found = opened(here).predict("scenes", INPUTS, rest=rest)
    assert found.site != "aws"
    assert 0.4 <= found.latency_s < 4


def test_no_request_is_lost_when_a_site_dies_and_returns_under_load(world, opened):
    client = opened(world)
    client.predict("scenes", INPUTS)
    answers, lost, stop = [], [], threading.Event()

    def send() -> None:
        while not stop.is_set():
            try:
                answers.append((time.monotonic(), client.predict("scenes", INPUTS)))
            except PredictError as error:
                lost.append(error)
            time.sleep(0.005)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(0.5)
        world.only("gcp")
        time.sleep(1.2)
        world.sites["gcp"].stop()
        died = time.monotonic()
        time.sleep(1.5)
        world.sites["gcp"].start()
        time.sleep(0.5)
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)
    assert not lost
    before = Counter(found.site for when, found in answers if when < died)
    after = Counter(found.site for when, found in answers if died + 0.1 < when < died + 1.4)
    assert before["gcp"]
    assert after
    assert not after["gcp"]


def test_a_dead_dns_server_does_not_stop_a_client_that_knows_its_sites(world, opened, monkeypatch):
    monkeypatch.setattr("serving.resolver.QUERY_S", 0.3)
    world.only("aws")
    client = opened(world)
    client.predict("scenes", INPUTS)
    world.sites["aws"].behaviour.code = "UNAVAILABLE"
    client.predict("scenes", INPUTS)  # now the other sites are known too
    world.dns.stop()
    time.sleep(1.1)  # longer than the answers' TTL
    waited = []
    for _ in range(5):
        started = time.monotonic()
        assert client.predict("scenes", INPUTS).site in {"gcp", "azure"}
        waited.append(time.monotonic() - started)
    assert max(waited[1:]) < 0.2  # only the first request waits for the DNS server


def test_a_name_without_addresses_is_served_by_its_sites(world, opened):
    world.dns.public = []
    assert opened(world).predict("scenes", INPUTS).site in world.sites


def test_a_name_without_srv_records_is_served_by_its_addresses(world, opened):
    world.dns.services = False
    world.only("aws", "gcp")
    world.sites["aws"].stop()
    assert opened(world).predict("scenes", INPUTS).site == "gcp"


def test_an_unknown_name_is_an_error_at_once_that_says_what_to_check(world):
    started = time.monotonic()
    with PredictClient("nowhere.test", port=world.port, dns=world.dns.address) as client:
        error = failure(lambda: client.predict("scenes", INPUTS))
    assert time.monotonic() - started < 3
    assert "nowhere.test" in error.message
    assert "check the domain" in error.message


def test_a_dns_server_that_does_not_answer_is_an_error_that_names_it(world):
    with PredictClient(DOMAIN, port=world.port, dns="127.0.0.1:1") as client:
        error = failure(lambda: client.predict("scenes", INPUTS))
    assert "127.0.0.1:1 gives no answer" in error.message
    assert "--dns" in error.message


def test_an_unknown_site_is_an_error_that_lists_the_known_ones(world, opened):
    error = failure(lambda: opened(world).predict("scenes", INPUTS, site="mars"))
    assert "no site 'mars'; use one of aws, azure, gcp" in error.message


def test_new_callers_are_spread_by_the_weights(world):
    seen = Counter(Resolver(DOMAIN, world.dns.address).addresses()[0] for _ in range(400))
    shares = {address: count / 400 for address, count in seen.items()}
    assert shares["127.0.0.21"] == pytest.approx(0.5, abs=0.1)
    assert shares["127.0.0.23"] == pytest.approx(0.2, abs=0.08)


def test_sites_to_fail_over_to_are_drawn_by_the_weights(world):
    world.dns.sites["azure"] = ("127.0.0.23", 0)
    resolver = Resolver(DOMAIN, world.dns.address)
    first = Counter(resolver.shuffled_sites()[0].name for _ in range(2000))
    assert first["aws"] / 2000 == pytest.approx(50 / 80, abs=0.05)
    assert first["azure"] == 0
    assert resolver.shuffled_sites()[-1].name == "azure"


def test_answers_are_kept_for_their_ttl(world):
    world.dns.ttl = 60
    resolver = Resolver(DOMAIN, world.dns.address)
    assert resolver.addresses() == resolver.addresses()
    assert world.dns.queries == 1
    resolver.ask()
    assert world.dns.queries == 2


@pytest.mark.parametrize("text", ["host:port", ":53", "127.0.0.1:99999", "dns.example.com:53", "127.0.0.1:"])
def test_a_malformed_dns_server_is_refused_with_an_example(text):
    with pytest.raises(ResolutionError, match=r"such as 127\.0\.0\.1:53 \(got"):
        Resolver(DOMAIN, text)


def test_domain_port_and_dns_server_come_from_the_environment(world, monkeypatch):
    monkeypatch.setenv("TRICORN_DOMAIN", DOMAIN)
    monkeypatch.setenv("TRICORN_PORT", str(world.port))
    monkeypatch.setenv("TRICORN_DNS", world.dns.address)
    with PredictClient() as client:
        assert client.predict("scenes", INPUTS).site in world.sites
    monkeypatch.setenv("TRICORN_PORT", "http")
    with pytest.raises(ValueError, match=r"TRICORN_PORT: must be a port .*'http'"):
        PredictClient()
    monkeypatch.delenv("TRICORN_DOMAIN")
    with pytest.raises(ValueError, match="set TRICORN_DOMAIN"):
        PredictClient()


@pytest.mark.parametrize(("tls", "port"), [(False, 80), (True, 443)])
def test_the_default_port_is_that_of_the_scheme(tls, port):
    with PredictClient(DOMAIN, dns="127.0.0.1:53", tls=tls) as client:
        assert client.port == port


def test_a_request_that_no_server_takes_is_refused_before_it_is_sent(world, opened, monkeypatch):
    monkeypatch.setattr(transports, "MAX_MESSAGE_BYTES", 4 << 20)
    error = failure(lambda: opened(world).predict("scenes", {"image": np.zeros(5 << 20, np.uint8)}))
    assert error.code == "INVALID_ARGUMENT"
    assert "5 MiB, more than 4" in error.message
    assert not sum(world.asked().values())


@pytest.mark.parametrize("rest", [False, True])
def test_signatures_tell_inputs_and_types(world, rest_world, opened, rest):
    found = opened(rest_world if rest else world).signatures("scenes", rest=rest)
    assert found["serving_default"] == {"image_bytes": "DT_STRING"}


def test_a_model_that_is_not_routed_is_named_in_the_error(world, opened):
    for site in world.sites.values():
        site.behaviour.code = "UNIMPLEMENTED"
    error = failure(lambda: opened(world).predict("scenes", INPUTS))
    assert "nothing there serves the model 'scenes'" in error.message
    assert error.attempts == 1


def test_importing_the_client_loads_nothing_heavy():
    code = (
        "import sys, serving.client; "
        "print([m for m in ('pydantic', 'numpy', 'grpc', 'tensorflow', 'pulumi', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_predicting_does_not_load_tensorflow(world):
    code = (
        "import sys; from serving.client import PredictClient\n"
        f"with PredictClient({DOMAIN!r}, {world.port}, {world.dns.address!r}) as c: c.predict('m', {{'x': [b'y']}})\n"
        "print([m for m in ('pydantic', 'tensorflow', 'pulumi') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
