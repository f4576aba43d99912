"""Frozen sites and authorities: nothing of them is declared or asked, and what the stack knows of them is kept."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from serving.frozen import EXCLUDE_VARIABLE, frozen_resources
from serving.settings import parse_settings
from tests.components import test_program
from tests.components.test_program import ANSWERS, RECORD, RECORD_SET, settings_of

program = test_program.program
STATE = "pulumi:pulumi:readStackResourceOutputs"
STACK = "urn:pulumi:test::tricorn::pulumi:pulumi:Stack::tricorn-test"
CLUSTER = "urn:pulumi:test::tricorn::tricorn:index:GkeServingCluster::gcp"
CHILD = "urn:pulumi:test::tricorn::tricorn:index:GkeServingCluster$gcp:storage/bucket:Bucket::gcp-models-bucket"
OTHER = "urn:pulumi:test::tricorn::tricorn:index:EksServingCluster::aws"
ZONE = "urn:pulumi:test::tricorn::tricorn:index:GlobalEndpoint$tricorn:index:GcpDnsZone::endpoint-cloud-dns"
KNOWN = (CLUSTER, CHILD, OTHER, ZONE)
LAST = {
    "addresses": {"aws": ["203.0.113.1"], "gcp": ["203.0.113.77"], "azure": ["203.0.113.3"]},
    "kubeconfigs": {"gcp": "kept"},
    "name_servers": {"cloud_dns": ["ns-a1.googledomains.com."]},
}


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the engine answers about the stack's own state."""
    state: dict[str, Any] = {urn: {"type": "any", "outputs": {}} for urn in KNOWN}
    state[STACK] = {"type": "pulumi:pulumi:Stack", "outputs": LAST}
    monkeypatch.setitem(ANSWERS, STATE, {"outputs": state})


def frozen(*names: str, **weights: int) -> dict[str, Any]:
    settings = copy.deepcopy({**settings_of("local"), "frozen": list(names)})
    for site, weight in weights.items():
        settings["sites"][site]["weight"] = weight
    return settings


def excluding(monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]) -> None:
    found = frozen_resources(KNOWN, parse_settings(settings))
    monkeypatch.setenv(EXCLUDE_VARIABLE, ",".join(urn for urns in found.values() for urn in urns))


def test_nothing_of_a_frozen_site_is_declared_and_nothing_of_its_cloud_is_asked(program, preview, monkeypatch):
    settings = frozen("gcp")
    excluding(monkeypatch, settings)
    recording = program(settings, preview=preview)
    assert not [row.name for row in recording.rows if row.name == "gcp" or row.name.startswith("gcp-")]
    assert not [call for call in recording.calls if call.token.startswith("gcp:")]
    assert recording.all("aws:eks/cluster:Cluster")
    assert recording.all(RECORD_SET), "its cloud's authority is not frozen"


def test_a_frozen_aws_site_needs_no_list_of_zones(program, monkeypatch):
    settings = frozen("aws")
    excluding(monkeypatch, settings)
    assert not [call for call in program(settings).calls if call.token.startswith("aws:")]


def test_the_public_name_still_knows_a_frozen_sites_addresses_and_its_share_can_be_moved_away(program, monkeypatch):
    settings = frozen("gcp", gcp=0)
    excluding(monkeypatch, settings)
    recording = program(settings)
    record = recording.one(RECORD, "endpoint-route53-gcp").inputs
    assert record["records"] == ["203.0.113.77"]
    assert record["weightedRoutingPolicies"] == [{"weight": 0}]
    (name,) = [row.inputs for row in recording.all(RECORD_SET) if "routingPolicy" in row.inputs]
    assert "203.0.113.77" not in str(name)


def test_what_was_exported_of_a_frozen_site_stays_exported(program, monkeypatch):
    settings = frozen("gcp")
    excluding(monkeypatch, settings)
    exports = program(settings).value
    assert exports["addresses"]["gcp"] == ["203.0.113.77"]
    assert exports["kubeconfigs"]["gcp"] == "kept"
    assert exports["kubeconfigs"].keys() == {"aws", "gcp", "azure"}


def test_of_a_frozen_authority_nothing_is_declared_and_the_other_still_lists_its_name_servers(program, monkeypatch):
    settings = frozen("cloudDns")
    excluding(monkeypatch, settings)
    recording = program(settings)
    assert not recording.all(RECORD_SET)
    assert not [row for row in recording.rows if row.name.startswith(("endpoint-cloud-dns", "endpoint-gcp"))]
    (servers,) = [row.inputs["records"] for row in recording.all(RECORD) if row.inputs["type"] == "NS"]
    assert servers == ["ns-1.awsdns.com", "ns-a1.googledomains.com"]
    assert recording.value["name_servers"]["cloud_dns"] == ["ns-a1.googledomains.com."]


def test_with_every_authority_frozen_the_sites_are_still_declared(program, monkeypatch):
    settings = frozen("cloudDns", "route53")
    excluding(monkeypatch, settings)
    recording = program(settings)
    assert not recording.all("tricorn:index:GlobalEndpoint")
    assert recording.all("aws:eks/cluster:Cluster")
    assert recording.value["name_servers"]["cloud_dns"] == ["ns-a1.googledomains.com."]


@pytest.mark.parametrize(
    "told", ["", CLUSTER, "urn:pulumi:test::tricorn::**::aws-*", "urn:pulumi:test::tricorn::*::gcp"]
)
def test_an_engine_that_would_delete_what_is_frozen_is_stopped_before_anything_is_declared(program, monkeypatch, told):
    monkeypatch.setenv(EXCLUDE_VARIABLE, told)
    text = test_program.refusal(program, frozen("gcp"))
    assert "tricorn:settings.frozen names gcp" in text
    assert "python -m deploy up -s test" in text
    assert CHILD in text


@pytest.mark.parametrize("told", [f"{CLUSTER},{CHILD}", "urn:pulumi:test::**::gcp,**::gcp-*", "**"])
def test_urns_and_patterns_of_them_are_understood_as_the_engine_does(program, monkeypatch, told):
    monkeypatch.setenv(EXCLUDE_VARIABLE, told)
    assert program(frozen("gcp")).rows


def test_a_site_that_was_never_made_cannot_be_frozen(program, monkeypatch):
    settings = frozen("oregon")
    settings["sites"]["oregon"] = {**settings["sites"]["gcp"], "cidr": "10.90.0.0/16"}
    excluding(monkeypatch, settings)
    assert "oregon, which this stack has not made yet" in test_program.refusal(program, settings)


def test_without_anything_frozen_the_state_is_not_read(program):
    assert not [call for call in program(settings_of("local")).calls if call.token == STATE]
