import asyncio
import collections
import random
import socket

import pytest
from dnslib import QTYPE, RCODE, DNSRecord

from localcloud.context import CloudContext
from localcloud.dns.authority import DnsAuthority, choose
from localcloud.dns.health import HealthMonitor, probe
from localcloud.dns.server import serve
from localcloud.dns.zones import Answer, Calculated, HealthCheck, RecordSet, cloud_dns, route53
from localcloud.internet import Resolver
from localcloud.paths import RunPaths
from localcloud.store import Resource, Store

NAME = "serve.tricorn.test."


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "state.db")
    store.create()

    def put(cloud, type_, id_, inputs, outputs=None):
        store.put_resource(Resource(cloud, type_, id_, "urn", "active", inputs, outputs or {}))

    put("aws", "aws:route53/zone:Zone", "Z1", {"name": "serve.tricorn.test"})
    probe_inputs = {"type": "HTTP_STR_MATCH", "port": 8080, "resourcePath": "/h", "searchString": "AVAILABLE"}
    put("aws", "aws:route53/healthCheck:HealthCheck", "hc-a", {**probe_inputs, "ipAddress": "203.0.113.16"})
    for site, ip, weight, check in (("a", "203.0.113.16", 40, "hc-a"), ("b", "203.0.113.80", 60, "")):
        put("aws", "aws:route53/record:Record", f"r-{site}", {
            "zoneId": "Z1", "name": NAME[:-1], "type": "A", "ttl": 5, "records": [ip], "setIdentifier": site,
            "weightedRoutingPolicies": [{"weight": weight}], "healthCheckId": check,
        })  # fmt: skip
    put("aws", "aws:route53/record:Record", "r-s", {
        "zoneId": "Z1", "name": "a", "type": "A", "ttl": 5, "records": ["203.0.113.16"]})  # fmt: skip
    put("aws", "aws:route53/record:Record", "r-srv", {
        "zoneId": "Z1", "name": "_predict._tcp." + NAME[:-1], "type": "SRV", "ttl": 5,
        "records": [f"0 40 8080 a.{NAME}", f"0 60 8080 b.{NAME}"]})  # fmt: skip
    put("gcp", "gcp:dns/managedZone:ManagedZone", "projects/p/managedZones/z", {"name": "z", "dnsName": NAME})
    put("gcp", "gcp:compute/healthCheck:HealthCheck", "projects/p/hc", {
        "checkIntervalSec": 30, "unhealthyThreshold": 3,
        "httpHealthCheck": {"port": 8080, "requestPath": "/h"}})  # fmt: skip
    put("gcp", "gcp:dns/recordSet:RecordSet", "rs", {
        "managedZone": "z", "name": NAME, "type": "A", "ttl": 5,
        "routingPolicy": {"healthCheck": "projects/p/hc", "wrrs": [
            {"weight": 40, "healthCheckedTargets": {"externalEndpoints": ["203.0.113.16"]}},
            {"weight": 0, "healthCheckedTargets": {"externalEndpoints": ["203.0.113.80"]}}]},
    })  # fmt: skip
    return store


def test_route53_reads_weights_checks_and_names_relative_to_the_zone(store):
    zones = route53(store)
    record = zones.records[(NAME, "A")]
    assert record.weighted
    assert sorted((a.addresses, a.weight, a.check) for a in record.answers) == [
        (("203.0.113.16",), 40, "hc-a"),
        (("203.0.113.80",), 60, ""),
    ]
    assert not zones.records[("a." + NAME, "A")].weighted
    assert zones.checks["hc-a"].search == "AVAILABLE"


def test_cloud_dns_gives_every_target_its_own_check(store):
    zones = cloud_dns(store)
    assert {check.address for check in zones.checks.values()} == {"203.0.113.16", "203.0.113.80"}
    assert [a.weight for a in zones.records[(NAME, "A")].answers] == [40, 0]
    assert all(check.unhealthy_after == 3 for check in zones.checks.values())


def weighted(*answers):
    return RecordSet("n", "A", 5, weighted=True, answers=list(answers))


def test_answers_follow_the_weights():
    record = weighted(Answer(("a",), 90), Answer(("b",), 10), Answer(("c",), 0))
    monitor, generator = HealthMonitor(), random.Random(1)
    counts = collections.Counter(choose(record, monitor, generator)[0] for _ in range(2000))
    assert counts["c"] == 0
    assert 120 < counts["b"] < 280


class Unhealthy(HealthMonitor):
    def __init__(self, *keys):
        super().__init__()
        self.keys = keys

    def healthy(self, key):
        return key not in self.keys


def test_unhealthy_answers_are_left_out_and_all_unhealthy_fails_open():
    record = weighted(Answer(("a",), 1, "a"), Answer(("b",), 1, "b"), Answer(("c",), 0, "c"))
    generator = random.Random(1)
    assert {choose(record, Unhealthy("a"), generator)[0] for _ in range(50)} == {"b"}
    assert {choose(record, Unhealthy("a", "b", "c"), generator)[0] for _ in range(50)} == {"a", "b"}


def check_on(port, **changes):
    fields = {"key": "k", "address": "127.0.0.1", "port": port, "path": "/h", "host": "h", "search": "AVAILABLE"}
    fields |= {
        "https": False,
        "tcp_only": False,
        "interval_s": 0,
        "timeout_s": 2,
        "unhealthy_after": 2,
        "healthy_after": 2,
    }
    return HealthCheck(**(fields | changes))


async def web_server(body):
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


def test_a_probe_wants_the_search_string():
    async def scenario():
        server, port = await web_server(b'{"state": "AVAILABLE"}')
        async with server:
            assert await probe(check_on(port))
            assert not await probe(check_on(port, search="MISSING"))
        assert not await probe(check_on(port))

    asyncio.run(scenario())


def test_a_check_changes_its_mind_only_after_its_threshold():
    async def scenario():
        server, port = await web_server(b"AVAILABLE")
        monitor, check = HealthMonitor(), check_on(port)
        async with server:
            await monitor.step({"k": check})
            assert monitor.healthy("k")
        verdicts = []
        for _ in range(3):
            await monitor.step({"k": check})
            verdicts.append(monitor.healthy("k"))
        assert verdicts == [True, False, False]

    asyncio.run(scenario())


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe_socket:
        probe_socket.bind(("127.0.0.1", 0))
        return probe_socket.getsockname()[1]


def question(name):
    return DNSRecord.question(name, "A")


def test_the_authority_refuses_foreign_names_and_knows_what_it_lacks(store, tmp_path):
    authority = DnsAuthority(CloudContext("aws", RunPaths(tmp_path), store))
    authority._zones = route53(store)

    def rcode(name):
        return asyncio.run(authority.respond(question(name))).header.rcode

    assert rcode("example.org") == RCODE.REFUSED
    assert rcode("nothing.serve.tricorn.test") == RCODE.NXDOMAIN
    assert rcode("SERVE.tricorn.test") == RCODE.NOERROR


def test_the_resolver_takes_the_other_authority_when_one_is_silent_and_maps_addresses(store, tmp_path):
    async def scenario():
        authority = DnsAuthority(CloudContext("aws", RunPaths(tmp_path), store))
        authority._zones = route53(store)
        dead, alive = free_port(), free_port()
        server = asyncio.create_task(serve("127.0.0.1", alive, authority.respond))
        await asyncio.sleep(0.1)
        resolver = Resolver((("127.0.0.1", dead), ("127.0.0.1", alive)))
        try:
            for _ in range(5):
                reply = await resolver.respond(question("serve.tricorn.test"))
                [answer] = [str(rr.rdata) for rr in reply.rr if rr.rtype == QTYPE.A]
                assert answer in {"127.113.0.16", "127.113.0.80"}
        finally:
            server.cancel()

    asyncio.run(scenario())


def test_the_resolver_keeps_an_answer_for_its_ttl_and_fails_clearly_without_authorities():
    resolver = Resolver((("127.0.0.1", free_port()),))
    reply = asyncio.run(resolver.respond(question("serve.tricorn.test")))
    assert reply.header.rcode == RCODE.SERVFAIL


def test_service_records_name_every_site(store, tmp_path):
    authority = DnsAuthority(CloudContext("aws", RunPaths(tmp_path), store))
    authority._zones = route53(store)
    reply = asyncio.run(authority.respond(DNSRecord.question("_predict._tcp." + NAME, "SRV")))
    found = {(str(rr.rdata.target), rr.rdata.weight, rr.rdata.port) for rr in reply.rr}
    assert found == {("a." + NAME, 40, 8080), ("b." + NAME, 60, 8080)}


def test_a_check_over_others_is_healthy_while_enough_of_them_are(store):
    def put(id_, inputs):
        store.put_resource(Resource("aws", "aws:route53/healthCheck:HealthCheck", id_, "urn", "active", inputs, {}))

    put("over", {"type": "CALCULATED", "childHealthchecks": ["hc-a", "hc-b"], "childHealthThreshold": 1})
    zones = route53(store)
    assert "over" not in zones.checks
    assert zones.calculated["over"] == Calculated(("hc-a", "hc-b"), 1)
    record = weighted(Answer(("a1", "a2"), 1, "over"), Answer(("b",), 1))
    for down, expected in (((), {"a1", "b"}), (("hc-a",), {"a1", "b"}), (("hc-a", "hc-b"), {"b"})):
        monitor = UnhealthyChildren(*down)
        monitor.calculated = zones.calculated
        generator = random.Random(1)
        assert {choose(record, monitor, generator)[0] for _ in range(50)} == expected


class UnhealthyChildren(HealthMonitor):
    def __init__(self, *keys):
        super().__init__()
        self.keys = keys

    def healthy(self, key):
        return key not in self.keys and super().healthy(key)


def test_cloud_dns_leaves_out_the_addresses_that_are_down_and_answers_with_all_when_none_is_up():
    record = weighted(Answer(("a1", "a2"), 1, checks=("k1", "k2")))
    generator = random.Random(1)
    assert choose(record, Unhealthy(), generator) == ("a1", "a2")
    assert choose(record, Unhealthy("k1"), generator) == ("a2",)
    assert choose(record, Unhealthy("k1", "k2"), generator) == ("a1", "a2")


def test_cloud_dns_probes_every_address_of_a_target(store):
    store.put_resource(
        Resource("gcp", "gcp:dns/recordSet:RecordSet", "rs2", "urn", "active", {
            "managedZone": "z", "name": f"two.{NAME}", "type": "A", "ttl": 5,
            "routingPolicy": {"healthCheck": "projects/p/hc", "wrrs": [
                {"weight": 1, "healthCheckedTargets": {"externalEndpoints": ["203.0.113.17", "203.0.113.18"]}}]},
        }, {})
    )  # fmt: skip
    (answer,) = cloud_dns(store).records[(f"two.{NAME}", "A")].answers
    assert [cloud_dns(store).checks[key].address for key in answer.checks] == ["203.0.113.17", "203.0.113.18"]


def test_a_zone_says_who_its_name_servers_are(store, tmp_path):
    servers = ["ns-1.awsdns.com", "ns-a1.googledomains.com"]
    store.put_resource(
        Resource("aws", "aws:route53/record:Record", "r-ns", "urn", "active", {
            "zoneId": "Z1", "name": NAME[:-1], "type": "NS", "ttl": 3600, "records": servers}, {})
    )  # fmt: skip
    authority = DnsAuthority(CloudContext("aws", RunPaths(tmp_path), store))
    authority._zones = route53(store)
    reply = asyncio.run(authority.respond(DNSRecord.question(NAME, "NS")))
    assert sorted(str(each.rdata) for each in reply.rr) == [f"{each}." for each in servers]
