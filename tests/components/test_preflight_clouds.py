"""What the clouds answer at preview, through the program: one report before anything is declared, and warnings."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from components._preflight_static import NAME_LIMITS
from tests.components.cloud_answers import Refused
from tests.components.preflight_program import ZONES, starter
from tests.components.preflight_settings import SITES, raw

STATE = "pulumi:pulumi:readStackResourceOutputs"
QUOTA = "aws:servicequotas/getServiceQuota:getServiceQuota"
OFFERS = "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings"
MACHINE, EKS = "aws:ec2/getInstanceType:getInstanceType", "aws:eks/getClusterVersions:getClusterVersions"
GCP_QUOTA, GCP_MACHINES = "gcp:cloudquota/getSQuotaInfo:getSQuotaInfo", "gcp:compute/getMachineTypes:getMachineTypes"
GCP_ZONES, GKE = "gcp:compute/getZones:getZones", "gcp:container/getEngineVersions:getEngineVersions"


@pytest.fixture
def program(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    return starter(run, tmp_path, monkeypatch)


def quotas(**values: float) -> Any:
    """AWS quotas by code, with dashes as underscores; plenty of the others."""
    return lambda args: {"value": values.get(args["quotaCode"].replace("-", "_"), 1000)}


def gcp_quotas(**values: Any) -> Any:
    """Google Cloud quotas by id, dashes as underscores and the end left out; an empty string for no value."""

    def answer(args: Any) -> dict[str, Any]:
        name = args["quotaId"].partition("-per-project")[0].replace("-", "_")
        value = values.get(name, 1000)
        details = [{"value": str(value)}] if value != "" else []
        info = {"dimensions": {}, "applicableLocations": ["us-central1", "global"], "details": details}
        other = {"dimensions": {}, "applicableLocations": ["europe-west4"], "details": [{"value": "7777"}]}
        return {"dimensionsInfos": [other, info]}

    return answer


def test_a_stack_that_every_cloud_can_give_goes_on(program):
    outcome = program(raw())
    assert outcome.error == ""
    assert outcome.recording.rows


def test_every_finding_of_every_cloud_stands_in_one_report_and_nothing_is_declared(program):
    outcome = program(
        raw(),
        {
            QUOTA: quotas(L_DB2E81BA=4, L_1216C47A=5),
            GKE: {"validMasterVersions": ["1.35.4-gke.7", "1.34.1-gke.3"]},
            GCP_QUOTA: gcp_quotas(GPUS_ALL_REGIONS=0),
            OFFERS: {"instanceTypes": ["m7i.xlarge"] * 2, "locations": ["us-east-1a", "us-east-1b"]},
        },
    )
    assert outcome.error.startswith("Pulumi.test.yaml asks for what the clouds cannot give:")
    assert all(line.startswith("  tricorn:settings.") for line in outcome.lines)
    paths = [line.removeprefix("  tricorn:settings.").partition(":")[0] for line in outcome.lines]
    assert sorted(paths) == ["kubernetesVersion", "pools.t4", "pools.t4.max", "pools.t4.max", "systemPool.max"]


def test_a_quota_names_code_have_need_and_the_words_that_ask_for_more(program):
    (line,) = program(raw("aws"), {QUOTA: quotas(L_DB2E81BA=4)}).lines
    assert line == (
        "  tricorn:settings.pools.t4.max: the quota L-DB2E81BA of us-east-1 is too small for vCPUs of on-demand G and "
        "VT instances (have 4, need 8, at aws); lower max, or ask for more: aws service-quotas "
        "request-service-quota-increase --service-code ec2 --quota-code L-DB2E81BA --desired-value 8 --region us-east-1"
    )


def test_spot_and_on_demand_are_quotas_of_their_own(program):
    pools = {"t4": {"gpu": "T4-class", "max": 4, "spot": {"share": "50%"}}}
    (line,) = program(raw("aws", pools=pools), {QUOTA: quotas(L_3819A6DF=7)}).lines
    assert "L-3819A6DF" in line
    assert "(have 7, need 8, at aws)" in line
    assert program(raw("aws", pools=pools), {QUOTA: quotas(L_3819A6DF=8, L_DB2E81BA=16)}).error == ""
    assert "need 16" in program(raw("aws", pools=pools), {QUOTA: quotas(L_DB2E81BA=15)}).error


def test_the_pool_without_gpus_counts_too(program):
    (line,) = program(raw("aws"), {QUOTA: quotas(L_1216C47A=11)}).lines
    assert line.startswith("  tricorn:settings.systemPool.max: the quota L-1216C47A")
    assert "(have 11, need 12, at aws)" in line


def test_two_sites_of_a_region_share_its_quota(program):
    settings = raw(sites={"east": SITES["aws"], "spare": SITES["aws"]})
    (line,) = program(settings, {QUOTA: quotas(L_DB2E81BA=15)}).lines
    assert "(have 15, need 16, at east, spare)" in line
    other = raw(sites={"east": SITES["aws"], "west": {**SITES["aws"], "region": "us-west-2"}})
    assert program(other, {QUOTA: quotas(L_DB2E81BA=15), OFFERS: everywhere}).error == ""


def everywhere(args: Any) -> dict[str, Any]:
    """Offers of every type in the zones of every region."""
    types = args["filters"][0]["values"]
    pairs = [(name, f"us-{side}{zone}") for name in types for side in ("east-1", "west-2") for zone in "abcdef"]
    return {"instanceTypes": [name for name, _ in pairs], "locations": [zone for _, zone in pairs]}


def test_nodes_in_a_reservation_need_no_more_quota(program):
    reserved = {"reservation": {"id": "cr-0123456789abcdef0"}, "zones": ["us-east-1a"], "machines": ["g4dn.xlarge"]}
    pools = {"t4": {"gpu": "T4-class", "max": 2, "overrides": {"aws": reserved}}}
    assert program(raw("aws", pools=pools), {QUOTA: quotas(L_DB2E81BA=0)}).error == ""


def test_the_gpus_of_all_sites_of_a_project_add_up_and_the_limit_of_a_new_project_is_none(program):
    settings = raw(sites={"iowa": SITES["gcp"], "spare": SITES["gcp"]})
    (line,) = program(settings, {GCP_QUOTA: gcp_quotas(GPUS_ALL_REGIONS=3)}).lines
    assert "the quota GPUS_ALL_REGIONS of acme-models is too small" in line
    assert "(have 3, need 4, at iowa, spare)" in line
    assert "--quota-id=GPUS-ALL-REGIONS-per-project --preferred-value=4" in line


def test_a_gpu_metric_of_a_region_is_asked_by_the_id_of_its_quota(program):
    (line,) = program(raw("gcp"), {GCP_QUOTA: gcp_quotas(NVIDIA_T4_GPUS=1)}).lines
    assert "the quota NVIDIA_T4_GPUS of acme-models/us-central1 is too small for GPUs" in line
    assert "--quota-id=NVIDIA-T4-GPUS-per-project-region --preferred-value=2 --dimensions=region=us-central1" in line


def test_n1_machines_need_cpus_beside_their_gpus_and_l4_machines_do_not(program):
    (line,) = program(raw("gcp"), {GCP_QUOTA: gcp_quotas(CPUS=19)}).lines
    assert "(have 19, need 20, at gcp)" in line
    assert line.startswith("  tricorn:settings.pools.t4.max, systemPool.max: ")
    pools = {"t4": {"gpu": "L4-class", "max": 2}}
    assert program(raw("gcp", pools=pools), {GCP_QUOTA: gcp_quotas(CPUS=12)}).error == ""


def test_spot_machines_use_the_ordinary_quota_of_a_project_that_has_none_for_spot(program):
    pools = {"t4": {"gpu": "T4-class", "max": 2, "spot": {"share": "100%", "fallback": "none"}}}
    settings = raw("gcp", pools=pools)
    assert program(settings, {GCP_QUOTA: gcp_quotas(PREEMPTIBLE_NVIDIA_T4_GPUS=2, NVIDIA_T4_GPUS=0)}).error == ""
    for nothing in (0, ""):
        granted = gcp_quotas(PREEMPTIBLE_NVIDIA_T4_GPUS=nothing, NVIDIA_T4_GPUS=1)
        (line,) = program(settings, {GCP_QUOTA: granted}).lines
        assert "the quota NVIDIA_T4_GPUS of" in line
        assert "(have 1, need 2, at gcp)" in line


def test_an_unlimited_quota_is_enough_and_one_without_a_value_is_a_warning(program):
    assert program(raw("gcp"), {GCP_QUOTA: gcp_quotas(NVIDIA_T4_GPUS=-1)}).error == ""
    outcome = program(raw("gcp"), {GCP_QUOTA: gcp_quotas(NVIDIA_T4_GPUS="")})
    assert outcome.error == ""
    assert outcome.warned("names no value", "2 GPUs of on-demand machines (NVIDIA_T4_GPUS)")


def test_an_h100_is_told_apart_by_its_family(program):
    def answer(args: Any) -> dict[str, Any]:
        infos = [
            {"dimensions": dimensions, "applicableLocations": ["us-central1", "global"], "details": [{"value": value}]}
            for dimensions, value in (({"gpu_family": "NVIDIA_H200"}, "64"), ({"gpu_family": "NVIDIA_H100"}, "1"))
        ]
        single = [{"dimensions": {}, "applicableLocations": ["us-central1", "global"], "details": [{"value": "500"}]}]
        return {"dimensionsInfos": infos if "FAMILY" in args["quotaId"] else single}

    settings = raw("gcp", pools={"t4": {"gpu": "H100", "max": 2}})
    (line,) = program(settings, {GCP_QUOTA: answer}).lines
    assert "NVIDIA_H100_GPUS of acme-models/us-central1 is too small" in line
    assert "--dimensions=region=us-central1,gpu_family=NVIDIA_H100" in line


@pytest.mark.parametrize(("site", "token"), [("aws", EKS), ("gcp", GKE)])
def test_a_kubernetes_version_that_a_cloud_lacks_is_told_with_those_it_has(program, site, token):
    answer = {
        EKS: {"clusterVersions": [{"clusterVersion": "1.35", "versionStatus": "STANDARD_SUPPORT"}]},
        GKE: {"validMasterVersions": ["1.35.2-gke.1"]},
    }[token]
    (line,) = program(raw(site), {token: answer}).lines
    assert line.startswith("  tricorn:settings.kubernetesVersion: ")
    assert f"(have 1.35, need 1.36, at {site})" in line


def test_a_version_in_extended_support_is_a_warning(program):
    versions = {"clusterVersions": [{"clusterVersion": "1.36", "versionStatus": "EXTENDED_SUPPORT"}]}
    outcome = program(raw("aws"), {EKS: versions})
    assert outcome.error == ""
    assert outcome.warned("site aws", "at extra cost only")


def aws_offers(**zones: str) -> Any:
    """Offers in us-east-1 by instance type, with underscores for dots; the others everywhere."""

    def answer(args: Any) -> dict[str, Any]:
        types = args["filters"][0]["values"]
        pairs = [(name, f"us-east-1{zone}") for name in types for zone in zones.get(name.replace(".", "_"), "abcdef")]
        return {"instanceTypes": [name for name, _ in pairs], "locations": [zone for _, zone in pairs]}

    return answer


def test_an_instance_type_that_the_zones_lack_is_told_with_the_zones_that_have_it(program):
    offers = aws_offers(g4dn_xlarge="cd", g4dn_2xlarge="d")
    (line,) = program(raw("aws"), {OFFERS: offers}).lines
    assert line.startswith(
        "  tricorn:settings.pools.t4: g4dn.xlarge or g4dn.2xlarge is not offered in us-east-1a, us-east-1b"
    )
    assert line.endswith("; set zones to some of us-east-1c, us-east-1d")
    named = {**SITES["aws"], "zones": ["us-east-1c", "us-east-1d"]}
    assert program(raw(sites={"aws": named}), {OFFERS: offers}).error == ""


def test_a_zone_without_the_instance_type_is_a_warning_while_another_has_it(program):
    outcome = program(raw("aws"), {OFFERS: aws_offers(g4dn_xlarge="b", g4dn_2xlarge="")})
    assert outcome.error == ""
    assert outcome.warned("pools.t4 can have no nodes in us-east-1a")


def test_a_pool_in_a_zone_where_the_cluster_has_no_subnet_is_told(program):
    pools = {"t4": {"gpu": "T4-class", "max": 2, "overrides": {"aws": {"zones": ["us-east-1d"]}}}}
    (line,) = program(raw("aws", pools=pools)).lines
    assert "pools.t4: the cluster has no subnet in us-east-1d (have us-east-1a, us-east-1b, at aws)" in line


def gcp_offers(name: str, zones: str) -> Any:
    """A machine type in some zones of us-central1 only, the others everywhere."""

    def answer(args: Any) -> dict[str, Any]:
        found = [each for each in ("e2-standard-4", name) if each != name or args["zone"][-1] in zones]
        return {"machineTypes": [{"name": each, "guestCpus": 4, "memoryMb": 16384} for each in found]}

    return answer


def test_a_machine_type_that_named_zones_lack_is_told_and_the_choice_of_gke_is_a_warning(program):
    pools = {"t4": {"gpu": "L4-class", "max": 2}}
    answers = {GCP_MACHINES: gcp_offers("g2-standard-4", "ab")}
    outcome = program(raw("gcp", pools=pools), answers)
    assert outcome.error == ""
    assert outcome.warned("g2-standard-4 is not offered in us-central1-c, us-central1-f, which GKE may choose")
    named = {**SITES["gcp"], "zones": ["us-central1-b", "us-central1-c"]}
    (line,) = program(raw(sites={"gcp": named}, pools=pools), answers).lines
    assert "pools.t4: g2-standard-4 is not offered in us-central1-c" in line
    assert line.endswith("keep to us-central1-b")


def test_a_model_on_the_pool_without_gpus_must_fit_the_machine_that_the_cloud_describes(program):
    models = {"scenes": {"bundle": "build/bundles/scenes", "stable": 1, "resources": {"cpu": 8}}}
    outcome = program(raw(models=models))
    assert [line.partition(":")[2].partition(":")[0] for line in outcome.lines] == [
        "settings.models.scenes.resources.cpu"
    ] * 3
    assert {line.partition(", at ")[2].partition(")")[0] for line in outcome.lines} == {"aws", "gcp", "azure"}


@pytest.mark.parametrize("token", [QUOTA, OFFERS, MACHINE, EKS, next(iter(ZONES))])
def test_what_aws_refuses_to_say_is_a_warning_with_the_reason_and_a_command(program, token):
    denied = "operation error: AccessDeniedException: not authorized to perform this\nrequest id 1"
    settings = raw("aws")
    settings["sites"] = {"aws": {**SITES["aws"], "zones": ["us-east-1a", "us-east-1b"]}}
    outcome = program(settings, {token: Refused(denied)})
    assert outcome.error == ""
    zones_needed = token != next(iter(ZONES))
    assert outcome.warned("AccessDeniedException", "us-east-1" if token != MACHINE else "m7i.xlarge") == zones_needed
    assert all("\n" not in line for line in outcome.warnings)
    assert outcome.recording.rows


@pytest.mark.parametrize("token", [GCP_QUOTA, GCP_MACHINES, GCP_ZONES, GKE])
def test_what_google_cloud_refuses_to_say_is_a_warning_with_the_reason(program, token):
    outcome = program(raw("gcp"), {token: Refused("googleapi: Error 403: permission denied")})
    assert outcome.error == ""
    assert outcome.warned("googleapi: Error 403")


def test_one_missing_permission_is_one_warning_that_still_says_how_much_is_needed(program):
    pools = {"t4": {"gpu": "T4-class", "max": 4, "spot": {"share": "50%"}}}
    outcome = program(raw("aws", pools=pools), {QUOTA: Refused("AccessDenied")})
    (line,) = [each for each in outcome.warnings if "quotas of us-east-1" in each]
    for words in ("16 vCPUs of on-demand G", "8 vCPUs of spot G", "12 vCPUs of on-demand standard", "AccessDenied"):
        assert words in line


def test_azure_cannot_be_asked_so_the_needs_are_told_with_the_commands_that_show_them(program):
    pools = {"t4": {"gpu": "T4-class", "max": 4, "spot": {"share": "50%"}}}
    outcome = program(raw("azure", pools=pools))
    assert outcome.error == ""
    assert outcome.warned("16 vCPUs of on-demand machines (Standard NCASv3_T4 Family)", "az vm list-usage", "eastus")
    assert outcome.warned(
        "8 vCPUs of spot machines (lowPriorityCores)", "12 vCPUs of on-demand machines (standardDSv5F"
    )
    assert outcome.warned("28 vCPUs of on-demand machines of all families (cores)")
    assert outcome.warned("Kubernetes 1.36", "az aks get-versions --location eastus")
    assert outcome.warned("Standard_NC4as_T4_v3", "az vm list-skus --location eastus")


def test_a_frozen_site_is_asked_nothing(program):
    refused = dict.fromkeys((QUOTA, OFFERS, MACHINE, EKS), Refused("the cloud does not answer"))
    last = {
        "urn:pulumi:test::tricorn::pulumi:pulumi:Stack::tricorn-test": {
            "type": "pulumi:pulumi:Stack",
            "outputs": {"addresses": {"aws": ["203.0.113.1"]}},
        }
    }
    outcome = program(raw("aws", "azure", frozen=["aws"]), {**refused, STATE: {"outputs": last}})
    assert outcome.warned("frozen, so nothing of theirs was checked: aws")
    assert not outcome.warned("does not answer")
    assert not [call for call in outcome.recording.calls if call.token in refused]


def test_each_question_is_asked_once_and_of_the_sites_own_provider(program):
    calls = program(raw(sites={"east": SITES["aws"], "spare": SITES["aws"], "gcp": SITES["gcp"]})).recording.calls
    asked = [call for call in calls if call.token in (QUOTA, OFFERS, MACHINE, EKS, GCP_QUOTA, GCP_ZONES, GKE)]
    keys = [(call.token, json.dumps(call.args, sort_keys=True)) for call in asked]
    assert len(keys) == len(set(keys))
    assert {call.provider for call in asked} == {"spare-aws", "gcp-gcp"}


def test_the_names_that_are_measured_are_those_of_the_components(program):
    pools = {"t4": {"gpu": "T4-class", "max": 2, "spot": {"share": "50%"}}}
    rows = {row.name for row in program(raw("aws", "gcp", pools=pools)).recording.rows}
    for rule in NAME_LIMITS:
        for pool in ("t4", "t4-spot"):
            assert rule.logical.format(site=rule.cloud, pool=pool) in rows, rule


def test_every_question_is_a_function_of_the_sdk_with_its_own_argument_names(program):
    calls = [call for call in program(raw("aws", "gcp")).recording.calls if "listManaged" not in call.token]
    assert len({call.token for call in calls}) >= 9
    for call in calls:
        package, place, function = call.token.split(":")
        module = place.partition("/")[0]
        file = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", function).lower() + ".py"
        sdk = Path(str(importlib.import_module(f"pulumi_{package}").__file__)).parent
        source = (sdk / ("" if module == "index" else module) / file).read_text()
        assert f"invoke('{call.token}'" in source
        assert {key for key in call.args if f"__args__['{key}']" not in source} == set(), call
