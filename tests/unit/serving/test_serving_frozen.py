"""What is left alone when a site or an authority is frozen: all of it, and nothing of any other."""

from __future__ import annotations

from typing import Any

import pytest

from serving.frozen import frozen_resources
from serving.settings import Settings, parse_settings

PREFIX = "urn:pulumi:prod::tricorn::"
STACK = "pulumi:pulumi:Stack"


class State:
    """URNs of everything in a stack's state."""

    def __init__(self) -> None:
        self.urns: list[str] = []
        self.stack = self.add("", STACK, "tricorn-prod")

    def add(self, parent: str, type_: str, name: str) -> str:
        above = parent.split("::")[2] if parent and STACK not in parent else ""
        urn = f"{PREFIX}{above + '$' if above else ''}{type_}::{name}"
        self.urns.append(urn)
        return urn

    def site(self, name: str, kind: str, cloud: str) -> None:
        self.add(self.stack, f"pulumi:providers:{cloud}", f"{name}-{cloud.removesuffix('-native')}")
        cluster = self.add(self.stack, f"tricorn:index:{kind}ServingCluster", name)
        network = self.add(cluster, f"tricorn:index:{kind}Network", f"{name}-network")
        self.add(network, "x:net:Net", f"{name}-network-net")
        self.add(cluster, "pulumi:providers:kubernetes", f"{name}-k8s")
        serving = self.add(self.stack, "tricorn:index:ServingNamespace", f"{name}-serving")
        self.add(serving, "kubernetes:core/v1:Namespace", f"{name}-serving-namespace")
        self.add(self.stack, "tricorn:index:ModelServer", f"{name}-scenes-v1")


def state() -> State:
    whole = State()
    whole.site("gcp-iowa", "Gke", "gcp")
    whole.site("gcp-iowa-2", "Gke", "gcp")
    whole.site("aws-virginia", "Eks", "aws")
    for cloud in ("aws", "gcp"):
        whole.add(whole.stack, f"pulumi:providers:{cloud}", f"endpoint-{cloud}")
    endpoint = whole.add(whole.stack, "tricorn:index:GlobalEndpoint", "endpoint")
    route53 = whole.add(endpoint, "tricorn:index:AwsDnsZone", "endpoint-route53")
    whole.add(route53, "aws:route53/record:Record", "endpoint-route53-gcp-iowa")
    cloud_dns = whole.add(endpoint, "tricorn:index:GcpDnsZone", "endpoint-cloud-dns")
    whole.add(cloud_dns, "gcp:dns/recordSet:RecordSet", "endpoint-cloud-dns-a")
    return whole


SITES = {
    "gcp-iowa": {"cloud": "gcp", "project": "acme-models", "region": "us-central1", "weight": 40},
    "gcp-iowa-2": {"cloud": "gcp", "project": "acme-models", "region": "us-central1", "weight": 40},
    "aws-virginia": {"cloud": "aws", "region": "us-east-1", "weight": 20},
}


def settings(*frozen: str, sites: dict[str, Any] | None = None) -> Settings:
    """Settings that froze names; read without the rules that span sections, which may forbid such site names."""
    return Settings.model_validate({"domain": "serve.example.com", "sites": sites or SITES, "frozen": list(frozen)})


def names(found: dict[str, list[str]]) -> dict[str, list[str]]:
    return {frozen: [urn.rpartition("::")[2] for urn in urns] for frozen, urns in found.items()}


def of_site(name: str, provider: str) -> list[str]:
    return [
        f"{name}-{provider}", name, f"{name}-network", f"{name}-network-net", f"{name}-k8s",
        f"{name}-serving", f"{name}-serving-namespace", f"{name}-scenes-v1",
    ]  # fmt: skip


def test_everything_of_a_site_is_left_alone_and_nothing_of_the_site_whose_name_goes_on():
    found = frozen_resources(state().urns, settings("gcp-iowa"))
    assert names(found) == {"gcp-iowa": of_site("gcp-iowa", "gcp")}
    assert names(frozen_resources(state().urns, settings("gcp-iowa-2"))) == {"gcp-iowa-2": of_site("gcp-iowa-2", "gcp")}


def test_a_site_that_is_only_in_the_state_is_not_taken_for_a_part_of_another():
    left = {name: site for name, site in SITES.items() if name != "gcp-iowa-2"}
    found = frozen_resources(state().urns, settings("gcp-iowa", sites=left))
    assert names(found) == {"gcp-iowa": of_site("gcp-iowa", "gcp")}


def test_urns_are_exact():
    whole = state().urns
    for urns in frozen_resources(whole, settings("aws-virginia", "route53")).values():
        assert urns
        assert set(urns) <= set(whole)
        assert not [urn for urn in urns if "*" in urn or "," in urn]


def test_a_sites_records_in_the_public_name_are_not_of_the_site():
    for urns in frozen_resources(state().urns, settings("gcp-iowa", "aws-virginia")).values():
        assert not [urn for urn in urns if "endpoint" in urn]


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ("route53", ["endpoint-aws", "endpoint-route53", "endpoint-route53-gcp-iowa"]),
        ("cloudDns", ["endpoint-gcp", "endpoint-cloud-dns", "endpoint-cloud-dns-a"]),
    ],
)
def test_an_authority_is_left_alone_without_the_other(authority, expected):
    assert names(frozen_resources(state().urns, settings(authority))) == {authority: expected}


def test_the_public_name_is_frozen_when_all_its_authorities_are():
    found = names(frozen_resources(state().urns, settings("route53", "cloudDns")))
    assert "endpoint" in found["route53"]


def test_sites_and_authorities_together():
    found = frozen_resources(state().urns, settings("aws-virginia", "route53"))
    assert names(found)["aws-virginia"] == of_site("aws-virginia", "aws")
    assert len(found["route53"]) == 3


def test_a_pipelines_identities_are_frozen_with_the_last_site_of_their_cloud():
    whole = state()
    ci = whole.add(whole.stack, "tricorn:index:CiIdentity", "ci")
    for cloud in ("aws", "gcp"):
        whole.add(whole.stack, f"pulumi:providers:{cloud}", f"ci-{cloud}")
        part = whole.add(ci, "tricorn:index:CloudCiIdentity", f"ci-{cloud}")
        whole.add(part, "x:iam:Role", f"ci-{cloud}-deploy")
    found = names(frozen_resources(whole.urns, settings("aws-virginia", "gcp-iowa")))
    assert found["ci-aws"] == ["ci-aws", "ci-aws", "ci-aws-deploy"]
    assert "ci-gcp" not in found  # gcp-iowa-2 still answers
    assert "ci-gcp" in frozen_resources(whole.urns, settings("gcp-iowa", "gcp-iowa-2"))


def test_the_pipelines_component_is_frozen_when_all_its_clouds_are():
    whole = state()
    ci = whole.add(whole.stack, "tricorn:index:CiIdentity", "ci")
    for cloud in ("aws", "gcp"):
        whole.add(ci, "tricorn:index:CloudCiIdentity", f"ci-{cloud}")
    some = names(frozen_resources(whole.urns, settings("aws-virginia")))
    assert not [each for each in some.values() if "ci" in each]
    every = names(frozen_resources(whole.urns, settings(*SITES)))
    assert [each.count("ci") for each in every.values()].count(1) == 1


def test_of_what_was_never_made_nothing_is_found():
    whole = State()
    whole.site("gcp-iowa", "Gke", "gcp")
    assert frozen_resources(whole.urns, settings("gcp-iowa", "aws-virginia"))["aws-virginia"] == []
    assert frozen_resources([], settings("gcp-iowa", "route53")) == {"gcp-iowa": [], "route53": []}


def test_a_resource_that_waits_for_its_deletion_is_named_once():
    assert names(frozen_resources(state().urns * 2, settings("gcp-iowa"))) == {"gcp-iowa": of_site("gcp-iowa", "gcp")}


def test_nothing_is_frozen_by_default():
    assert frozen_resources(state().urns, settings()) == {}
    sites = {"aws": SITES["aws-virginia"]}
    assert parse_settings({"domain": "serve.example.com", "sites": sites}).frozen == ()
