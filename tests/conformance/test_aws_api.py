"""Every input of every AWS resource that the components declare fits the vendor's own API model."""

import re
from typing import Any

import pytest

import components
from components._capacity import CapacityPolicy
from components._endpoint import EndpointRecords, SiteTarget
from components._hardening import Hardening
from tests.components import recording
from tests.components.clusters import CLOUDS, declare_all_of
from tests.conformance.aws_api import COVERAGE, problems, uncompared_patterns
from tests.conformance.aws_api_calls import APIS
from tests.conformance.test_sdk_inputs import _modules
from tests.conformance.test_structure import sources

BLOCK = CapacityPolicy(
    gpu_class="H100",
    max_nodes=1,
    machine_types=["p5.48xlarge"],
    zones=["us-east-1a"],
    reservation_id="cr-0123456789abcdef0",
    reservation_kind="capacity-block",
)
ZONE = {"aws:route53/zone:Zone": lambda name, inputs: {"zoneId": "Z0EXAMPLE", "nameServers": []}}
OPEN = Hardening(
    public_endpoint=True,
    authorized_ranges=["198.51.100.0/24"],
    customer_keys=False,
    private_links=False,
    nat_per_zone=False,
    flow_logs=False,
)


def declare_everything() -> None:
    """Declare every AWS component, with and without what is optional."""
    declare_all_of("aws")
    CLOUDS["aws"].declare("open", hardening=OPEN, mirror=False, docker_hub_secret_arn=None, protect=False)
    CLOUDS["aws"].declare("block", gpu_pools={"h100": BLOCK})
    components.S3ModelStore("logged", components.S3ModelStoreArgs(log_bucket="made-up"))
    components.AwsCiIdentity(
        "ci",
        components.AwsCiIdentityArgs(
            issuer="https://gitlab.example.com", preview_subject="project_path:a/b:ref_type:branch", deploy_subject="x"
        ),
    )
    components.AwsAcmeIdentity(
        "acme",
        components.AwsAcmeIdentityArgs(
            domain="a.example.com", zone_id="Z0EXAMPLE", issuer_url="https://issuer.example"
        ),
    )
    for name, health_path in (("plain", None), ("checked", "/-/local-health/scenes")):
        records = EndpointRecords(
            domain="serve.example.com",
            port=443,
            ttl=30,
            health_path=health_path,
            tls=True,
            sites={"aws": SiteTarget(weight=10, addresses=["203.0.113.7"])},
        )
        components.AwsDnsZone(name, components.AwsDnsZoneArgs(records=records))


@pytest.fixture(scope="module")
def rows() -> list[recording.Row]:
    return [row for row in recording.run(declare_everything, outputs=ZONE).children() if row.type.startswith("aws:")]


def test_the_api_accepts_every_input(rows: list[recording.Row]) -> None:
    found = [f"{row.type} {row.name}: {line}" for row in rows for line in problems(row.type, row.inputs)]
    assert not found, "\n".join(found)
    assert len(rows) >= 150


def test_every_type_in_the_table_is_declared_by_a_component(rows: list[recording.Row]) -> None:
    assert {row.type for row in rows} == set(APIS)


def test_every_type_that_a_component_can_declare_is_in_the_table() -> None:
    classes = set()
    for file in sources("components"):
        classes |= set(re.findall(r"\baws\.(\w+)\.([A-Z]\w*?)\(", file.read_text()))
    tokens = {(fqn.rpartition(".")[2], name): token for token, (fqn, name) in _modules("pulumi_aws").items()}
    used = {tokens[each] for each in classes if each in tokens}
    assert len(used) >= 35
    assert used <= set(APIS)


def test_a_type_without_an_entry_is_no_pass() -> None:
    with pytest.raises(KeyError):
        problems("aws:sqs/queue:Queue", {})


def test_what_stands_in_the_way_of_a_comparison_has_a_reason() -> None:
    reasons = [reason for calls in APIS.values() for call in calls for reason in call.skipped.values()]
    assert all(len(reason) > 10 for reason in reasons)
    assert set(COVERAGE) == set(APIS)
    assert COVERAGE["aws:eks/nodeGroup:NodeGroup"] == "eks.CreateNodegroup (botocore)"


def test_the_patterns_that_are_not_compared_are_those_in_another_dialect() -> None:
    """Python has no names for sets of letters such as \\p{L}; everything else is compared."""
    uncompared = {pattern for token in APIS for pattern in uncompared_patterns(token)}
    assert all("\\p{" in pattern for pattern in uncompared), uncompared


GROUP: dict[str, Any] = {"clusterName": "c", "nodeRoleArn": "r", "subnetIds": ["s"]}


@pytest.mark.parametrize(
    ("token", "inputs", "problem"),
    [
        ("aws:eks/nodeGroup:NodeGroup", {**GROUP, "capacityType": "CHEAP"}, "capacityType must be one of ON_DEMAND"),
        ("aws:eks/nodeGroup:NodeGroup", {**GROUP, "amiType": "AL2023_x86_64_GPU"}, "amiType must be one of"),
        ("aws:eks/nodeGroup:NodeGroup", {**GROUP, "subnets": ["s"], "spot": True}, "spot is no member of"),
        ("aws:eks/nodeGroup:NodeGroup", {"clusterName": "c", "subnetIds": ["s"]}, "Missing required parameter"),
        ("aws:eks/nodeGroup:NodeGroup", {**GROUP, "updateConfig": {"maxUnavailable": 0}}, "maxUnavailable"),
        (
            "aws:eks/nodeGroup:NodeGroup",
            {**GROUP, "updateConfig": {"updateStrategy": "SURGE"}},
            "updateStrategy must be one of DEFAULT, MINIMAL",
        ),
        ("aws:eks/nodeGroup:NodeGroup", {**GROUP, "taints": [{"effect": "NoSchedule"}]}, "effect must be one of"),
        (
            "aws:eks/cluster:Cluster",
            {"name": "-c", "roleArn": "r", "vpcConfig": {}},
            "name must match",
        ),
        (
            "aws:eks/cluster:Cluster",
            {"name": "c", "roleArn": "r", "vpcConfig": {}, "enabledClusterLogTypes": ["kubelet"]},
            "types[0] must be one of api, audit",
        ),
        (
            "aws:ec2/launchTemplate:LaunchTemplate",
            {"metadataOptions": {"httpTokens": "yes"}},
            "HttpTokens must be one of optional, required",
        ),
        (
            "aws:ec2/launchTemplate:LaunchTemplate",
            {"blockDeviceMappings": [{"ebs": {"encrypted": "maybe"}}]},
            "Invalid type for parameter LaunchTemplateData.BlockDeviceMappings[0].Ebs.Encrypted",
        ),
        (
            "aws:ecr/pullThroughCacheRule:PullThroughCacheRule",
            {"ecrRepositoryPrefix": "a" * 31, "upstreamRegistryUrl": "quay.io"},
            "ecrRepositoryPrefix must be from 2 to 30, got 31",
        ),
        (
            "aws:ecr/pullThroughCacheRule:PullThroughCacheRule",
            {"ecrRepositoryPrefix": "hub", "upstreamRegistryUrl": "u", "credentialArn": "arn:aws:iam::1:role/a" * 3},
            "credentialArn must match",
        ),
        (
            "aws:s3/bucketVersioning:BucketVersioning",
            {"bucket": "b", "versioningConfiguration": {"status": "On"}},
            "Status must be one of Enabled, Suspended",
        ),
        ("aws:kms/key:Key", {"rotationPeriodInDays": 30}, "RotationPeriodInDays must be from 90 to 2560, got 30"),
        ("aws:kms/key:Key", {"deletionWindowInDays": 400}, "PendingWindowInDays must be from 1 to 365"),
        ("aws:route53/healthCheck:HealthCheck", {"type": "GRPC"}, "Type must be one of HTTP"),
    ],
)  # fmt: skip
def test_what_the_api_refuses_is_noticed(token: str, inputs: dict[str, Any], problem: str) -> None:
    found = problems(token, inputs)
    assert any(problem in line for line in found), found
