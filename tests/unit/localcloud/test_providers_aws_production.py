"""What production adds on AWS: keys, log groups, private links, launch templates, image caches, identity providers."""

import pytest
from provider_client import Refusal, policy, provider

from localcloud.providers import rules

KEY, LOGS = "aws:kms/key:Key", "aws:cloudwatch/logGroup:LogGroup"
VPC, SUBNET, TABLE = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet", "aws:ec2/routeTable:RouteTable"
LINK, GROUP_, TEMPLATE = (
    "aws:ec2/vpcEndpoint:VpcEndpoint",
    "aws:ec2/securityGroup:SecurityGroup",
    "aws:ec2/launchTemplate:LaunchTemplate",
)
CLUSTER, NODES, ROLE = "aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup", "aws:iam/role:Role"
RULE, CREATION = (
    "aws:ecr/pullThroughCacheRule:PullThroughCacheRule",
    "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate",
)
ISSUER, FLOWS = "aws:iam/openIdConnectProvider:OpenIdConnectProvider", "aws:ec2/flowLog:FlowLog"
ROOT = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": ["kms:*"], "Resource": "*"}
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:ecr-pullthroughcache/hub-abcdef"


@pytest.fixture
def aws(tmp_path, monkeypatch):
    with provider("aws", tmp_path, monkeypatch) as client:
        yield client


def key(aws, *principals):
    allowed = [{"Effect": "Allow", "Principal": {"Service": each}, "Action": ["kms:Encrypt"]} for each in principals]
    return aws.create(KEY, {"policy": policy(ROOT, *allowed)})[1]["arn"]


def role(aws, name, service):
    trust = policy({"Effect": "Allow", "Principal": {"Service": service}, "Action": ["sts:AssumeRole"]})
    return aws.create(ROLE, {"assumeRolePolicy": trust}, name)[1]["arn"]


@pytest.fixture
def network(aws):
    vpc, _ = aws.create(VPC, {"cidrBlock": "10.0.0.0/16", "enableDnsSupport": True, "enableDnsHostnames": True})
    subnets = [
        aws.create(SUBNET, {"vpcId": vpc, "cidrBlock": f"10.0.{n}.0/24", "availabilityZone": f"us-east-1{zone}"})[0]
        for n, zone in enumerate("aba")
    ]
    return vpc, subnets, aws.create(GROUP_, {"vpcId": vpc}, "links")[0]


@pytest.fixture
def nodes(aws, network):
    arn = role(aws, "c", "eks.amazonaws.com")
    aws.create(CLUSTER, {"roleArn": arn, "vpcConfig": {"subnetIds": network[1]}, "name": "one", "version": "1.36"})
    return {
        "clusterName": "one",
        "nodeRoleArn": role(aws, "n", "ec2.amazonaws.com"),
        "subnetIds": network[1],
        "scalingConfig": {"minSize": 0, "maxSize": 2, "desiredSize": 0},
        "nodeGroupName": "gpu",
        "amiType": "AL2023_x86_64_NVIDIA",
    }


def template(aws, **inputs):
    id_, outputs = aws.create(TEMPLATE, inputs, "template")
    return {"launchTemplate": {"id": id_, "version": str(outputs["latestVersion"])}}


def test_a_key_whose_owner_would_be_locked_out_is_refused(aws):
    lonely = {**ROOT, "Principal": {"Service": "logs.us-east-1.amazonaws.com"}}
    with pytest.raises(Refusal, match="will not allow you to update the key policy"):
        aws.create(KEY, {"policy": policy(lonely)})
    with pytest.raises(Refusal, match="not a key policy"):
        aws.create(KEY, {"policy": "{"})
    assert aws.create(KEY, {})[1]["arn"].startswith("arn:aws:kms:us-east-1:123456789012:key/")


def test_a_log_group_needs_a_key_that_lets_logs_use_it_and_a_time_that_there_is(aws):
    with pytest.raises(Refusal, match=r"does not let logs\.us-east-1\.amazonaws\.com use it"):
        aws.create(LOGS, {"name": "a", "kmsKeyId": key(aws)})
    with pytest.raises(Refusal, match="retentionInDays must be one of"):
        aws.create(LOGS, {"name": "a", "retentionInDays": 42})
    _, outputs = aws.create(LOGS, {"name": "a", "kmsKeyId": key(aws, "logs.us-east-1.amazonaws.com")})
    assert outputs["arn"] == "arn:aws:logs:us-east-1:123456789012:log-group:a"


def test_a_cluster_makes_its_own_log_group_unless_there_is_one(aws, nodes):
    with pytest.raises(Refusal, match="the log group /aws/eks/one/cluster exists already"):
        aws.create(LOGS, {"name": "/aws/eks/one/cluster"})
    aws.create(LOGS, {"name": "/aws/eks/two/cluster"})


def test_a_cluster_nobody_could_reach_or_with_a_key_that_is_gone_is_refused(aws, network):
    inputs = {"roleArn": role(aws, "c", "eks.amazonaws.com"), "name": "one"}
    closed = {"subnetIds": network[1], "endpointPublicAccess": False, "endpointPrivateAccess": False}
    with pytest.raises(Refusal, match="private and public endpoint access cannot both be false"):
        aws.create(CLUSTER, {**inputs, "vpcConfig": closed})
    lost = {"provider": {"keyArn": "arn:aws:kms:us-east-1:123456789012:key/gone"}, "resources": ["secrets"]}
    with pytest.raises(Refusal, match="key arn:aws:kms:us-east-1:123456789012:key/gone does not exist"):
        aws.create(CLUSTER, {**inputs, "vpcConfig": {"subnetIds": network[1]}, "encryptionConfig": lost})


def test_a_cluster_keeps_its_security_group_when_it_changes(aws, network):
    inputs = {"roleArn": role(aws, "c", "eks.amazonaws.com"), "name": "one", "vpcConfig": {"subnetIds": network[1]}}
    id_, outputs = aws.create(CLUSTER, inputs)
    group = outputs["vpcConfig"]["clusterSecurityGroupId"]
    assert group.startswith("sg-")
    assert outputs["vpcConfig"]["vpcId"] == network[0]
    changed = {**inputs, "vpcConfig": {**inputs["vpcConfig"], "endpointPublicAccess": True}}
    after = aws.update(CLUSTER, id_, inputs, changed, outputs)
    assert after["vpcConfig"]["clusterSecurityGroupId"] == group


def test_a_link_that_ec2_would_refuse_is_refused(aws, network):
    vpc, subnets, group = network
    inputs = {"vpcId": vpc, "vpcEndpointType": "Interface", "securityGroupIds": [group], "privateDnsEnabled": True}
    ecr = "com.amazonaws.us-east-1.ecr.api"
    for change, message in (
        ({"serviceName": "com.amazonaws.us-east-1.ecr", "subnetIds": subnets[:2]}, "InvalidServiceName"),
        ({"serviceName": "com.amazonaws.eu-west-1.ecr.api", "subnetIds": subnets[:2]}, "InvalidServiceName"),
        ({"serviceName": ecr, "subnetIds": subnets}, "DuplicateSubnetsInSameZone"),
        ({"serviceName": ecr}, "needs subnets and security groups"),
    ):
        with pytest.raises(Refusal, match=message):
            aws.create(LINK, {**inputs, **change})
    aws.create(LINK, {**inputs, "serviceName": ecr, "subnetIds": subnets[:2]})
    with pytest.raises(Refusal, match="private-dns-enabled cannot be set"):
        aws.create(LINK, {**inputs, "serviceName": ecr, "subnetIds": subnets[:2]})
    gateway = {"vpcId": vpc, "vpcEndpointType": "Gateway", "serviceName": "com.amazonaws.us-east-1.s3"}
    with pytest.raises(Refusal, match="neither subnets nor groups"):
        aws.create(LINK, {**gateway, "subnetIds": subnets})
    aws.create(LINK, {**gateway, "routeTableIds": [aws.create(TABLE, {"vpcId": vpc})[0]]})


def test_a_subnet_with_something_in_it_stays(aws, network):
    vpc, subnets, group = network
    link, _ = aws.create(
        LINK,
        {
            "vpcId": vpc,
            "vpcEndpointType": "Interface",
            "serviceName": "com.amazonaws.us-east-1.sts",
            "subnetIds": subnets[:1],
            "securityGroupIds": [group],
        },
    )
    with pytest.raises(Refusal, match=f"DependencyViolation: the subnet {subnets[0]} has dependencies: {link}"):
        aws.delete(SUBNET, subnets[0])
    aws.delete(LINK, link)
    aws.delete(SUBNET, subnets[0])


def test_a_flow_log_needs_a_group_and_a_role_that_trusts_it(aws, network):
    _, group = aws.create(LOGS, {"name": "flows"})
    inputs = {"vpcId": network[0], "logDestination": group["arn"], "trafficType": "ALL"}
    with pytest.raises(Refusal, match=r"does not allow vpc-flow-logs\.amazonaws\.com"):
        aws.create(FLOWS, {**inputs, "iamRoleArn": role(aws, "w", "ec2.amazonaws.com")})
    writer = role(aws, "flows", "vpc-flow-logs.amazonaws.com")
    with pytest.raises(Refusal, match="LogDestinationNotFoundException"):
        aws.create(FLOWS, {**inputs, "iamRoleArn": writer, "logDestination": "arn:aws:logs:x"})
    aws.create(FLOWS, {**inputs, "iamRoleArn": writer})


def test_nodes_start_only_with_a_template_that_is_there_and_agrees(aws, nodes):
    types = {"instanceTypes": ["g4dn.xlarge"]}
    encrypted = {"blockDeviceMappings": [{"ebs": {"kmsKeyId": key(aws)}}]}
    for more, message in (
        ({**types, "launchTemplate": {"id": "lt-gone", "version": "1"}}, "lt-gone does not exist"),
        ({**types, **template(aws), "diskSize": 100}, "disk size must be specified within the launch template"),
        ({**types, **template(aws, instanceType="g4dn.xlarge")}, "stand in the launch template and in the group"),
        ({**types, **template(aws, **encrypted)}, "does not let AWSServiceRoleForAutoScaling use it"),
        ({**types, **template(aws), "capacityType": "CAPACITY_BLOCK"}, "the template's market must agree"),
    ):
        with pytest.raises(Refusal, match=message):
            aws.create(NODES, {**nodes, **more})
    stale = template(aws)["launchTemplate"]
    with pytest.raises(Refusal, match="has no version '2'"):
        aws.create(NODES, {**nodes, **types, "launchTemplate": {**stale, "version": "2"}})
    _, outputs = aws.create(NODES, {**nodes, **template(aws, instanceType="g4dn.xlarge")})
    assert outputs["instanceTypes"] == ["g4dn.xlarge"]


def test_nodes_are_never_newer_than_their_cluster(aws, nodes):
    newer = {**nodes, "instanceTypes": ["g4dn.xlarge"], "version": "1.37"}
    with pytest.raises(Refusal, match=r"nodes of 1\.37 are newer than cluster one"):
        aws.create(NODES, newer)
    assert aws.create(NODES, {**newer, "version": "1.35"})[1]["version"] == "1.35"


def test_a_capacity_block_needs_its_machine_and_its_reservation(aws, nodes):
    market = {"instanceMarketOptions": {"marketType": "capacity-block"}}
    with pytest.raises(Refusal, match="a capacity block needs an instance type and its reservation"):
        aws.create(TEMPLATE, market)
    target = {"capacityReservationTarget": {"capacityReservationId": "cr-0123456789abcdef0"}}
    whole = {**market, "instanceType": "p5.48xlarge", "capacityReservationSpecification": target}
    aws.create(NODES, {**nodes, **template(aws, **whole), "capacityType": "CAPACITY_BLOCK"})
    (pool,) = aws.store.pools("aws")
    assert pool.spec["machine_type"] == "p5.48xlarge"


def test_a_changed_template_gets_another_version(aws):
    inputs = {"updateDefaultVersion": True}
    id_, outputs = aws.create(TEMPLATE, inputs, "template")
    after = aws.update(TEMPLATE, id_, inputs, {**inputs, "instanceType": "m7i.xlarge"}, outputs)
    assert (after["latestVersion"], after["defaultVersion"]) == (2, 2)


def test_docker_hub_is_cached_with_a_token_only_and_prefixes_are_taken_once(aws):
    hub = {"ecrRepositoryPrefix": "one/docker-hub", "upstreamRegistryUrl": "registry-1.docker.io"}
    with pytest.raises(Refusal, match=r"registry-1\.docker\.io needs the ARN of a secret named"):
        aws.create(RULE, hub)
    aws.create(RULE, {**hub, "credentialArn": SECRET})
    with pytest.raises(Refusal, match="exists already"):
        aws.create(RULE, {**hub, "credentialArn": SECRET})
    with pytest.raises(Refusal, match="must have 2 to 30"):
        aws.create(RULE, {"ecrRepositoryPrefix": "a" * 31, "upstreamRegistryUrl": "quay.io"})
    with pytest.raises(Refusal, match="UnsupportedUpstreamRegistryException"):
        aws.create(RULE, {"ecrRepositoryPrefix": "ours", "upstreamRegistryUrl": "registry.example.com"})


def test_a_creation_template_with_a_key_or_tags_needs_a_role_that_ecr_may_take(aws):
    inputs = {"prefix": "one", "appliedFors": ["PULL_THROUGH_CACHE"], "resourceTags": {"a": "b"}}
    with pytest.raises(Refusal, match="needs customRoleArn"):
        aws.create(CREATION, inputs)
    with pytest.raises(Refusal, match=r"does not allow ecr\.amazonaws\.com"):
        aws.create(CREATION, {**inputs, "customRoleArn": role(aws, "w", "ec2.amazonaws.com")})
    aws.create(CREATION, {**inputs, "customRoleArn": role(aws, "ecr", "ecr.amazonaws.com")})


def test_an_issuer_has_one_provider_in_an_account(aws):
    inputs = {"url": "https://issuer.example.com/one", "clientIdLists": ["sts.amazonaws.com"]}
    id_, outputs = aws.create(ISSUER, inputs)
    assert id_ == outputs["arn"] == "arn:aws:iam::123456789012:oidc-provider/issuer.example.com/one"
    with pytest.raises(Refusal, match="EntityAlreadyExists"):
        aws.create(ISSUER, inputs)
    with pytest.raises(Refusal, match="must begin with https://"):
        aws.create(ISSUER, {**inputs, "url": "http://issuer.example.com"})


@pytest.mark.parametrize(
    ("token", "path", "replaced"),
    [
        (LINK, "serviceName", True),
        (LINK, "subnetIds", False),
        (KEY, "policy", False),
        (LOGS, "name", True),
        (LOGS, "retentionInDays", False),
        (RULE, "ecrRepositoryPrefix", True),
        (RULE, "credentialArn", False),
        (FLOWS, "logDestination", True),
        (ISSUER, "url", True),
        (ISSUER, "clientIdLists", False),
        (NODES, "launchTemplate.version", False),
        (NODES, "launchTemplate.id", True),
    ],
)
def test_a_change_replaces_what_the_api_cannot_change(token, path, replaced):
    assert rules.replaces(token, path) is replaced
