"""What the local clouds answer a preflight comes from the tables that later refuse nodes."""

import pytest
from provider_client import Refusal, provider

QUOTA = "aws:servicequotas/getServiceQuota:getServiceQuota"
OFFERS = "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings"
TYPES = [{"name": "instance-type", "values": ["g4dn.xlarge", "g9.huge"]}]
GCP_QUOTA = "gcp:cloudquota/getSQuotaInfo:getSQuotaInfo"
GCP_MACHINES = "gcp:compute/getMachineTypes:getMachineTypes"


@pytest.fixture
def aws(tmp_path, monkeypatch):
    with provider("aws", tmp_path, monkeypatch) as client:
        yield client


@pytest.fixture
def gcp(tmp_path, monkeypatch):
    with provider("gcp", tmp_path, monkeypatch) as client:
        yield client


def allow(client, region, code, maximum):
    with client.store.connect() as db:
        db.execute("insert into quotas values(?,?,?,?)", (client.cloud, region, code, maximum))


def gcp_quota(gcp, quota):
    arguments = {"parent": "projects/tricorn-local", "service": "compute.googleapis.com", "quotaId": quota}
    (info,) = gcp.invoke(GCP_QUOTA, arguments)["dimensionsInfos"]
    return info["applicableLocations"], info["dimensions"], info["details"][0]["value"]


def test_a_quota_of_aws_is_the_row_of_its_code_and_plenty_without_one(aws):
    allow(aws, "us-east-1", "L-DB2E81BA", 3)
    assert aws.invoke(QUOTA, {"serviceCode": "ec2", "quotaCode": "L-DB2E81BA"})["value"] == 3
    assert aws.invoke(QUOTA, {"serviceCode": "ec2", "quotaCode": "L-3819A6DF"})["value"] > 10_000
    with pytest.raises(Refusal, match="NoSuchResourceException: there is no quota 'L-00000000'"):
        aws.invoke(QUOTA, {"serviceCode": "ec2", "quotaCode": "L-00000000"})


def test_a_stock_out_is_still_an_offer_and_a_type_that_a_zone_never_has_is_none(aws):
    with aws.store.connect() as db:
        db.execute("insert into capacity values('aws','us-east-1a','g4dn.xlarge',0)")
        db.execute("insert into capacity values('aws','us-east-1b','g4dn.xlarge',-1)")
    answer = aws.invoke(OFFERS, {"locationType": "availability-zone", "filters": TYPES})
    assert set(answer["instanceTypes"]) == {"g4dn.xlarge"}
    assert answer["locations"] == ["us-east-1a", "us-east-1c", "us-east-1d", "us-east-1e", "us-east-1f"]


def test_offers_by_region_are_refused_in_words(aws):
    with pytest.raises(Refusal, match="by availability-zone only, not by 'region'"):
        aws.invoke(OFFERS, {"filters": TYPES})


def test_a_quota_of_google_cloud_is_answered_in_the_form_of_its_api(gcp):
    allow(gcp, "us-central1", "NVIDIA_T4_GPUS", 1)
    allow(gcp, "us-central1", "PREEMPTIBLE_NVIDIA_T4_GPUS", 2)
    allow(gcp, "global", "GPUS_ALL_REGIONS", 0)
    allow(gcp, "us-central1", "NVIDIA_H100_80GB_GPUS", 8)
    allow(gcp, "us-central1", "CPUS", 24)
    assert gcp_quota(gcp, "NVIDIA-T4-GPUS-per-project-region") == (["us-central1"], {}, "1")
    assert gcp_quota(gcp, "PREEMPTIBLE-NVIDIA-T4-GPUS-per-project-region")[2] == "2"
    assert gcp_quota(gcp, "GPUS-ALL-REGIONS-per-project") == (["global"], {}, "0")
    assert gcp_quota(gcp, "GPUS-PER-GPU-FAMILY-per-project-region")[1:] == ({"gpu_family": "NVIDIA_H100"}, "8")
    assert gcp_quota(gcp, "CPUS-per-project-region")[2] == "24"
    with pytest.raises(Refusal, match="there is no quota 'T4S'"):
        gcp_quota(gcp, "T4S")


def test_machine_types_are_those_of_the_filter_that_the_zone_has(gcp):
    with gcp.store.connect() as db:
        db.execute("insert into capacity values('gcp','us-central1-a','g2-standard-4',-1)")
    wanted = {"zone": "us-central1-b", "filter": '(name = "g2-standard-4") OR (name = "e2-standard-4")'}
    assert {each["name"] for each in gcp.invoke(GCP_MACHINES, wanted)["machineTypes"]} == {
        "e2-standard-4", "g2-standard-4",
    }  # fmt: skip
    (found,) = gcp.invoke(GCP_MACHINES, {**wanted, "zone": "us-central1-a"})["machineTypes"]
    assert found == {"name": "e2-standard-4", "guestCpus": 4, "memoryMb": 16384}
    with pytest.raises(Refusal, match="by name only"):
        gcp.invoke(GCP_MACHINES, {**wanted, "filter": "guestCpus > 4"})


@pytest.mark.parametrize(("kind", "code"), [("denied", "PERMISSION_DENIED"), ("error", "INTERNAL")])
def test_a_missing_permission_and_a_failing_api_can_be_set(aws, kind, code):
    aws.store.add_fault("aws", "invoke", "aws:servicequotas/*", kind, "servicequotas:GetServiceQuota")
    with pytest.raises(Refusal, match="servicequotas:GetServiceQuota") as refused:
        aws.invoke(QUOTA, {"serviceCode": "ec2", "quotaCode": "L-DB2E81BA"})
    assert refused.value.code.name == code
    assert aws.invoke(QUOTA, {"serviceCode": "ec2", "quotaCode": "L-DB2E81BA"})["quotaCode"] == "L-DB2E81BA"
