"""The checks as the engine sees them: proxies, unknown values, configuration and the form of the messages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2_grpc
from pulumi_policy import ResourceValidationArgs, ResourceValidationPolicy, StackValidationArgs, StackValidationPolicy
from pulumi_policy.policy import PolicyResource
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, unknown_checking_proxy

from policy.check import UNKNOWN
from policy.pack import plain, policies
from policy.registry import CHECKS, STACK_CHECKS

PACK = Path(__file__).resolve().parents[3] / "policy"
BUCKET = "gcp:storage/bucket:Bucket"
POLICIES = {policy.name: policy for policy in policies()}


def findings(name: str, type_: str, props: dict[str, Any], config: dict[str, Any] | None = None) -> list[str]:
    policy, said = POLICIES[name], []
    assert isinstance(policy, ResourceValidationPolicy)
    args = ResourceValidationArgs(
        type_,
        unknown_checking_proxy(props),
        f"urn:pulumi:s::p::{type_}::it",
        "it",
        None,
        None,
        config,
    )
    policy.validate(args, lambda message, urn=None: said.append(message))
    return said


def test_values_behind_the_sdks_proxies_are_plain_and_unknown_ones_are_marked():
    proxy = unknown_checking_proxy({"a": {"b": [1, UNKNOWN_STRING_VALUE, {"c": "x"}]}, "d": UNKNOWN_STRING_VALUE})
    assert plain(proxy) == {"a": {"b": [1, UNKNOWN, {"c": "x"}]}, "d": UNKNOWN}
    assert type(plain(proxy)["a"]["b"]) is list


def test_a_message_says_what_where_got_rule_fix_and_source():
    good = {"uniformBucketLevelAccess": True, "versioning": {"enabled": True}}
    assert findings("gcp-bucket", BUCKET, {**good, "publicAccessPrevention": "inherited"}) == [
        "it: publicAccessPrevention must be enforced (got inherited); set it [CKV_GCP_29, CKV_GCP_114, CKV_GCP_78]"
    ]


def test_a_known_mistake_is_told_although_another_value_is_unknown():
    props = {"name": UNKNOWN_STRING_VALUE, "uniformBucketLevelAccess": True, "versioning": {"enabled": True}}
    assert findings("gcp-bucket", BUCKET, {**props, "publicAccessPrevention": UNKNOWN_STRING_VALUE}) == []
    assert len(findings("gcp-bucket", BUCKET, {**props, "publicAccessPrevention": "inherited"})) == 1


@pytest.mark.parametrize(("config", "count"), [({}, 1), ({"production": True}, 1), ({"production": False}, 0)])
def test_rules_of_production_are_asked_for_unless_the_configuration_says_otherwise(config, count):
    registry = {"adminUserEnabled": False, "anonymousPullEnabled": False, "publicNetworkAccess": "Enabled"}
    assert len(findings("azure-registry", "azure-native:containerregistry:Registry", registry, config)) == count


def test_a_stack_policy_follows_the_dependencies_of_unknown_values():
    cluster = PolicyResource(
        "azure-native:containerservice:ManagedCluster",
        unknown_checking_proxy(
            {
                "id": UNKNOWN_STRING_VALUE,
                "oidcIssuerProfile": {"enabled": True},
                "securityProfile": {"workloadIdentity": {"enabled": True}},
            }
        ),
        "urn:pulumi:s::p::azure-native:containerservice:ManagedCluster::aks",
        "aks", None, None, None, [], {},
    )  # fmt: skip
    setting = PolicyResource(
        "azure-native:monitor:DiagnosticSetting",
        unknown_checking_proxy(
            {"resourceUri": UNKNOWN_STRING_VALUE, "logs": [{"category": "kube-audit", "enabled": True}]}
        ),
        "urn:pulumi:s::p::azure-native:monitor:DiagnosticSetting::audit",
        "audit", None, None, None, [cluster], {"resourceUri": [cluster]},
    )  # fmt: skip
    policy, said = POLICIES["azure-aks-audit"], []
    assert isinstance(policy, StackValidationPolicy)

    def report(message, urn=None):
        said.append((message, urn))

    policy.validate(StackValidationArgs([cluster, setting]), report)
    assert said == []
    setting.property_dependencies = {}
    policy.validate(StackValidationArgs([cluster, setting]), report)
    ((message, urn),) = said
    assert "aks: DiagnosticSetting must keep kube-audit or kube-audit-admin (got nothing)" in message
    assert urn == cluster.urn


def test_every_check_is_a_policy_that_knows_whether_the_stack_is_production():
    assert POLICIES.keys() == {each.name for each in (*CHECKS, *STACK_CHECKS)}
    for policy in POLICIES.values():
        assert policy.config_schema is not None
        assert policy.config_schema.properties["production"]["type"] == "boolean"


@pytest.fixture(params=["by a host for Python", "as a program"])
def started(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """The pack as an engine starts it: through its host for Python in the pack's directory, or by `run`."""
    by_host = [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:1", str(PACK)]
    command = by_host if request.param == "by a host for Python" else [str(PACK / "run"), "127.0.0.1:1"]
    process = subprocess.Popen(command, cwd=PACK, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate(timeout=10)


def test_an_engine_can_start_the_pack_and_gets_every_check_as_mandatory(started):
    port = int(started.stdout.readline())
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        info = analyzer_pb2_grpc.AnalyzerStub(channel).GetAnalyzerInfo(empty_pb2.Empty(), timeout=20)
    assert info.name == "tricorn"
    assert {each.name for each in info.policies} == POLICIES.keys()
    mandatory = 1
    assert {each.enforcementLevel for each in info.policies} == {mandatory}


def test_the_pack_ends_at_once_and_quietly_when_the_engine_interrupts_it(started):
    assert started.stdout.readline()
    started.send_signal(2)
    assert started.wait(5) != 0
    assert started.stderr.read() == ""
