"""Problems that users of GKE report most, each avoided by how the components are built."""

import json

import pytest

from components._capacity import CapacityPolicy
from tests.components.clusters import ARCHIVE, CLOUDS, KEY

CLUSTER, POOL = "gcp:container/cluster:Cluster", "gcp:container/nodePool:NodePool"
POLICY = {
    "l4": CapacityPolicy(gpu_class="L4-class", max_nodes=6, min_nodes=2, spot_percent=50),
}


def declare(**changes):
    cluster = CLOUDS["gcp"].declare(**{"gpu_pools": POLICY, **changes})
    cluster.upload("scenes", KEY, ARCHIVE)
    return cluster


@pytest.fixture(scope="module")
def site(run):
    return run(declare)


@pytest.fixture(scope="module")
def gpu_pools(site):
    found = [row for row in site.all(POOL) if "guestAccelerators" in row.inputs["nodeConfig"]]
    assert len(found) == 2
    return found


def test_a_quota_that_counts_zones_is_not_asked_for_three_times_the_nodes(gpu_pools):
    for row in gpu_pools:
        assert row.inputs["autoscaling"].keys() == {"totalMinNodeCount", "totalMaxNodeCount", "locationPolicy"}
    assert {row.inputs["autoscaling"]["totalMaxNodeCount"] for row in gpu_pools} == {6, 3}


def test_a_stock_out_does_not_fail_the_creation_of_a_pool(gpu_pools):
    """Without a count a pool is made empty; the autoscaler then asks for its minimum, in any zone, for ever."""
    for row in gpu_pools:
        assert not {"initialNodeCount", "nodeCount"} & row.inputs.keys()
        assert row.inputs["autoscaling"]["locationPolicy"] == "ANY"
        assert "nodeLocations" not in row.inputs


def test_a_stock_out_of_spot_nodes_has_on_demand_nodes_beside_it(gpu_pools):
    assert [row.inputs["nodeConfig"]["spot"] for row in gpu_pools] == [False, True]


def test_an_upgrade_needs_no_gpu_quota_for_surge_nodes(gpu_pools):
    assert all(row.inputs["upgradeSettings"] == {"maxSurge": 0, "maxUnavailable": 1} for row in gpu_pools)


def test_a_reservation_is_used_by_the_nodes_on_demand_in_its_own_zone(run):
    policy = CapacityPolicy(
        gpu_class="H100", max_nodes=2, spot_percent=50, zones=["us-central1-a"], reservation_id="block"
    )
    first, spot = [row for row in run(lambda: declare(gpu_pools={"h100": policy})).all(POOL) if "-h100" in row.name]
    assert first.inputs["nodeConfig"]["reservationAffinity"] == {
        "consumeReservationType": "SPECIFIC_RESERVATION",
        "key": "compute.googleapis.com/reservation-name",
        "values": ["block"],
    }
    assert first.inputs["nodeLocations"] == ["us-central1-a"]
    assert "reservationAffinity" not in spot.inputs["nodeConfig"]


def test_a_change_of_the_driver_default_does_not_replace_a_pool(gpu_pools):
    for row in gpu_pools:
        (accelerator,) = row.inputs["nodeConfig"]["guestAccelerators"]
        assert accelerator["gpuDriverInstallationConfig"] == {"gpuDriverVersion": "LATEST"}


def test_the_driver_and_the_device_plugin_are_gkes_own(site):
    assert not [row for row in site.rows if row.type.startswith("kubernetes:")]


def test_gpu_nodes_get_their_taint_because_other_nodes_were_there_first(site, gpu_pools):
    system = site.one(POOL, "site-system-nodes")
    assert all(system.urn in row.depends_on for row in gpu_pools)
    assert all(row.urn not in system.depends_on for row in gpu_pools)


def test_a_taint_or_label_that_gke_adds_does_not_recreate_a_pool(gpu_pools):
    for row in gpu_pools:
        assert {"nodeConfig.taints", "nodeConfig.labels", "nodeConfig.resourceLabels"} <= set(row.ignore_changes)


def test_the_autoscalers_count_is_not_set_back(site):
    for row in site.all(POOL):
        assert {"initialNodeCount", "nodeCount"} <= set(row.ignore_changes)
        assert row.inputs["ignoreNodeCountChanges"] is True
    assert "initialNodeCount" in site.one(CLUSTER).ignore_changes


def test_a_pool_that_is_replaced_does_not_clash_with_its_own_name(site):
    for row in (site.one(CLUSTER), *site.all(POOL)):
        assert not {"name", "namePrefix"} & row.inputs.keys()


def test_destroying_a_network_waits_out_what_load_balancers_leave_behind(site):
    for type_ in ("gcp:compute/network:Network", "gcp:compute/subnetwork:Subnetwork"):
        assert int(site.one(type_).delete_timeout.removesuffix("m")) >= 20


def test_no_controller_makes_network_endpoint_groups(site):
    assert "NetworkEndpointGroup" not in json.dumps(site.snapshot())
    assert not [row for row in site.rows if row.type.endswith(":Ingress")]


@pytest.mark.parametrize("protect", [None, False])
def test_one_switch_says_whether_anything_can_be_destroyed(run, protect):
    recording = run(lambda: declare(protect=protect))
    kept = protect is None
    assert recording.one(CLUSTER).inputs["deletionProtection"] is kept
    bucket = recording.one("gcp:storage/bucket:Bucket").inputs
    assert bucket.get("forceDestroy", False) is not kept
    assert bool(bucket["softDeletePolicy"]["retentionDurationSeconds"]) is kept
    protected = {row.name for row in recording.rows if row.protect}
    stateful = {"site-cluster-gke", "site-models-bucket", "site-registry-images", "site-address-public"}
    keys = {f"site-keys-{use}" for use in ("secrets", "disks", "images", "models")}
    assert protected == (stateful | keys if kept else set())


def test_a_cluster_that_does_not_answer_is_never_taken_for_deleted(site):
    provider = site.one("pulumi:providers:kubernetes").inputs
    assert not {"deleteUnreachable", "skipUpdateUnreachable"} & provider.keys()


def test_an_api_that_is_dead_or_off_does_not_stop_the_program(run, preview):
    """A function call is made in every preview and fails it; a resource only when it has something to do."""
    assert run(declare, preview=preview).calls == []


def test_nothing_is_asked_of_a_service_before_it_is_on(site):
    services = {row.urn for row in site.all("gcp:projects/service:Service")}
    assert len(services) >= 12
    for row in site.children():
        if row.type.startswith("gcp:") and row.urn not in services:
            assert services <= row.depends_on, row.name


def test_destroying_a_site_switches_off_no_service_that_others_use(site):
    assert all(row.inputs["disableOnDestroy"] is False for row in site.all("gcp:projects/service:Service"))


def test_nothing_is_encrypted_before_the_service_may_use_the_key(site):
    for use, type_ in (
        ("secrets", CLUSTER),
        ("disks", POOL),
        ("images", "gcp:artifactregistry/repository:Repository"),
        ("models", "gcp:storage/bucket:Bucket"),
    ):
        grant = site.one("gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember", f"site-keys-{use}-agent")
        for row in site.all(type_):
            assert grant.urn in row.depends_on, (use, row.name)


def test_a_stack_can_be_made_again_although_key_rings_are_for_ever(site):
    """Automatic names differ each time; a name of our own would be taken already."""
    for type_ in ("gcp:kms/keyRing:KeyRing", "gcp:kms/cryptoKey:CryptoKey"):
        assert site.all(type_)
        assert all("name" not in row.inputs for row in site.all(type_))


def test_a_caches_contents_are_never_cleaned_away_from_a_cloud_that_starts_alone(site):
    caches = [row.inputs for row in site.all("gcp:artifactregistry/repository:Repository") if "mode" in row.inputs]
    assert len(caches) == 4
    assert all("cleanupPolicies" not in cache for cache in caches)
