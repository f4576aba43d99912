import json

import pytest

from localcloud.gateway import loadbalancer, xds
from localcloud.gateway.controller import _dated, _holds
from localcloud.gateway.translate import GatewayResources, plain, read
from localcloud.ledger import allocate_address
from localcloud.store import Store

SERVICE = {
    "metadata": {"name": "v1", "namespace": "serving"},
    "spec": {"clusterIP": "10.201.0.9", "ports": [{"name": "grpc", "port": 8500}, {"name": "http", "port": 8501}]},
}


def endpoint_slice(*endpoints):
    return {
        "metadata": {"name": "v1-x", "namespace": "serving", "labels": {"kubernetes.io/service-name": "v1"}},
        "ports": [{"name": "grpc", "port": 8500}, {"name": "http", "port": 8501}],
        "endpoints": [{"addresses": [ip], "conditions": {"ready": ready}} for ip, ready in endpoints],
    }


def resources():
    listener = {
        "name": "public",
        "address": {"socketAddress": {"address": "0.0.0.0", "portValue": 10080}},
        "filterChains": [
            {"filters": [{"typedConfig": {"rds": {"routeConfigName": "r", "configSource": {"ads": {}}}}}]}
        ],
    }
    ready = {"name": "ready", "address": {"socketAddress": {"address": "0.0.0.0", "portValue": 19003}}}
    cluster = {"name": "c", "type": "EDS", "edsClusterConfig": {"edsConfig": {"ads": {}}, "serviceName": "c"}}
    entries = [
        {"endpoint": {"address": {"socketAddress": {"address": ip, "portValue": port}}}}
        for ip, port in (("10.201.0.9", 8500), ("203.0.113.80", 8443))
    ]
    endpoints = {"clusterName": "c", "endpoints": [{"lbEndpoints": entries, "loadBalancingWeight": 90}]}
    return GatewayResources([listener, ready], [{"name": "r"}], [cluster], [endpoints])


def sockets(found):
    return [
        (
            each["endpoint"]["address"]["socketAddress"]["address"],
            each["endpoint"]["address"]["socketAddress"]["portValue"],
        )
        for locality in found["endpoints"]
        for each in locality["lbEndpoints"]
    ]


def test_only_ready_pods_are_behind_a_service_and_by_the_port_of_the_same_name():
    backends = loadbalancer.ready_backends([SERVICE], [endpoint_slice(("10.111.0.5", True), ("10.111.0.6", False))])
    assert backends[("10.201.0.9", 8500)] == [("10.111.0.5", 8500)]
    assert backends[("10.201.0.9", 8501)] == [("10.111.0.5", 8501)]


def test_services_become_their_pods_and_peers_their_loopback_address(tmp_path):
    backends = {("10.201.0.9", 8500): [("10.111.0.5", 8500), ("10.111.0.7", 8500)]}
    files = xds.files(resources(), tmp_path, {10080: 80}, ["203.0.113.16"], backends)
    (assignment,) = files[xds.file_name("endpoints", "c")]
    assert sockets(assignment) == [("127.111.0.5", 8500), ("127.111.0.7", 8500), ("127.113.0.80", 8443)]


def test_a_service_without_ready_pods_has_no_endpoint_but_keeps_its_weight(tmp_path):
    files = xds.files(resources(), tmp_path, {10080: 80}, ["203.0.113.16"], {})
    (assignment,) = files[xds.file_name("endpoints", "c")]
    assert sockets(assignment) == [("127.113.0.80", 8443)]
    assert assignment["endpoints"][0]["loadBalancingWeight"] == 90


def test_listeners_are_on_the_load_balancers_addresses_and_ports_only(tmp_path):
    files = xds.files(resources(), tmp_path, {10080: 80}, ["203.0.113.16", "203.0.113.17"], {})
    (listener,) = files["listeners.json"]
    assert listener["address"]["socketAddress"] == {"address": "127.113.0.16", "portValue": 80}
    assert listener["additionalAddresses"][0]["address"]["socketAddress"]["address"] == "127.113.0.17"
    assert "0.0.0.0" not in json.dumps(files)
    rds = listener["filterChains"][0]["filters"][0]["typedConfig"]["rds"]
    assert rds["configSource"]["pathConfigSource"]["path"] == str(tmp_path / xds.file_name("routes", "r"))


def test_without_a_load_balancer_nothing_listens(tmp_path):
    assert xds.files(resources(), tmp_path, {10080: 80}, [], {})["listeners.json"] == []
    assert xds.files(resources(), tmp_path, {}, ["203.0.113.16"], {})["listeners.json"] == []


def test_files_are_rewritten_only_when_they_differ(tmp_path):
    contents = xds.files(resources(), tmp_path, {10080: 80}, ["203.0.113.16"], {})
    assert xds.write(tmp_path, contents)
    assert not xds.write(tmp_path, contents)
    contents["listeners.json"] = []
    assert xds.write(tmp_path, contents)
    assert not list(tmp_path.glob(".*.part"))


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "state.db")
    store.create()
    return store


def balancer(annotations):
    return {"metadata": {"name": "lb", "namespace": "egs", "annotations": annotations}, "spec": {}}


def test_static_addresses_are_found_as_each_cloud_names_them(store):
    one = allocate_address(store, "aws", "eipalloc-1", "a")
    two = allocate_address(store, "aws", "eipalloc-2", "b")
    gcp = allocate_address(store, "gcp", "projects/p/x", "front")
    azure = allocate_address(store, "azure", "/subscriptions/x", "front")
    found = loadbalancer.public_addresses
    wanted = {"service.beta.kubernetes.io/aws-load-balancer-eip-allocations": "eipalloc-2,eipalloc-1"}
    assert found(store, "aws", "c", balancer(wanted)) == [two.ip, one.ip]
    wanted = {"networking.gke.io/load-balancer-ip-addresses": "front"}
    assert found(store, "gcp", "c", balancer(wanted)) == [gcp.ip]
    wanted = {"service.beta.kubernetes.io/azure-load-balancer-ipv4": azure.ip}
    assert found(store, "azure", "c", balancer(wanted)) == [azure.ip]


def test_an_unknown_static_address_is_refused_by_name(store):
    with pytest.raises(loadbalancer.AddressNotFound, match="eipalloc-9"):
        loadbalancer.public_addresses(
            store, "aws", "c", balancer({"service.beta.kubernetes.io/aws-load-balancer-eip-allocations": "eipalloc-9"})
        )


def test_without_annotations_a_load_balancer_gets_an_address_once(store):
    first = loadbalancer.public_addresses(store, "gcp", "c", balancer({}))
    assert first == loadbalancer.public_addresses(store, "gcp", "c", balancer({}))


def test_a_gateway_finds_the_service_that_selects_its_proxies():
    selector = {"gateway.envoyproxy.io/owning-gateway-name": "g", "gateway.envoyproxy.io/owning-gateway-namespace": "n"}
    service = {"spec": {"type": "LoadBalancer", "selector": selector}}
    other = {"spec": {"type": "ClusterIP", "selector": selector}}
    assert loadbalancer.of_gateway([other, service], "n", "g") is service
    assert loadbalancer.of_gateway([other, service], "n", "other") is None


def test_a_status_is_reported_only_when_it_says_something_new():
    wanted = {"conditions": [{"type": "Accepted", "status": "True", "reason": "Accepted"}]}
    reported = {"conditions": [{**_dated(wanted)["conditions"][0], "observedGeneration": 3}], "more": 1}
    assert reported["conditions"][0]["lastTransitionTime"].endswith("Z")
    assert _holds(reported, wanted)
    assert not _holds({"conditions": [{"type": "Accepted", "status": "False", "reason": "Accepted"}]}, wanted)
    assert not _holds({}, wanted)


def test_the_translators_output_is_read_by_gateway_and_object():
    dump = {"configs": [{"dynamicRouteConfigs": [{"routeConfig": {"name": "r"}}]}]}
    route = {"metadata": {"name": "m", "namespace": "serving"}, "status": {"parents": []}}
    found = read({"grpcRoutes": [route], "xds": {"serving/front": dump}})
    assert found.statuses[("GRPCRoute", "serving", "m")] == {"parents": []}
    assert found.gateways[("serving", "front")].routes == [{"name": "r"}]


def test_objects_go_to_the_translator_without_their_status():
    found = plain(
        {"kind": "K", "apiVersion": "v1", "metadata": {"name": "n", "uid": "u"}, "spec": {}, "status": {"a": 1}}
    )
    assert found == {"kind": "K", "apiVersion": "v1", "metadata": {"name": "n"}, "spec": {}}
