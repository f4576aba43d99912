"""The GPU catalog, and what becomes of a capacity policy on each cloud."""

from __future__ import annotations

import re

import pulumi
import pytest

from components._capacity import CapacityPolicy, plans, policy_problems
from components._gpu_catalog import CATALOG, candidates, classes, machine, refusal
from components._gpu_machine import CUDA, GPUS, GRID
from components._node_sizes import allocatable
from serving.settings import GPU_CLASSES

CLOUDS = ("aws", "gcp", "azure")
FRACTION = "Standard_NV6ads_A10_v5"
ROWS = [
    (gpu_class, cloud, row) for gpu_class, clouds in CATALOG.items() for cloud, rows in clouds.items() for row in rows
]
QUOTA = {
    "aws": r"L-[0-9A-F]{8}",
    "gcp": r"(PREEMPTIBLE_)?NVIDIA_[A-Z0-9_]+_GPUS",
    "azure": r"[Ss]tandard ?N[A-Za-z0-9_]+ ?Family|lowPriorityCores",
}


def policy(**changes):
    return CapacityPolicy(**{"gpu_class": "T4-class", "max_nodes": 4, **changes})


def test_the_catalog_has_the_classes_of_the_settings_and_every_cloud_has_some():
    assert tuple(CATALOG) == GPU_CLASSES
    assert all(len(classes(cloud)) >= 5 for cloud in CLOUDS)


def test_every_row_is_complete():
    for gpu_class, cloud, row in ROWS:
        assert row.gpu in GPUS, row
        assert min(row.gpus, row.gpu_memory_gib, row.vcpus, row.memory_gib) >= 1, row
        assert row.usd_per_hour > 0, row
        assert re.fullmatch(r"https://\S+", row.source), row
        assert re.fullmatch(r"20[0-9]{2}-[01][0-9]-[0-3][0-9]", row.date), row
        assert re.fullmatch(QUOTA[cloud], row.quota), row
        assert re.fullmatch(QUOTA[cloud], row.spot_quota), row
        assert row.quota != row.spot_quota, row
        assert row.zones, row
        assert (row.accelerator is not None) == (cloud == "gcp"), row
        assert allocatable(cloud, row.vcpus, row.memory_gib) is not None, (gpu_class, row)


def test_rows_are_ordered_by_price_and_no_machine_type_stands_twice_on_a_cloud():
    for clouds in CATALOG.values():
        for rows in clouds.values():
            assert [row.usd_per_hour for row in rows] == sorted(row.usd_per_hour for row in rows)
    for cloud in CLOUDS:
        names = [row.machine_type for _, each, row in ROWS if each == cloud]
        assert len(names) == len(set(names))
        assert all(machine(cloud, name) is not None for name in names)


def test_one_class_is_one_kind_of_gpu_on_a_cloud():
    for clouds in CATALOG.values():
        for rows in clouds.values():
            assert len({row.gpu for row in rows}) == 1


def test_only_azures_a10_needs_the_grid_driver():
    assert {row.machine_type for _, _, row in ROWS if row.driver != CUDA} == {"Standard_NV36ads_A10_v5"}
    assert {row.driver for _, _, row in ROWS} == {CUDA, GRID}


def test_candidates_hold_the_same_number_of_gpus_and_come_cheapest_first():
    assert [row.machine_type for row in candidates("aws", "T4-class")] == ["g4dn.xlarge", "g4dn.2xlarge"]
    assert [row.machine_type for row in candidates("gcp", "L4-class")] == ["g2-standard-4", "g2-standard-8"]


def test_no_l4_on_azure_is_refused_with_what_azure_has():
    with pytest.raises(ValueError, match="azure offers no L4-class GPU; use one of T4-class, A10G-class, A100-40") as e:
        plans("azure", policy(gpu_class="L4-class"))
    assert str(e.value).endswith("or name one of them in accept")


@pytest.mark.parametrize(
    ("cloud", "gpu_class", "accept", "used"),
    [
        ("azure", "L4-class", ["A10G-class", "T4-class"], "A10G-class"),
        ("azure", "L4-class", ["T4-class", "A10G-class"], "T4-class"),
        ("gcp", "A10G-class", ["L4-class"], "L4-class"),
        ("aws", "L4-class", ["T4-class"], "L4-class"),
    ],
)
def test_a_class_that_a_cloud_lacks_becomes_the_first_accepted_one_it_has(cloud, gpu_class, accept, used):
    (plan,) = plans(cloud, policy(gpu_class=gpu_class, accept=accept))
    assert plan.gpu_class == used
    assert plan.machine_types == [row.machine_type for row in candidates(cloud, used)]


def test_a_class_is_refused_when_the_cloud_has_none_of_the_accepted_ones_either():
    ((argument, reason),) = policy_problems("gcp", policy(gpu_class="A10G-class", accept=["A10G-class"]))
    assert argument == "gpuClass"
    assert reason.startswith(
        "gcp offers no A10G-class GPU and none of accept (A10G-class); use one of T4-class, L4-class"
    )


@pytest.mark.parametrize("name", ["B200", "GB200", "RTX-PRO-6000", "T5-class"])
@pytest.mark.parametrize("where", ["gpu_class", "accept"])
def test_an_unknown_or_blackwell_gpu_is_refused_wherever_it_stands(name, where):
    changes = {"gpu_class": name} if where == "gpu_class" else {"gpu_class": "T4-class", "accept": [name]}
    ((_, reason),) = policy_problems("aws", policy(**changes))
    assert name in reason
    assert ("Blackwell" in reason) == (name != "T5-class")
    assert "T4-class, L4-class" in reason


@pytest.mark.parametrize(
    ("cloud", "changes", "argument", "words"),
    [
        ("aws", {"machine_types": ["g6.xlarge"]}, "machineTypes", "no T4-class machine type of aws; use some of"),
        ("aws", {"machine_types": ["g4dn.metal"]}, "machineTypes", "g4dn.metal: no T4-class machine type"),
        ("aws", {"machine_types": ["g4dn.xlarge", "g4dn.12xlarge"]}, "machineTypes", "same number of GPUs"),
        ("aws", {"machine_types": ["g4dn.xlarge"] * 2}, "machineTypes", "name each machine type once"),
        ("azure", {"gpu_class": "A10G-class", "machine_types": [FRACTION]}, "machineTypes", "1/6 of a GPU"),
        ("gcp", {"reservation_id": "r", "reservation_kind": "capacity-block"}, "reservationKind", "a kind of AWS"),
        ("azure", {"reservation_id": "r", "reservation_kind": "capacity-block"}, "reservationKind", "a kind of AWS"),
        (
            "aws",
            {"reservation_id": "cr-1", "spot_percent": 100, "on_demand_fallback": False},
            "reservationId",
            "this policy has none",
        ),
    ],
)  # fmt: skip
def test_what_a_cloud_cannot_have_is_refused(cloud, changes, argument, words):
    found = policy_problems(cloud, policy(**changes))
    assert [each for each, _ in found] == [argument]
    assert words in found[0][1]
    with pytest.raises(ValueError, match=re.escape(words)):
        plans(cloud, policy(**changes))


def test_machine_types_are_used_in_the_order_of_the_policy():
    (plan,) = plans("aws", policy(machine_types=["g4dn.2xlarge", "g4dn.xlarge"]))
    assert plan.machine_types == ["g4dn.2xlarge", "g4dn.xlarge"]


def test_a_reservation_serves_the_on_demand_nodes_and_zones_serve_both():
    chosen = {"reservation_id": "cr-1", "reservation_kind": "capacity-block", "zones": ["us-east-1a"]}
    on_demand, spot = plans("aws", policy(spot_percent=50, **chosen))
    assert (on_demand.reservation_id, on_demand.reservation_kind) == ("cr-1", "capacity-block")
    assert (spot.reservation_id, spot.reservation_kind) == (None, None)
    assert on_demand.zones == spot.zones == ["us-east-1a"]


@pytest.mark.parametrize(("spot", "fallback"), [(0, True), (50, True), (50, False), (75, False), (100, False)])
@pytest.mark.parametrize("least", [0, 1, 3, 4])
def test_the_pools_of_a_policy_hold_its_fewest_nodes_together(spot, fallback, least):
    found = plans("aws", policy(spot_percent=spot, on_demand_fallback=fallback, min_nodes=least))
    assert sum(plan.min_nodes for plan in found) == least
    assert all(plan.min_nodes <= plan.max_nodes for plan in found)
    assert sum(plan.max_nodes for plan in found if plan.spot) == -(-4 * spot // 100)


def test_a_cluster_that_exists_already_gets_no_pools_and_no_refusal():
    assert plans("kubernetes", policy(gpu_class="anything")) == ()
    assert policy_problems("kubernetes", policy(gpu_class="anything")) == []


def test_a_node_never_gives_its_pods_all_of_the_machine():
    for _, cloud, row in ROWS:
        cpus, memory = allocatable(cloud, row.vcpus, row.memory_gib)
        assert row.vcpus * 0.9 < cpus < row.vcpus
        assert row.memory_gib * 1024 * 0.7 < memory < row.memory_gib * 1024
    assert allocatable("elsewhere", 4, 16) is None


def test_a_node_of_gke_gives_what_the_documentation_says():
    # 4 vCPUs and 16 GiB: 80 millicores and 2.6 GiB are kept, and 100 MiB for eviction.
    cpus, memory = allocatable("gcp", 4, 16)
    assert cpus == pytest.approx(3.92)
    assert memory == pytest.approx(16 * 1024 - 2.6 * 1024 - 100)


def test_the_refusal_of_a_component_names_every_pool():
    from components.eks_serving_cluster import EksServingClusterArgs

    pools = {"a": policy(gpu_class="T5-class"), "b": policy(machine_types=["g6.xlarge"])}
    with pytest.raises(pulumi.InputPropertiesError) as caught:
        EksServingClusterArgs(
            region="us-east-1", zones=["us-east-1a", "us-east-1b"], kubernetes_version="1.36", namespace="serving",
            service_account="models", system_min_nodes=1, system_max_nodes=3, gpu_pools=pools,
        )  # fmt: skip
    assert "gpuPools.a.gpuClass: 'T5-class' is not a known GPU class" in str(caught.value)
    assert "gpuPools.b.machineTypes: g6.xlarge: no T4-class machine type" in str(caught.value)


def test_nothing_is_refused_that_a_cloud_has():
    for gpu_class, clouds in CATALOG.items():
        assert all(refusal(cloud, gpu_class) is None for cloud in clouds)
