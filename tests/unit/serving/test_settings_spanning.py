"""Rules between fields: each has a case here, and is quiet about values that have a line of their own."""

from __future__ import annotations

import ast
import copy
from pathlib import Path
from typing import Any

import pytest

from serving import settings_rules
from tests.unit.serving.settings_breakers import REMOVED, put
from tests.unit.serving.test_settings_properties import WHOLE, assert_clear, problems

Changes = dict[str, Any]
NO_AUTHORITY = {name: WHOLE["sites"][name] for name in ("dublin", "office")}
CASES: list[tuple[Changes, list[str]]] = [
    (
        {f"sites.{name}.weight": 0 for name in WHOLE["sites"]},
        ["sites: at least one site must have a weight above 0 (got 0 for every site); give the site"],
    ),
    (
        {"sites": NO_AUTHORITY, "dns": {}, "models": {}, "ingress": {}},
        ["dns: must name who answers for the domain when no site is on AWS or Google Cloud (got none); add"],
    ),
    (
        {"sites.virginia.zones": ["us-east-1a", "us-west-2b"]},
        ["sites.virginia.zones.1: must be a zone of us-east-1 (got 'us-west-2b'); name a zone"],
    ),
    (
        {"sites.iowa.zones": ["us-central1-a", "us-central1-a"]},
        ["sites.iowa.zones: must differ (got ['us-central1-a', 'us-central1-a']); name each zone once"],
    ),
    (
        {"sites.iowa.cidr": "10.10.16.0/20"},
        ["sites.iowa.cidr: must not overlap the network of another site (got 10.10.16.0/20, and 10.10.0.0/16 of "],
    ),
    (
        {"sites.endpoint": {**WHOLE["sites"]["iowa"], "cidr": "10.90.0.0/16"}},
        ["sites.endpoint: the name is taken by other resources (got 'endpoint'); choose another name"],
    ),
    (
        {"sites.iowa-b": {**WHOLE["sites"]["iowa"], "cidr": "10.90.0.0/16"}},
        ["sites.iowa-b: must not begin with iowa-, as everything of iowa does (got 'iowa-b'); choose another name"],
    ),
    ({"frozen": ["ohio"]}, ["frozen.0: must be a site, route53 or cloudDns (got 'ohio'); use one of virginia, iowa"]),
    (
        {"cluster.authorizedRanges": []},
        ["cluster.authorizedRanges: is required for a public endpoint (got nothing); name the IPv4 ranges"],
    ),
    (
        {"cluster.endpoint": "private"},
        ["cluster.authorizedRanges: has no meaning for a private endpoint (got ['198.51.100.0/24']); remove it"],
    ),
    (
        {"ingress.tlsSecret": "certificate"},
        ["ingress.tlsSecret: must not be given beside certificate (got 'certificate'); keep"],
    ),
    ({"dns.route53.zoneId": REMOVED}, ["ingress.certificate: needs dns.route53.zoneId (got none): an authority"]),
    (
        {"access.callers.jwt.jwks": '{"keys": []}'},
        ["access.callers.jwt: must have one of jwksUri and jwks (got both); say"],
    ),
    (
        {"access.callers.jwt.jwksUri": REMOVED},
        ["access.callers.jwt: must have one of jwksUri and jwks (got neither); say"],
    ),
    ({"pools.l4.accept": ["L4-class"]}, ["pools.l4.accept: must name other classes than gpu (got 'L4-class'); remove"]),
    (
        {"pools.l4.overrides.oracle": {"max": 2}},
        ["pools.l4.overrides.oracle: must be a cloud or a site (got 'oracle'); use one of aws, gcp, azure, virginia"],
    ),
    (
        {"pools.system": {"gpu": "T4-class", "max": 1}},
        ["pools.system: the name is taken by the pool without GPUs (got 'system'); choose another name"],
    ),
    ({"pools.l4.min": 7}, ["pools.l4: min must not be above max (got min 7, max 6); lower min or raise max"]),
    (
        {"pools.l4.overrides.aws.min": 5},
        ["pools.l4.overrides.aws: min must not be above max (got min 5, max 4); lower min or raise max"],
    ),
    ({"systemPool.min": 4}, ["systemPool: min must not be above max (got min 4, max 3); lower min or raise max"]),
    (
        {"models.scenes.replicas": {"min": 2}},
        ["models.scenes.replicas: min must not be above max (got min 2, max 1); lower min or raise max"],
    ),
    (
        {"models.scenes.pool": "h100"},
        ["models.scenes.pool: must be a name under pools (got 'h100'; there are: l4); define"],
    ),
    (
        {"models.scenes.canary.version": 3},
        ["models.scenes.canary.version: must differ from stable (got 3); name the new version"],
    ),
    (
        {"models.scenes.canary.sites": ["iowa", "ohio"]},
        ["models.scenes.canary.sites.1: must be a name under sites (got 'ohio'); use one of virginia"],
    ),
]


def changed(changes: Changes) -> dict[str, Any]:
    document = copy.deepcopy(WHOLE)
    for path, value in changes.items():
        document = put(document, tuple(path.split(".")), value)
    return document


@pytest.mark.parametrize(("changes", "expected"), CASES, ids=["+".join(changes) for changes, _ in CASES])
def test_a_broken_rule_between_fields_gives_its_line_and_no_other(changes, expected):
    found = problems(changed(changes))
    assert len(found) == len(expected), found
    for line, start in zip(found, expected, strict=True):
        assert line.startswith(start)
        assert "(got " in line
        assert len(line) < 300


def test_every_rule_between_fields_has_a_case():
    """By the words of every line that the rules can give."""
    said = "\n".join(line for changes, _ in CASES for line in problems(changed(changes)))
    tree = ast.parse(Path(settings_rules.__file__).read_text())
    rules = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Yield) and node.value is not None:
            parts = [each.value for each in ast.walk(node.value) if isinstance(each, ast.Constant)]
            words = max((each for each in parts if isinstance(each, str)), key=len, default="")
            rules.append(words)
    assert len(rules) >= 15
    assert [words for words in rules if words not in said] == []


QUIET: list[tuple[Changes, list[str]]] = [
    ({"sites": 7}, ["sites"]),
    ({"pools": []}, ["pools"]),
    ({"dns": "none"}, ["dns"]),
    ({"dns.route53": 1}, ["dns.route53"]),
    ({"dns.route53.zoneId": 1}, ["dns.route53.zoneId"]),
    ({"cluster.authorizedRanges": "office"}, ["cluster.authorizedRanges"]),
    ({"cluster.endpoint": "private", "cluster.authorizedRanges": "x"}, ["cluster.authorizedRanges"]),
    ({"sites.virginia.region": "virginia"}, ["sites.virginia.region"]),
    ({"sites.iowa.cidr": "10.0.0.0/8"}, ["sites.iowa.cidr"]),
    ({"systemPool.min": 101}, ["systemPool.min"]),
    ({"pools.l4.min": 2000, "pools.l4.overrides.aws": {"max": 2}}, ["pools.l4.min"]),
    ({"sites.Ohio": WHOLE["sites"]["iowa"], "models.scenes.canary.sites": ["Ohio"]}, ["sites.Ohio"]),
    ({"sites.virginia.zones": [1, 2]}, ["sites.virginia.zones.0", "sites.virginia.zones.1"]),
    ({"sites.virginia.zones": ["us-east-1a"]}, ["sites.virginia.zones"]),
    ({"sites.virginia.zones": ["us-east-1a"] * 9}, ["sites.virginia.zones"]),
]


@pytest.mark.parametrize(("changes", "paths"), QUIET, ids=["+".join(changes) for changes, _ in QUIET])
def test_rules_between_fields_are_quiet_about_values_that_have_a_line_of_their_own(changes, paths):
    found = problems(changed(changes))
    assert [line.partition(": ")[0] for line in found] == paths
    for line, path in zip(found, paths, strict=True):
        assert_clear(line, path)


def test_too_few_and_too_many_entries_say_how_many_there_may_be():
    (few,) = problems(changed({"sites.virginia.zones": ["us-east-1a"]}))
    assert "must have at least 2 entries (got ['us-east-1a'])" in few
    (many,) = problems(changed({"sites.dublin.zones": ["1", "2", "3", "1"]}))
    assert "must have at most 3 entries" in many
    (none,) = problems(changed({"sites.office.addresses": []}))
    assert "must not be empty (got [])" in none
