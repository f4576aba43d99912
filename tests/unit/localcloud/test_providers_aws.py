import base64
import hashlib
import json
from pathlib import Path

import pytest
from provider_client import Refusal, asset, policy, provider

from localcloud import ledger
from localcloud.store import Pool

CLUSTER, GROUP = "aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup"
ROLE, ROLE_POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
BUCKET, OBJECT = "aws:s3/bucket:Bucket", "aws:s3/bucketObjectv2:BucketObjectv2"
VPC, SUBNET, EIP = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet", "aws:ec2/eip:Eip"
ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"


@pytest.fixture
def aws(tmp_path, monkeypatch):
    with provider("aws", tmp_path, monkeypatch) as client:
        yield client


def trust(service):
    return policy({"Effect": "Allow", "Principal": {"Service": service}, "Action": ["sts:AssumeRole"]})


def role(aws, name, service):
    return aws.create(ROLE, {"assumeRolePolicy": trust(service)}, name)[1]


def subnets(aws):
    vpc, _ = aws.create(VPC, {"cidrBlock": "10.0.0.0/16"})
    return [
        aws.create(SUBNET, {"vpcId": vpc, "cidrBlock": f"10.0.{n}.0/24", "availabilityZone": f"us-east-1{zone}"})[0]
        for n, zone in enumerate("ab")
    ]


@pytest.fixture
def cluster(aws):
    inputs = {"roleArn": role(aws, "c", "eks.amazonaws.com")["arn"], "vpcConfig": {"subnetIds": subnets(aws)}}
    id_, outputs = aws.create(CLUSTER, {**inputs, "name": "one", "version": "1.36"})
    return id_, outputs, inputs["vpcConfig"]["subnetIds"]


def group(aws, cluster, **more):
    return {
        "clusterName": cluster[0],
        "nodeRoleArn": role(aws, "n", "ec2.amazonaws.com")["arn"],
        "subnetIds": cluster[2],
        "scalingConfig": {"minSize": 0, "maxSize": 2, "desiredSize": 0},
        "nodeGroupName": "gpu",
        "amiType": "AL2023_x86_64_NVIDIA",
        "instanceTypes": ["g4dn.xlarge"],
        "labels": {"tricorn.dev/pool": "t4"},
        "taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}],
        **more,
    }


def test_a_cluster_has_what_a_kubeconfig_needs(aws, cluster):
    id_, outputs, _ = cluster
    assert id_ == outputs["name"] == "one"
    assert outputs["endpoint"] == "https://127.0.9.1:6443"
    assert base64.b64decode(outputs["certificateAuthority"]["data"]) == b"PEM"
    assert outputs["identities"][0]["oidcs"][0]["issuer"].startswith("https://oidc.eks.us-east-1.")
    assert outputs["arn"].endswith(":cluster/one")
    aws.delete(CLUSTER, id_)
    assert aws.store.clusters("aws") == []


def test_a_cluster_that_fails_is_a_partial_failure(aws, monkeypatch):
    aws.daemon.works = False
    arn, ids = role(aws, "c", "eks.amazonaws.com")["arn"], subnets(aws)
    with pytest.raises(Refusal, match=r"timeout while waiting for cluster .* after 0.3 s") as caught:
        aws.create(CLUSTER, {"roleArn": arn, "vpcConfig": {"subnetIds": ids}, "name": "slow"}, timeout=0.3)
    assert caught.value.id == "slow"
    aws.store.set_cluster("aws", "slow", status="failed", message="etcd did not start")
    with pytest.raises(Refusal, match="etcd did not start"):
        aws.update(CLUSTER, "slow", {}, {"roleArn": arn, "vpcConfig": {"subnetIds": ids}, "name": "slow"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "1.99"}, "unsupported Kubernetes version '1.99'"),
        ({"roleArn": "arn:aws:iam::123456789012:role/nobody"}, "nobody does not exist"),
    ],
)
def test_a_cluster_that_eks_would_refuse_is_refused(aws, change, message):
    arn = role(aws, "c", "eks.amazonaws.com")["arn"]
    with pytest.raises(Refusal, match=message):
        aws.create(CLUSTER, {"roleArn": arn, "vpcConfig": {"subnetIds": subnets(aws)}, **change})
    assert aws.store.clusters("aws") == []


def test_a_cluster_needs_two_zones_and_a_role_that_trusts_eks(aws):
    ids = subnets(aws)
    arn = role(aws, "c", "eks.amazonaws.com")["arn"]
    with pytest.raises(Refusal, match="at least two different AZs"):
        aws.create(CLUSTER, {"roleArn": arn, "vpcConfig": {"subnetIds": ids[:1]}})
    arn = role(aws, "d", "ec2.amazonaws.com")["arn"]
    with pytest.raises(Refusal, match="does not allow"):
        aws.create(CLUSTER, {"roleArn": arn, "vpcConfig": {"subnetIds": ids}})


def test_a_protected_cluster_and_one_with_pools_stay(aws, cluster):
    aws.create(GROUP, group(aws, cluster))
    with pytest.raises(Refusal, match="has node pools attached: gpu"):
        aws.delete(CLUSTER, "one")
    aws.delete(GROUP, "one:gpu")
    row = aws.store.resource("aws", CLUSTER, "one")
    aws.update(CLUSTER, "one", row.inputs, {**row.inputs, "deletionProtection": True})
    with pytest.raises(Refusal, match="deletion protection"):
        aws.delete(CLUSTER, "one")


def test_a_gpu_group_becomes_a_pool_with_its_taint_and_its_gpus(aws, cluster):
    id_, outputs = aws.create(GROUP, group(aws, cluster))
    assert (id_, outputs["status"]) == ("one:gpu", "ACTIVE")
    (pool,) = aws.store.pools("aws", "one")
    spec = pool.spec
    assert (spec["machine_type"], spec["gpus"], spec["min"], spec["max"]) == ("g4dn.xlarge", 1, 0, 2)
    assert spec["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]
    assert spec["labels"]["tricorn.dev/pool"] == "t4"
    assert spec["zones"] == ["us-east-1a", "us-east-1b"]
    assert (spec["vcpus"], spec["memory_gib"], spec["spot"]) == (4, 16, False)


def test_without_the_nvidia_image_a_gpu_machine_offers_no_gpu(aws, cluster):
    aws.create(GROUP, group(aws, cluster, amiType="AL2023_x86_64_STANDARD"))
    assert aws.store.pools("aws")[0].spec["gpus"] == 0


def test_a_changed_group_keeps_the_count_the_autoscaler_chose(aws, cluster):
    inputs = group(aws, cluster)
    aws.create(GROUP, inputs)
    (pool,) = aws.store.pools("aws")
    aws.store.put_pool(Pool("aws", pool.id, "one", "gpu", {**pool.spec, "desired": 2}, "active", ""))
    aws.update(GROUP, "one:gpu", inputs, {**inputs, "scalingConfig": {"minSize": 1, "maxSize": 5, "desiredSize": 0}})
    spec = aws.store.pools("aws")[0].spec
    assert (spec["min"], spec["max"], spec["desired"]) == (1, 5, 2)


def test_an_unknown_machine_is_refused_with_the_known_ones(aws, cluster):
    with pytest.raises(Refusal, match=r"no machine type 'g9.huge'; it offers .*g4dn.xlarge"):
        aws.create(GROUP, group(aws, cluster, instanceTypes=["g9.huge"]))
    assert aws.store.pools("aws") == []


def test_stock_out_and_quota_come_from_their_tables(aws, cluster):
    one = {"minSize": 1, "maxSize": 2, "desiredSize": 1}
    with aws.store.connect() as db:
        db.execute("insert into capacity values('aws','us-east-1a','g4dn.xlarge',0)")
        db.execute("insert into quotas values('aws','us-east-1','L-DB2E81BA',3)")
    with pytest.raises(Refusal, match=r"InsufficientInstanceCapacity.*g4dn.xlarge"):
        aws.create(GROUP, group(aws, cluster, scalingConfig=one))
    with pytest.raises(Refusal, match=r"VcpuLimitExceeded: your limit of 3 vCPUs \(L-DB2E81BA\)"):
        aws.create(GROUP, group(aws, cluster, scalingConfig=one, instanceTypes=["g4dn.xlarge", "g5.xlarge"]))
    assert aws.create(GROUP, group(aws, cluster))[0] == "one:gpu"


def test_spot_machines_count_against_a_quota_of_their_own(aws, cluster):
    one = {"minSize": 1, "maxSize": 2, "desiredSize": 1}
    with aws.store.connect() as db:
        db.execute("insert into quotas values('aws','us-east-1','L-DB2E81BA',0)")
        db.execute("insert into quotas values('aws','us-east-1','L-3819A6DF',4)")
    aws.create(GROUP, group(aws, cluster, scalingConfig=one, capacityType="SPOT"))
    more = {**group(aws, cluster, scalingConfig=one, capacityType="SPOT"), "nodeGroupName": "more"}
    with pytest.raises(Refusal, match=r"your limit of 4 vCPUs \(L-3819A6DF\)"):
        aws.create(GROUP, more)


def test_another_type_of_the_list_takes_the_place_of_one_that_is_out(aws, cluster):
    with aws.store.connect() as db:
        db.execute("insert into capacity values('aws','us-east-1a','g4dn.xlarge',0)")
    one = {"minSize": 1, "maxSize": 2, "desiredSize": 1}
    aws.create(GROUP, group(aws, cluster, scalingConfig=one, instanceTypes=["g4dn.xlarge", "g5.xlarge"]))
    assert aws.store.pools("aws")[0].spec["machine_type"] == "g5.xlarge"


def test_pod_identity_and_role_policy_give_read_access_to_one_prefix_and_take_it_back(aws, cluster):
    created = role(aws, "reader", "pods.eks.amazonaws.com")
    read = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": ["arn:aws:s3:::models/bundles/*"]}
    inputs = {"role": created["name"], "policy": policy(read)}
    policy_id, _ = aws.create(ROLE_POLICY, inputs)
    association = {"clusterName": "one", "namespace": "serving", "serviceAccount": "sa", "roleArn": created["arn"]}
    id_, _ = aws.create(ASSOCIATION, association)
    (identity,) = ledger.identities(aws.store, "aws")
    assert (identity.cluster_id, identity.namespace, identity.service_account) == ("one", "serving", "sa")
    assert ledger.may_read(aws.store, "aws", identity.principal, "models", "bundles/x.tar")
    assert not ledger.may_read(aws.store, "aws", identity.principal, "models", "other/x.tar")
    with pytest.raises(Refusal, match="association already exists"):
        aws.create(ASSOCIATION, association)
    other = {**read, "Resource": "arn:aws:s3:::else/*"}
    name = aws.store.resource("aws", ROLE_POLICY, policy_id).inputs["name"]
    aws.update(ROLE_POLICY, policy_id, {**inputs, "name": name}, {**inputs, "name": name, "policy": policy(other)})
    assert not ledger.may_read(aws.store, "aws", identity.principal, "models", "bundles/x.tar")
    assert ledger.may_read(aws.store, "aws", identity.principal, "else", "x")
    aws.delete(ROLE_POLICY, policy_id)
    aws.delete(ASSOCIATION, id_)
    assert not ledger.may_read(aws.store, "aws", identity.principal, "else", "x")
    assert ledger.identities(aws.store, "aws") == []


def test_a_role_that_pods_may_not_assume_gets_no_association(aws, cluster):
    arn = role(aws, "x", "ec2.amazonaws.com")["arn"]
    with pytest.raises(Refusal, match=r"does not allow pods.eks.amazonaws.com"):
        aws.create(ASSOCIATION, {"clusterName": "one", "namespace": "n", "serviceAccount": "s", "roleArn": arn})


def test_an_object_is_stored_with_its_digests_and_goes_with_its_bucket(aws, tmp_path):
    file = tmp_path / "bundle.tar"
    file.write_bytes(b"model")
    bucket, _ = aws.create(BUCKET, {"bucket": "models"})
    inputs = {"bucket": bucket, "key": "bundles/m/1.tar", "source": asset(file)}
    id_, outputs = aws.create(OBJECT, inputs)
    assert id_ == "models/bundles/m/1.tar"
    assert outputs["etag"] == hashlib.md5(b"model", usedforsecurity=False).hexdigest()
    (stored,) = ledger.find_objects(aws.store, "aws", "models", "bundles/")
    assert stored.size == 5
    assert Path(stored.path).read_bytes() == b"model"
    assert stored.path == str(aws.paths.objects("aws") / "models/bundles/m/1.tar")
    with pytest.raises(Refusal, match="BucketNotEmpty: models holds 1 objects"):
        aws.delete(BUCKET, bucket)
    aws.delete(OBJECT, id_)
    assert ledger.find_objects(aws.store, "aws", "models") == []
    aws.create(OBJECT, inputs)
    aws.update(BUCKET, bucket, {"bucket": bucket}, {"bucket": bucket, "forceDestroy": True})
    aws.delete(BUCKET, bucket)
    assert ledger.find_objects(aws.store, "aws", "models") == []
    assert not (aws.paths.objects("aws") / "models").exists()


def test_an_object_without_a_file_leaves_nothing(aws, tmp_path):
    aws.create(BUCKET, {"bucket": "models"})
    gone = {**asset(_file(tmp_path)), "path": str(tmp_path / "gone")}
    for bad in ({"source": gone, "key": "a"}, {"key": "a"}, {"content": "x", "key": "../a"}):
        with pytest.raises(Refusal):
            aws.create(OBJECT, {"bucket": "models", **bad})
    assert aws.ids(OBJECT) == []
    assert not [file for file in aws.paths.objects("aws").rglob("*") if file.is_file()]


def _file(tmp_path):
    file = tmp_path / "f"
    file.write_text("x")
    return file


def test_an_elastic_ip_is_taken_from_the_ledger_and_given_back(aws):
    id_, outputs = aws.create(EIP, {"domain": "vpc"})
    assert outputs["allocationId"] == id_
    assert [each.ip for each in ledger.addresses(aws.store, "aws")] == [outputs["publicIp"]]
    aws.delete(EIP, id_)
    assert ledger.addresses(aws.store, "aws") == []


def test_the_network_refuses_what_ec2_refuses(aws):
    vpc, _ = aws.create(VPC, {"cidrBlock": "10.0.0.0/16"})
    aws.create(SUBNET, {"vpcId": vpc, "cidrBlock": "10.0.0.0/24", "availabilityZone": "us-east-1a"})
    for inputs, message in (
        ({"cidrBlock": "10.1.0.0/24"}, "InvalidSubnet.Range"),
        ({"cidrBlock": "10.0.0.0/25"}, "InvalidSubnet.Conflict"),
        ({"cidrBlock": "10.0.9.0/24", "availabilityZone": "eu-west-1a"}, "is not an availability zone"),
        ({"cidrBlock": "10.0.9.0/24", "vpcId": "vpc-0"}, "InvalidVpcID.NotFound"),
    ):
        with pytest.raises(Refusal, match=message):
            aws.create(SUBNET, {"vpcId": vpc, "availabilityZone": "us-east-1a", **inputs})
    with pytest.raises(Refusal, match="DependencyViolation"):
        aws.delete(VPC, vpc)


def test_a_zone_with_records_stays_unless_forced(aws):
    zone, outputs = aws.create("aws:route53/zone:Zone", {"name": "example.test"})
    assert len(outputs["nameServers"]) == 4
    check, _ = aws.create("aws:route53/healthCheck:HealthCheck", {"type": "HTTP", "ipAddress": "203.0.113.16"})
    record = {
        "zoneId": zone, "name": "serve", "type": "A", "ttl": 5, "records": ["203.0.113.16"], "setIdentifier": "aws",
        "weightedRoutingPolicies": [{"weight": 5}], "healthCheckId": check,
    }  # fmt: skip
    id_, outputs = aws.create("aws:route53/record:Record", record)
    assert outputs["fqdn"] == "serve.example.test"
    assert id_ == f"{zone}_serve_A_aws"
    with pytest.raises(Refusal, match="HostedZoneNotEmpty"):
        aws.delete("aws:route53/zone:Zone", zone)
    with pytest.raises(Refusal, match="NoSuchHealthCheck"):
        aws.create("aws:route53/record:Record", {**record, "setIdentifier": "b", "healthCheckId": "gone"})


def test_tags_are_merged_with_the_provider_defaults(tmp_path, monkeypatch):
    config = {"region": "us-east-1", "defaultTags": json.dumps({"tags": {"owner": "me", "a": "0"}})}
    with provider("aws", tmp_path, monkeypatch, config) as client:
        _, outputs = client.create(VPC, {"cidrBlock": "10.0.0.0/16", "tags": {"a": "1"}})
    assert outputs["tagsAll"] == {"owner": "me", "a": "1"}
    assert outputs["tags"] == {"a": "1"}


def test_functions_answer_and_unknown_ones_list_the_known(aws):
    assert aws.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", {})["names"][0] == "us-east-1a"
    assert aws.invoke("aws:index/getCallerIdentity:getCallerIdentity", {})["accountId"] == "123456789012"
    with pytest.raises(Refusal, match=r"no function aws:x/y:z; it has .*getCallerIdentity"):
        aws.invoke("aws:x/y:z", {})
