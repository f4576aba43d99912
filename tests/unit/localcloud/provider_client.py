"""A vendor's provider over real gRPC, with a stand-in for the cloud's daemon: what the tests of providers talk to."""

import contextlib
import importlib
import importlib.metadata
import json
import os
import time
from concurrent import futures

import grpc
import pulumi  # noqa: F401 - the whole SDK first: the providers would enter it without its __init__
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from localcloud.paths import RunPaths
from localcloud.providers import calls, server, wire
from localcloud.store import Store
from tests.daemon import Daemon

MODULES = {"aws": "aws", "gcp": "gcp", "azure": "azure"}
CONFIG = {
    "aws": {"region": "us-east-1"},
    "gcp": {"project": "tricorn-local", "region": "us-central1"},
    "azure": {"location": "eastus"},
}


class Refusal(Exception):
    """What the provider said no with; `id` and `reasons` are set for a partial failure."""

    def __init__(self, error):
        super().__init__(error.details())
        self.code = error.code()
        self.id, self.reasons = "", []
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                detail = provider_pb2.ErrorResourceInitFailed()
                status_pb2.Status.FromString(value).details[0].Unpack(detail)
                self.id, self.reasons = detail.id, list(detail.reasons)


class Client:
    """Speaks the provider protocol like the engine."""

    def __init__(self, stub, store, paths, cloud):
        self.stub, self.store, self.paths, self.cloud = stub, store, paths, cloud

    def _ask(self, method, request):
        try:
            return getattr(self.stub, method)(request)
        except grpc.RpcError as error:
            raise Refusal(error) from None

    def urn(self, type_, name):
        return f"urn:pulumi:dev::project::parent:index:Parent${type_}::{name}"

    def check(self, type_, name, inputs, olds=None, seed=b"seed"):
        request = provider_pb2.CheckRequest(
            urn=self.urn(type_, name), news=wire.to_struct(inputs), olds=wire.to_struct(olds or {}), randomSeed=seed
        )
        answer = self._ask("Check", request)
        return wire.to_plain(answer.inputs), [(each.property, each.reason) for each in answer.failures]

    def diff(self, type_, old, new, id_="id"):
        request = provider_pb2.DiffRequest(
            id=id_, urn=self.urn(type_, "it"), old_inputs=wire.to_struct(old), news=wire.to_struct(new)
        )
        return self._ask("Diff", request)

    def create(self, type_, inputs, name="it", preview=False, timeout=0):
        checked, failures = self.check(type_, name, inputs, seed=os.urandom(8))
        assert not failures, failures
        request = provider_pb2.CreateRequest(
            urn=self.urn(type_, name), properties=wire.to_struct(checked), preview=preview, timeout=timeout
        )
        answer = self._ask("Create", request)
        return answer.id, wire.to_plain(answer.properties)

    def read(self, type_, id_):
        answer = self._ask("Read", provider_pb2.ReadRequest(id=id_, urn=self.urn(type_, "it")))
        return answer.id, wire.to_plain(answer.properties), wire.to_plain(answer.inputs)

    def update(self, type_, id_, old, new, olds=None, preview=False):
        request = provider_pb2.UpdateRequest(
            id=id_, urn=self.urn(type_, "it"), old_inputs=wire.to_struct(old), news=wire.to_struct(new),
            olds=wire.to_struct(olds or {}), preview=preview,
        )  # fmt: skip
        return wire.to_plain(self._ask("Update", request).properties)

    def delete(self, type_, id_):
        self._ask("Delete", provider_pb2.DeleteRequest(id=id_, urn=self.urn(type_, "it")))

    def invoke(self, token, arguments):
        request = provider_pb2.InvokeRequest(tok=token, args=wire.to_struct(arguments))
        return wire.to_plain(getattr(self._ask("Invoke", request), "return"))

    def ids(self, type_=None):
        return [row.id for row in self.store.resources(self.cloud, type_)]


@contextlib.contextmanager
def provider(cloud, tmp_path, monkeypatch, config=None):
    """Yield a client of a provider whose cloud answers, with a daemon at work."""
    paths = RunPaths(tmp_path / "run")
    store = Store(paths.database)
    store.create()
    for module in (calls, server):
        monkeypatch.setattr(module, "answers", lambda cloud: True)
    vendor = importlib.import_module(f"localcloud.providers.{MODULES[cloud]}").VENDOR
    servicer = server.Provider(vendor, paths, importlib.metadata.version(vendor.distribution))
    listener = grpc.server(futures.ThreadPoolExecutor(8))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, listener)
    port = listener.add_insecure_port("127.0.0.1:0")
    listener.start()
    daemon = Daemon(store, cloud)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        stub.Configure(provider_pb2.ConfigureRequest(args=wire.to_struct(config or CONFIG[cloud])))
        client = Client(stub, store, paths, cloud)
        client.daemon = daemon
        yield client
    daemon.stop()
    listener.stop(0)


def asset(path):
    """Return a file as the engine passes it."""
    return {wire.SIGNATURE: wire.ASSET, "path": str(path), "hash": str(hash(path.read_bytes()))}


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def wait_for(condition, seconds=5):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
