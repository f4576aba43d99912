"""The gateway of every site of the stack files, judged by Envoy Gateway's own translator.

What a real API server says of the same objects is in tests/cluster/test_kubernetes_objects.py.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

import toolchain
from localcloud.gateway.translate import TranslationError, translate
from tests.conformance.kubernetes_api import (
    COVERAGE,
    Object,
    for_translator,
    kubernetes_types,
    objects_by_site,
    record,
    variants,
)

VARIANTS = variants()
JUDGED = {
    "Gateway": {"Accepted", "Programmed", "ResolvedRefs"},
    "HTTPRoute": {"Accepted", "ResolvedRefs"},
    "GRPCRoute": {"Accepted", "ResolvedRefs"},
    "ClientTrafficPolicy": {"Accepted"},
    "BackendTrafficPolicy": {"Accepted"},
    "SecurityPolicy": {"Accepted"},
    "Backend": {"Accepted"},
}
"""Conditions that must be true of every object of a kind."""


def verdicts(status: Object) -> list[Object]:
    """Return every condition in a status: its own, and those of each parent, ancestor and listener."""
    parts = [status, *(each for key in ("parents", "ancestors", "listeners") for each in status.get(key) or [])]
    return [condition for part in parts for condition in part.get("conditions") or []]


def problems(objects: list[Object]) -> list[str]:
    """What the translator holds against objects, silence about one of them included."""
    try:
        found = translate(str(toolchain.find("egctl")), for_translator(objects))
    except TranslationError as error:
        return [str(error)]
    bad = []
    for each in objects:
        kind, metadata = each["kind"], each["metadata"]
        if kind not in JUDGED:
            continue
        name = f"{kind} {metadata['name']}"
        conditions = verdicts(found.statuses.get((kind, metadata.get("namespace", ""), metadata["name"]), {}))
        bad += [f"{name}: nothing about {wanted}" for wanted in JUDGED[kind] - {each["type"] for each in conditions}]
        bad += [
            f"{name}: {each['type']} is {each['status']}: {each.get('message', '')}"
            for each in conditions
            if each["status"] != "True"
        ]
    if not found.gateways:
        bad.append("no Gateway gives any configuration")
    return bad


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made: dict[str, Any] = {}

    def get(variant: str) -> Any:
        if variant not in made:
            made[variant] = record(VARIANTS[variant], tmp_path_factory.mktemp("bundles"))
        return made[variant]

    return get


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_type_of_object_has_a_line_that_says_what_it_is_checked_against(recordings: Any, variant: str) -> None:
    assert kubernetes_types(recordings(variant)) - COVERAGE.keys() == set()


def test_no_line_is_about_a_type_that_no_stack_has(recordings: Any) -> None:
    used = set().union(*(kubernetes_types(recordings(variant)) for variant in VARIANTS))
    assert COVERAGE.keys() - used == set()


@pytest.mark.tools
@pytest.mark.parametrize("variant", VARIANTS)
def test_envoy_gateway_accepts_and_resolves_everything_of_every_site(recordings: Any, variant: str) -> None:
    found = objects_by_site(recordings(variant))
    assert found.keys() == VARIANTS[variant]["sites"].keys()
    for site, objects in found.items():
        assert problems(objects) == [], site


@pytest.mark.tools
def test_local_servers_and_peers_of_a_rule_are_one_cluster_of_envoy_in_order(recordings: Any) -> None:
    """Several clusters would have no order: peers would get their share of all requests at any time."""
    for objects in objects_by_site(recordings("prod with all")).values():
        found = translate(str(toolchain.find("egctl")), for_translator(objects))
        (gateway,) = found.gateways.values()
        public = [each for each in gateway.endpoints if ".peers/" not in each["clusterName"]]
        predictions = [each for each in public if ".health/" not in each["clusterName"]]
        assert len(predictions) >= 4
        for each in predictions:
            priorities = {locality.get("priority", 0) for locality in each["endpoints"]}
            assert priorities == {0, 1}, each["clusterName"]
        others = [each for each in gateway.endpoints if each not in predictions]
        assert {locality.get("priority", 0) for each in others for locality in each["endpoints"]} == {0}


def _broken(objects: list[Object], kind: str, change: Any) -> list[Object]:
    copies = json.loads(json.dumps(objects))
    for each in copies:
        if each["kind"] == kind:
            change(each)
    return copies


def _no_service(route: Object) -> None:
    route["spec"]["rules"][0]["backendRefs"][0]["name"] = "not-there"


def _no_secret(gateway: Object) -> None:
    gateway["spec"]["listeners"][0]["tls"]["certificateRefs"][0]["name"] = "not-there"


def _no_rule(policy: Object) -> None:
    policy["spec"]["targetRefs"][0]["sectionName"] = "not-there"


def _no_authority(backend: Object) -> None:
    backend["spec"]["tls"]["caCertificateRefs"][0]["name"] = "not-there"


def _unknown_field(policy: Object) -> None:
    policy["spec"]["retries"] = 3


@pytest.mark.tools
@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("GRPCRoute", _no_service),
        ("Gateway", _no_secret),
        ("SecurityPolicy", _no_rule),
        ("Backend", _no_authority),
        ("BackendTrafficPolicy", _unknown_field),
    ],
)
def test_a_wrong_object_is_noticed(recordings: Any, kind: str, change: Any) -> None:
    objects = next(iter(objects_by_site(recordings("prod with all")).values()))
    assert problems(_broken(objects, kind, change))
