"""GlobalEndpoint: the same records in both DNS authorities, their health checks, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_gcp as gcp
import pytest

from components._endpoint import SiteTarget
from components.global_endpoint import GlobalEndpoint, GlobalEndpointArgs

ROOT = Path(__file__).resolve().parents[2]
DOMAIN = "serve.example.com"
ZONE, RECORD, CHECK = "aws:route53/zone:Zone", "aws:route53/record:Record", "aws:route53/healthCheck:HealthCheck"
MANAGED, SET, PROBE = (
    "gcp:dns/managedZone:ManagedZone", "gcp:dns/recordSet:RecordSet", "gcp:compute/healthCheck:HealthCheck",
)  # fmt: skip
SITES = {
    "aws": SiteTarget(weight=40, addresses=["203.0.113.1", "203.0.113.2"]),
    "gcp": SiteTarget(weight=60, addresses=["203.0.113.3"]),
}
DRAINED = {**SITES, "azure": SiteTarget(weight=0, addresses=["203.0.113.4"])}


def arguments(**changes: Any) -> GlobalEndpointArgs:
    values: dict[str, Any] = {
        "domain": DOMAIN,
        "port": 8080,
        "sites": SITES,
        "health_path": "/-/local-health/scenes",
        "ttl": 5,
        "route53": True,
        "cloud_dns_project": "acme",
    }
    return GlobalEndpointArgs(**{**values, **changes})


@pytest.fixture
def publish(run: Any, gives: Any) -> Any:
    outputs = {
        **gives(ZONE, zoneId="Z1", nameServers=["ns.awsdns"]),
        **gives(MANAGED, nameServers=["ns.googledomains"]),
        **gives(PROBE, selfLink="link-of-the-check"),
    }

    def start(preview: bool = False, **changes: Any) -> Any:
        def build():
            mine = [aws.Provider("on-aws", region="us-east-1"), gcp.Provider("on-gcp", project="acme")]
            options = pulumi.ResourceOptions(providers=mine)
            return GlobalEndpoint("e", arguments(**changes), options).name_servers

        return run(build, preview=preview, outputs=outputs)

    return start


def route53(recording: Any) -> dict[tuple[str, str], dict[str, tuple[list[str], int | None]]]:
    """Answers by name and type, then by set identifier: values and weight."""
    found: dict[tuple[str, str], Any] = {}
    for row in recording.all(RECORD):
        policy = (row.inputs.get("weightedRoutingPolicies") or [{}])[0]
        answers = found.setdefault((row.inputs["name"], row.inputs["type"]), {})
        answers[row.inputs.get("setIdentifier", "")] = (row.inputs["records"], policy.get("weight"))
    return found


def cloud_dns(recording: Any) -> dict[tuple[str, str], list[tuple[list[str], int | None]]]:
    """Answers by name (without the final dot) and type: values and weight."""
    found: dict[tuple[str, str], Any] = {}
    for row in recording.all(SET):
        assert row.inputs["name"].endswith(".")
        shares = row.inputs.get("routingPolicy", {}).get("wrrs")
        answers = (
            [(each["healthCheckedTargets"]["externalEndpoints"], each["weight"]) for each in shares]
            if shares
            else [(row.inputs["rrdatas"], None)]
        )
        found[(row.inputs["name"].removesuffix("."), row.inputs["type"])] = answers
    return found


def test_both_authorities_hold_the_same_answers_and_weights(publish, preview):
    recording = publish(preview)
    amazon, google = route53(recording), cloud_dns(recording)
    assert amazon.keys() == google.keys()
    # Each vendor writes the name servers in its own way; they have a test of their own.
    del amazon[(DOMAIN, "NS")], google[(DOMAIN, "NS")]
    for key, answers in amazon.items():
        assert sorted(answers.values()) == sorted(google[key])
    assert amazon[(DOMAIN, "A")] == {"aws": (["203.0.113.1", "203.0.113.2"], 40), "gcp": (["203.0.113.3"], 60)}
    lifetimes = {
        row.inputs["ttl"] for row in [*recording.all(RECORD), *recording.all(SET)] if row.inputs["type"] != "NS"
    }
    assert lifetimes == {5}


def test_every_site_has_a_name_and_a_service_record(publish):
    google = cloud_dns(publish())
    assert google[(f"aws.{DOMAIN}", "A")] == [(["203.0.113.1", "203.0.113.2"], None)]
    assert google[(f"gcp.{DOMAIN}", "A")] == [(["203.0.113.3"], None)]
    ((services, _),) = google[(f"_predict._tcp.{DOMAIN}", "SRV")]
    assert services == [f"0 40 8080 aws.{DOMAIN}.", f"0 60 8080 gcp.{DOMAIN}."]


def test_a_drained_site_gets_no_answers_of_the_domain_but_keeps_its_own_name(publish, preview):
    recording = publish(preview, sites=DRAINED)
    amazon, google = route53(recording), cloud_dns(recording)
    assert amazon[(DOMAIN, "A")]["azure"] == (["203.0.113.4"], 0)
    assert ["203.0.113.4"] not in [addresses for addresses, _ in google[(DOMAIN, "A")]]
    assert len(google[(DOMAIN, "A")]) == 2
    assert amazon[(f"azure.{DOMAIN}", "A")] == {"": (["203.0.113.4"], None)}
    assert google[(f"azure.{DOMAIN}", "A")] == [(["203.0.113.4"], None)]


def test_route53_probes_the_model_at_every_address(publish):
    recording = publish()
    checks = {row.inputs["ipAddress"]: row for row in recording.all(CHECK) if row.inputs["type"] != "CALCULATED"}
    assert set(checks) == {"203.0.113.1", "203.0.113.2", "203.0.113.3"}
    for row in checks.values():
        assert row.inputs["type"] == "HTTP_STR_MATCH"
        assert row.inputs["port"] == 8080
        assert row.inputs["resourcePath"] == "/-/local-health/scenes"
        assert row.inputs["searchString"] == "AVAILABLE"
        assert (row.inputs["requestInterval"], row.inputs["failureThreshold"]) == (10, 2)


def test_a_site_with_several_addresses_is_healthy_while_one_of_them_answers(publish):
    recording = publish()
    (over,) = [row for row in recording.all(CHECK) if row.inputs["type"] == "CALCULATED"]
    own = {row.inputs["ipAddress"]: f"{row.name}-id" for row in recording.all(CHECK) if "ipAddress" in row.inputs}
    assert sorted(over.inputs["childHealthchecks"]) == sorted([own["203.0.113.1"], own["203.0.113.2"]])
    assert over.inputs["childHealthThreshold"] == 1
    used = {
        row.inputs["setIdentifier"]: row.inputs["healthCheckId"]
        for row in recording.all(RECORD)
        if "setIdentifier" in row.inputs
    }
    assert used == {"aws": f"{over.name}-id", "gcp": own["203.0.113.3"]}


def test_both_zones_list_the_name_servers_of_both_vendors(publish):
    recording = publish()
    (amazon,) = [row.inputs for row in recording.all(RECORD) if row.inputs["type"] == "NS"]
    (google,) = [row.inputs for row in recording.all(SET) if row.inputs["type"] == "NS"]
    assert (amazon["name"], google["name"]) == (DOMAIN, f"{DOMAIN}.")
    assert amazon["records"] == ["ns.awsdns", "ns.googledomains"]
    assert google["rrdatas"] == ["ns.awsdns.", "ns.googledomains."]
    # A zone is born with a list of its own vendor's.
    assert amazon["allowOverwrite"] is True


@pytest.mark.parametrize("changes", [{"route53_zone_id": "Z9"}, {"cloud_dns_zone": "corporate"}, {"route53": None}])
def test_the_list_of_name_servers_is_left_alone_where_it_may_be_a_parents_or_there_is_one_vendor(publish, changes):
    recording = publish(**changes)
    assert "NS" not in {row.inputs["type"] for row in [*recording.all(RECORD), *recording.all(SET)]}


def test_a_zone_lists_the_name_servers_of_an_authority_that_is_not_declared_now(publish):
    recording = publish(route53=None, other_name_servers=["ns.awsdns"])
    (google,) = [row.inputs for row in recording.all(SET) if row.inputs["type"] == "NS"]
    assert google["rrdatas"] == ["ns.awsdns.", "ns.googledomains."]


@pytest.mark.parametrize(("protect", "expected"), [(None, True), (False, False)])
def test_a_zone_made_here_is_not_deleted_by_mistake(publish, protect, expected):
    recording = publish(protect=protect)
    assert [row.protect for row in (recording.one(ZONE), recording.one(MANAGED))] == [expected] * 2


def test_cloud_dns_probes_the_model_from_three_regions(publish):
    recording = publish()
    check = recording.one(PROBE).inputs
    assert check["httpHealthCheck"] == {"host": DOMAIN, "port": 8080, "requestPath": "/-/local-health/scenes"}
    assert (check["checkIntervalSec"], check["unhealthyThreshold"], len(check["sourceRegions"])) == (30, 2, 3)
    (policy,) = [row.inputs["routingPolicy"] for row in recording.all(SET) if "routingPolicy" in row.inputs]
    assert policy["healthCheck"] == "link-of-the-check"


@pytest.mark.parametrize(
    ("changes", "kind", "probe"),
    [
        ({"health_path": None}, "TCP", "tcpHealthCheck"),
        ({"tls": True}, "HTTPS_STR_MATCH", "httpsHealthCheck"),
        ({"health_path": None, "tls": True}, "TCP", "tcpHealthCheck"),
    ],
)
def test_the_probe_fits_what_sites_speak(publish, changes, kind, probe):
    recording = publish(**changes)
    checks = [row for row in recording.all(CHECK) if row.inputs["type"] != "CALCULATED"]
    assert {row.inputs["type"] for row in checks} == {kind}
    assert {"resourcePath" in row.inputs for row in checks} == {kind != "TCP"}
    probes = [key for key in recording.one(PROBE).inputs if key.endswith("HealthCheck")]
    assert probes == [probe]
    assert recording.one(PROBE).inputs[probe]["port"] == 8080


def test_name_servers_of_new_zones_are_known_after_an_update(publish):
    assert publish().value == {"route53": ["ns.awsdns"], "cloud_dns": ["ns.googledomains"]}


def test_existing_zones_are_used_and_none_is_made(publish):
    recording = publish(route53_zone_id="Z9", cloud_dns_zone="corporate")
    assert not recording.all(ZONE)
    assert not recording.all(MANAGED)
    assert {row.inputs["zoneId"] for row in recording.all(RECORD)} == {"Z9"}
    assert {row.inputs["managedZone"] for row in recording.all(SET)} == {"corporate"}
    assert recording.value == {"route53": [], "cloud_dns": []}


@pytest.mark.parametrize(
    ("changes", "authority"),
    [({"cloud_dns_project": None}, "route53"), ({"route53": None}, "cloud_dns")],
)
def test_one_authority_alone_is_enough(publish, changes, authority):
    recording = publish(**changes)
    assert set(recording.value) == {authority}
    vendors = {row.type.partition(":")[0] for row in recording.children()}
    assert vendors == {"aws" if authority == "route53" else "gcp"}


def test_every_child_uses_the_callers_provider_of_its_cloud(publish, preview):
    recording = publish(preview)
    used = {(row.type.partition(":")[0], row.provider) for row in recording.children()}
    assert used == {("aws", "on-aws"), ("gcp", "on-gcp")}
    assert {row.inputs["project"] for row in recording.children() if row.type.startswith("gcp:")} == {"acme"}


def test_two_endpoints_live_in_one_stack(run):
    def build():
        for name in ("one", "two"):
            GlobalEndpoint(name, arguments(domain=f"{name}.example.com"))

    recording = run(build)
    assert {row.inputs["name"] for row in recording.all(ZONE)} == {"one.example.com", "two.example.com"}


def test_a_cloud_that_publishes_nothing_needs_no_sdk():
    """In a process of its own, because this one has them all."""
    program = """
import sys
import pulumi
from components._endpoint import SiteTarget
from components.global_endpoint import GlobalEndpoint, GlobalEndpointArgs
from tests.components.recording import run
sites = {"a": SiteTarget(weight=1, addresses=["203.0.113.1"])}
args = GlobalEndpointArgs(domain="a.example.com", port=80, sites=sites, route53=True)
run(lambda: GlobalEndpoint("e", args) and None)
print(sorted(name for name in ("pulumi_aws", "pulumi_gcp", "pulumi_azure_native") if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['pulumi_aws']"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"domain": "serve.example.com."}, "domain: must be a name such as serve.example.com, without a final dot"),
        ({"port": 70000}, "port: must be less than or equal to 65535, got 70000"),
        ({"ttl": 0}, "ttl: must be greater than or equal to 5, got 0"),
        ({"sites": {}}, "sites: at least one must have a weight above 0"),
        ({"sites": {"a": SiteTarget(weight=0, addresses=["203.0.113.1"])}}, "sites: at least one must have a weight"),
        ({"sites": {"a": SiteTarget(weight=256, addresses=["203.0.113.1"])}}, "sites.a.weight: must be 0 to 255"),
        ({"sites": {"a": SiteTarget(weight=1, addresses=[])}}, "sites.a.addresses: must hold at least one"),
        ({"route53": None, "cloud_dns_project": None}, "route53: nobody publishes the name"),
    ],
)
def test_a_bad_value_is_refused_by_name_with_its_rule(changes, text):
    with pytest.raises(pulumi.InputPropertiesError) as refusal:
        arguments(**changes)
    assert text in str(refusal.value)


def test_all_bad_values_are_named_at_once():
    with pytest.raises(pulumi.InputPropertiesError) as refusal:
        arguments(domain="x", port=0, ttl=1, sites={}, route53=False, cloud_dns_project=None)
    assert str(refusal.value).count("\n  ") == 5


def test_arguments_from_a_component_host_are_given_their_types(run):
    """A host passes dicts, and every number in them is a float."""
    site = {"weight": 7.0, "addresses": ["203.0.113.1"]}
    args: Any = {"domain": DOMAIN, "port": 8080.0, "sites": {"aws": site}, "route53": True}
    recording = run(lambda: GlobalEndpoint("e", args))
    (services,) = route53(recording)[(f"_predict._tcp.{DOMAIN}", "SRV")].values()
    assert services == ([f"0 7 8080 aws.{DOMAIN}."], None)
