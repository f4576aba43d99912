"""What goes wrong on EKS for other people, one test per problem: the components must not be able to get there."""

import json

import pulumi
import pytest

import components
from components._capacity import CapacityPolicy
from components._eks_machines import ami_type
from components._gpu_catalog import CATALOG
from components._hardening import Hardening
from tests.components.clusters import ADMIN_ROLE, CLOUDS, HUB_SECRET

GROUP, TEMPLATE = "aws:eks/nodeGroup:NodeGroup", "aws:ec2/launchTemplate:LaunchTemplate"
RELEASE, CLUSTER = "kubernetes:helm.sh/v3:Release", "aws:eks/cluster:Cluster"
SERVING = CLOUDS["aws"]


@pytest.fixture(scope="module")
def made(run):
    """A whole cluster, with a pair of GPU pools."""
    return run(SERVING.declare)


def pools(run, **policy):
    """Node groups of one GPU policy by logical name."""
    spec = CapacityPolicy(**{"gpu_class": "T4-class", "max_nodes": 4, **policy})
    recording = run(lambda: SERVING.declare(gpu_pools={"t4": spec}))
    return {row.name: row for row in recording.all(GROUP) if row.name.startswith("site-t4")}


def awaited(recording, row):
    """Names of everything the engine finishes before a resource, and keeps until that is gone."""
    by_urn = {each.urn: each for each in recording.rows}
    by_name = {each.name: each for each in recording.rows if each.type.startswith("pulumi:providers:")}
    components_made = {each.name: each for each in recording.rows if not each.custom}

    def ancestors(child):
        parent = components_made.get(child.parent)
        return [] if parent is None else [parent, *ancestors(parent)]

    found, left = set(), [row]
    while left:
        here = left.pop()
        waiting = [here, *ancestors(here)]
        before = [by_urn[urn] for each in waiting for urn in each.depends_on if urn in by_urn]
        before += [by_name[here.provider]] if here.provider in by_name else []
        # Waiting for a component is waiting for everything in it.
        before += [
            child for child in recording.rows for each in before if not each.custom and child.parent == each.name
        ]
        fresh = [each for each in before if each.urn not in found]
        found |= {each.urn for each in fresh}
        left += fresh
    return {by_urn[urn].name for urn in found}


def refusal(build):
    """Text of the refusal of some arguments."""
    with pytest.raises(pulumi.InputPropertiesError) as caught:
        build()
    return str(caught.value)


# -- capacity


def test_a_pool_starts_at_zero_so_that_no_quota_and_no_stock_out_fails_its_creation(run):
    for row in pools(run, spot_percent=50).values():
        scaling = row.inputs["scalingConfig"]
        assert (scaling["minSize"], scaling["desiredSize"]) == (0, 0)


def test_a_surge_needs_no_quota(run):
    for row in pools(run, spot_percent=50).values():
        assert row.inputs["updateConfig"] == {"maxUnavailable": 1, "updateStrategy": "MINIMAL"}


def test_a_stock_out_in_one_zone_or_of_one_kind_leaves_others(run):
    found = pools(run, spot_percent=50)
    assert {row.inputs["capacityType"] for row in found.values()} == {"ON_DEMAND", "SPOT"}
    for row in found.values():
        assert len(row.inputs["subnetIds"]) == len(SERVING.own_args["zones"])


def test_the_nodes_of_named_zones_are_in_no_other(run):
    (row,) = pools(run, zones=["us-east-1b"]).values()
    assert row.inputs["subnetIds"] == ["site-network-private-us-east-1b-id"]


def test_a_zone_without_a_subnet_is_refused(run):
    text = refusal(
        lambda: SERVING.args(gpu_pools={"t4": CapacityPolicy(gpu_class="T4-class", max_nodes=1, zones=["z"])})
    )
    assert "gpuPools.t4.zones: must be zones of the cluster (us-east-1a, us-east-1b), got z" in text


RESERVED = {"machine_types": ["g4dn.xlarge"], "zones": ["us-east-1a"], "reservation_id": "cr-0123456789abcdef0"}


def test_reserved_capacity_is_used_by_the_pool_it_was_bought_for(run):
    policy = CapacityPolicy(gpu_class="T4-class", max_nodes=4, spot_percent=50, **RESERVED)
    recording = run(lambda: SERVING.declare(gpu_pools={"t4": policy}))
    target = {"capacityReservationTarget": {"capacityReservationId": "cr-0123456789abcdef0"}}
    on_demand = recording.one(TEMPLATE, "site-t4-template").inputs
    assert on_demand["capacityReservationSpecification"] == target
    assert "instanceMarketOptions" not in on_demand
    assert "capacityReservationSpecification" not in recording.one(TEMPLATE, "site-t4-spot-template").inputs


def test_a_capacity_block_names_its_machine_in_one_place_only(run):
    block = {**RESERVED, "gpu_class": "H100", "machine_types": ["p5.48xlarge"], "reservation_kind": "capacity-block"}
    recording = run(lambda: SERVING.declare(gpu_pools={"h": CapacityPolicy(max_nodes=1, **block)}))
    group, template = recording.one(GROUP, "site-h-nodes").inputs, recording.one(TEMPLATE, "site-h-template").inputs
    assert group["capacityType"] == "CAPACITY_BLOCK"
    assert "instanceTypes" not in group
    assert template["instanceType"] == "p5.48xlarge"
    assert template["instanceMarketOptions"] == {"marketType": "capacity-block"}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"zones": None}, "gpuPools.t4.zones: must name the one zone of reservation cr-0123456789abcdef0, got None"),
        ({"machine_types": ["g4dn.xlarge", "g4dn.2xlarge"]}, "gpuPools.t4.machineTypes: must be the one instance type"),
        (
            {"reservation_id": "blocks"},
            "gpuPools.t4.reservationId: must be the id of a capacity reservation, cr-..., got 'blocks'",
        ),
        ({"reservation_id": None, "reservation_kind": "capacity-block"}, "gpuPools.t4.reservationId: is required"),
        ({"machine_types": ["m7i.xlarge"]}, "gpuPools.t4.machineTypes: must be EC2 instance types with an NVIDIA GPU"),
    ],
)
def test_a_reservation_that_no_node_can_use_is_refused(changes, line):
    policy = CapacityPolicy(gpu_class="T4-class", max_nodes=1, **{**RESERVED, **changes})
    assert line in refusal(lambda: SERVING.args(gpu_pools={"t4": policy}))


# -- images, drivers, taints, names


@pytest.mark.parametrize(
    ("machine_type", "image"),
    [
        ("m7i.xlarge", "AL2023_x86_64_STANDARD"),
        ("m7g.xlarge", "AL2023_ARM_64_STANDARD"),
        ("c7gn.2xlarge", "AL2023_ARM_64_STANDARD"),
        ("g4dn.xlarge", "AL2023_x86_64_NVIDIA"),
        ("g5g.xlarge", "AL2023_ARM_64_NVIDIA"),
        ("p4de.24xlarge", "AL2023_x86_64_NVIDIA"),
        ("g4ad.xlarge", "AL2023_x86_64_STANDARD"),
        ("r7gd.metal", "AL2023_ARM_64_STANDARD"),
    ],
)
def test_the_machine_image_has_the_driver_the_machine_needs(machine_type, image):
    assert ami_type([machine_type]) == image


def test_every_gpu_machine_of_the_catalog_gets_the_image_with_the_driver():
    machines = [each.machine_type for clouds in CATALOG.values() for each in clouds.get("aws", ())]
    assert len(machines) >= 8
    assert {ami_type([each]) for each in machines} == {"AL2023_x86_64_NVIDIA"}


def test_a_gpu_machine_in_the_pool_without_gpus_is_refused():
    nodes = {"cluster_name": "c", "node_role_arn": "r", "subnet_ids": ["s"], "security_group_id": "g"}
    text = refusal(lambda: components.EksNodePoolArgs(machine_type="g5.xlarge", min_nodes=1, max_nodes=1, **nodes))
    assert "machineType: must be EC2 instance types with no GPU, got 'g5.xlarge'" in text
    args = {"pool": "a", "gpu_class": "T4-class", "max_nodes": 1, **nodes}
    mixed = refusal(lambda: components.EksGpuPoolArgs(machine_types=["g5g.xlarge", "g5.xlarge"], **args))
    assert "machineTypes: must have one kind of processor, got g5g.xlarge, g5.xlarge" in mixed


def test_the_device_plugin_runs_on_gpu_nodes_whatever_their_taints(made):
    plugin = next(row.inputs for row in made.all(RELEASE) if row.inputs["chart"] == "nvidia-device-plugin")
    assert {"operator": "Exists", "effect": "NoSchedule"} in plugin["values"]["tolerations"]
    taints = [taint for row in made.all(GROUP) for taint in row.inputs.get("taints", [])]
    assert taints
    assert {taint["value"] for taint in taints} == {"present"}


def test_a_replaced_pool_has_another_name_than_the_one_it_replaces(made):
    for row in made.all(GROUP) + made.all(TEMPLATE):
        assert not {"nodeGroupName", "nodeGroupNamePrefix", "name"} & set(row.inputs)


def test_a_changed_launch_template_rolls_the_nodes_and_replaces_no_pool(made):
    for row in made.all(GROUP):
        assert set(row.inputs["launchTemplate"]) == {"id", "version"}
        assert row.inputs["launchTemplate"]["version"] == "1"
        # Both in one place would be refused.
        assert "diskSize" not in row.inputs


def test_nodes_follow_an_upgrade_of_the_cluster_and_come_after_it(made):
    assert {row.inputs["version"] for row in made.all(GROUP)} == {made.one(CLUSTER).inputs["version"]}
    for row in made.all(GROUP):
        assert made.one(CLUSTER).name in awaited(made, row)


def test_the_count_the_autoscaler_chose_is_not_reset(made):
    for row in made.all(GROUP):
        assert "scalingConfig.desiredSize" in row.ignore_changes


def test_nodes_that_fail_are_replaced(made):
    assert made.all(GROUP)
    for row in made.all(GROUP):
        assert row.inputs["nodeRepairConfig"] == {"enabled": True}
    assert made.one("aws:eks/addon:Addon", "site-cluster-eks-node-monitoring-agent")


def test_pods_cannot_take_the_role_of_their_node(made):
    for row in made.all(TEMPLATE):
        options = row.inputs["metadataOptions"]
        assert (options["httpTokens"], options["httpPutResponseHopLimit"]) == ("required", 1)


def test_what_asks_the_metadata_service_elsewhere_is_told_region_and_network(made):
    values = {row.inputs["chart"]: row.inputs["values"] for row in made.all(RELEASE)}
    balancers = values["aws-load-balancer-controller"]
    assert (balancers["region"], balancers["vpcId"]) == ("us-east-1", "site-network-vpc-id")
    assert values["cluster-autoscaler"]["awsRegion"] == "us-east-1"


def test_encrypted_disks_do_not_keep_nodes_from_starting(made):
    key = made.one("aws:kms/key:Key")
    for row in made.all(TEMPLATE):
        (disk,) = row.inputs["blockDeviceMappings"]
        assert (disk["ebs"]["encrypted"], disk["ebs"]["volumeType"]) == ("true", "gp3")
        assert disk["ebs"]["kmsKeyId"].endswith(f"key/{key.name}")
    policy = json.loads(key.inputs["policy"])["Statement"]
    scaling = [each for each in policy if "AWSServiceRoleForAutoScaling" in json.dumps(each["Principal"])]
    assert {"kms:CreateGrant", "kms:Decrypt"} <= {action for each in scaling for action in each["Action"]}


def test_network_policies_are_enforced_and_not_just_stored(made):
    addon = made.one("aws:eks/addon:Addon", "site-cluster-vpc-cni")
    assert json.loads(addon.inputs["configurationValues"]) == {"enableNetworkPolicy": "true"}


# -- destroy


def test_a_destroy_ends_load_balancers_while_their_controller_nodes_and_way_out_are_there(run):
    def build():
        cluster = SERVING.declare()
        components.GatewayIngress(
            "way-in",
            components.GatewayIngressArgs(
                namespace="serving", port=443, load_balancer_annotations=cluster.load_balancer_annotations
            ),
            pulumi.ResourceOptions(provider=cluster.provider),
        )

    recording = run(build)
    service = recording.one("kubernetes:core/v1:Service")
    before = awaited(recording, service)
    assert {
        "site-balancers-release", "site-balancers-association", "site-balancers-policy", "site-system-nodes",
        "site-addons-coredns", "site-network-nat-us-east-1a", "site-network-internet", "site-address-us-east-1a",
    } <= before  # fmt: skip


def test_nodes_leave_before_what_connects_them_to_the_cluster(made):
    for row in made.all(GROUP):
        before = awaited(made, row)
        assert {
            "site-cluster-vpc-cni", "site-cluster-node-AmazonEKS_CNI_Policy", "site-network-nat-us-east-1a",
            "site-network-private-us-east-1a",
        } <= before  # fmt: skip


def test_security_groups_let_go_of_each_other(made):
    groups = made.all("aws:ec2/securityGroup:SecurityGroup")
    assert groups
    assert all(row.inputs["revokeRulesOnDelete"] for row in groups)


def test_one_switch_protects_and_releases_everything(run, made):
    assert made.one(CLUSTER).inputs["deletionProtection"] is True
    off = run(lambda: SERVING.declare(protect=False))
    assert off.one(CLUSTER).inputs["deletionProtection"] is False
    assert off.one("aws:s3/bucket:Bucket").inputs["forceDestroy"] is True
    assert off.one("aws:ecr/repository:Repository").inputs["forceDelete"] is True
    assert not [row for row in off.rows if row.protect]


def test_logs_end_after_their_time_and_with_the_stack(made):
    cluster, group = made.one(CLUSTER), made.one("aws:cloudwatch/logGroup:LogGroup", "site-cluster-logs")
    assert group.inputs["name"] == f"/aws/eks/{cluster.inputs['name']}/cluster"
    # Otherwise EKS makes it, keeps it for ever and leaves it behind.
    assert group.urn in cluster.depends_on
    assert group.inputs["retentionInDays"] == 90


# -- access


def test_naming_the_first_administrator_does_not_replace_the_cluster(made):
    assert "accessConfig.bootstrapClusterCreatorAdminPermissions" in made.one(CLUSTER).ignore_changes


def test_with_administrators_whoever_made_the_cluster_is_none(run):
    def creator(**changes):
        access = run(lambda: SERVING.declare(**changes)).one(CLUSTER).inputs["accessConfig"]
        assert access["authenticationMode"] == "API"
        return access["bootstrapClusterCreatorAdminPermissions"]

    assert creator() is False
    assert creator(admin_role_arns=None, deployer_role_arn=ADMIN_ROLE) is False
    assert creator(admin_role_arns=None) is True


def test_whoever_deploys_gets_in_before_anything_is_put_into_the_cluster(run):
    recording = run(lambda: SERVING.declare(deployer_role_arn="arn:aws:iam::123456789012:role/ci"))
    entry = recording.one("aws:eks/accessEntry:AccessEntry", "site-cluster-admin-deployer")
    assert entry.inputs["principalArn"] == "arn:aws:iam::123456789012:role/ci"
    before = awaited(recording, recording.one("pulumi:providers:kubernetes"))
    assert {"site-cluster-admin-deployer", "site-cluster-admin-123456789012-admins"} <= before


def test_the_api_server_is_reached_from_inside_unless_ranges_are_named(run, made):
    closed = made.one(CLUSTER).inputs["vpcConfig"]
    assert (closed["endpointPrivateAccess"], closed["endpointPublicAccess"]) == (True, False)
    rule = made.one("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule").inputs
    assert (rule["cidrIpv4"], rule["fromPort"], rule["toPort"]) == ("10.10.0.0/16", 443, 443)
    ranges = ["198.51.100.0/24"]
    hardening = Hardening(public_endpoint=True, authorized_ranges=ranges)
    opened = run(lambda: SERVING.declare(hardening=hardening)).one(CLUSTER).inputs["vpcConfig"]
    assert (opened["endpointPublicAccess"], opened["publicAccessCidrs"]) == (True, ranges)


# -- images


def test_two_clusters_of_one_account_do_not_share_a_cache(run):
    recording = run(lambda: [SERVING.declare(each) for each in ("one", "two")])
    rules = recording.all("aws:ecr/pullThroughCacheRule:PullThroughCacheRule")
    prefixes = [row.inputs["ecrRepositoryPrefix"] for row in rules]
    assert len(set(prefixes)) == len(prefixes) == 8
    assert all(len(prefix) <= 30 for prefix in prefixes)


def test_pods_start_while_docker_hub_is_down_or_limits_pulls(run):
    digest = "sha256:" + "0f" * 32
    hub, other = f"docker.io/tensorflow/serving:2.20.0@{digest}", "ghcr.io/acme/tool:1"

    def names(**changes):
        def build():
            cluster = SERVING.declare(**changes)
            return [cluster.image(hub), cluster.image(other)]

        return run(build).value

    (cached, kept) = names()
    host = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    assert cached.startswith(f"{host}/site-")
    assert cached.endswith(f"/docker-hub/tensorflow/serving:2.20.0@{digest}")
    assert kept == other
    # ECR caches Docker Hub with a token only, and nothing unless asked.
    assert names(docker_hub_secret_arn=None) == [hub, other]
    assert names(mirror=False) == [hub, other]


def test_a_secret_that_ecr_would_not_read_is_refused():
    wrong = HUB_SECRET.replace("ecr-pullthroughcache/", "")
    line = "dockerHubSecretArn: must be the ARN of a secret named ecr-pullthroughcache/..."
    assert line in refusal(lambda: components.EcrRegistryArgs(mirror=True, docker_hub_secret_arn=wrong))
    # Before any resource of a whole cluster, too.
    text = refusal(lambda: SERVING.args(docker_hub_secret_arn=wrong, system_machine_type="g5.xlarge"))
    assert line in text
    assert "systemMachineType: must be EC2 instance types with no GPU, got 'g5.xlarge'" in text
