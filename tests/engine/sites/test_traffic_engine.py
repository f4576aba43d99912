"""Clouds come and go without the public name ever leading to nothing: what the engine does when, and what DNS says.

The last file of its folder: it takes the sites away one cloud after the other.
"""

import pytest

from serving.gateway import GATEWAY_NAMESPACE
from tests.engine.sites.sites_run import Asking, answers

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
NAME = "endpoint-cloud-dns-name"
KEPT = {"gcp:projects/iAMAuditConfig:IAMAuditConfig", "gcp:logging/projectBucketConfig:ProjectBucketConfig"}
"""Settings of a project that outlive its sites on purpose."""


def called(steps, *prefixes):
    """Steps on cloud and cluster resources called by a prefix; components and providers have nothing to wait for."""
    found = []
    for operation, urn, begun, ended in steps:
        kind, own = urn.split("::")[2].rpartition("$")[2], urn.rpartition("::")[2]
        if any(own == each or own.startswith(f"{each}-") for each in prefixes) and not kind.startswith(
            ("tricorn:", "pulumi:")
        ):
            found.append((operation, own, begun, ended))
    return found


def test_a_cloud_that_is_added_is_in_no_answer_before_everything_of_it_is_there(sites):
    asking, steps, new = sites.added
    assert asking.empty == []
    assert asking.asked["aws"] > 20
    made = called(steps, "iowa")
    assert len(made) > 30
    assert {operation for operation, *_ in made} == {"create"}
    last = max(ended for _, _, _, ended in made)
    published = [step for step in called(steps, "endpoint") if step[1] in (NAME, "endpoint-route53-iowa")]
    assert len(published) == 3, "a health check and a record of Route 53, and the record set of Cloud DNS"
    assert min(begun for _, _, begun, _ in published) > last
    # A health check counts as passed until it has failed, so for a moment the gateway's last step can be waited for.
    assert {address for _, _, found in asking.dead for address in found} <= new
    for cloud in ("aws", "gcp"):
        assert new & {address for _ in range(60) for address in answers(cloud)}


def test_a_cloud_that_is_dropped_is_out_of_every_answer_before_anything_of_it_goes(sites):
    sites.with_sites("virginia", "ireland", "premises")
    lost = set(sites.outputs()["addresses"]["iowa"])
    with Asking("aws", "gcp") as asking:
        sites.up()
    assert asking.asked["aws"] > 20
    assert asking.asked["gcp"] > 20
    assert (asking.empty, asking.dead) == ([], [])
    steps = sites.steps()
    gone = called(steps, "iowa")
    assert len(gone) > 30
    assert {operation for operation, *_ in gone} == {"delete"}
    first = min(begun for _, _, begun, _ in gone)
    published = [
        *called(steps, "endpoint-route53-iowa"),
        *(step for step in called(steps, "endpoint-cloud-dns", "endpoint-route53") if step[1] == NAME),
    ]
    assert {own for _, own, _, _ in published} >= {NAME, "endpoint-route53-iowa", "endpoint-route53-iowa-site"}
    assert max(ended for _, own, _, ended in published if "check" not in own) < first
    for cloud in ("aws", "gcp"):
        assert not lost & {address for _ in range(40) for address in answers(cloud)}


def test_when_the_cloud_of_an_authority_is_dropped_the_other_answers_with_living_addresses_throughout(sites):
    lost = {address for site in ("virginia", "ireland") for address in sites.outputs()["addresses"][site]}
    sites.with_sites("premises")
    sites.settings["dns"] = {"ttl": 5, "cloudDns": {"project": "tricorn-local"}}
    with Asking("gcp") as asking:
        sites.up()
    assert asking.asked["gcp"] > 20
    assert (asking.empty, asking.dead) == ([], [])
    assert not lost & {address for _ in range(60) for address in answers("gcp")}
    assert not [urn for urn in sites.state() if "::endpoint-route53" in urn or "::endpoint-aws" in urn]
    steps = sites.steps()
    gone = min(begun for _, _, begun, _ in called(steps, "virginia", "ireland"))
    assert max(ended for _, own, _, ended in called(steps, "endpoint-cloud-dns") if own == NAME) < gone


def test_a_destroy_leaves_nothing_and_the_existing_cluster_as_it_was(sites):
    sites.pulumi("destroy", "--yes", "--skip-preview", "--stack", "local", expect=0)
    assert not sites.state()
    assert {row.type for cloud in ("aws", "gcp", "azure") for row in sites.store.resources(cloud)} <= KEPT
    (cluster,) = [each for cloud in ("aws", "gcp", "azure") for each in sites.store.clusters(cloud)]
    assert cluster.status == "active"
    # Uninstalling a chart leaves the namespace that was made for it.
    assert sites.namespaces() - sites.namespaces_before <= {GATEWAY_NAMESPACE}
