"""The program itself, with the stacks' own settings: what a stack gets, what it exports, and what stops it at once."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from serving.settings import parse_settings
from tests.components.cloud_answers import INLINE_SECRET
from tests.components.fake_bundle import sign_bundle, write_bundle
from tests.components.recording import Recording, Row

ROOT = Path(__file__).resolve().parents[2]
STACKS = ("local", "dev", "prod")
ANSWERS = {"aws:index/getAvailabilityZones:getAvailabilityZones": {"names": [f"us-east-1{zone}" for zone in "abcdef"]}}
EXPORTS = {"endpoint", "kubeconfigs", "addresses", "registries", "stores", "name_servers"}
CLUSTERS = {
    "aws": "aws:eks/cluster:Cluster",
    "gcp": "gcp:container/cluster:Cluster",
    "azure": "azure-native:containerservice:ManagedCluster",
}
RECORD, RECORD_SET = "aws:route53/record:Record", "gcp:dns/recordSet:RecordSet"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
GRPC = "kubernetes:gateway.networking.k8s.io/v1:GRPCRoute"
RELEASE = "kubernetes:helm.sh/v3:Release"
Program = Callable[..., Recording]


def settings_of(stack: str) -> dict[str, Any]:
    """The settings of a stack file, as the engine hands them to the program."""
    settings: dict[str, Any] = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]["tricorn:settings"]
    return settings


@pytest.fixture
def program(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """program(settings, preview=False, versions=(1,)) -> Recording whose value holds the exports."""
    monkeypatch.chdir(tmp_path)

    def start(settings: dict[str, Any], *, preview: bool = False, versions: tuple[int, ...] = (1,)) -> Recording:
        for version in versions:
            write_bundle(tmp_path / "build" / "bundles" / "scenes", version=version, content=b"version %d" % version)
        exports: dict[str, Any] = {}
        monkeypatch.setattr(pulumi, "export", exports.__setitem__)
        pulumi.runtime.set_all_config({"tricorn:settings": json.dumps(settings)})

        def build() -> dict[str, Any]:
            runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")
            return exports

        try:
            recording: Recording = run(build, preview=preview, answers=ANSWERS)
        finally:
            pulumi.runtime.set_all_config({})
        return recording

    return start


def local(**changes: Any) -> dict[str, Any]:
    return {**settings_of("local"), **changes}


def refusal(program: Program, settings: dict[str, Any], *, versions: tuple[int, ...] = (1,)) -> str:
    """What the program says when it refuses settings; fails if it registered anything before."""
    registered: list[str] = []

    original = pulumi.Resource.__init__

    def counting(self: Any, t: str, name: str, *args: Any, **options: Any) -> None:
        if t != "pulumi:pulumi:Stack":
            registered.append(name)
        original(self, t, name, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pulumi.Resource, "__init__", counting)
        with pytest.raises(pulumi.RunError) as stopped:
            program(settings, versions=versions)
    assert registered == []
    return str(stopped.value)


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_gets_a_cluster_per_site_and_every_documented_export(program, preview, stack):
    settings = settings_of(stack)
    recording = program(settings, preview=preview)
    for cloud, kind in CLUSTERS.items():
        wanted = [site for site in settings["sites"].values() if site["cloud"] == cloud]
        assert len(recording.all(kind)) == len(wanted)
    assert len(recording.all(DEPLOYMENT)) == len(settings["sites"])
    if preview:
        return
    assert recording.value.keys() == EXPORTS | ({"ci"} if "ci" in settings.get("access", {}) else set())
    for per_site in ("kubeconfigs", "addresses", "registries", "stores"):
        assert recording.value[per_site].keys() == settings["sites"].keys()
    for site, text in recording.value["kubeconfigs"].items():
        assert json.loads(text)["clusters"][0]["cluster"]["server"].startswith("https://"), site
    assert all(recording.value["addresses"].values())


def test_the_local_stack_exports_where_it_answers_and_who_answers_for_it(program):
    exports = program(settings_of("local")).value
    assert exports["endpoint"] == "serve.tricorn.test:8080"
    assert exports["name_servers"].keys() == {"route53", "cloud_dns"}


def test_each_resource_uses_a_provider_of_its_own_site(program, preview):
    recording = program(settings_of("prod"), preview=preview)
    used = {(row.type.partition(":")[0], row.provider) for row in recording.children()}
    sites = ("aws-virginia", "gcp-iowa", "azure-virginia")
    assert used == {
        ("aws", "aws-virginia-aws"), ("gcp", "gcp-iowa-gcp"), ("azure-native", "azure-virginia-azure"),
        ("aws", "endpoint-aws"), ("gcp", "endpoint-gcp"),
        ("aws", "ci-aws"), ("gcp", "ci-gcp"), ("azure-native", "ci-azure"),
        *(("kubernetes", f"{site}-k8s") for site in sites),
    }  # fmt: skip
    for row in recording.children():
        if row.type.startswith("kubernetes:"):
            assert row.name.startswith(row.provider.removesuffix("-k8s")), row
    assert {call.provider for call in recording.calls if call.token in ANSWERS} == {"aws-virginia-aws"}


def test_dev_protects_nothing_and_prod_protects_what_nobody_can_rebuild(program):
    assert not [row.name for row in program(settings_of("dev")).children() if row.protect]
    protected = {row.type for row in program(settings_of("prod")).children() if row.protect}
    assert {*CLUSTERS.values(), "aws:s3/bucket:Bucket", "gcp:storage/bucket:Bucket"} <= protected


def test_dev_is_one_small_pool_that_can_be_empty_and_prefers_spot():
    settings = parse_settings(settings_of("dev"))
    (pool,) = settings.pools.values()
    assert len(settings.sites) == 1
    assert pool.min == 0
    assert pool.spot is not None
    assert pool.spot.share_percent == 100


def test_prod_is_three_clouds_with_an_on_demand_floor():
    settings = parse_settings(settings_of("prod"))
    assert {site.cloud for site in settings.sites.values()} == {"aws", "gcp", "azure"}
    for pool in settings.pools.values():
        assert pool.min >= 1
        assert pool.spot is None or pool.spot.fallback == "on-demand"


def test_only_the_local_stack_is_marked_for_the_local_clouds():
    marks = {
        stack: yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"].get("localcloud:run")
        for stack in STACKS
    }
    assert marks == {"local": "true", "dev": None, "prod": None}


def test_the_project_declares_its_settings_with_type_and_description():
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    assert project["name"] == "tricorn"
    assert project["runtime"]["name"] == "python"
    declared = project["config"]["tricorn:settings"]
    assert declared["type"] == "object"
    assert declared["description"]


def test_dns_sends_requests_to_the_sites_static_addresses(program):
    recording = program(settings_of("local"))
    weighted = {row.inputs["setIdentifier"]: row for row in recording.all(RECORD) if "setIdentifier" in row.inputs}
    assert {site: row.inputs["weightedRoutingPolicies"][0]["weight"] for site, row in weighted.items()} == {
        "aws": 34, "gcp": 33, "azure": 33,
    }  # fmt: skip
    for site, row in weighted.items():
        assert row.inputs["records"] == recording.value["addresses"][site]
    probed = [row.inputs for row in recording.all("aws:route53/healthCheck:HealthCheck") if "ipAddress" in row.inputs]
    assert {row["ipAddress"] for row in probed} == {each for row in weighted.values() for each in row.inputs["records"]}
    assert {(row["resourcePath"], row["port"]) for row in probed} == {("/-/local-health/scenes", 8080)}


def test_a_drained_site_keeps_its_cluster_and_its_own_name(program):
    settings = local()
    settings["sites"] = {**settings["sites"], "azure": {**settings["sites"]["azure"], "weight": 0}}
    recording = program(settings)
    assert recording.all(CLUSTERS["azure"])
    names = {row.inputs["name"]: row.inputs for row in recording.all(RECORD_SET)}
    assert "azure.serve.tricorn.test." in names
    assert len(names["serve.tricorn.test."]["routingPolicy"]["wrrs"]) == 2


def test_a_canary_gets_a_server_and_its_share_where_it_is_wanted_and_only_there(program):
    settings = local()
    model = {**settings["models"]["scenes"], "canary": {"version": 2, "weight": 10, "sites": ["gcp"]}}
    recording = program({**settings, "models": {"scenes": model}}, versions=(1, 2))
    names = {row.name for row in recording.all(DEPLOYMENT)}
    assert names == {f"{site}-scenes-v1-deployment" for site in ("aws", "gcp", "azure")} | {"gcp-scenes-v2-deployment"}
    for site, expected in (("gcp", {"scenes-v1": 90, "scenes-v2": 10}), ("aws", {"scenes-v1": 100})):
        backends = recording.one(GRPC, f"{site}-scenes-routes-grpc-route").inputs["spec"]["rules"][0]["backendRefs"]
        assert {each["name"]: each["weight"] for each in backends if each["kind"] == "Service"} == expected


def test_pods_wait_for_their_bundle_and_only_their_own_routes_wait_for_them(program):
    recording = program(settings_of("local"))
    pods = {row.urn: row.name.partition("-")[0] for row in recording.all(DEPLOYMENT)}
    assert len(pods) == 3
    stored = recording.one("aws:s3/bucketObjectv2:BucketObjectv2").urn
    assert stored in recording.one(DEPLOYMENT, "aws-scenes-v1-deployment").depends_on
    for row in recording.rows:
        waited_for = {pods[urn] for urn in row.depends_on & pods.keys()}
        if row.name.startswith("endpoint-"):
            continue  # the public name leads to a site once everything of it is there
        assert waited_for <= {row.name.partition("-")[0]}
        # What is inside a component waits for what the component waits for.
        assert bool(waited_for) == row.name.endswith("-scenes-routes"), f"{row.name} waits for pods of {waited_for}"


def test_the_public_name_leads_to_a_site_only_after_everything_of_it_is_there_and_is_taken_back_before_any_of_it_goes(
    program, preview
):
    """The engine makes a resource after all it depends on, and deletes it before all of that."""
    recording = program(settings_of("local"), preview=preview)
    name = recording.one(RECORD_SET, "endpoint-cloud-dns-name")
    for site in ("aws", "gcp", "azure"):
        everything = {row.urn for row in recording.children() if row.name.startswith(f"{site}-")}
        assert len(everything) > 30
        for row in (name, recording.one(RECORD, f"endpoint-route53-{site}")):
            missed = everything - waited_for(recording, row)
            assert not missed, f"{row.name} does not wait for {missed}"


def waited_for(recording: Recording, row: Row) -> set[str]:
    """URNs of everything that must be there before a resource, its parents and what they wait for included."""
    parents = {(each.urn.split("::")[2], each.name): each.urn for each in recording.rows}
    known = {}
    for each in recording.rows:
        parent = parents.get((each.urn.split("::")[2].rpartition("$")[0], each.parent))
        known[each.urn] = each.depends_on | ({parent} if parent else set())
    found: set[str] = set()
    left = set(row.depends_on)
    while left:
        urn = left.pop()
        found.add(urn)
        # What is only read, such as a peer's authority, is nobody's to delete.
        left |= known.get(urn, frozenset()) - found
    return found


def test_requests_move_to_a_new_version_after_its_pods_are_ready(program):
    settings = local()
    model = {**settings["models"]["scenes"], "canary": {"version": 2, "weight": 10}}
    recording = program({**settings, "models": {"scenes": model}}, versions=(1, 2))
    for site in ("aws", "gcp", "azure"):
        routes = recording.one("tricorn:index:ModelRoutes", f"{site}-scenes-routes")
        for version in (1, 2):
            assert recording.one(DEPLOYMENT, f"{site}-scenes-v{version}-deployment").urn in routes.depends_on


OF_PEERS = ("-ingress-peer-cas", "-peers", "-ingress-peer-policy", "-ingress-gateway", "-routes")


def test_a_site_waits_for_another_only_where_it_hands_requests_to_it(program):
    recording = program(settings_of("local"))
    sites = ("aws", "gcp", "azure")
    waiting = set()
    for row in recording.rows:
        own = row.name.partition("-")[0]
        foreign = {urn.rpartition("::")[2].partition("-")[0] for urn in row.depends_on} & (set(sites) - {own})
        if own in sites and foreign:
            waiting.add(row.name)
    assert waiting
    for name in waiting:
        assert any(part in name for part in OF_PEERS), name


@pytest.mark.parametrize("changes", [{"ingress": {"port": 8080, "peerFallback": False}}, {"sites": 1}])
def test_without_other_sites_to_ask_no_site_waits_and_nothing_of_peers_is_made(program, changes):
    settings = local(**{key: value for key, value in changes.items() if key != "sites"})
    if "sites" in changes:
        settings["sites"] = {"aws": settings["sites"]["aws"]}
    recording = program(settings)
    assert not recording.reads
    assert not [row.name for row in recording.rows if "peer" in row.name or ".cert-manager.io" in row.type]
    assert not [row.name for row in recording.all(RELEASE) if "cert-manager" in row.inputs["chart"]]


def test_every_site_knows_the_authorities_of_the_others_and_where_they_are(program):
    recording = program(settings_of("local"))
    backend = recording.one("kubernetes:gateway.envoyproxy.io/v1alpha1:Backend", "aws-peers-backend-gcp").inputs
    endpoints = [each["ip"]["address"] for each in backend["spec"]["endpoints"]]
    assert endpoints == recording.value["addresses"]["gcp"]
    trusted = recording.one("kubernetes:core/v1:ConfigMap", "aws-ingress-peer-cas").inputs["data"]["ca.crt"]
    assert "gcp-identity-for-peers" in trusted
    assert "azure-identity-for-peers" in trusted
    assert "aws-identity-for-peers" not in trusted


def test_prod_gets_its_certificate_by_dns_and_serves_it(program):
    recording = program(settings_of("prod"))
    assert len(recording.all("kubernetes:cert-manager.io/v1:ClusterIssuer")) == 3
    for row in recording.all("kubernetes:gateway.networking.k8s.io/v1:Gateway"):
        public = row.inputs["spec"]["listeners"][0]
        assert (public["port"], public["tls"]["certificateRefs"][0]["name"]) == (443, "serving-tls")


def test_a_stack_without_models_is_probed_by_connection_only(program):
    recording = program(local(models={}), versions=())
    assert not recording.all(DEPLOYMENT)
    kinds = {row.inputs["type"] for row in recording.all("aws:route53/healthCheck:HealthCheck")}
    assert kinds == {"TCP", "CALCULATED"}


def test_an_authority_on_a_cloud_without_sites_gets_a_provider_of_its_own(program, preview):
    settings = local(dns={"ttl": 5, "route53": {"zoneId": "Z123"}, "cloudDns": {"project": "acme-dns"}})
    settings["sites"] = {"azure": settings["sites"]["azure"]}
    recording = program(settings, preview=preview)
    assert {row.provider for row in recording.all(RECORD)} == {"endpoint-aws"}
    assert {row.provider for row in recording.all(RECORD_SET)} == {"endpoint-gcp"}
    assert recording.one("pulumi:providers:gcp", "endpoint-gcp").inputs["project"] == "acme-dns"
    assert {row.inputs["zoneId"] for row in recording.all(RECORD)} == {"Z123"}


def test_no_credential_reaches_a_resource(program):
    recording = program(settings_of("local"))
    assert INLINE_SECRET not in json.dumps([row.inputs for row in recording.rows])
    assert INLINE_SECRET not in json.dumps(recording.value)


def test_every_bad_bundle_and_gpu_is_named_at_once_and_nothing_is_made(program):
    settings = local(pools={"l4": {"gpu": "L4-class", "max": 1}})
    model = {"bundle": "build/bundles/scenes", "stable": 7, "pool": "l4", "canary": {"version": 8, "weight": 1}}
    text = refusal(program, {**settings, "models": {"scenes": model}})
    assert text.startswith("Pulumi.test.yaml cannot be deployed:")
    assert "tricorn:settings.models.scenes.stable: build/bundles/scenes/7.json: there is no such manifest" in text
    assert "tricorn:settings.models.scenes.canary.version: build/bundles/scenes/8.json" in text
    assert "tricorn:settings.pools.l4.gpu: azure offers no L4-class GPU; use one of T4-class" in text
    assert "needed at site azure" in text
    assert len(text.splitlines()) == 4


def test_an_altered_archive_is_refused_and_nothing_is_made(program, tmp_path):
    folder = tmp_path / "build" / "bundles" / "scenes"
    digest = write_bundle(folder, version=5, content=b"as exported")
    (folder / f"{digest}.tar").write_bytes(b"as altered!")
    model = {"bundle": "build/bundles/scenes", "stable": 5}
    text = refusal(program, local(models={"scenes": model}))
    assert "models.scenes.stable" in text
    assert "does not have the SHA-256" in text


def test_versions_without_a_trusted_signature_are_refused_and_nothing_is_made(program, tmp_path):
    folder = tmp_path / "build" / "bundles" / "scenes"
    model = {"bundle": "build/bundles/scenes", "stable": 1, "canary": {"version": 2, "weight": 1}}
    write_bundle(folder, content=b"version 1")
    write_bundle(folder, version=2, content=b"version 2")
    trusted = sign_bundle(folder, Ed25519PrivateKey.generate())
    sign_bundle(folder, Ed25519PrivateKey.generate(), version=2)
    text = refusal(program, local(models={"scenes": model}, signers=[trusted, "gone.pem"]), versions=())
    assert "tricorn:settings.signers.1: gone.pem cannot be read: No such file or directory" in text
    assert "models.scenes.canary.version: build/bundles/scenes/2.sig: is signed with the key sha256:" in text
    assert "models.scenes.stable" not in text
    (tmp_path / "release.pem").write_text(trusted)
    made = program(local(models={"scenes": {**model, "canary": None}}, signers=["release.pem"]), versions=())
    assert len(made.all(DEPLOYMENT)) == 3


def test_a_bundle_of_another_model_is_refused_and_nothing_is_made(program):
    model = {"bundle": "build/bundles/scenes", "stable": 1}
    text = refusal(program, local(models={"faces": model}))
    assert "models.faces.bundle: build/bundles/scenes holds bundles of the model 'scenes'" in text


def test_settings_that_break_a_rule_are_refused_and_nothing_is_made(program):
    text = refusal(program, local(domain="Not A Domain", colour="blue"))
    assert text.startswith("Pulumi.test.yaml is not valid:")
    assert "tricorn:settings.domain: " in text
    assert "tricorn:settings.colour: unknown key" in text
