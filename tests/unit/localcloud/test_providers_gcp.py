import base64

import pytest
from provider_client import Refusal, asset, provider

from localcloud import ledger

CLUSTER, POOL = "gcp:container/cluster:Cluster", "gcp:container/nodePool:NodePool"
BUCKET, OBJECT = "gcp:storage/bucket:Bucket", "gcp:storage/bucketObject:BucketObject"
MEMBER, ADDRESS = "gcp:storage/bucketIAMMember:BucketIAMMember", "gcp:compute/address:Address"
NETWORK, SUBNETWORK = "gcp:compute/network:Network", "gcp:compute/subnetwork:Subnetwork"
PRINCIPAL = (
    "principal://iam.googleapis.com/projects/100000000001/locations/global/workloadIdentityPools/"
    "tricorn-local.svc.id.goog/subject/ns/serving/sa/models"
)
BINDING = {"bucket": "models", "role": "roles/storage.objectViewer", "member": PRINCIPAL}


@pytest.fixture
def gcp(tmp_path, monkeypatch):
    with provider("gcp", tmp_path, monkeypatch) as client:
        yield client


def cluster(gcp, name="one", **more):
    inputs = {
        "name": name,
        "location": "us-central1",
        "removeDefaultNodePool": True,
        "initialNodeCount": 1,
        "deletionProtection": False,
        "workloadIdentityConfig": {"workloadPool": "tricorn-local.svc.id.goog"},
        **more,
    }
    return gcp.create(CLUSTER, inputs)


def cpu_pool(gcp, id_):
    node = {"machineType": "e2-standard-4"}
    scaling = {"totalMinNodeCount": 1, "totalMaxNodeCount": 3}
    return gcp.create(POOL, {"cluster": id_, "name": "system", "autoscaling": scaling, "nodeConfig": node})


def gpu_pool(gcp, id_, **more):
    node = {
        "machineType": "n1-standard-4",
        "guestAccelerators": [{"type": "nvidia-tesla-t4", "count": 1}],
        "labels": {"tricorn.dev/pool": "t4"},
        **more,
    }
    scaling = {"totalMinNodeCount": 0, "totalMaxNodeCount": 2}
    return gcp.create(POOL, {"cluster": id_, "name": "gpu", "autoscaling": scaling, "nodeConfig": node})


def spec(gcp, name):
    return next(pool.spec for pool in gcp.store.pools("gcp") if pool.name == name)


def test_a_cluster_has_what_a_kubeconfig_needs(gcp):
    id_, outputs = cluster(gcp)
    assert id_ == "projects/tricorn-local/locations/us-central1/clusters/one"
    assert "https://" + outputs["endpoint"] == gcp.store.cluster("gcp", "one").endpoint
    assert base64.b64decode(outputs["masterAuth"]["clusterCaCertificate"]) == b"PEM"
    gcp.delete(CLUSTER, id_)
    assert gcp.store.clusters("gcp") == []


def test_a_cluster_is_protected_unless_told_otherwise(gcp):
    id_, _ = cluster(gcp, deletionProtection=True)
    with pytest.raises(Refusal, match="without setting deletionProtection to false"):
        gcp.delete(CLUSTER, id_)


def test_gke_taints_gpu_nodes_only_beside_other_nodes(gcp):
    id_, _ = cluster(gcp)
    gpu_pool(gcp, id_)
    assert spec(gcp, "gpu")["taints"] == []
    gcp.delete(POOL, f"{id_}/nodePools/gpu")
    cpu_pool(gcp, id_)
    gpu_pool(gcp, id_)
    assert spec(gcp, "gpu")["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]
    assert spec(gcp, "system")["taints"] == []


def test_a_gpu_pool_has_the_accelerator_it_asks_for(gcp):
    id_, _ = cluster(gcp)
    pool, outputs = gpu_pool(gcp, id_, spot=True)
    assert pool == f"{id_}/nodePools/gpu"
    found = spec(gcp, "gpu")
    assert (found["gpus"], found["min"], found["max"], found["spot"]) == (1, 0, 2, True)
    assert found["labels"]["cloud.google.com/gke-accelerator"] == "nvidia-tesla-t4"
    assert found["labels"]["cloud.google.com/gke-spot"] == "true"
    assert found["zones"] == outputs["nodeLocations"]
    gcp.delete(POOL, pool)
    assert gcp.store.pools("gcp") == []


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"machineType": "n9-huge"}, "no machine type 'n9-huge'; it offers"),
        ({"machineType": "e2-standard-4"}, "nvidia-tesla-t4 cannot be attached to e2-standard-4"),
        ({"machineType": "g2-standard-4"}, "comes with 1 nvidia-l4"),
        ({"guestAccelerators": [{"type": "nvidia-b200", "count": 1}]}, "'nvidia-b200' does not exist"),
    ],
)
def test_machines_and_accelerators_that_do_not_go_together_are_refused(gcp, node, message):
    id_, _ = cluster(gcp)
    with pytest.raises(Refusal, match=message):
        gpu_pool(gcp, id_, **node)
    assert gcp.store.pools("gcp") == []


def test_a_workload_reads_its_bucket_in_every_cluster_of_its_pool(gcp):
    gcp.create(BUCKET, {"name": "models", "location": "US"})
    with pytest.raises(Refusal, match="Identity Pool does not exist"):
        gcp.create(MEMBER, BINDING)
    cluster(gcp)
    id_, _ = gcp.create(MEMBER, BINDING)
    cluster(gcp, "two")
    found = {identity.cluster_id: identity for identity in ledger.identities(gcp.store, "gcp")}
    assert set(found) == {"one", "two"}
    assert (found["two"].namespace, found["two"].service_account) == ("serving", "models")
    assert ledger.may_read(gcp.store, "gcp", found["one"].principal, "models", "bundles/x")
    assert not ledger.may_read(gcp.store, "gcp", found["one"].principal, "other", "bundles/x")
    gcp.delete(MEMBER, id_)
    assert ledger.identities(gcp.store, "gcp") == []
    assert not ledger.may_read(gcp.store, "gcp", PRINCIPAL, "models", "bundles/x")


def test_a_condition_limits_the_grant_to_a_prefix_and_other_roles_give_none(gcp):
    gcp.create(BUCKET, {"name": "models", "location": "US"})
    cluster(gcp)
    prefix = 'resource.name.startsWith("projects/_/buckets/models/objects/bundles/")'
    id_, _ = gcp.create(MEMBER, {**BINDING, "condition": {"title": "t", "expression": prefix}})
    assert ledger.may_read(gcp.store, "gcp", PRINCIPAL, "models", "bundles/x")
    assert not ledger.may_read(gcp.store, "gcp", PRINCIPAL, "models", "x")
    gcp.delete(MEMBER, id_)
    gcp.create(MEMBER, {**BINDING, "role": "roles/storage.objectCreator"})
    assert not ledger.may_read(gcp.store, "gcp", PRINCIPAL, "models", "bundles/x")


def test_an_object_of_a_bucket_is_stored_and_blocks_its_deletion(gcp, tmp_path):
    file = tmp_path / "b.tar"
    file.write_bytes(b"abc")
    bucket, outputs = gcp.create(BUCKET, {"name": "models", "location": "US"})
    assert outputs["url"] == "gs://models"
    id_, outputs = gcp.create(OBJECT, {"bucket": "models", "name": "bundles/1.tar", "source": asset(file)})
    assert outputs["md5hash"] == "kAFQmDzST7DWlj99KOF/cg=="
    with pytest.raises(Refusal, match="BucketNotEmpty"):
        gcp.delete(BUCKET, bucket)
    gcp.delete(OBJECT, id_)
    gcp.delete(BUCKET, bucket)
    assert gcp.ids() == []


def test_the_network_knows_its_parts_by_id_link_and_name(gcp):
    id_, outputs = gcp.create(NETWORK, {"autoCreateSubnetworks": False}, "Main_net")
    assert id_.startswith("projects/tricorn-local/global/networks/main-net-")
    for reference in (id_, outputs["selfLink"], outputs["name"]):
        gcp.create(
            SUBNETWORK, {"network": reference, "ipCidrRange": "10.0.0.0/20", "region": "us-central1"}, reference[-9:]
        )
    with pytest.raises(Refusal, match=r"\(network\) was not found"):
        gcp.create(SUBNETWORK, {"network": "gone", "ipCidrRange": "10.0.0.0/20"})


def test_an_address_is_public_and_regional(gcp):
    id_, outputs = gcp.create(ADDRESS, {"name": "ingress", "region": "us-central1"})
    assert id_ == "projects/tricorn-local/regions/us-central1/addresses/ingress"
    assert outputs["address"].startswith("203.0.113.")
    with pytest.raises(Refusal, match="already exists"):
        gcp.create(ADDRESS, {"name": "ingress", "region": "us-central1"})
    gcp.delete(ADDRESS, id_)
    assert ledger.addresses(gcp.store, "gcp") == []


def test_dns_records_belong_to_their_zone(gcp):
    zone, outputs = gcp.create("gcp:dns/managedZone:ManagedZone", {"name": "z", "dnsName": "example.test."})
    assert len(outputs["nameServers"]) == 4
    record = {"managedZone": "z", "name": "a.example.test.", "type": "A", "ttl": 5, "rrdatas": ["203.0.113.80"]}
    gcp.create("gcp:dns/recordSet:RecordSet", record)
    with pytest.raises(Refusal, match="must end with the zone's"):
        gcp.create("gcp:dns/recordSet:RecordSet", {**record, "name": "a.other.test."})
    with pytest.raises(Refusal, match="containerNotEmpty"):
        gcp.delete("gcp:dns/managedZone:ManagedZone", zone)


def test_members_must_exist_and_say_what_they_are(gcp):
    token = "gcp:projects/iAMMember:IAMMember"
    _, account = gcp.create("gcp:serviceaccount/account:Account", {"accountId": "nodes-of-one"})
    grant = {"project": "tricorn-local", "role": "roles/x", "member": account["member"]}
    gcp.create(token, grant)
    for member in ("nodes", account["member"].replace("nodes", "other")):
        with pytest.raises(Refusal, match=r"invalid member|does not exist"):
            gcp.create(token, {**grant, "member": member})


def test_the_project_has_a_number_and_is_required(gcp, tmp_path, monkeypatch):
    assert gcp.invoke("gcp:organizations/getProject:getProject", {})["number"] == "100000000001"
    with (
        provider("gcp", tmp_path / "other", monkeypatch, {"region": "us-central1"}) as bare,
        pytest.raises(Refusal, match="project: required field is not set"),
    ):
        bare.create(NETWORK, {"name": "n"})
