"""The kubernetes provider as its engine sees it, for tests: in a plugin process or over any gRPC channel."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pulumi  # noqa: F401 - the whole SDK first: the provider's modules would enter it without its __init__

from localcloud.providers.kubernetes.protocol import provider_pb2, provider_pb2_grpc, status_pb2
from localcloud.providers.kubernetes.values import from_struct, to_struct

ROOT = Path(__file__).resolve().parents[1]
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
NAMESPACE = "kubernetes:core/v1:Namespace"
RELEASE = "kubernetes:helm.sh/v3:Release"
SECRET = "kubernetes:core/v1:Secret"
SERVICE = "kubernetes:core/v1:Service"


class Refusal(Exception):
    """The provider's error; `id`, `outputs` and `reasons` are set when the resource exists all the same."""

    def __init__(self, error: grpc.RpcError) -> None:
        super().__init__(error.details())
        self.code = error.code()
        self.id, self.outputs, self.reasons = "", {}, []
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                detail = provider_pb2.ErrorResourceInitFailed()
                status_pb2.Status.FromString(value).details[0].Unpack(detail)
                self.id, self.outputs, self.reasons = detail.id, from_struct(detail.properties), list(detail.reasons)


class ProviderClient:
    """Calls of the provider protocol with plain values; secrets and unknowns are those of `values`."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.stub = provider_pb2_grpc.ResourceProviderStub(channel)

    def ask(self, method: str, request):
        try:
            return getattr(self.stub, method)(request, timeout=120)
        except grpc.RpcError as error:
            raise Refusal(error) from None

    @staticmethod
    def urn(type_: str, name: str = "it") -> str:
        return f"urn:pulumi:dev::project::parent:index:Parent${type_}::{name}"

    def configure(self, **arguments) -> None:
        self.ask("Configure", provider_pb2.ConfigureRequest(args=to_struct(arguments), acceptSecrets=True))

    def check(self, type_, inputs, olds=None, name="it", seed=b"seed"):
        request = provider_pb2.CheckRequest(
            urn=self.urn(type_, name), olds=to_struct(olds or {}), news=to_struct(inputs), randomSeed=seed
        )
        answer = self.ask("Check", request)
        return from_struct(answer.inputs), [(each.property, each.reason) for each in answer.failures]

    def checked(self, type_, inputs, olds=None, name="it"):
        found, failures = self.check(type_, inputs, olds, name, seed=os.urandom(8))
        assert failures == []
        return found

    def diff(self, type_, old, new, id_="id"):
        request = provider_pb2.DiffRequest(id=id_, urn=self.urn(type_), old_inputs=to_struct(old), news=to_struct(new))
        return self.ask("Diff", request)

    def create(self, type_, inputs, *, timeout=0.0, preview=False, name="it"):
        """Check, then create; return the id and the outputs."""
        checked = self.checked(type_, inputs, name=name)
        request = provider_pb2.CreateRequest(
            urn=self.urn(type_, name), properties=to_struct(checked), timeout=timeout, preview=preview
        )
        answer = self.ask("Create", request)
        return answer.id, from_struct(answer.properties)

    def update(self, type_, id_, olds, inputs, *, timeout=0.0, preview=False):
        request = provider_pb2.UpdateRequest(
            id=id_, urn=self.urn(type_), olds=to_struct(olds), news=to_struct(inputs), timeout=timeout,
            preview=preview,
        )  # fmt: skip
        return from_struct(self.ask("Update", request).properties)

    def read(self, type_, id_, inputs=None, state=None):
        """Return id, inputs and outputs; the id is empty when the object is gone."""
        request = provider_pb2.ReadRequest(
            id=id_, urn=self.urn(type_), inputs=to_struct(inputs or {}), properties=to_struct(state or {})
        )
        answer = self.ask("Read", request)
        return answer.id, from_struct(answer.inputs), from_struct(answer.properties)

    def delete(self, type_, id_, state, *, timeout=0.0):
        request = provider_pb2.DeleteRequest(id=id_, urn=self.urn(type_), properties=to_struct(state), timeout=timeout)
        self.ask("Delete", request)


@contextlib.contextmanager
def plugin(run: Path) -> Iterator[ProviderClient]:
    """Start the plugin as the engine does and yield a client of it; it must end when its input does."""
    program = ROOT / "localcloud" / "plugins" / "pulumi-resource-kubernetes"
    environment = {**os.environ, "TRICORN_LOCAL": str(run), "PULUMI_PYTHON_CMD": str(ROOT / ".venv/bin/python")}
    process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=run)
    try:
        port = int(process.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield ProviderClient(channel)
        process.stdin.close()
        assert process.wait(5) == 0
    finally:
        process.kill()
        process.wait()
