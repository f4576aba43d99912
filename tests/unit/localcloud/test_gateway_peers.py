"""Sites that stand in for each other: two real Envoys with TLS on both sides, and model servers that come and go."""

import collections
import time
from concurrent import futures

import grpc
import pytest
from gateway_envoy import Envoy
from gateway_peering import METHOD, PEER_PORT, PUBLIC_PORT, Site, authority, cluster_objects, leaf

from localcloud.addresses import to_loopback

pytestmark = pytest.mark.tools
SITES = {
    "aws": Site("aws", "203.0.113.248", "10.250.1.11", "10.250.2.11"),
    "gcp": Site("gcp", "203.0.113.249", "10.250.1.12", "10.250.2.12"),
}
PORTS = (PUBLIC_PORT, PEER_PORT)


def serve(site):
    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            return grpc.unary_unary_rpc_method_handler(lambda request, context: site.name.encode())

    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((Handler(),))
    server.add_insecure_port(f"{to_loopback(site.pod)}:8500")
    server.start()
    return server


class World:
    """Two sites with their gateways, servers and authorities."""

    def __init__(self, directory):
        self.authorities = {name: authority(f"{name} peers") for name in SITES}
        self.certificates = {name: leaf(self.authorities[name], f"{name}.peer.example.test") for name in SITES}
        self.envoys, self.servers, self.objects = {}, {}, {}
        for name, site in SITES.items():
            other = next(each for each in SITES.values() if each is not site)
            (directory / name).mkdir()
            self.envoys[name] = Envoy(directory / name, ("127.250.0.2", 19000 + len(self.envoys)))
            self.objects[name] = cluster_objects(
                site, other, self.certificates[name], self.authorities[other.name].certificate
            )
            self.servers[name] = serve(site)
            self.ready(name, True)

    def ready(self, name, ready):
        """Have the site's pod ready or not, as its EndpointSlice would say."""
        site = SITES[name]
        backends = {(site.service, 8500): [(site.pod, 8500)] if ready else []}
        self.envoys[name].place(self.objects[name], site.public, PORTS, backends)

    def kill(self, name):
        """End the site's model server without a word to anybody."""
        self.servers[name].stop(0).wait()

    def stop(self):
        for each in (*self.envoys.values(),):
            each.stop()
        for each in self.servers.values():
            each.stop(0)


@pytest.fixture
def world(tmp_path):
    found = World(tmp_path)
    yield found
    found.stop()


def ask(name, count=40, timeout=5.0):
    """Return who answered requests to a site's public address, or their errors."""
    counts = collections.Counter()
    with grpc.insecure_channel(f"{to_loopback(SITES[name].public)}:{PUBLIC_PORT}") as channel:
        call = channel.unary_unary(METHOD)
        grpc.channel_ready_future(channel).result(10)
        for _ in range(count):
            try:
                answer, details = call.with_call(b"x", timeout=timeout, metadata=(("x-model", "scenes"),))
                site = dict(details.initial_metadata())["x-served-by"]
                assert site == answer.decode()
                counts[site] += 1
            except grpc.RpcError as error:
                counts[error.code().name] += 1
    return counts


def settled(name, wanted, seconds=30.0):
    """Wait until every request to a site is answered as wanted; return the last answers."""
    deadline = time.monotonic() + seconds
    while (counts := ask(name, 10)) != {wanted: 10} and time.monotonic() < deadline:
        time.sleep(0.2)
    return counts


def peer_channel(site, certificate=None, key=None, roots=b""):
    credentials = grpc.ssl_channel_credentials(roots, key, certificate)
    options = [("grpc.ssl_target_name_override", f"{site.name}.peer.example.test")]
    return grpc.secure_channel(f"{to_loopback(site.public)}:{PEER_PORT}", credentials, options=options)


def test_a_site_serves_its_own_requests_while_it_can(world):
    assert settled("aws", "aws") == {"aws": 10}
    assert settled("gcp", "gcp") == {"gcp": 10}


def test_a_site_without_ready_pods_answers_through_its_peer_and_takes_over_again(world):
    assert settled("aws", "aws") == {"aws": 10}
    world.ready("aws", False)
    assert settled("aws", "gcp") == {"gcp": 10}
    assert ask("aws") == {"gcp": 40}
    assert ask("gcp") == {"gcp": 40}
    world.ready("aws", True)
    assert settled("aws", "aws") == {"aws": 10}


def test_no_request_is_lost_when_the_servers_die_before_anybody_notices(world):
    assert settled("aws", "aws") == {"aws": 10}
    world.kill("aws")
    assert ask("aws", 100) == {"gcp": 100}


def test_a_client_without_a_certificate_is_refused_at_the_peer_port(world):
    roots = world.authorities["aws"].certificate.encode()
    with peer_channel(SITES["aws"], roots=roots) as channel, pytest.raises(grpc.RpcError) as error:
        channel.unary_unary(METHOD)(b"x", timeout=3)
    assert error.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


@pytest.mark.parametrize(("issuer", "good"), [("gcp", True), ("aws", False), ("stranger", False)])
def test_only_certificates_of_peers_authorities_open_the_peer_port(world, issuer, good):
    signer = world.authorities.get(issuer) or authority("stranger")
    mine = leaf(signer, "gcp.peer.example.test")
    roots = world.authorities["aws"].certificate.encode()
    with peer_channel(SITES["aws"], mine.certificate.encode(), mine.key.encode(), roots) as channel:
        try:
            answer = channel.unary_unary(METHOD)(b"x", timeout=3, metadata=(("x-model", "scenes"),))
        except grpc.RpcError:
            answer = b""
    assert answer == (b"aws" if good else b"")


def test_a_peer_that_shows_another_name_gets_no_requests(world, tmp_path):
    world.certificates["gcp"] = leaf(world.authorities["gcp"], "somebody.else.test")
    site, other = SITES["gcp"], SITES["aws"]
    world.objects["gcp"] = cluster_objects(site, other, world.certificates["gcp"], world.authorities["aws"].certificate)
    world.ready("gcp", True)
    world.ready("aws", False)
    assert settled("aws", "UNAVAILABLE") == {"UNAVAILABLE": 10}


def test_when_no_site_has_a_server_requests_fail_fast_and_do_not_bounce(world):
    assert settled("aws", "aws") == {"aws": 10}
    world.ready("aws", False)
    world.ready("gcp", False)
    assert settled("aws", "UNAVAILABLE") == {"UNAVAILABLE": 10}
    started = time.monotonic()
    assert ask("aws", 20, timeout=5.0) == {"UNAVAILABLE": 20}
    assert (time.monotonic() - started) / 20 < 1.0
    assert world.envoys["gcp"].requests(PEER_PORT) > 0
    assert world.envoys["aws"].requests(PEER_PORT) == 0


def test_a_new_certificate_is_used_without_a_restart_or_a_lost_request(world):
    process = world.envoys["gcp"].process.pid
    world.ready("aws", False)
    assert settled("aws", "gcp") == {"gcp": 10}
    world.certificates["gcp"] = leaf(world.authorities["gcp"], "gcp.peer.example.test")
    world.objects["gcp"] = cluster_objects(
        SITES["gcp"], SITES["aws"], world.certificates["gcp"], world.authorities["aws"].certificate
    )
    world.ready("gcp", True)
    assert ask("aws", 100) == {"gcp": 100}
    assert world.envoys["gcp"].process.pid == process
    assert world.envoys["gcp"].process.poll() is None


def test_every_object_is_accepted_and_nothing_private_is_readable_by_others(world):
    for envoy in world.envoys.values():
        conditions = [
            (key, each["type"], each["status"])
            for key, status in envoy.statuses.items()
            for holder in (status.get("parents") or status.get("ancestors") or status.get("listeners") or [status])
            for each in holder.get("conditions", [])
        ]
        assert {(kind, status) for _, kind, status in conditions} <= {
            ("Accepted", "True"), ("ResolvedRefs", "True"), ("Programmed", "True"), ("Overridden", "True"),
        }  # fmt: skip
        kinds = {key[0] for key, _, _ in conditions}
        assert {"Gateway", "GRPCRoute", "Backend", "ClientTrafficPolicy", "BackendTrafficPolicy", "EnvoyProxy"} <= kinds
        keys = [file for file in envoy.directory.iterdir() if file.is_file() and "PRIVATE KEY" in file.read_text()]
        assert keys
        assert all(file.stat().st_mode & 0o077 == 0 for file in keys)
