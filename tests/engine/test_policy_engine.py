"""The policy pack on the real engine: what it stops, what it lets through, and that nothing is made before it spoke."""

import json
from pathlib import Path

import pytest

from policy.registry import configuration
from tests.engine.engine_project import Alive, Project

pytestmark = pytest.mark.engine
PACK = Path(__file__).resolve().parents[2] / "policy" / "run"
ALL = {"store", "reader", "models", "private", "versions", "encryption", "tls"}
PROGRAM = """
import json
import pulumi
import pulumi_aws as aws
import pulumi_gcp as gcp

config = pulumi.Config()
closed, complete, public = config.get_bool("closed"), config.get_bool("complete"), config.get_bool("public")
on_aws = pulumi.ResourceOptions(provider=aws.Provider("aws", region="us-east-1"))
on_gcp = pulumi.ResourceOptions(provider=gcp.Provider("gcp", project="tricorn-local", region="us-central1"))

store = gcp.storage.Bucket("store", location="US", uniform_bucket_level_access=True, opts=on_gcp,
                           versioning=gcp.storage.BucketVersioningArgs(enabled=True),
                           public_access_prevention="enforced" if closed else "inherited")
# The bucket's name is unknown in the first preview, the member is not.
gcp.storage.BucketIAMMember("reader", bucket=store.name, role="roles/storage.objectViewer", opts=on_gcp,
                            member="allUsers" if public else "group:readers@example.com")
models = aws.s3.Bucket("models", opts=on_aws)
aws.s3.BucketPublicAccessBlock("private", bucket=models.bucket, block_public_acls=True, block_public_policy=True,
                               ignore_public_acls=True, restrict_public_buckets=True, opts=on_aws)
aws.s3.BucketVersioning("versions", bucket=models.bucket, opts=on_aws,
                        versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"))
by_default = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs
rule = aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
    apply_server_side_encryption_by_default=by_default(sse_algorithm="aws:kms"))
aws.s3.BucketServerSideEncryptionConfiguration("encryption", bucket=models.bucket, rules=[rule], opts=on_aws)
if complete:
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Condition": insecure}
    policy = models.arn.apply(lambda arn: json.dumps({"Statement": [{**deny, "Resource": [arn, arn + "/*"]}]}))
    aws.s3.BucketPolicy("tls", bucket=models.bucket, policy=policy, opts=on_aws)
"""


@pytest.fixture(scope="module")
def clouds():
    alive = [Alive(cloud) for cloud in ("aws", "gcp")]
    yield
    for each in alive:
        each.die()


@pytest.fixture
def project(tmp_path, clouds):
    return Project(tmp_path, PROGRAM)


def made(project):
    """Return the names of everything in the state that a provider made."""
    deployment = json.loads(project.run("stack", "export", expect=0).out)["deployment"]
    found = [each["urn"] for each in deployment.get("resources", []) if each.get("id")]
    return {urn.rpartition("::")[2] for urn in found if "pulumi:providers" not in urn}


def pack(project, *, production=True):
    file = project.directory / "policy.json"
    file.write_text(json.dumps(configuration(production=production)))
    return ["--policy-pack", str(PACK), "--policy-pack-config", str(file)]


def test_a_bad_stack_is_stopped_before_anything_is_made(project):
    project.config(closed=False, complete=True)
    refused = project.run("up", "--yes", *pack(project))
    assert refused.code != 0
    assert "mandatory" in refused.text
    assert "gcp-bucket" in refused.text
    line = (
        "store: publicAccessPrevention must be enforced (got inherited); set it [CKV_GCP_29, CKV_GCP_114, CKV_GCP_78]"
    )
    assert line in " ".join(refused.text.split())
    assert not project.rows()
    assert not made(project)


def test_without_a_preview_the_bad_resource_is_still_not_made(project):
    project.config(closed=False, complete=True)
    assert project.up(*pack(project), expect=None).code != 0
    assert "store" not in made(project)
    assert not project.leaked()


def test_a_mistake_beside_values_that_nobody_knows_yet_is_found_in_the_preview(project):
    project.config(closed=True, complete=True, public=True)
    refused = project.run("preview", *pack(project))
    assert refused.code != 0
    assert "reader: member must not be everybody (got allUsers)" in " ".join(refused.text.split())
    assert "can't run policy" not in refused.text
    assert not project.rows()


def test_what_a_bucket_lacks_elsewhere_in_the_stack_is_found_in_the_preview(project):
    project.config(closed=True, complete=False)
    refused = project.run("preview", *pack(project))
    assert refused.code != 0
    assert "models: policy must refuse requests without TLS" in " ".join(refused.text.split())
    assert not project.rows()


def test_a_good_stack_passes_before_and_after_it_exists(project):
    project.config(closed=True, complete=True)
    for command in (("preview",), ("up", "--yes"), ("preview", "--expect-no-changes")):
        done = project.run(*command, *pack(project), expect=0)
        assert "Policies:" in done.text
        assert "mandatory" not in done.text
        assert "advisory" not in done.text
        assert "Traceback" not in done.text
    assert made(project) == ALL
    assert not project.leaked()


def test_outside_production_a_finding_is_told_and_stops_nothing(project):
    project.config(closed=False, complete=True)
    done = project.up(*pack(project, production=False))
    assert "advisory" in done.text
    assert "publicAccessPrevention" in done.text
    assert made(project) == ALL


def test_without_configuration_everything_is_mandatory(project):
    project.config(closed=False, complete=True)
    refused = project.run("preview", "--policy-pack", str(PACK))
    assert refused.code != 0
    assert "mandatory" in refused.text
