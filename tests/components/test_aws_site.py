"""A site on AWS from the stack's settings."""

import pulumi
import pytest

from components import _stack, aws_site
from components.aws_ci_identity import AwsCiIdentity, AwsCiIdentityArgs
from serving.settings import parse_settings

ZONES = "aws:index/getAvailabilityZones:getAvailabilityZones"
ROLE = "arn:aws:iam::123456789012:role/platform-admins"
CI = {"preview": "repo:acme/models:pull_request", "deploy": "repo:acme/models:environment:prod"}


def settings(site=None, **changes):
    """Settings with one site on AWS."""
    sites = {"virginia": {"cloud": "aws", "region": "us-east-1", "weight": 100, **(site or {})}}
    return parse_settings({"domain": "serve.example.com", "sites": sites, "pools": {}, "models": {}, **changes})


def declared(run, given, **answers):
    def build():
        provider = aws_site.declare_provider("virginia", given.sites["virginia"])
        ci = given.access.ci
        deployer = None
        if ci is not None:
            arguments = AwsCiIdentityArgs(issuer=ci.issuer, preview_subject=ci.preview, deploy_subject=ci.deploy)
            deployer = AwsCiIdentity("ci-aws", arguments, pulumi.ResourceOptions(provider=provider)).deploy_role_arn
        aws_site.declare(
            "virginia",
            given.sites["virginia"],
            given,
            {},
            _stack.hardening(given),
            provider,
            deployer_role_arn=deployer,
        )

    return run(build, answers=answers)


def test_a_site_with_zones_asks_the_cloud_nothing(run):
    """A preview must work while the cloud does not answer."""
    recording = declared(run, settings({"zones": ["us-east-1c", "us-east-1d"]}))
    assert recording.calls == []
    subnets = {row.inputs["availabilityZone"] for row in recording.all("aws:ec2/subnet:Subnet")}
    assert subnets == {"us-east-1c", "us-east-1d"}


def test_a_site_without_zones_uses_the_first_two(run):
    recording = declared(run, settings(), **{ZONES: {"names": ["us-east-1a", "us-east-1b", "us-east-1c"]}})
    assert [(call.token, call.provider) for call in recording.calls] == [(ZONES, "virginia-aws")]
    assert len(recording.all("aws:ec2/subnet:Subnet")) == 4


def test_administrators_and_the_pipeline_get_in_and_the_cluster_is_closed(run):
    given = settings(
        {"zones": ["us-east-1a", "us-east-1b"]}, access={"admins": {"aws": [ROLE]}, "ci": CI}, protect=True
    )
    recording = declared(run, given)
    principals = {row.inputs["principalArn"] for row in recording.all("aws:eks/accessEntry:AccessEntry")}
    assert principals == {ROLE, "arn:aws:test::123456789012:ci-aws-deploy-role"}
    cluster = recording.one("aws:eks/cluster:Cluster").inputs
    assert cluster["vpcConfig"]["endpointPublicAccess"] is False
    assert cluster["accessConfig"]["bootstrapClusterCreatorAdminPermissions"] is False
    assert cluster["encryptionConfig"]["resources"] == ["secrets"]
    assert {row.provider for row in recording.children() if row.type.startswith("aws:")} == {"virginia-aws"}


@pytest.mark.parametrize(
    ("key", "value", "gone"),
    [
        ("customerKeys", False, "aws:kms/key:Key"),
        ("privateLinks", False, "aws:ec2/vpcEndpoint:VpcEndpoint"),
        ("flowLogs", False, "aws:ec2/flowLog:FlowLog"),
    ],
)
def test_what_a_small_stack_leaves_out_is_not_declared(run, key, value, gone):
    zones = {"zones": ["us-east-1a", "us-east-1b"]}
    assert declared(run, settings(zones)).all(gone)
    assert not declared(run, settings(zones, cluster={key: value})).all(gone)


def test_a_way_out_of_every_zone_or_one_for_all(run):
    zones = {"zones": ["us-east-1a", "us-east-1b"]}
    each = declared(run, settings(zones))
    one = declared(run, settings(zones, cluster={"natPerZone": False}))
    assert len(each.all("aws:ec2/natGateway:NatGateway")) == 2
    assert len(one.all("aws:ec2/natGateway:NatGateway")) == 1
    ways = {row.inputs["routeTableId"] for row in each.all("aws:ec2/routeTableAssociation:RouteTableAssociation")}
    assert len(ways) == 3
