import json
import time
from pathlib import Path

import pytest

from tests.engine.engine_project import Alive, Project

pytestmark = pytest.mark.engine

PROGRAM = """
import pulumi
import pulumi_aws as aws
import pulumi_gcp as gcp
import pulumi_azure_native as az

config = pulumi.Config()
owner, cidr, count = config.get("owner") or "a", config.get("cidr") or "10.0.0.0/16", config.get_int("count") or 8
on_aws = pulumi.ResourceOptions(provider=aws.Provider("aws", region="us-east-1"))
on_gcp = pulumi.ResourceOptions(provider=gcp.Provider("gcp", project="tricorn-local", region="us-central1"))
on_az = pulumi.ResourceOptions(provider=az.Provider("azure", location="eastus"))

vpc = aws.ec2.Vpc("net", cidr_block=cidr, tags={"owner": owner}, opts=on_aws)
bucket = aws.s3.Bucket("models", force_destroy=True, opts=on_aws)
stored = aws.s3.BucketObjectv2("bundle", bucket=bucket.bucket, key="bundles/m/1.tar",
                               source=pulumi.FileAsset("bundle.tar"), opts=on_aws)
zone = aws.route53.Zone("zone", name="serve.test", opts=on_aws)
for n in range(count):
    eip = aws.ec2.Eip(f"ip-{n}", domain="vpc", tags={"owner": owner}, opts=on_aws)
    aws.route53.Record(f"site-{n}", zone_id=zone.zone_id, name=f"s{n}.serve.test", type="A", ttl=5,
                       records=[eip.public_ip], opts=on_aws)

network = gcp.compute.Network("net", auto_create_subnetworks=False, opts=on_gcp)
gcp.compute.Subnetwork("nodes", network=network.id, ip_cidr_range="10.1.0.0/16", region="us-central1", opts=on_gcp)
store = gcp.storage.Bucket("models", location="US", opts=on_gcp)
gcp.storage.BucketObject("bundle", bucket=store.name, name="bundles/m/1.tar",
                         source=pulumi.FileAsset("bundle.tar"), opts=on_gcp)
dns = gcp.dns.ManagedZone("zone", dns_name="serve.test.", opts=on_gcp)
for n in range(count):
    address = gcp.compute.Address(f"ip-{n}", region="us-central1", opts=on_gcp)
    gcp.dns.RecordSet(f"site-{n}", managed_zone=dns.name, name=f"s{n}.serve.test.", type="A", ttl=5,
                      rrdatas=[address.address], opts=on_gcp)

group = az.resources.ResourceGroup("rg", opts=on_az)
vnet = az.network.VirtualNetwork("net", resource_group_name=group.name, tags={"owner": owner},
                                 address_space=az.network.AddressSpaceArgs(address_prefixes=["10.2.0.0/16"]),
                                 opts=on_az)
az.network.Subnet("nodes", resource_group_name=group.name, virtual_network_name=vnet.name,
                  address_prefix="10.2.0.0/20", opts=on_az)
account = az.storage.StorageAccount("models", resource_group_name=group.name, kind="StorageV2",
                                    sku=az.storage.SkuArgs(name="Standard_LRS"), opts=on_az)
container = az.storage.BlobContainer("bundles", resource_group_name=group.name, account_name=account.name, opts=on_az)
az.storage.Blob("bundle", resource_group_name=group.name, account_name=account.name, container_name=container.name,
                blob_name="m/1.tar", source=pulumi.FileAsset("bundle.tar"), opts=on_az)
for n in range(count):
    az.network.PublicIPAddress(f"ip-{n}", resource_group_name=group.name, public_ip_allocation_method="Static",
                               opts=on_az)

pulumi.export("vpc", vpc.id)
pulumi.export("bucket", bucket.bucket)
pulumi.export("number", gcp.organizations.get_project_output(
    project_id="tricorn-local", opts=pulumi.InvokeOutputOptions(provider=on_gcp.provider)).number)
"""
SMALL = """
import pulumi, pulumi_aws as aws
on_aws = pulumi.ResourceOptions(provider=aws.Provider("aws", region="us-east-1"))
vpc = aws.ec2.Vpc("net", cidr_block="10.0.0.0/16", opts=on_aws)
aws.ec2.InternetGateway("door", vpc_id=vpc.id, opts=on_aws)
"""


@pytest.fixture
def clouds():
    found = {cloud: Alive(cloud) for cloud in ("aws", "gcp", "azure")}
    yield found
    for each in found.values():
        each.die()


@pytest.fixture
def make(tmp_path, clouds):
    def project(program):
        made = Project(tmp_path, program)
        (made.directory / "bundle.tar").write_bytes(b"model")
        return made

    return project


def test_three_clouds_go_through_the_whole_life_of_a_stack(make):
    project = make(PROGRAM)
    started = time.monotonic()
    preview = project.run("preview", expect=0)
    print(f"preview of {preview.out.count('create')} resources: {time.monotonic() - started:.1f} s")
    assert project.rows() == set()
    assert all(project.store.events(cloud) == [] for cloud in ("aws", "gcp", "azure"))

    started = time.monotonic()
    project.up()
    print(f"up: {time.monotonic() - started:.1f} s")
    assert len(project.rows()) > 50
    assert project.leaked() == set()
    outputs = json.loads(project.run("stack", "output", "--json", expect=0).out)
    assert outputs["number"] == "100000000001"
    assert (project.paths.objects("aws") / outputs["bucket"] / "bundles/m/1.tar").read_bytes() == b"model"

    started = time.monotonic()
    project.run("preview", "--expect-no-changes", expect=0)
    print(f"preview without changes: {time.monotonic() - started:.1f} s")

    project.config(owner="b")
    project.up()
    assert json.loads(project.run("stack", "output", "--json", expect=0).out)["vpc"] == outputs["vpc"]
    project.config(cidr="10.9.0.0/16")
    project.up()
    assert json.loads(project.run("stack", "output", "--json", expect=0).out)["vpc"] != outputs["vpc"]
    project.run("refresh", "--yes", "--skip-preview", "--expect-no-changes", expect=0)
    assert project.leaked() == set()

    project.run("destroy", "--yes", "--skip-preview", expect=0)
    assert project.rows() == set()
    assert project.state() == {}
    assert not [file for cloud in ("aws", "gcp", "azure") for file in _files(project.paths.objects(cloud))]


def _files(directory: Path):
    return [file for file in directory.rglob("*") if file.is_file()]


def test_a_resource_that_vanished_is_dropped_by_refresh_and_made_again(make):
    project = make(SMALL)
    project.up()
    (gateway,) = project.store.resources("aws", "aws:ec2/internetGateway:InternetGateway")
    project.store.delete_resource("aws", gateway.type, gateway.id)
    project.run("refresh", "--yes", "--skip-preview", expect=0)
    assert gateway.id not in project.state()
    project.up()
    assert len(project.store.resources("aws", gateway.type)) == 1
    assert project.leaked() == set()


def test_a_provider_that_crashes_after_the_side_effect_leaves_a_leak_that_shows(make):
    project = make(SMALL)
    project.store.add_fault("aws", "create", "aws:ec2/vpc:Vpc", "crash")
    assert project.up(expect=None).code != 0
    (orphan,) = project.store.resources("aws")
    assert project.leaked() == {orphan.id}
    project.up()
    assert project.leaked() == {orphan.id}


def test_an_unhealthy_resource_is_kept_and_mended_by_the_next_up(make):
    project = make(SMALL)
    project.store.add_fault("aws", "create", "aws:ec2/vpc:Vpc", "unhealthy", "it does not feel well")
    failed = project.up(expect=None)
    assert failed.code != 0
    assert "it does not feel well" in failed.text
    assert project.leaked() == set()
    assert len(project.rows()) == 1
    project.up()
    assert [row.state for row in project.store.resources("aws")] == ["active", "active"]


def test_a_dead_cloud_fails_quickly_by_name_while_the_others_go_on(make, clouds):
    project = make(PROGRAM.partition('pulumi.export("number"')[0])
    project.config(count=1)
    clouds["gcp"].die()
    started = time.monotonic()
    failed = project.up("--continue-on-error", expect=None)
    assert failed.code != 0
    assert "the gcp cloud API does not answer" in failed.text
    assert time.monotonic() - started < 60
    assert project.store.resources("gcp") == []
    assert len(project.store.resources("azure")) > 3
    assert project.leaked() == set()


def test_a_wrong_input_stops_before_anything_is_made(make):
    project = make(SMALL.replace('cidr_block="10.0.0.0/16"', "cidr_block=5"))
    failed = project.up(expect=None)
    assert failed.code != 0
    assert "cidrBlock must be a string, got 5" in failed.text
    assert "Traceback" not in failed.text
    assert project.rows() == set()
