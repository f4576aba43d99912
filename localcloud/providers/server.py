"""The Pulumi provider protocol over a vendor's behaviour, with the cloud's state in the run's store."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf import empty_pb2

from localcloud.paths import RunPaths
from localcloud.providers import rules
from localcloud.providers.calls import ApiError, Call, Incomplete, Kind, Vendor, answers, no_answer
from localcloud.providers.inputs import Schema, Schemas, problems, shaped
from localcloud.providers.kubernetes.protocol import (
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
    status_pb2,
)
from localcloud.providers.wire import UNKNOWN, to_plain, to_struct
from localcloud.store import Fault, JsonDict, Resource, Store

_CRASH_EXIT_CODE = 137
_THROTTLED_TRIES = 8
_FIRST_RETRY_S = 0.05
_CHANGE_KINDS = {
    (how, replacing): getattr(provider_pb2.PropertyDiff, f"{how.upper()}{'_REPLACE' if replacing else ''}")
    for how in ("add", "delete", "update")
    for replacing in (False, True)
}
_REFUSALS = {
    "stockout": ("RESOURCE_EXHAUSTED", "InsufficientCapacity: the cloud has no free machine of this kind"),
    "quota": ("FAILED_PRECONDITION", "QuotaExceeded: the quota of this region is used up"),
    "throttle": ("RESOURCE_EXHAUSTED", "Throttling: rate exceeded"),
    "error": ("INTERNAL", "InternalError: the cloud could not do it"),
    "denied": ("PERMISSION_DENIED", "AccessDenied: the caller may not do this"),
}
_Method = TypeVar("_Method", bound=Callable[..., Any])


class InitFailed(Exception):
    """A resource was made but is not usable; the engine keeps it in its state with the reason."""

    def __init__(self, id_: str, inputs: JsonDict, outputs: JsonDict, reason: str) -> None:
        super().__init__(reason)
        self.detail = provider_pb2.ErrorResourceInitFailed(id=id_, reasons=[reason])
        self.detail.inputs.CopyFrom(to_struct(inputs))
        self.detail.properties.CopyFrom(to_struct(outputs))


def _answered(method: _Method) -> _Method:
    """Turn what a behaviour raises into the protocol's errors."""

    @functools.wraps(method)
    def call(self: Provider, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except InitFailed as error:
            status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
            status.details.add().Pack(error.detail)
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except ApiError as error:
            context.abort(grpc.StatusCode[error.code], str(error))
        except Incomplete as error:
            context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, str(error))
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            context.abort(grpc.StatusCode.INTERNAL, f"the simulated {self.vendor.cloud} failed: {error!r}")

    return call  # type: ignore[return-value]  # the wrapper has the method's signature


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """One provider process: one vendor, one configuration."""

    def __init__(self, vendor: Vendor, paths: RunPaths, version: str) -> None:
        self.vendor = vendor
        self._paths = paths
        self._store = Store(paths.database)
        self._version = version
        sdk = vendor.distribution.replace("-", "_")
        self._schemas = Schemas(sdk, version, (*vendor.kinds, *rules_for(vendor.package)))
        self._config: JsonDict = {}
        self._cancelled = threading.Event()

    # -- about the provider

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Accept the defaults: the engine keeps secrets, resource references and outputs to itself."""
        return provider_pb2.ProviderHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Return the SDK's version as the provider's."""
        return plugin_pb2.PluginInfo(version=self._version)

    def GetSchema(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Return the little of a schema that programs need."""
        return provider_pb2.GetSchemaResponse(
            schema=json.dumps({"name": self.vendor.package, "version": self._version})
        )

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Check the provider's configuration."""
        found = self.vendor.check_config(_configuration(to_plain(request.news)))
        failures = [provider_pb2.CheckFailure(property=key, reason=reason) for key, reason in found]
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Say whether a new configuration replaces all resources: only another region or account does."""
        old, new = to_plain(request.old_inputs) or to_plain(request.olds), to_plain(request.news)
        changed = rules.top_level([path for path, _ in rules.changes(old, new)])
        return provider_pb2.DiffResponse(
            changes=_changes(changed),
            diffs=changed,
            replaces=[key for key in changed if key in self.vendor.replaces_config],
        )

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Take the configuration."""
        self._config = _configuration(to_plain(request.args))
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        """End what waits."""
        self._cancelled.set()
        return empty_pb2.Empty()

    # -- checks, which need no cloud

    @_answered
    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Check inputs and fill in the automatic name."""
        token, name = _token(request.urn), _name(request.urn)
        news, schema = to_plain(request.news), self._schema(token)
        failures = [
            provider_pb2.CheckFailure(property=path, reason=f"{token} {name!r}: {path} {reason}")
            for path, reason in problems(schema, news)
        ]
        if not failures:
            rule = self.vendor.name_rule(token, schema)
            news = rules.with_name(rule, name, request.randomSeed, to_plain(request.olds), news)
        return provider_pb2.CheckResponse(inputs=to_struct(news), failures=failures)

    @_answered
    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Compare old and new inputs."""
        token = _token(request.urn)
        old, new = to_plain(request.old_inputs), to_plain(request.news)
        found = list(rules.changes(old, new))
        replacing = [path for path, _ in found if rules.replaces(token, path)]
        detailed = {
            path: provider_pb2.PropertyDiff(kind=_CHANGE_KINDS[how, path in replacing], inputDiff=True)
            for path, how in found
        }
        changed = rules.top_level([path for path, _ in found])
        rule = self.vendor.name_rule(token, self._schema(token))
        return provider_pb2.DiffResponse(
            changes=_changes(changed),
            diffs=changed,
            replaces=rules.top_level(replacing),
            detailedDiff=detailed,
            hasDetailedDiff=True,
            deleteBeforeReplace=bool(replacing) and rules.name_would_clash(rule, old, new, set(changed)),
        )

    # -- calls to the cloud

    @_answered
    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Make a resource; in a preview say what it would look like."""
        call, inputs, started = self._call(request), to_plain(request.properties), time.monotonic()
        if request.preview:
            known = {**self.vendor.common(call, inputs), **_visible(inputs)}
            outputs = {**dict.fromkeys(self._schema(call.type)["outputs"], UNKNOWN), **known}
            outputs = _with_computed(outputs, {}, self._kind(call.type).computed)
            return provider_pb2.CreateResponse(properties=self._shaped(call.type, outputs, UNKNOWN))
        fault = self._begin(call, "create")
        kind = self._kind(call.type)
        id_, more = kind.create(call, inputs)
        row = Resource(call.cloud, call.type, id_, call.urn, "creating", inputs, self._outputs(call, inputs, more))
        if not kind.upsert and call.row(call.type, id_) is not None:
            raise ApiError(f"AlreadyExists: {call.type} {id_} exists already", "ALREADY_EXISTS")
        self._store.put_resource(row)
        self._store.event(call.cloud, "create", call.type, id_, call.name)
        row = self._settle(call, kind, row, fault)
        # The row is there and usable by now; what is simulated is that the vendor's API says so only later.
        self._cancelled.wait(max(0.0, started + self._store.duration(call.type) - time.monotonic()))
        return provider_pb2.CreateResponse(id=id_, properties=self._shaped(call.type, row.outputs))

    @_answered
    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Return a resource as the cloud has it; an empty answer when it is gone."""
        call = self._call(request)
        self._begin(call, "read")
        row = call.row(call.type, request.id)
        if row is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=row.id, properties=self._shaped(call.type, row.outputs), inputs=to_struct(row.inputs)
        )

    @_answered
    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Change a resource in place."""
        call, news = self._call(request), to_plain(request.news)
        old_inputs, olds = to_plain(request.old_inputs), to_plain(request.olds)
        if request.preview:
            outputs = _merged(olds, old_inputs, _visible(news))
            outputs = _with_computed(outputs, olds, self._kind(call.type).computed)
            return provider_pb2.UpdateResponse(properties=self._shaped(call.type, outputs, UNKNOWN))
        fault = self._begin(call, "update")
        row = call.require(call.type, request.id, f"NotFound: {call.type} {request.id} does not exist")
        kind = self._kind(call.type)
        more = kind.update(call, row, news)
        outputs = {**_merged(row.outputs, row.inputs, _visible(news)), **self.vendor.common(call, news), **more}
        row = Resource(call.cloud, call.type, row.id, call.urn, "creating", news, outputs)
        self._store.put_resource(row)
        self._store.event(call.cloud, "update", call.type, row.id, call.name)
        row = self._settle(call, kind, row, fault)
        return provider_pb2.UpdateResponse(properties=self._shaped(call.type, row.outputs))

    @_answered
    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Delete a resource; one that is gone already is fine."""
        call = self._call(request)
        fault = self._begin(call, "delete")
        row = call.row(call.type, request.id)
        if row is not None:
            self._kind(call.type).delete(call, row)
            self._store.delete_resource(call.cloud, call.type, row.id)
            self._store.event(call.cloud, "delete", call.type, row.id, call.name)
        if fault is not None and fault.kind == "crash":
            os._exit(_CRASH_EXIT_CODE)
        return empty_pb2.Empty()

    @_answered
    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Call a function of the vendor's API."""
        call = self._call(request, type_=request.tok)
        function = self.vendor.invokes.get(request.tok)
        if function is None:
            offered = ", ".join(sorted(self.vendor.invokes))
            raise ApiError(f"the local {call.cloud} has no function {request.tok}; it has {offered}", "UNIMPLEMENTED")
        self._begin(call, "invoke")
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").CopyFrom(to_struct(function(call, to_plain(request.args))))
        return response

    # -- the parts of a call

    def _call(self, request: Any, type_: str = "") -> Call:
        urn = getattr(request, "urn", "")
        return Call(
            self.vendor.cloud, self._store, self._paths, self._config,
            urn, _name(urn), type_ or _token(urn), getattr(request, "timeout", 0.0), self._cancelled,
        )  # fmt: skip

    def _schema(self, token: str) -> Schema:
        found = self._schemas.find(token)
        if found is None:
            raise ApiError(f"the Pulumi SDK {self.vendor.distribution} has no resource {token}", "UNIMPLEMENTED")
        return found

    def _shaped(self, token: str, outputs: JsonDict, placeholder: str | None = None) -> Any:
        return to_struct(shaped(self._schema(token), outputs, placeholder))

    def _kind(self, token: str) -> Kind:
        return self.vendor.kinds.get(token) or Kind(self.vendor.generic)

    def _outputs(self, call: Call, inputs: JsonDict, more: JsonDict) -> JsonDict:
        return {**_visible(inputs), **self.vendor.common(call, inputs), **more}

    def _begin(self, call: Call, operation: str) -> Fault | None:
        """Refuse a call to a dead cloud or one that a fault refuses; return a fault that bites later."""
        if not answers(call.cloud):
            raise ApiError(no_answer(call.cloud), "UNAVAILABLE")
        fault = self._store.take_fault(call.cloud, operation, call.type)
        tries = 1
        # Real providers retry throttled calls, so that only many in a row are noticed.
        while fault is not None and fault.kind == "throttle" and tries < _THROTTLED_TRIES:
            self._cancelled.wait(_FIRST_RETRY_S * 2**tries)
            fault = self._store.take_fault(call.cloud, operation, call.type)
            tries += 1
        if fault is not None and fault.kind in _REFUSALS:
            code, words = _REFUSALS[fault.kind]
            raise ApiError(f"{words}: {fault.argument}" if fault.argument else words, code)
        if fault is not None and fault.kind == "slow" and operation in ("read", "delete", "invoke"):
            self._cancelled.wait(float(fault.argument or 0))
        return fault

    def _settle(self, call: Call, kind: Kind, row: Resource, fault: Fault | None) -> Resource:
        """Wait until a resource is usable; faults bite here, after the side effect, as they do in a cloud."""
        trouble = fault.kind if fault is not None else ""
        if trouble == "crash":
            os._exit(_CRASH_EXIT_CODE)
        try:
            if fault is not None and trouble == "slow":
                ready = time.monotonic() + float(fault.argument or 0)
                call.wait(f"{call.type} {row.id} to become active", lambda: time.monotonic() >= ready or None)
            if fault is not None and trouble == "unhealthy":
                raise Incomplete(fault.argument or f"{call.type} {row.id} is degraded")
            more = kind.wait(call, row)
        except (Incomplete, ApiError) as error:
            self._put(row, "failed", row.outputs)
            raise InitFailed(row.id, row.inputs, row.outputs, str(error)) from None
        return self._put(row, "active", {**row.outputs, **more})

    def _put(self, row: Resource, state: str, outputs: JsonDict) -> Resource:
        settled = Resource(row.cloud, row.type, row.id, row.urn, state, row.inputs, outputs)
        self._store.put_resource(settled)
        return settled


def rules_for(package: str) -> list[str]:
    """Return the tokens of a package that the rules know, the ones programs are likely to use."""
    return [token for token in rules.REPLACES if token.startswith(f"{package}:")]


def _token(urn: str) -> str:
    return urn.split("::")[2].rpartition("$")[2] if urn.count("::") > 2 else ""


def _name(urn: str) -> str:
    return urn.split("::", 3)[3] if urn.count("::") > 2 else ""


def _visible(inputs: JsonDict) -> JsonDict:
    return {key: value for key, value in inputs.items() if not key.startswith("__")}


def _merged(outputs: JsonDict, old_inputs: JsonDict, news: JsonDict) -> JsonDict:
    """Return outputs after an update: what the program no longer sets is gone, the rest stays."""
    return {**{key: value for key, value in outputs.items() if key not in old_inputs}, **news}


def _with_computed(outputs: JsonDict, olds: JsonDict, paths: tuple[str, ...]) -> JsonDict:
    """Return a preview's outputs with what the cloud sets inside inputs: as it was, or unknown."""
    for path in paths:
        key, _, rest = path.partition(".")
        old = olds.get(key)
        if not rest:
            outputs = {**outputs, key: UNKNOWN if old is None else old}
        elif isinstance(outputs.get(key), dict):
            inner = _with_computed(outputs[key], old if isinstance(old, dict) else {}, (rest,))
            outputs = {**outputs, key: inner}
    return outputs


def _changes(changed: list[str]) -> Any:
    return provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE


def _configuration(properties: JsonDict) -> JsonDict:
    """Return a provider's configuration; lists and objects arrive as JSON text."""
    found = dict(properties)
    for key, value in properties.items():
        if isinstance(value, str) and value[:1] in ("{", "["):
            with contextlib.suppress(ValueError):
                found[key] = json.loads(value)
    return found


def refuse(message: str) -> NoReturn:
    """End the process with one line on stderr and exit code 1."""
    print(message, file=sys.stderr)
    raise SystemExit(1)
