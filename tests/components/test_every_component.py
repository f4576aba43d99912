"""What holds for every public component: alone, twice, with the caller's providers, renamed, with unknown inputs."""

from __future__ import annotations

import importlib
from typing import Any

import pulumi
import pytest

import components
from tests.components.cloud_answers import GCP_PROJECT, SUBSCRIPTION
from tests.components.fake_bundle import write_bundle
from tests.components.minimal import NAMES, minimal

PROVIDERS = {
    "pulumi_aws": {"region": "us-east-1"},
    "pulumi_gcp": {"project": GCP_PROJECT},
    "pulumi_azure_native": {"subscription_id": SUBSCRIPTION},
    "pulumi_kubernetes": {"context": "mine"},
}


@pytest.fixture
def declare(tmp_path: Any) -> Any:
    """declare("EksNetwork", "a", opts) makes a component with the fewest arguments."""
    folder = tmp_path / "bundles"
    write_bundle(folder, version=1, content=b"model")

    def make(kind: str, name: str = "a", opts: pulumi.ResourceOptions | None = None, **options: Any) -> Any:
        args = minimal(kind, bundle_folder=str(folder), **options)
        return getattr(components, kind)(name, args, opts)

    return make


def plainly(component: Any) -> list[Any]:
    """Every annotated output, so that one that was never set is noticed."""
    return [getattr(component, key) for key in type(component).__annotations__]


@pytest.mark.parametrize("kind", NAMES)
def test_it_can_be_made_alone_and_sets_every_output_it_promises(run, declare, preview, kind):
    recording = run(lambda: plainly(declare(kind)), preview=preview)
    own = recording.one(f"tricorn:index:{kind}", "a")
    assert own.urn in recording.outputs, "it registered no outputs"
    assert len(recording.rows) > 1, "it makes nothing"


@pytest.mark.parametrize("kind", NAMES)
def test_two_of_it_live_in_one_stack(run, declare, kind):
    run(lambda: [declare(kind, name) and None for name in ("a", "b")])


@pytest.mark.parametrize("kind", NAMES)
def test_the_callers_provider_reaches_every_child(run, declare, preview, kind):
    def build():
        mine = [importlib.import_module(sdk).Provider(f"mine-{sdk}", **args) for sdk, args in PROVIDERS.items()]
        declare(kind, "a", pulumi.ResourceOptions(providers=mine))

    recording = run(build, preview=preview)
    # A component that makes a cluster also makes the provider of what is in it.
    allowed = {f"mine-{sdk}" for sdk in PROVIDERS} | {
        row.name for row in recording.rows if row.type == "pulumi:providers:kubernetes" and row.parent
    }
    astray = {row.name: row.provider for row in recording.children() if row.provider not in allowed}
    assert not astray
    called = {call.token: call.provider for call in recording.calls if call.provider not in allowed}
    assert not called


@pytest.mark.parametrize("kind", NAMES)
def test_it_and_its_children_keep_their_identity_when_it_is_renamed(run, declare, kind):
    """The engine derives a child's old name from its parent's, which it can only where the child's begins with it."""
    recording = run(lambda: declare(kind, "new", pulumi.ResourceOptions(aliases=[pulumi.Alias(name="old")])) and None)
    assert recording.one(f"tricorn:index:{kind}").aliases == ("name=old parentUrn=",)
    assert not [row.name for row in recording.rows if row.name != "new" and not row.name.startswith("new-")]


@pytest.mark.parametrize("kind", NAMES)
def test_a_preview_with_unknown_inputs_declares_the_same_resources(run, declare, kind):
    unknown = run(lambda: declare(kind, unknown=True) and None, preview=True)
    known = run(lambda: declare(kind) and None, preview=True)
    assert {row.urn for row in unknown.rows} == {row.urn for row in known.rows}


@pytest.mark.parametrize("kind", NAMES)
def test_its_graph_is_as_reviewed(run, declare, golden, kind):
    golden(f"component_{kind}", run(lambda: declare(kind) and None))
