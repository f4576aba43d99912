"""Arguments of components: what is refused and with which words, and how a component host's dicts become arguments."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pytest

import components
from components._base import coerce
from components._capacity import CapacityPolicy
from components._naming import RULES, physical
from tests.components.cloud_answers import SUBSCRIPTION
from tests.components.clusters import CLOUDS

ROLE = "arn:aws:iam::123456789012:role/admins"
VALID = {
    "EksNetwork": {"zones": ["us-east-1a", "us-east-1b"]},
    "EksCluster": {"region": "us-east-1", "kubernetes_version": "1.36", "subnet_ids": ["s"]},
    "EksNodePool": {
        "cluster_name": "c",
        "node_role_arn": "r",
        "subnet_ids": ["s"],
        "security_group_id": "g",
        "min_nodes": 1,
        "max_nodes": 2,
    },
    "EksGpuPool": {
        "cluster_name": "c",
        "node_role_arn": "r",
        "subnet_ids": ["s"],
        "security_group_id": "g",
        "pool": "l4",
        "gpu_class": "L4-class",
        "max_nodes": 2,
    },
    "EksAddress": {"zones": ["us-east-1a"]},
    "GkeNetwork": {"region": "us-central1"},
    "GcpAuditLogs": {"project": "acme-models"},
    "GcpCiIdentity": {
        "project": "acme-models",
        "issuer": "https://token.actions.githubusercontent.com",
        "preview_subject": "repo:acme/models:pull_request",
        "deploy_subject": "repo:acme/models:environment:production",
    },
    "GcpKmsKeys": {"project": "acme-models", "location": "us-central1"},
    "GkeFirewall": {"project": "acme-models", "network_id": "n", "node_service_account": "a"},
    "GkeServices": {"project": "acme-models"},
    "GkeCluster": {
        "project": "acme-models",
        "region": "us-central1",
        "kubernetes_version": "1.36",
        "network_id": "n",
        "subnetwork_id": "s",
    },
    "GkeNodePool": {"cluster_id": "c", "node_service_account": "a", "min_nodes": 1, "max_nodes": 2},
    "GkeGpuPool": {
        "cluster_id": "c",
        "node_service_account": "a",
        "pool": "l4",
        "gpu_class": "L4-class",
        "max_nodes": 2,
    },
    "AksNetwork": {"resource_group_name": "g", "location": "eastus"},
    "AksCluster": {
        "subscription_id": SUBSCRIPTION,
        "resource_group_name": "g",
        "resource_group_id": "i",
        "location": "eastus",
        "kubernetes_version": "1.36",
        "subnet_id": "s",
        "system_min_nodes": 1,
        "system_max_nodes": 2,
    },
    "AksNodePool": {
        "resource_group_name": "g",
        "cluster_name": "c",
        "subnet_id": "s",
        "pool": "cpu",
        "min_nodes": 1,
        "max_nodes": 2,
    },
    "AksGpuPool": {
        "resource_group_name": "g",
        "cluster_name": "c",
        "subnet_id": "s",
        "pool": "t4",
        "gpu_class": "T4-class",
        "max_nodes": 2,
    },
    "NvidiaDevicePlugin": {"pools": ["t4"]},
}


@pytest.mark.parametrize("name", VALID)
def test_the_smallest_arguments_are_enough(run, name, preview):
    def build():
        getattr(components, name)("a", getattr(components, f"{name}Args")(**VALID[name]))

    recording = run(build, preview=preview)
    assert recording.one(f"tricorn:index:{name}").name == "a"
    assert recording.children()


@pytest.mark.parametrize(
    ("name", "changes", "lines"),
    [
        (
            "EksNetwork",
            {"zones": ["a"], "cidr": "10.0.0.0/8"},
            ["zones: must be 2 to 8 different zones, got ['a']", "cidr: must be between /16 and /20, got 10.0.0.0/8"],
        ),
        ("EksNetwork", {"zones": ["a", "a"]}, ["zones: must be 2 to 8 different zones, got ['a', 'a']"]),
        (
            "EksCluster",
            {"kubernetes_version": "1.36.2", "admin_role_arns": [ROLE, ROLE, "admin"]},
            [
                "kubernetesVersion: must be a minor version",
                "adminRoleArns: must be ARNs of IAM roles, got 'admin'",
                f"adminRoleArns: must differ, got '{ROLE}' twice",
            ],
        ),
        (
            "EksNodePool",
            {"min_nodes": 0, "max_nodes": -1},
            ["minNodes: must be >= 1, got 0", "maxNodes: must be >= minNodes (0), got -1"],
        ),
        (
            "EksGpuPool",
            {"gpu_class": "GB200", "max_nodes": 0, "pool": "a-b"},
            ["gpuClass: GB200 is a Blackwell GPU", "maxNodes: must be >= 1, got 0", "pool: must be 1 to 8 lower-case"],
        ),
        ("EksAddress", {"zones": []}, ["zones: must name at least one zone"]),
        ("GkeNetwork", {"cidr": "10.0.0.1/16"}, ["cidr: must be an IPv4 network without host bits"]),
        (
            "GkeCluster",
            {
                "kubernetes_version": "latest",
                "zones": ["us-east1-b", "us-central1-a", "us-central1-a"],
                "admin_groups": ["platform", "a@example.com", "a@example.com"],
            },
            [
                "kubernetesVersion: must be a minor version",
                "zones: must be different zones",
                "zones: must be zones of the region us-central1, got 'us-east1-b'",
                "adminGroups: must be e-mail addresses, got 'platform'",
                "adminGroups: must differ",
            ],
        ),
        ("GkeServices", {"names": ["sts.googleapis.com"]}, ["names: must be first parts of service names"]),
        (
            "GcpCiIdentity",
            {"issuer": "http://ci.example.com/", "preview_subject": "repo:*", "deploy_subject": "x" * 128},
            [
                "issuer: must be an https address without a final slash",
                "previewSubject: must be one exact subject",
                "deploySubject: must have 1 to 127 bytes, got 128",
            ],
        ),
        (
            "GcpCiIdentity",
            {"preview_subject": "repo:a", "deploy_subject": "repo:a"},
            ["deploySubject: must differ from previewSubject"],
        ),
        ("GkeNodePool", {"max_nodes": 0}, ["maxNodes: must be >= minNodes (1), got 0"]),
        (
            "GkeGpuPool",
            {"machine_types": ["n1-standard-4"], "reservation_id": "r", "spot": True},
            [
                "machineTypes: 'n1-standard-4' has no L4-class GPU; use one of g2-standard-4",
                "nodeZones: must name the one zone of the reservation 'r', got none",
                "reservationId: is for nodes on demand, not for spot",
            ],
        ),
        (
            "GkeGpuPool",
            {"gpu_class": "A10G-class", "min_nodes": 3},
            ["gpuClass: gcp offers no A10G-class GPU; use one of", "minNodes: must be from 0 to maxNodes (2), got 3"],
        ),
        ("AksNetwork", {"cidr": "everything"}, ["cidr: must be an IPv4 network"]),
        (
            "AksCluster",
            {"kubernetes_version": "1.3", "system_min_nodes": 0},
            ["kubernetesVersion: must be a minor version", "systemMinNodes: must be >= 1, got 0"],
        ),
        (
            "AksNodePool",
            {"pool": "system", "max_nodes": 0},
            ["pool: 'system' is the name of the pool without GPUs", "maxNodes: must be >= minNodes (1), got 0"],
        ),
        ("AksGpuPool", {"gpu_class": "L4-class"}, ["gpuClass: azure offers no L4-class GPU; use one of T4-class"]),
        ("NvidiaDevicePlugin", {"pools": []}, ["pools: must name at least one GPU pool"]),
    ],
)
def test_wrong_arguments_are_all_named_with_rule_and_value(name, changes, lines):
    with pytest.raises(pulumi.InputPropertiesError) as caught:
        getattr(components, f"{name}Args")(**{**VALID[name], **changes})
    message = str(caught.value)
    assert f"{name} cannot be created:" in message
    for line in lines:
        assert f"  {line}" in message
    assert message.count("\n") == len(lines)


def test_a_pool_may_have_a_fixed_size():
    for name in ("EksNodePool", "GkeNodePool", "AksNodePool"):
        made = getattr(components, f"{name}Args")(**{**VALID[name], "min_nodes": 2, "max_nodes": 2})
        assert made.min_nodes == made.max_nodes == 2


def test_administrators_of_equal_name_in_two_accounts_do_not_clash(run):
    roles = [ROLE, ROLE.replace("123456789012", "210987654321")]

    def build():
        arguments = components.EksClusterArgs(**VALID["EksCluster"], admin_role_arns=roles)
        components.EksCluster("a", arguments)

    assert {row.inputs["principalArn"] for row in run(build).all("aws:eks/accessEntry:AccessEntry")} == set(roles)


def test_the_network_is_in_the_project_of_the_cluster(run):
    recording = run(lambda: CLOUDS["gcp"].declare(project="another-one"))
    networks = [row for row in recording.rows if row.type.startswith("gcp:compute/")]
    assert len(networks) == 7
    assert {row.inputs["project"] for row in networks} == {"another-one"}


def test_a_component_host_passes_dicts_with_floats(run):
    """Hosted components get dicts in place of Args, at every depth, and every number as a float."""
    cluster = CLOUDS["azure"]

    def build():
        pools = {"t4": {"gpu_class": "T4-class", "max_nodes": 2.0}}
        cluster.load()("site", {**vars(cluster.args()), "system_max_nodes": 3.0, "gpu_pools": pools})

    recording = run(build)
    assert recording.one("azure-native:containerservice:AgentPool", "site-t4-nodes").inputs["maxCount"] == 2
    [system] = recording.one("azure-native:containerservice:ManagedCluster").inputs["agentPoolProfiles"]
    assert system["maxCount"] == 3


@dataclass(frozen=True, kw_only=True)
class _SampleArgs:
    count: int
    parts: Optional[dict[str, CapacityPolicy]] = None  # noqa: UP045 - components write it so
    shares: dict[str, int] | None = None


def test_dicts_become_arguments_at_every_depth():
    made = coerce(
        _SampleArgs, {"count": 2.0, "parts": {"a": {"gpu_class": "L4-class", "max_nodes": 4.0}}, "shares": {"1": 90.0}}
    )
    assert made == _SampleArgs(
        count=2, parts={"a": CapacityPolicy(gpu_class="L4-class", max_nodes=4)}, shares={"1": 90}
    )
    assert type(made.shares["1"]) is int
    assert coerce(_SampleArgs, made) is made


def test_dicts_with_unknown_missing_or_broken_values_are_refused_at_once():
    with pytest.raises(pulumi.InputPropertiesError) as caught:
        coerce(_SampleArgs, {"shares": {"1": 1.5}, "cuont": 1})
    message = str(caught.value)
    assert "  cuont: is not an argument; use one of count, parts, shares" in message
    assert "  count: is required" in message
    assert "  shares: must be a whole number, got 1.5" in message


def test_something_that_is_no_arguments_is_refused():
    with pytest.raises(TypeError, match="_Sample takes _SampleArgs, got int"):
        coerce(_SampleArgs, 3)


@pytest.mark.parametrize(("cloud", "kind"), RULES)
def test_physical_names_fit_every_rule_and_differ_where_the_scope_does(cloud, kind):
    long = "a-very-long-logical-name-" * 5
    for name in ("abcdef", long, "Upper Case"):
        made = physical(cloud, kind, name, "one")
        assert len(made) <= RULES[cloud, kind].max_length
        assert made == physical(cloud, kind, name, "one")
        assert made != physical(cloud, kind, name, "two")


def test_a_name_that_cannot_be_made_says_so():
    with pytest.raises(ValueError, match=r"'4' gives the azure agent_pool name .* which does not match"):
        physical("azure", "agent_pool", "4", "scope")
