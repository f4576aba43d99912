"""Work goes on while a cloud is down: the rest can be changed, and what is lost comes back without repair."""

import signal

import pytest

from localcloud import lifecycle
from serving.frozen import EXCLUDE_VARIABLE as VARIABLE
from tests.engine.sites.sites_run import Asking, answers, healthy, wait_healthy

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
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


def touched(before, after):
    """Names and keys of what differs; a refresh writes down anew what depends on what, which is left aside."""
    aside = ("dependencies", "propertyDependencies")
    found = {
        (urn.rpartition("::")[2], key)
        for urn in before.keys() & after.keys()
        for key in before[urn].keys() | after[urn].keys()
        if key not in aside and before[urn].get(key) != after[urn].get(key)
    }
    return found | {(urn, "") for urn in before.keys() ^ after.keys()}


def changed(sites, *frozen, **weights):
    """Make the settings ones with other weights and with a second version of the model.

    Returns:
        A test of a state: whether the change has reached a site.
    """
    sites.with_sites(*sites.base()["sites"], **weights)
    sites.settings["frozen"] = list(frozen)
    sites.settings["models"]["scenes"]["canary"] = {"version": 2, "weight": 10}
    return lambda state, site: any(urn.endswith(f"::{site}-scenes-v2-deployment") for urn in state)


def test_frozen_without_the_engine_being_told_is_refused_before_anything_would_be_deleted(sites):
    before = sites.state()
    sites.settings = {**sites.base(), "frozen": ["iowa"]}
    for variables in ({}, {VARIABLE: next(iter(part(before, "iowa")))}):
        done = sites.preview(expect=None, **variables)
        assert done.returncode
        text = done.stdout + done.stderr
        assert "tricorn:settings.frozen names iowa" in text
        assert "python -m deploy up -s local" in text
        assert "Traceback" not in text
        assert "delete" not in text.replace("would delete them", "")


def test_with_a_cloud_gone_and_an_api_server_dead_elsewhere_the_rest_is_updated_and_their_shares_move_away(sites):
    """The cloud with its authority; the other site's cloud answers, and so does its neighbour in the same cloud."""
    before, outputs = sites.state(), sites.outputs()
    lost = ["iowa", "cloudDns", "virginia"]
    number = next(each.number for each in sites.store.clusters("aws") if each.name.startswith("virginia"))
    server = sites.api_server(f"127.0.1.{number}")
    lifecycle.kill(sites.paths, "gcp")
    server.send_signal(signal.SIGSTOP)
    try:
        assert answers("gcp") is None
        reached = changed(sites, *lost, iowa=0, virginia=0)
        sites.up(**exact(sites, *lost))
        after = sites.state()
        assert part(after, *lost) == part(before, *lost)
        assert not part({urn: operation for operation, urn, *_ in sites.steps()}, *lost)
        assert reached(after, "ireland")
        assert reached(after, "premises")
        found = sites.outputs()
        for key in ("addresses", "stores", "kubeconfigs"):
            assert [found[key][site] for site in ("iowa", "virginia")] == [
                outputs[key][site] for site in ("iowa", "virginia")
            ], key
        moved = {*outputs["addresses"]["iowa"], *outputs["addresses"]["virginia"]}
        assert not moved & {address for _ in range(60) for address in answers("aws")}
    finally:
        server.send_signal(signal.SIGCONT)
        lifecycle.start_cloud(sites.paths, "gcp")
    wait_healthy(outputs["addresses"]["iowa"])
    # Back without any repair, with what was changed meanwhile.
    del sites.settings["frozen"]
    for site in ("iowa", "virginia"):
        sites.settings["sites"][site]["weight"] = 30
    sites.up()
    state = sites.state()
    assert reached(state, "iowa")
    assert reached(state, "virginia")
    sites.settings = sites.base()
    sites.up()


def test_with_a_clouds_api_failing_every_call_its_sites_serve_on_and_all_others_can_be_changed(sites):
    before, outputs = sites.state(), sites.outputs()
    dead = ["virginia", "ireland", "route53"]
    sites.break_api("aws")
    calls = len(sites.store.events("aws"))
    try:
        reached = changed(sites, *dead, iowa=90)
        sites.preview(**patterns(*dead))
        with Asking("aws", "gcp") as asking:
            sites.up(**patterns(*dead))
        assert asking.empty == []
        assert asking.dead == []
        assert part(sites.state(), *dead) == part(before, *dead)
        sites.pulumi("refresh", "--yes", "--skip-preview", "--stack", "local", expect=0, **patterns(*dead))
        after = sites.state()
        assert touched(part(before, *dead), part(after, *dead)) == set()
        assert len(sites.store.events("aws")) == calls
        assert reached(after, "iowa")
        assert not reached(after, "virginia")
        assert all(map(healthy, outputs["addresses"]["virginia"]))
    finally:
        sites.mend_api("aws")
        sites.settings = sites.base()
    sites.up()
    sites.preview("--expect-no-changes")
