"""GPU pools: taints, labels, drivers, and the pairs of on-demand and spot pools."""

import pulumi
import pytest

from components._capacity import CapacityPolicy
from tests.components.clusters import CLOUDS

POOL_TYPE = {
    "aws": "aws:eks/nodeGroup:NodeGroup",
    "gcp": "gcp:container/nodePool:NodePool",
    "azure": "azure-native:containerservice:AgentPool",
}
TAINT = "nvidia.com/gpu=present:NoSchedule"
SPOT_KEY = "kubernetes.azure.com/scalesetpriority"


def pools(run, cloud, **spec):
    """The GPU pools of a cluster by logical name."""
    given = {"gpu_class": "T4-class", "max_nodes": 5, **spec}
    recording = run(lambda: CLOUDS[cloud].declare(gpu_pools={"t4": CapacityPolicy(**given)}))
    return {row.name: row for row in recording.all(POOL_TYPE[cloud]) if "-t4" in row.name}


def bounds(cloud, row):
    """Fewest and most nodes of a recorded pool."""
    if cloud == "aws":
        return row.inputs["scalingConfig"]["minSize"], row.inputs["scalingConfig"]["maxSize"]
    if cloud == "gcp":
        return tuple(row.inputs["autoscaling"][key] for key in ("totalMinNodeCount", "totalMaxNodeCount"))
    return row.inputs["minCount"], row.inputs["maxCount"]


def is_spot(cloud, row):
    """Whether a recorded pool buys interruptible capacity."""
    if cloud == "aws":
        return row.inputs["capacityType"] == "SPOT"
    if cloud == "gcp":
        return row.inputs["nodeConfig"].get("spot", False)
    return row.inputs["scaleSetPriority"] == "Spot"


@pytest.mark.parametrize("cloud", CLOUDS)
def test_without_spot_there_is_one_pool_that_starts_at_zero(run, cloud):
    found = pools(run, cloud)
    assert list(found) == ["site-t4-nodes"]
    assert bounds(cloud, found["site-t4-nodes"]) == (0, 5)
    assert not is_spot(cloud, found["site-t4-nodes"])


@pytest.mark.parametrize("cloud", CLOUDS)
def test_spot_and_on_demand_come_in_pairs_and_the_floor_is_on_demand(run, cloud):
    found = pools(run, cloud, spot_percent=50, min_nodes=2)
    assert {name: (is_spot(cloud, row), bounds(cloud, row)) for name, row in found.items()} == {
        "site-t4-nodes": (False, (2, 5)),
        "site-t4-spot-nodes": (True, (0, 3)),
    }


@pytest.mark.parametrize("cloud", CLOUDS)
def test_without_fallback_spot_capacity_has_no_substitute(run, cloud):
    found = pools(run, cloud, spot_percent=100, on_demand_fallback=False, min_nodes=1)
    assert list(found) == ["site-t4-spot-nodes"]
    assert bounds(cloud, found["site-t4-spot-nodes"]) == (1, 5)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_autoscaler_owns_the_count(run, cloud):
    count = {"aws": "scalingConfig.desiredSize", "gcp": "nodeCount", "azure": "count"}[cloud]
    for row in pools(run, cloud, spot_percent=50).values():
        assert count in row.ignore_changes


def test_eks_declares_the_taint_and_takes_the_image_with_the_driver(run):
    for row in pools(run, "aws", spot_percent=50).values():
        assert row.inputs["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}]
        assert row.inputs["labels"] == {"tricorn.dev/pool": "t4"}
        assert row.inputs["amiType"] == "AL2023_x86_64_NVIDIA"
        assert row.inputs["instanceTypes"] == ["g4dn.xlarge", "g4dn.2xlarge"]
        assert row.inputs["updateConfig"]["updateStrategy"] == "MINIMAL"


def test_gke_adds_the_taint_itself_so_none_is_declared_and_none_is_compared(run):
    for row in pools(run, "gcp", spot_percent=50).values():
        node = row.inputs["nodeConfig"]
        assert "taints" not in node
        assert {"nodeConfig.taints", "nodeConfig.labels", "nodeConfig.resourceLabels"} <= set(row.ignore_changes)
        assert node["labels"] == {"tricorn.dev/pool": "t4"}
        driver = {"gpuDriverVersion": "LATEST"}
        assert node["guestAccelerators"] == [
            {"type": "nvidia-tesla-t4", "count": 1, "gpuDriverInstallationConfig": driver}
        ]
        assert row.inputs["autoscaling"]["locationPolicy"] == "ANY"
        assert row.inputs["upgradeSettings"] == {"maxSurge": 0, "maxUnavailable": 1}


def test_a_gke_gpu_pool_waits_for_the_cpu_pool_because_only_then_gke_taints_it(run):
    recording = run(lambda: CLOUDS["gcp"].declare())
    system = recording.one(POOL_TYPE["gcp"], "site-system-nodes")
    for row in recording.all(POOL_TYPE["gcp"]):
        if row is not system:
            assert system.urn in row.depends_on


def test_aks_declares_what_it_would_add_itself(run):
    found = pools(run, "azure", spot_percent=50)
    regular, spot = found["site-t4-nodes"].inputs, found["site-t4-spot-nodes"].inputs
    assert regular["nodeTaints"] == [TAINT]
    assert regular["nodeLabels"] == {"tricorn.dev/pool": "t4"}
    assert spot["nodeTaints"] == [TAINT, f"{SPOT_KEY}=spot:NoSchedule"]
    assert spot["nodeLabels"] == {"tricorn.dev/pool": "t4", SPOT_KEY: "spot"}
    assert (spot["scaleSetEvictionPolicy"], spot["spotMaxPrice"]) == ("Delete", -1)
    assert "scaleSetEvictionPolicy" not in regular
    assert "spotMaxPrice" not in regular


def test_aks_installs_the_driver_without_secure_boot_and_only_where_it_may_upgrades_without_surge(run):
    found = pools(run, "azure", spot_percent=50)
    for row in found.values():
        assert row.inputs["gpuProfile"] == {"driver": "Install"}
        assert row.inputs["securityProfile"] == {"enableSecureBoot": False}
        assert row.inputs["mode"] == "User"
    assert found["site-t4-nodes"].inputs["upgradeSettings"] == {"maxSurge": "0", "maxUnavailable": "1"}
    assert "upgradeSettings" not in found["site-t4-spot-nodes"].inputs


def test_aks_pool_names_fit_and_change_with_what_replaces_the_pool(run):
    def names(**spec):
        return {row.inputs["agentPoolName"] for row in pools(run, "azure", **spec).values()}

    first = names(spot_percent=50)
    assert len(first) == 2
    assert all(len(name) <= 12 and name.isalnum() and name.startswith("t4") for name in first)
    assert names(spot_percent=50) == first
    assert not first & names(spot_percent=50, gpu_class="A100-80")


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"max_nodes": 0}, "maxNodes"),
        ({"min_nodes": 6}, "minNodes"),
        ({"min_nodes": -1}, "minNodes"),
        ({"spot_percent": 101}, "spotPercent"),
        ({"spot_percent": -1}, "spotPercent"),
    ],
)
def test_an_impossible_policy_is_refused(changes, path):
    with pytest.raises(pulumi.InputPropertiesError) as caught:
        CapacityPolicy(**{"gpu_class": "T4-class", "max_nodes": 5, **changes})
    assert f"  {path}: must be" in str(caught.value)
