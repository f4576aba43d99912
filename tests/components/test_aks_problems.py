"""Problems that users of GPU clusters on Azure report again and again, each avoided by what is declared.

The numbers are of the issues where users met them.
"""

import ipaddress

import pulumi
import pytest

from components.aks_gpu_pool import AksGpuPoolArgs
from tests.components.azure_sites import pools, site
from tests.components.clusters import CLOUDS

AZURE = CLOUDS["azure"]
POOL, CLUSTER = "azure-native:containerservice:AgentPool", "azure-native:containerservice:ManagedCluster"
LOCK = "azure-native:authorization:ManagementLockByScope"
SPOT = "kubernetes.azure.com/scalesetpriority"
GPU_TAINT = "nvidia.com/gpu=present:NoSchedule"
GROUP = "/subscriptions/s/resourceGroups/r/providers/Microsoft.Compute/capacityReservationGroups/gpus"


def test_quota_zero_and_stock_out_do_not_fail_the_creation_of_a_pool():
    """skypilot#464, AllocationFailed: a pool that starts empty needs neither quota nor a machine to be created."""
    assert [(row.inputs["minCount"], row.inputs["count"]) for row in pools(spot_percent=50)] == [(0, 0), (0, 0)]


def test_spot_capacity_that_is_gone_has_an_on_demand_pool_beside_it():
    priorities = {row.inputs["scaleSetPriority"]: row.inputs["maxCount"] for row in pools(spot_percent=50)}
    assert priorities == {"Regular": 4, "Spot": 2}


def test_an_upgrade_needs_no_quota_for_surge_nodes():
    """motordesk#14: "Surge nodes would also consume vcpu quota"."""
    for row in pools(spot_percent=50):
        settings = row.inputs.get("upgradeSettings")
        if row.inputs["scaleSetPriority"] == "Spot":
            assert settings is None
        else:
            assert settings == {"maxSurge": "0", "maxUnavailable": "1"}


def test_a_gpu_size_that_is_in_no_zone_can_be_had():
    """Azure/AKS#1444: zones are asked for on GPU pools by name only, whatever zones the site has."""
    for row in site(zones=["1", "2"]).all(POOL):
        assert "availabilityZones" not in row.inputs
    assert [row.inputs["availabilityZones"] for row in pools(zones=["2"])] == [["2"]]


def test_the_gpu_driver_is_explicit_and_starts():
    """Azure/AKS#4925, azurerm#25455: no tag that AKS stopped reading, and no Secure Boot under an unsigned driver."""
    for row in pools(spot_percent=50):
        assert row.inputs["gpuProfile"] == {"driver": "Install"}
        assert row.inputs["securityProfile"] == {"enableSecureBoot": False}
        assert "SkipGPUDriverInstall" not in row.inputs["tags"]


@pytest.mark.parametrize("size", ["Standard_NV6ads_A10_v5", "Standard_NV18ads_A10_v5", "Standard_NC6"])
def test_part_of_a_gpu_is_refused(size):
    with pytest.raises(pulumi.InputPropertiesError) as caught:
        AksGpuPoolArgs(
            resource_group_name="g", cluster_name="c", subnet_id="s", pool="a10", gpu_class="A10G-class",
            max_nodes=1, machine_types=[size],
        )  # fmt: skip
    assert f"  machineTypes: '{size}' is not a size of the catalog; use one of Standard_NC4as_T4_v3" in str(
        caught.value
    )


def test_the_device_plugin_comes_with_gpu_pools_and_runs_on_spot_nodes():
    """Azure/AKS#4418, k8s-device-plugin#1934."""
    (release,) = site().all("kubernetes:helm.sh/v3:Release")
    tolerations = release.inputs["values"]["tolerations"]
    assert any(each["operator"] == "Exists" and "key" not in each for each in tolerations)


def test_a_replaced_pool_does_not_clash_with_the_old_one():
    """pulumi-azure-native#3655, AVM#169: a new name for each change that replaces, within twelve letters."""
    variants = [
        pools(),
        pools(machine_types=["Standard_NC16as_T4_v3"]),
        pools(zones=["1"]),
        pools(reservation_id=GROUP),
        pools(gpu_class="A100-80"),
    ]
    names = [row.inputs["agentPoolName"] for (row,) in variants]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 12 and name.isalnum() and name.startswith("t4") for name in names)
    assert [row.inputs["agentPoolName"] for row in pools(max_nodes=9)] == names[:1]


def test_taints_and_labels_that_aks_adds_are_no_drift():
    """azurerm#18237, azurerm#8562, pulumi-azure-native#959."""
    (spot,) = (row for row in pools(spot_percent=50) if row.inputs["scaleSetPriority"] == "Spot")
    assert spot.inputs["nodeTaints"] == [GPU_TAINT, f"{SPOT}=spot:NoSchedule"]
    assert spot.inputs["nodeLabels"][SPOT] == "spot"


def test_the_count_of_the_autoscaler_is_not_reset():
    """pulumi-azure#780."""
    recording = site()
    assert "agentPoolProfiles[0].count" in recording.one(CLUSTER).ignore_changes
    assert recording.all(POOL)
    for row in recording.all(POOL):
        assert {"count", "orchestratorVersion"} <= set(row.ignore_changes)


def test_the_cluster_holds_one_pool_and_all_others_are_resources_of_their_own():
    """pulumi-azure-native#579, #1686, #2719, #4264: a pool listed in both places is deleted at the next update."""
    for given in ({}, {"gpu_pools": {}}):
        (profile,) = site(**given).one(CLUSTER).inputs["agentPoolProfiles"]
        assert (profile["name"], profile["mode"]) == ("system", "System")


def test_subnets_are_not_listed_in_the_network_as_well():
    network = site().one("azure-native:network:VirtualNetwork")
    assert "subnets" not in network.inputs
    assert "subnets" in network.ignore_changes


def test_subnets_of_one_network_are_changed_one_after_the_other():
    """AnotherOperationInProgress: Azure refuses a second change of the same network."""
    rows = site().all("azure-native:network:Subnet")
    first, second, third = rows
    assert first.urn in second.depends_on
    assert second.urn in third.depends_on
    prefixes = [ipaddress.IPv4Network(row.inputs["addressPrefix"]) for row in rows]
    assert not any(a.overlaps(b) for a in prefixes for b in prefixes if a is not b)


@pytest.mark.parametrize("cidr", ["10.1.0.0/16", "10.1.16.0/20"])
def test_every_allowed_range_has_room_for_all_subnets(cidr):
    rows = site(cidr=cidr).all("azure-native:network:Subnet")
    prefixes = [ipaddress.IPv4Network(row.inputs["addressPrefix"]) for row in rows]
    assert all(prefix.subnet_of(ipaddress.IPv4Network(cidr)) for prefix in prefixes)
    assert not any(a.overlaps(b) for a in prefixes for b in prefixes if a is not b)
    assert prefixes[0].prefixlen == ipaddress.IPv4Network(cidr).prefixlen + 1


def test_a_subnet_or_address_in_use_does_not_block_a_destroy():
    """azurerm#688, capz#172: what uses a subnet names it, so that the engine deletes it before the subnet."""
    recording = site()
    subnets = {row.name.rpartition("-")[2]: row.urn for row in recording.all("azure-native:network:Subnet")}
    for endpoint in recording.all("azure-native:network:PrivateEndpoint"):
        assert subnets["endpoints"] in endpoint.depends_on
    assert {subnets["nodes"], subnets["api"]} <= set(recording.one(CLUSTER).depends_on)
    # The load balancer's address is not in the group that AKS deletes with the cluster.
    address = recording.one("azure-native:network:PublicIPAddress", "site-address-public")
    assert address.inputs["resourceGroupName"] == recording.one(CLUSTER).inputs["resourceGroupName"]


def test_one_switch_protects_and_the_locks_go_before_what_they_lock():
    """A `CanNotDelete` lock covers role assignments and endpoints below it, so a destroy must begin with it."""
    recording = site()
    locks = recording.all(LOCK)
    assert {row.name for row in locks} == {"site-lock-models", "site-lock-keys", "site-lock-address"}
    below = [
        *recording.all("azure-native:authorization:RoleAssignment"),
        *recording.all("azure-native:network:PrivateEndpoint"),
        recording.one("azure-native:storage:StorageAccount"),
        recording.one("azure-native:storage:BlobContainer"),
    ]
    for lock in locks:
        missing = {row.name for row in below} - {row.name for row in below if row.urn in lock.depends_on}
        assert missing <= {"site-registry-pull", "site-registry-link-endpoint"}
    assert not site(protect=False).all(LOCK)


def test_a_locked_site_can_still_replace_its_pools():
    """A lock is handed down, so one on the cluster would stop every change of a pool halfway."""
    recording = site()
    assert all("managedClusters" not in row.inputs["scope"] for row in recording.all(LOCK))


def test_a_role_for_a_new_identity_does_not_wait_for_the_directory():
    """PrincipalNotFound: with its type given, Azure does not look the principal up in a directory behind."""
    rows = site().all("azure-native:authorization:RoleAssignment")
    assert len(rows) >= 6
    for row in rows:
        assert row.inputs["principalType"] == "ServicePrincipal"
        assert len(row.inputs["roleAssignmentName"]) == 36
    assert len({row.inputs["roleAssignmentName"] for row in rows}) == len(rows)


def test_a_deleted_vault_does_not_block_the_next_stack(run):
    """Purge protection keeps the name for 90 days; the group's name, made up anew for each stack, is in it."""
    token = "azure-native:resources:ResourceGroup"
    names = set()
    for group in ("site-group1a2b", "site-group3c4d"):
        answers = {token: lambda name, inputs, group=group: {"id": f"/subscriptions/s/{group}", "name": group}}
        recording = run(lambda: AZURE.declare(name="a-site-with-a-long-name"), outputs=answers)
        names.add(recording.one("azure-native:keyvault:Vault").inputs["vaultName"])
    assert len(names) == 2
    assert all(len(name) <= 24 for name in names)


def test_a_cached_image_is_not_cleaned_away():
    """An image pulled by digest has no tag, and a retention rule deletes what has none."""
    registry = "azure-native:containerregistry:Registry"
    assert "policies" not in site(mirror=True).one(registry).inputs
    assert site().one(registry).inputs["policies"]["retentionPolicy"]["status"] == "enabled"


def test_the_load_balancer_is_reached_although_the_nodes_subnet_has_rules():
    """AKS writes its rules into a group of its own; one on the subnet drops callers that it does not let in."""
    (rule,) = (
        site(public_ports=[8080])
        .one("azure-native:network:NetworkSecurityGroup", "site-network-nodes")
        .inputs["securityRules"]
    )
    assert rule["destinationPortRanges"] == ["8080"]
    assert (rule["sourceAddressPrefix"], rule["direction"], rule["access"]) == ("Internet", "Inbound", "Allow")


def test_a_lost_cluster_does_not_silently_forget_what_was_in_it():
    """pulumi-kubernetes#2463: unreachable objects are dropped from the state by request only."""
    assert "deleteUnreachable" not in site().one("pulumi:providers:kubernetes").inputs
