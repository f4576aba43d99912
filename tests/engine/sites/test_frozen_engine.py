"""Work goes on while a cloud is down: the rest can be changed, and what is lost comes back without repair."""

import copy
import signal

import pytest

from localcloud import lifecycle
from serving.frozen import EXCLUDE_VARIABLE as VARIABLE
from tests.engine.sites.sites_run import Asking, answers, healthy, wait_healthy

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]
OWNERS = {"route53": ["endpoint-route53", "endpoint-aws"], "cloudDns": ["endpoint-cloud-dns", "endpoint-gcp"]}
"""Names that everything of an authority begins with."""


def exact(sites, *names):
    """The engine's option, naming what the state holds of sites and authorities one by one."""
    return {VARIABLE: ",".join(part(sites.state(), *names))}


def patterns(*names):
    """The engine's option, as patterns that someone may write by hand."""
    return {VARIABLE: ",".join(f"urn:pulumi:local::tricorn::**::{owner}{rest}" for name in names
                               for owner in OWNERS.get(name, [name]) for rest in ("", "-*"))}  # fmt: skip


def part(state, *names):
    """What a state holds of sites and authorities."""
    owners = [owner for name in names for owner in OWNERS.get(name, [name])]
    found = {}
    for urn, each in state.items():
        own = urn.rpartition("::")[2]
        if any(own == owner or own.startswith(f"{owner}-") for owner in owners):
            found[urn] = each
    return found


def canary(sites, version=2):
    sites.settings["models"]["scenes"]["canary"] = {"version": version, "weight": 10}


def back_to_normal(sites):
    """Take the settings of the start, without any repair, and expect nothing left to do."""
    sites.settings = sites.base()
    sites.up()
    sites.preview("--expect-no-changes")


def test_frozen_without_the_engine_being_told_is_refused_before_anything_would_be_deleted(sites):
    before = sites.state()
    sites.settings = {**sites.base(), "frozen": ["iowa"]}
    for variables in ({}, patterns("virginia"), {VARIABLE: next(iter(part(before, "iowa")))}):
        done = sites.preview(expect=None, **variables)
        assert done.returncode
        text = done.stdout + done.stderr
        assert "tricorn:settings.frozen names iowa" in text
        assert "python -m deploy up -s local" in text
        assert "Traceback" not in text
        assert "delete" not in text.replace("would delete them", "")


def test_a_site_that_was_never_made_cannot_be_frozen(sites):
    sites.settings = copy.deepcopy({**sites.base(), "frozen": ["oregon"]})
    sites.settings["sites"]["oregon"] = {**sites.settings["sites"]["ireland"], "cidr": "10.40.0.0/16"}
    done = sites.preview(expect=None, **patterns("oregon"))
    assert done.returncode
    assert "oregon, which this stack has not made yet" in done.stdout + done.stderr


def test_with_a_whole_cloud_gone_its_authority_included_the_rest_is_updated_and_its_share_moves_away(sites):
    before, outputs = sites.state(), sites.outputs()
    lifecycle.kill(sites.paths, "gcp")
    try:
        assert answers("gcp") is None
        sites.settings = {**copy.deepcopy(sites.base()), "frozen": ["iowa", "cloudDns"]}
        sites.settings["sites"]["iowa"]["weight"] = 0
        canary(sites)
        options = exact(sites, "iowa", "cloudDns")
        sites.preview(**options)
        sites.up(**options)
        after = sites.state()
        assert part(after, "iowa", "cloudDns") == part(before, "iowa", "cloudDns")
        assert not part({urn: operation for operation, urn, *_ in sites.steps()}, "iowa", "cloudDns")
        for site in ("virginia", "ireland", "premises"):
            assert any(urn.endswith(f"::{site}-scenes-v2-deployment") for urn in after), site
        assert {key: sites.outputs()[key]["iowa"] for key in ("addresses", "stores", "kubeconfigs")} == {
            key: outputs[key]["iowa"] for key in ("addresses", "stores", "kubeconfigs")
        }
        lost = set(outputs["addresses"]["iowa"])
        assert not lost & {address for _ in range(60) for address in answers("aws")}
    finally:
        lifecycle.start_cloud(sites.paths, "gcp")
    wait_healthy(outputs["addresses"]["iowa"])
    del sites.settings["frozen"]
    sites.settings["sites"]["iowa"]["weight"] = 30
    sites.up()
    assert any(urn.endswith("::iowa-scenes-v2-deployment") for urn in sites.state())
    sites.preview("--expect-no-changes")
    back_to_normal(sites)


def test_with_a_clouds_api_failing_every_call_its_sites_serve_on_and_all_others_can_be_changed(sites):
    before, outputs = sites.state(), sites.outputs()
    dead = ["virginia", "ireland", "route53"]
    sites.break_api("aws")
    calls = len(sites.store.events("aws"))
    try:
        sites.settings = {**copy.deepcopy(sites.base()), "frozen": dead}
        sites.settings["sites"]["iowa"]["weight"] = 90
        canary(sites)
        sites.preview(**patterns(*dead))
        with Asking("aws", "gcp") as asking:
            sites.up(**patterns(*dead))
        assert not asking.empty
        assert not asking.dead
        sites.pulumi("refresh", "--yes", "--skip-preview", "--stack", "local", expect=0, **patterns(*dead))
        assert part(sites.state(), *dead) == part(before, *dead)
        assert len(sites.store.events("aws")) == calls
        assert any(urn.endswith("::iowa-scenes-v2-deployment") for urn in sites.state())
        assert all(map(healthy, outputs["addresses"]["virginia"]))
    finally:
        sites.mend_api("aws")
    back_to_normal(sites)


def test_with_one_sites_api_server_dead_its_share_is_moved_away_and_nothing_waits_for_it(sites):
    before, outputs = sites.state(), sites.outputs()
    number = next(each.number for each in sites.store.clusters("aws") if each.name.startswith("virginia"))
    server = sites.api_server(f"127.0.1.{number}")
    server.send_signal(signal.SIGSTOP)
    try:
        sites.settings = {**copy.deepcopy(sites.base()), "frozen": ["virginia"]}
        sites.settings["sites"]["virginia"]["weight"] = 0
        sites.up(**patterns("virginia"))
        assert part(sites.state(), "virginia") == part(before, "virginia")
        moved = set(outputs["addresses"]["virginia"])
        for cloud in ("aws", "gcp"):
            assert not moved & {address for _ in range(60) for address in answers(cloud)}
    finally:
        server.send_signal(signal.SIGCONT)
    back_to_normal(sites)
