"""The AWS components with everything that production adds, through the real engine and the simulated vendor."""

import json

import pytest

from localcloud import ledger
from tests.daemon import Daemon
from tests.engine.engine_project import ROOT, Alive, Project

pytestmark = pytest.mark.engine

PROGRAM = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import pulumi, pulumi_aws as aws
import components as c

on_aws = pulumi.ResourceOptions(providers=[aws.Provider("aws", region="us-east-1")])
config = pulumi.Config()
zones = ["us-east-1a", "us-east-1b"]
hardening = c.Hardening(log_retention_days=config.get_int("days") or 90)
address = c.EksAddress("ip", c.EksAddressArgs(zones=zones, protect=False), on_aws)
key = c.AwsKmsKey("key", c.AwsKmsKeyArgs(account_id=address.account_id, region="us-east-1", protect=False), on_aws)
net = c.EksNetwork("net", c.EksNetworkArgs(zones=zones, hardening=hardening, key_arn=key.key_arn), on_aws)
ci = c.AwsCiIdentity("ci", c.AwsCiIdentityArgs(issuer="https://token.actions.githubusercontent.com",
                     preview_subject="repo:acme/models:pull_request",
                     deploy_subject="repo:acme/models:environment:prod"), on_aws)
eks = c.EksCluster("eks", c.EksClusterArgs(region="us-east-1", kubernetes_version="1.36", protect=False,
    subnet_ids=net.private_subnet_ids, network_cidr="10.10.0.0/16", hardening=hardening, key_arn=key.key_arn,
    admin_role_arns=(["arn:aws:iam::123456789012:role/admins"] if config.get_bool("admins") else None),
    deployer_role_arn=ci.deploy_role_arn if config.get_bool("admins") else None), on_aws)
nodes = dict(cluster_name=eks.cluster_name, node_role_arn=eks.node_role_arn, subnet_ids=net.private_subnet_ids,
             security_group_id=eks.security_group_id, key_arn=key.key_arn)
system = c.EksNodePool("system", c.EksNodePoolArgs(min_nodes=1, max_nodes=2, **nodes), on_aws)
c.EksGpuPool("t4", c.EksGpuPoolArgs(pool="t4", gpu_class="T4-class", max_nodes=2, **nodes), on_aws)
nodes["subnet_ids"] = net.private_subnet_ids.apply(lambda ids: ids[:1])
c.EksGpuPool("h100", c.EksGpuPoolArgs(pool="h100", gpu_class="H100", machine_types=["p5.4xlarge"], max_nodes=1,
    zones=zones[:1], reservation_id="cr-0123456789abcdef0", reservation_kind="capacity-block", **nodes), on_aws)
c.EksAddons("addons", c.EksAddonsArgs(cluster_name=eks.cluster_name),
            pulumi.ResourceOptions.merge(on_aws, pulumi.ResourceOptions(depends_on=[system])))
registry = c.EcrRegistry("registry", c.EcrRegistryArgs(key_arn=key.key_arn, mirror=True, protect=False,
    docker_hub_secret_arn="arn:aws:secretsmanager:us-east-1:123456789012:secret:ecr-pullthroughcache/hub-abcdef",
    puller_role_name=eks.node_role_name), on_aws)
store = c.S3ModelStore("models", c.S3ModelStoreArgs(key_arn=key.key_arn, protect=False), on_aws)
c.EksWorkloadIdentity("identity", c.EksWorkloadIdentityArgs(cluster_name=eks.cluster_name, namespace="serving",
    service_account="models", bucket_arn=store.bucket_arn, key_arn=key.key_arn), on_aws)
acme = c.AwsAcmeIdentity("acme", c.AwsAcmeIdentityArgs(domain="serve.example.com", zone_id="Z0EXAMPLE",
                                                      issuer_url=eks.issuer_url), on_aws)
pulumi.export("image", registry.image("docker.io/tensorflow/serving:2.20.0"))
pulumi.export("acme", acme.role_arn)
pulumi.export("stored", store.upload("scenes", "bundles/scenes/" + "a" * 64 + ".tar", "bundle.tar"))
"""


@pytest.fixture
def project(tmp_path):
    alive = Alive("aws")
    made = Project(tmp_path, PROGRAM)
    (made.directory / "bundle.tar").write_bytes(b"model")
    daemon = Daemon(made.store, "aws")
    yield made
    daemon.stop()
    alive.die()


def resources(project, kind):
    """Inputs of the resources of a type in the state."""
    return [each["inputs"] for each in project.state().values() if each["type"] == kind]


def test_everything_of_production_can_be_made_changed_and_unmade(project):
    project.up()
    assert project.leaked() == set()
    outputs = json.loads(project.run("stack", "output", "--json", expect=0).out)
    host, _, path = outputs["image"].partition("/")
    assert host == "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    assert path.endswith("/docker-hub/tensorflow/serving:2.20.0")
    assert outputs["acme"].startswith("arn:aws:iam::123456789012:role/trial/acme-role")
    (identity,) = ledger.identities(project.store, "aws")
    with project.store.connect() as db:
        (stored,) = db.execute("select bucket, key from objects").fetchall()
    assert ledger.may_read(project.store, "aws", identity.principal, stored["bucket"], stored["key"])
    assert {pool.spec["machine_type"] for pool in project.store.pools("aws")} == {
        "m7i.xlarge",
        "g4dn.xlarge",
        "p5.4xlarge",
    }
    project.run("preview", "--expect-no-changes", expect=0)
    project.run("refresh", "--yes", "--skip-preview", "--expect-no-changes", expect=0)

    (before,) = project.store.clusters("aws")
    project.config(days=30, admins="true")
    changed = project.up()
    # Naming the first administrator is no reason for another cluster, nor is another time that logs are kept.
    assert "replace" not in changed.text
    assert [cluster.id for cluster in project.store.clusters("aws")] == [before.id]
    principals = {each["principalArn"] for each in resources(project, "aws:eks/accessEntry:AccessEntry")}
    assert "arn:aws:iam::123456789012:role/admins" in principals
    assert len(principals) == 2
    kept = [each["retentionInDays"] for each in resources(project, "aws:cloudwatch/logGroup:LogGroup")]
    assert kept == [30, 30]

    project.run("destroy", "--yes", "--skip-preview", expect=0)
    assert project.rows() == set()
    assert project.store.clusters("aws") == []
