"""Runs a component without an engine or a cloud and records every resource it registers.

`run(build)` is the whole interface; the fixtures in conftest.py hand it out. It shows wiring: which resources, inputs,
parents, providers and options a component declares. Whether a cloud accepts them is for other layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
from google.protobuf import json_format
from pulumi.runtime import mocks, proto, rpc
from pulumi.runtime.sync_await import _ensure_event_loop

from tests.components import cloud_answers

ORGANIZATION, PROJECT, STACK = "acme", "tricorn", "test"
UNKNOWN = "<unknown>"
"""Stands in recorded inputs and in `Recording.value` for what only a real update would know."""
_SIGNATURE = rpc._special_sig_key

Computed = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
"""From a resource's name and inputs to outputs beside its inputs; `id` among them becomes its id."""


@dataclass(frozen=True)
class Row:
    """One registered resource; names stand for URNs, which hold nothing else of interest."""

    type: str
    name: str
    urn: str
    custom: bool
    parent: str
    """Name of the parent; empty below the stack itself."""
    provider: str
    """Name of the explicit provider; empty for the default one and for components."""
    protect: bool
    inputs: dict[str, Any]
    """Inputs as sent to the engine (camelCase)."""
    ignore_changes: tuple[str, ...]
    aliases: tuple[str, ...]
    """Aliases as text: a URN, or `name`, `type` and so on of a spec."""
    depends_on: frozenset[str]
    """URNs of everything the engine would wait for: explicit dependencies and those of the inputs."""


@dataclass(frozen=True)
class Call:
    """One provider function that was called."""

    token: str
    args: dict[str, Any]
    provider: str
    """Name of the explicit provider; empty for the default one."""


@dataclass(frozen=True)
class Read:
    """One resource that was read and not made."""

    type: str
    id: str
    provider: str
    """Name of the explicit provider; empty for the default one."""


@dataclass
class Recording:
    """Everything one program did."""

    rows: list[Row] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Registered outputs of components by URN, named as in Python."""
    value: Any = UNKNOWN
    """What the program returned, Outputs resolved; `UNKNOWN` when a part of it is."""

    def all(self, type_: str) -> list[Row]:
        """Every resource of a type, in the order of registration."""
        return [row for row in self.rows if row.type == type_]

    def one(self, type_: str, name: str | None = None) -> Row:
        """The only resource of a type, or of a type and name."""
        found = [row for row in self.all(type_) if name in (None, row.name)]
        assert len(found) == 1, f"{len(found)} resources are {type_} {name or ''}: {[row.name for row in found]}"
        return found[0]

    def children(self) -> list[Row]:
        """Resources that a provider would make: no components and no providers."""
        return [row for row in self.rows if row.custom and not row.type.startswith("pulumi:providers:")]

    def snapshot(self) -> list[dict[str, Any]]:
        """Rows as JSON values, sorted by type and name."""
        keys = ("type", "name", "parent", "provider", "protect")
        rows = []
        for row in sorted(self.rows, key=lambda row: (row.type, row.name)):
            kept: dict[str, Any] = {key: getattr(row, key) for key in keys}
            if row.ignore_changes:
                kept["ignoreChanges"] = sorted(row.ignore_changes)
            rows.append({**kept, "inputs": row.inputs})
        return rows


class RecordingMocks(mocks.Mocks):
    """Answers resources with their own inputs and declared outputs only, and no unlisted function at all."""

    def __init__(self, preview: bool, outputs: Mapping[str, Computed], answers: Mapping[str, Mapping[str, Any]]):
        self._preview = preview
        self._outputs = {**cloud_answers.COMPUTED, **outputs}
        self._answers = {**cloud_answers.FUNCTIONS, **answers}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """In a preview nothing is computed: the SDK makes every other output unknown."""
        echoed = {**args.inputs, **cloud_answers.RESHAPED.get(args.typ, {})}
        if self._preview or not (args.custom or args.resource_id):
            return None, echoed
        computed = dict(self._outputs.get(args.typ, lambda name, inputs: {})(args.name, args.inputs))
        identifier = computed.pop("id", f"{args.name}-id")
        return identifier, {**echoed, **computed}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """Give the listed answer.

        Raises:
            AssertionError: If the test lists none.
        """
        if args.token not in self._answers:
            raise AssertionError(f"{args.token} was called with {args.args}, but the test lists no answer for it")
        return dict(self._answers[args.token]), []


class RecordingMonitor(mocks.MockMonitor):
    """Keeps what the stock monitor drops, and refuses what a real engine refuses: the same URN twice."""

    def __init__(self, mocks_: RecordingMocks, recording: Recording):
        super().__init__(mocks_)
        self._recording = recording

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """As the engine does it: the types of all ancestors, but the names of none."""
        qualified = parent.split("::")[2] if parent else ""
        if qualified and qualified != "pulumi:pulumi:Stack":
            type_ = f"{qualified}${type_}"
        return "::".join((f"urn:pulumi:{STACK}", PROJECT, type_, name))

    def RegisterResource(self, request: Any) -> Any:
        """Record the request, then answer it."""
        if request.type != "pulumi:pulumi:Stack":
            urn = self.make_urn(request.parent, request.type, request.name)
            # The engine would end the update: a URN is the only identity a resource has.
            if urn in {row.urn for row in self._recording.rows}:
                raise AssertionError(f"duplicate resource URN {urn}")
            self._recording.rows.append(
                Row(
                    type=request.type,
                    name=request.name,
                    urn=urn,
                    custom=request.custom,
                    parent="" if "pulumi:pulumi:Stack::" in request.parent else request.parent.rpartition("::")[2],
                    provider=_provider_name(request.provider),
                    protect=bool(request.protect),
                    inputs=_plain(json_format.MessageToDict(request.object)),
                    ignore_changes=tuple(request.ignoreChanges),
                    aliases=(*request.aliasURNs, *[_alias(alias) for alias in request.aliases]),
                    depends_on=frozenset(request.dependencies),
                )
            )
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]  # the stock monitor has no annotations

    def ReadResource(self, request: Any) -> Any:
        """Record the request, then answer it."""
        identifier = UNKNOWN if request.id == rpc.UNKNOWN else request.id
        self._recording.reads.append(Read(request.type, identifier, _provider_name(request.provider)))
        return super().ReadResource(request)  # type: ignore[no-untyped-call]  # the stock monitor has no annotations

    def RegisterResourceOutputs(self, request: Any) -> Any:
        """Record the outputs of a component."""
        self._recording.outputs[request.urn] = _plain(json_format.MessageToDict(request.outputs))
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]  # the stock monitor has no annotations

    def Invoke(self, request: Any) -> Any:
        """Record the call, then answer it."""
        args = _plain(json_format.MessageToDict(request.args))
        self._recording.calls.append(Call(request.tok, args, _provider_name(request.provider)))
        return super().Invoke(request)  # type: ignore[no-untyped-call]  # the stock monitor has no annotations


def run(
    build: Callable[[], Any],
    *,
    preview: bool = False,
    outputs: Mapping[str, Computed] | None = None,
    answers: Mapping[str, Mapping[str, Any]] | None = None,
) -> Recording:
    """Run a Pulumi program and record it.

    Args:
        build: The program. What it returns, Outputs in lists and dicts included, becomes `Recording.value`.
        preview: As `pulumi preview`: ids and computed outputs are unknown.
        outputs: Per type token, computed outputs in place of those in cloud_answers.py.
        answers: Per function token, its result (camelCase), beside those in cloud_answers.py.

    Raises:
        Exception: Whatever the program raises, in its body or inside an `apply`.
    """
    # A failing program leaves tasks behind, whose errors are raised below. To report them once more, asyncio parses
    # source; where the garbage collector makes it do so inside another parse, Python 3.11 raises a SystemError.
    loop = _ensure_event_loop()  # type: ignore[no-untyped-call]  # it has no annotations
    loop.set_exception_handler(lambda loop, context: None)
    recording = Recording()
    recorder = RecordingMocks(preview, outputs or {}, answers or {})
    pulumi.runtime.set_mocks(
        recorder,
        project=PROJECT,
        stack=STACK,
        organization=ORGANIZATION,
        preview=preview,
        monitor=RecordingMonitor(recorder, recording),
    )

    def keep(value: Any) -> None:
        recording.value = value

    @pulumi.runtime.test  # type: ignore[untyped-decorator]  # it has no annotations
    def program() -> pulumi.Output[None]:
        return pulumi.Output.from_input(build()).apply(keep)

    program()
    return recording


def _provider_name(reference: str) -> str:
    return reference.split("::")[3] if reference else ""


def _alias(alias: proto.alias_pb2.Alias) -> str:
    return alias.urn or " ".join(f"{key}={value}" for key, value in json_format.MessageToDict(alias.spec).items())


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        signature = value.get(_SIGNATURE)
        if signature == rpc._special_secret_sig:
            return {"<secret>": _plain(value["value"])}
        if signature == rpc._special_asset_sig:
            return {"<asset>": value.get("path", value.get("text"))}
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return UNKNOWN if value == rpc.UNKNOWN else value
