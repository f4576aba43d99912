"""Every check: what it lets through, what it stops and how it says so, and that it never trips over unknown values."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from policy.check import UNKNOWN, Check, Resource, at
from policy.registry import CHECKS, STACK_CHECKS, configuration
from tests.unit.policy import policy_cases_aws, policy_cases_azure, policy_cases_gcp, policy_cases_kubernetes
from tests.unit.policy.policy_cases import REMOVED, Bad, Case, changed

CASES: tuple[Case, ...] = (
    *policy_cases_aws.CASES,
    *policy_cases_gcp.CASES,
    *policy_cases_azure.CASES,
    *policy_cases_kubernetes.CASES,
)
RELATED = {
    ("aws-eks-node-group", "amiType"): {"instanceTypes"},
    ("aws-eks-node-group", "taints"): {"instanceTypes"},
    ("azure-agent-pool", "nodeTaints"): {"vmSize"},
    ("azure-agent-pool", "securityProfile"): {"vmSize", "gpuProfile"},
    ("gcp-artifact-registry", "dockerConfig"): {"format"},
    ("gcp-gke-endpoint", "masterAuthorizedNetworksConfig"): {"privateClusterConfig"},
}
"""Top-level inputs that a rule about another one looks at, too."""
BY_NAME: dict[str, Check] = {each.name: each for each in CHECKS}
BAD = [
    pytest.param(case, bad, id=f"{case.check}-{bad.path}-{position}")
    for case in CASES
    for position, bad in enumerate(case.bad)
]


def resource(type_: str, props: dict[str, Any], parents: str = "") -> Resource:
    return Resource(type_, "it", f"urn:pulumi:s::p::{parents}{type_}::it", props)


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """Paths of every value that is neither a mapping nor a list, and of every list."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, f"{path}.{key}" if path else key)
        return
    yield path
    if isinstance(value, list):
        for position, each in enumerate(value):
            yield from leaves(each, f"{path}.{position}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.check}-{case.type.rpartition(':')[2]}")
def test_what_keeps_the_rules_passes(case):
    check = BY_NAME[case.check]
    assert check.findings(resource(case.type, case.good)) == []
    for path, value in case.also_good:
        assert check.findings(resource(case.type, changed(case.good, path, value))) == [], path


@pytest.mark.parametrize(("case", "bad"), BAD)
def test_what_breaks_a_rule_is_named_with_its_value_the_rule_and_the_fix(case: Case, bad: Bad):
    check = BY_NAME[case.check]
    props = changed(case.good, bad.path, bad.value)
    found = check.findings(resource(case.type, props))
    assert [each.path for each in found] == [bad.found_at or bad.path]
    line = str(found[0])
    assert line.startswith(f"it: {found[0].path} must ")
    assert "(got " in line
    assert len(line.partition("); ")[2]) > 3
    assert len(line) < 400
    assert bool(check.findings(resource(case.type, props), production=False)) is not bad.production


@pytest.mark.parametrize(("case", "bad"), BAD)
def test_a_known_mistake_beside_unknown_values_is_still_found(case: Case, bad: Bad):
    """An unknown value may hide the mistake only where the rule is about both, which `RELATED` lists."""
    check = BY_NAME[case.check]
    props = {**changed(case.good, bad.path, bad.value), "tags": {"a": UNKNOWN}, "somethingElse": UNKNOWN}
    own = bad.path.partition(".")[0]
    for key in case.good.keys() - {own} - RELATED.get((case.check, own), set()):
        found = check.findings(resource(case.type, {**props, key: UNKNOWN}))
        assert (bad.found_at or bad.path) in [each.path for each in found], key


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.check}-{case.type.rpartition(':')[2]}")
def test_unknown_values_break_no_rule(case):
    check = BY_NAME[case.check]
    for path in leaves(case.good):
        assert check.findings(resource(case.type, changed(case.good, path, UNKNOWN))) == [], path
    for key in case.good:
        assert check.findings(resource(case.type, {**case.good, key: UNKNOWN})) == [], key
    assert check.findings(resource(case.type, dict.fromkeys(case.good, UNKNOWN))) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.check}-{case.type.rpartition(':')[2]}")
def test_a_check_looks_at_its_own_types_only(case):
    check = BY_NAME[case.check]
    if check.types:
        for bad in case.bad:
            assert check.findings(resource("x:y:Z", changed(case.good, bad.path, bad.value))) == []


def test_every_check_has_a_passing_and_a_failing_case():
    assert {case.check for case in CASES} == BY_NAME.keys() - {"kubernetes-ingress"}
    assert {case.check for case in CASES if case.bad} == {case.check for case in CASES}


def test_every_rule_of_every_check_is_broken_by_a_case():
    for check in CHECKS:
        broken = {bad.found_at or bad.path for case in CASES if case.check == check.name for bad in case.bad}
        assert {rule.path for rule in check.rules} <= broken, check.name


def test_what_holds_for_production_only_is_marked_as_such():
    """Numbers in a path are positions, which the marks leave out."""
    for check in CHECKS:
        paths = {b.found_at or b.path for c in CASES if c.check == check.name for b in c.bad if b.production}
        found = {".".join(step for step in path.split(".") if not step.isdigit()) for path in paths}
        marked = set(check.for_production)
        assert all(any(path == mark or path.endswith(f".{mark}") for mark in marked) for path in found), check.name
        assert all(any(path == mark or path.endswith(f".{mark}") for path in found) for mark in marked), check.name


def test_an_ingress_is_never_allowed():
    for type_ in ("kubernetes:networking.k8s.io/v1:Ingress", "kubernetes:extensions/v1beta1:Ingress"):
        (found,) = BY_NAME["kubernetes-ingress"].findings(resource(type_, {"spec": {}}))
        assert "must not exist" in str(found)
    assert not BY_NAME["kubernetes-ingress"].findings(resource("kubernetes:networking.k8s.io/v1:NetworkPolicy", {}))


def test_the_gateways_own_load_balancer_is_the_only_one():
    service = {"spec": {"type": "LoadBalancer"}}
    check, type_ = BY_NAME["kubernetes-load-balancer"], "kubernetes:core/v1:Service"
    assert check.findings(resource(type_, service, "tricorn:index:GatewayIngress$")) == []
    assert check.findings(resource(type_, service, "acme:index:Site$tricorn:index:GatewayIngress$")) == []
    assert check.findings(resource(type_, service, "tricorn:index:ModelServer$"))


def test_a_secret_is_named_but_never_shown():
    secret = policy_cases_kubernetes.TOKEN
    (found,) = BY_NAME["no-secrets"].findings(resource("a:b:C", {"data": [{"x": secret}]}))
    assert str(found).startswith("it: data.0.x must not hold a secret")
    assert "a signed token" in str(found)
    for part in secret.split("."):
        assert part not in str(found)


def test_names_are_stable_words_and_sources_are_given():
    names = [each.name for each in (*CHECKS, *STACK_CHECKS)]
    assert len(names) == len(set(names))
    for each in (*CHECKS, *STACK_CHECKS):
        assert each.name == each.name.lower().replace(" ", "-")
        assert each.description.endswith(".")
        assert each.source


def test_the_packs_configuration_knows_every_check():
    names = {each.name for each in CHECKS} | {each.name for each in STACK_CHECKS}
    for production, level in ((True, "mandatory"), (False, "advisory")):
        assert configuration(production=production) == {
            name: {"enforcementLevel": level, "production": production} for name in names
        }


def test_a_change_of_a_case_leaves_the_case_alone():
    before = copy.deepcopy(CASES)
    for case in CASES:
        for bad in case.bad:
            after = changed(case.good, bad.path, bad.value)
            assert bad.value is REMOVED or at(after, bad.path.partition(".")[0]) is not None
    assert [case.good for case in before] == [case.good for case in CASES]
