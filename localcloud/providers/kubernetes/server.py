"""The provider's gRPC service: what the Pulumi engine calls."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

import grpc
from google.protobuf import empty_pb2

from localcloud.providers.kubernetes import configuration, objects, releases
from localcloud.providers.kubernetes.api import Api, ApiError, KindNotServed, Unreachable
from localcloud.providers.kubernetes.configuration import Configuration
from localcloud.providers.kubernetes.kubeconfig import KubeconfigError
from localcloud.providers.kubernetes.protocol import (
    engine_pb2,
    engine_pb2_grpc,
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
    status_pb2,
)
from localcloud.providers.kubernetes.releases import Releases
from localcloud.providers.kubernetes.stored import Incomplete, Objects, Refused, Request
from localcloud.providers.kubernetes.values import Properties, from_struct, redact, reveal, to_struct

_T = TypeVar("_T")
_DEFAULT_NAMESPACE = "default"
LOAD_BALANCER = "kubernetes:core/v1:Service:LoadBalancer"
"""What a run calls a Service of type LoadBalancer when it says how long its creation takes."""
_DETAILS = "grpc-status-details-bin"
_LOG_TIMEOUT_S = 5.0
_Changes = provider_pb2.DiffResponse
_Change = provider_pb2.PropertyDiff
_ADDED = (_Change.ADD, _Change.ADD_REPLACE)
_UPDATED = (_Change.UPDATE, _Change.UPDATE_REPLACE)
_DELETED = (_Change.DELETE, _Change.DELETE_REPLACE)
_CODES = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.ALREADY_EXISTS,
}


class _Resources(Protocol):
    """What `Objects` and `Releases` do alike."""

    def preview_create(self, inputs: Properties) -> Properties: ...

    def create(self, inputs: Properties, request: Request) -> tuple[str, Properties]: ...

    def preview_update(self, olds: Properties, inputs: Properties) -> Properties: ...

    def update(self, id_: str, inputs: Properties, request: Request) -> Properties: ...

    def read(self, id_: str, inputs: Properties, state: Properties) -> tuple[Properties, Properties] | None: ...

    def delete(self, id_: str, state: Properties, request: Request) -> None: ...


class KubernetesProvider(provider_pb2_grpc.ResourceProviderServicer):
    """One provider instance; it speaks to one cluster.

    Args:
        version: Version that it reports, that of the SDK.
        engine: Address of the engine, which is told what is waited for; empty for none.
    """

    def __init__(self, version: str, engine: str = "", duration: Callable[[str], float] = lambda type_: 0.0) -> None:
        """Make a provider; `duration` says how many seconds the creation of a type takes at least."""
        self._version = version
        self._duration = duration
        self._engine = _engine(engine)
        self._configuration = Configuration()
        self._api: Api | None = None
        self._namespace = _DEFAULT_NAMESPACE
        self._problem = "kubeconfig: not known yet"
        self._cancelled = threading.Event()

    # -- the provider itself

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Agree on how values are passed."""
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Report to another engine from now on."""
        self._engine = _engine(request.address)
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Return the version."""
        return plugin_pb2.PluginInfo(version=self._version)

    def GetSchema(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Return as much of a schema as Python programs need: name and version."""
        return provider_pb2.GetSchemaResponse(schema=json.dumps({"name": "kubernetes", "version": self._version}))

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Check the provider's inputs."""
        found = configuration.problems(from_struct(request.news))
        return provider_pb2.CheckResponse(inputs=request.news, failures=_failures(found))

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Say whether changed inputs of the provider mean another cluster."""
        old, new = from_struct(request.old_inputs), from_struct(request.news)
        changed = configuration.changed(old, new)
        replaced = configuration.replaces(old, new)
        return _Changes(changes=_kind_of(changed), diffs=changed, replaces=replaced)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Get ready to speak to the cluster; an unusable kubeconfig is reported by what needs it."""
        self._configuration = Configuration.parse(from_struct(request.args))
        self._namespace = self._configuration.namespace or _DEFAULT_NAMESPACE
        self._cancelled.clear()
        try:
            access = self._configuration.access()
            self._api = Api(access)
            self._namespace = self._configuration.namespace or access.namespace
        except (KubeconfigError, OSError, ValueError) as error:
            self._api, self._problem = None, str(error)
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        """End every wait."""
        self._cancelled.set()
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Refuse functions: the local clouds render no charts and decode no YAML."""
        context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{request.tok} is not supported by the local clouds")

    # -- resources

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Complete and check a resource's inputs."""
        olds, news = from_struct(request.olds), from_struct(request.news)
        name, seed = request.urn.rpartition("::")[2], bytes(request.randomSeed)
        if _type(request) == releases.TOKEN:
            inputs, found = releases.check(name, seed, request.urn, olds, news, self._namespace)
        else:
            inputs, found = objects.check(_type(request), name, seed, request.urn, olds, news, self._namespace)
        return provider_pb2.CheckResponse(inputs=to_struct(inputs), failures=_failures(found))

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Compare inputs and say which changes cannot be made in place."""
        old, new = reveal(from_struct(request.old_inputs)), reveal(from_struct(request.news))
        fixed = releases.REPLACING if _type(request) == releases.TOKEN else self._immutable(new)
        diffs: dict[str, None] = {}
        replaced: list[str] = []
        details = {}
        for path, before, after in objects.differences(old, new):
            replace = any(objects.touches(path, each) for each in fixed)
            change = _UPDATED if before and after else _ADDED if after else _DELETED
            details[path] = _Change(kind=change[replace], inputDiff=True)
            diffs[path.partition(".")[0].partition("[")[0]] = None
            if replace:
                replaced.append(path)
        return _Changes(
            changes=_kind_of(diffs), diffs=list(diffs), replaces=replaced, detailedDiff=details, hasDetailedDiff=True,
            deleteBeforeReplace=bool(replaced) and objects.same_name(old, new),
        )  # fmt: skip

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Create a resource, or say what it would be."""
        inputs = from_struct(request.properties)

        def create() -> Any:
            resources = self._resources(request, preview=request.preview)
            if resources is None:
                return provider_pb2.CreateResponse(properties=request.properties)
            if request.preview:
                return provider_pb2.CreateResponse(properties=to_struct(resources.preview_create(inputs)))
            started = time.monotonic()
            id_, outputs = resources.create(inputs, self._request(request))
            if (reveal(inputs).get("spec") or {}).get("type") == "LoadBalancer":
                self._cancelled.wait(max(0.0, started + self._duration(LOAD_BALANCER) - time.monotonic()))
            return provider_pb2.CreateResponse(id=id_, properties=to_struct(outputs))

        return self._answer(context, request, inputs, inputs, create)

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Change a resource, or say what it would be."""
        inputs, olds = from_struct(request.news), from_struct(request.olds)

        def update() -> Any:
            resources = self._resources(request, preview=request.preview)
            if resources is None:
                return provider_pb2.UpdateResponse(properties=to_struct({**olds, **inputs}))
            if request.preview:
                outputs = resources.preview_update(olds, inputs)
            else:
                outputs = resources.update(request.id, inputs, self._request(request))
            return provider_pb2.UpdateResponse(properties=to_struct(outputs))

        return self._answer(context, request, inputs, inputs, update)

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Read a resource as it is in the cluster."""
        inputs, state = from_struct(request.inputs), from_struct(request.properties)

        def read() -> Any:
            reason = self._api.reachable() if self._api is not None else ""
            if reason and self._configuration.delete_unreachable:
                return provider_pb2.ReadResponse()
            if reason and self._configuration.skip_update_unreachable:
                return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)
            if reason:
                raise Unreachable(reason)
            resources = self._resources(request)
            assert resources is not None  # noqa: S101 - only a preview may do without
            found = resources.read(request.id, inputs, {**objects.kind_of_token(_type(request)), **state})
            if found is None:
                return provider_pb2.ReadResponse()
            return provider_pb2.ReadResponse(id=request.id, inputs=to_struct(found[0]), properties=to_struct(found[1]))

        return self._answer(context, request, state, inputs, read)

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Delete a resource; success also when it is gone already."""
        state = from_struct(request.properties)

        def delete() -> Any:
            if self._configuration.delete_unreachable and self._api is not None and self._api.reachable():
                return empty_pb2.Empty()
            resources = self._resources(request)
            assert resources is not None  # noqa: S101 - only a preview may do without
            resources.delete(request.id, state, self._request(request))
            return empty_pb2.Empty()

        return self._answer(context, request, state, state, delete)

    # -- what the calls share

    def _resources(self, request: Any, *, preview: bool = False) -> _Resources | None:
        """Return what acts on the cluster; None in a preview in which the cluster is not known yet."""
        if self._api is None:
            if preview:
                return None
            raise Unreachable(self._problem)
        return Releases(self._api) if _type(request) == releases.TOKEN else Objects(self._api, self._namespace)

    def _immutable(self, inputs: Properties) -> tuple[str, ...]:
        return objects.immutable(
            str(inputs.get("apiVersion", "")), str(inputs.get("kind", "")),
            mutable_config_maps=self._configuration.mutable_config_maps,
            mutable_secrets=self._configuration.mutable_secrets,
        )  # fmt: skip

    def _request(self, request: Any) -> Request:
        def report(text: str) -> None:
            if self._engine is None or not text:
                return
            entry = engine_pb2.LogRequest(
                severity=engine_pb2.INFO, message=text, urn=request.urn, streamId=0, ephemeral=True
            )
            # What is waited for is news, no result: an engine that does not listen changes nothing.
            with contextlib.suppress(grpc.RpcError):
                self._engine.Log(entry, timeout=_LOG_TIMEOUT_S)

        return Request(request.timeout, self._cancelled, report)

    def _answer(
        self, context: grpc.ServicerContext, request: Any, properties: Properties, inputs: Properties,
        act: Callable[[], _T],
    ) -> _T:  # fmt: skip
        """Return what `act` returns; turn its failures into the protocol's, without secrets."""
        label = objects.describe(request.id if hasattr(request, "id") else "", _type(request), properties)

        def clean(text: object) -> str:
            return redact(f"{label}: {text}", properties)

        try:
            return act()
        except Incomplete as error:
            reasons = [clean(each) for each in error.reasons]
            detail = provider_pb2.ErrorResourceInitFailed(
                id=error.id, properties=to_struct(error.outputs), reasons=reasons, inputs=to_struct(inputs)
            )
            status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=reasons[0] if reasons else label)
            status.details.add().Pack(detail)
            context.set_trailing_metadata(((_DETAILS, status.SerializeToString()),))
            context.abort(grpc.StatusCode.UNKNOWN, status.message)
        except ApiError as error:
            context.abort(_CODES.get(error.status, grpc.StatusCode.INVALID_ARGUMENT), clean(error))
        except Unreachable as error:
            # Not UNAVAILABLE: the engine would take that for a crash of this process.
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, clean(f"the cluster cannot be reached: {error}"))
        except (KindNotServed, Refused) as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, clean(error))
        raise AssertionError("abort raises")


def _engine(address: str) -> engine_pb2_grpc.EngineStub | None:
    return engine_pb2_grpc.EngineStub(grpc.insecure_channel(address)) if address else None


def _type(request: Any) -> str:
    return str(request.urn).split("::")[2].rpartition("$")[2]


def _kind_of(changed: Iterable[str]) -> Any:
    return _Changes.DIFF_SOME if list(changed) else _Changes.DIFF_NONE


def _failures(found: Iterable[tuple[str, str]]) -> list[Any]:
    return [provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in found]
