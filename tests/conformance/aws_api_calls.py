"""Which API calls the provider makes of each AWS resource type, and how it words their parameters.

Names that differ in case only need no entry. `renamed` is from the input's path to the API's, `supplied` holds what the
provider fills in itself, `skipped` says why an input is compared with nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Inputs = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """One API operation and the inputs that go into it; the first call of a type gets what no later one claims."""

    service: str
    operation: str
    keys: tuple[str, ...] = ()
    """Inputs of a call after the first."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    supplied: Mapping[str, Any] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Only on the first call of a type."""
    tagged: str = ""
    """EC2's resource type in `TagSpecifications`, where tags are given that way."""
    each: str = ""
    """Input that is a list and makes one call per element."""
    prepare: Callable[[Inputs], Inputs] | None = None
    """Reshapes what no renaming can."""


def _within(container: str, *names: str) -> dict[str, str]:
    """Renaming of inputs that the API has inside a member."""
    return {name: f"{container}.{name}" for name in names}


def _permission(rule: Inputs) -> Inputs:
    ranges = [{"cidrIp": each, "description": rule.get("description", "")} for each in rule["cidrBlocks"]]
    plain = {"ipProtocol": rule["protocol"], "fromPort": rule["fromPort"], "toPort": rule["toPort"]}
    return {"groupId": "sg-1", "ipPermissions": [{**plain, "ipRanges": ranges}]}


def _ingress_rule(inputs: Inputs) -> Inputs:
    rule = {"protocol": inputs["ipProtocol"], "cidrBlocks": [inputs["cidrIpv4"]], **inputs}
    return {**_permission(rule), "groupId": inputs["securityGroupId"]}


def _logging(inputs: Inputs) -> Inputs:
    types = inputs.pop("enabledClusterLogTypes", [])
    return {**inputs, "logging": {"clusterLogging": [{"types": types, "enabled": True}]}}


def _record(inputs: Inputs) -> Inputs:
    policies = inputs.pop("weightedRoutingPolicies", [])
    weight = {"weight": policies[0]["weight"]} if policies else {}
    zone, values = inputs.pop("zoneId"), [{"value": each} for each in inputs.pop("records")]
    record = {**inputs, **weight, "resourceRecords": values}
    return {"hostedZoneId": zone, "changeBatch": {"changes": [{"action": "UPSERT", "resourceRecordSet": record}]}}


def _template_tags(inputs: Inputs) -> Inputs:
    return {**inputs, "resourceTags": inputs.get("resourceTags", {})}


_ON_DELETE = "used when the resource is deleted"
_BUCKET = {"bucket": "Bucket"}
_TEMPLATE = (
    "blockDeviceMappings", "metadataOptions", "networkInterfaces", "instanceType", "instanceMarketOptions",
    "capacityReservationSpecification", "tagSpecifications",
)  # fmt: skip
_CHECK = ("type", "port", "resourcePath", "searchString", "requestInterval", "failureThreshold", "ipAddress")
_ZONE_TAGS = "route53.ChangeTagsForResource, whose limits are those of every tag"

APIS: Mapping[str, tuple[Call, ...]] = {
    "aws:cloudwatch/logGroup:LogGroup": (
        Call("logs", "CreateLogGroup", renamed={"name": "logGroupName"}, supplied={"logGroupName": "made-up"}),
        Call("logs", "PutRetentionPolicy", keys=("retentionInDays",), supplied={"logGroupName": "made-up"}),
    ),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": (
        Call(
            "ec2", "DescribeSecurityGroups",
            prepare=lambda inputs: {"filters": [{"name": "vpc-id", "values": [inputs["vpcId"]]}]},
            skipped=dict.fromkeys(("ingress", "egress"), "empty: rules that the group has are revoked"),
        ),
        Call("ec2", "CreateTags", keys=("tags",), supplied={"Resources": ["sg-1"]}),
    ),
    "aws:ec2/eip:Eip": (Call("ec2", "AllocateAddress", tagged="elastic-ip"),),
    "aws:ec2/flowLog:FlowLog": (
        Call(
            "ec2", "CreateFlowLogs", renamed={"vpcId": "ResourceIds", "iamRoleArn": "DeliverLogsPermissionArn"},
            supplied={"ResourceType": "VPC"}, tagged="vpc-flow-log",
        ),
    ),
    "aws:ec2/internetGateway:InternetGateway": (
        Call("ec2", "CreateInternetGateway", tagged="internet-gateway"),
        Call("ec2", "AttachInternetGateway", keys=("vpcId",), supplied={"InternetGatewayId": "igw-1"}),
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": (
        Call(
            "ec2", "CreateLaunchTemplate",
            renamed={**_within("LaunchTemplateData", *_TEMPLATE), "networkInterfaces.securityGroups": "Groups"},
            supplied={"LaunchTemplateName": "made-up"}, tagged="launch-template",
            skipped={"updateDefaultVersion": "ec2.ModifyLaunchTemplate after each new version"},
        ),
    ),
    "aws:ec2/natGateway:NatGateway": (Call("ec2", "CreateNatGateway", tagged="natgateway"),),
    "aws:ec2/routeTable:RouteTable": (
        Call("ec2", "CreateRouteTable", tagged="route-table"),
        Call(
            "ec2", "CreateRoute", keys=("routes",), each="routes", renamed={"cidrBlock": "DestinationCidrBlock"},
            supplied={"RouteTableId": "rtb-1"},
        ),
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": (Call("ec2", "AssociateRouteTable"),),
    "aws:ec2/securityGroup:SecurityGroup": (
        Call(
            "ec2", "CreateSecurityGroup", supplied={"GroupName": "made-up"}, tagged="security-group",
            skipped={"revokeRulesOnDelete": _ON_DELETE},
        ),
        Call("ec2", "AuthorizeSecurityGroupIngress", keys=("ingress",), each="ingress", prepare=_permission),
    ),
    "aws:ec2/subnet:Subnet": (
        Call("ec2", "CreateSubnet", tagged="subnet"),
        Call(
            "ec2", "ModifySubnetAttribute", keys=("mapPublicIpOnLaunch",), supplied={"SubnetId": "subnet-1"},
            renamed={"mapPublicIpOnLaunch": "MapPublicIpOnLaunch.Value"},
        ),
    ),
    "aws:ec2/vpc:Vpc": (
        Call("ec2", "CreateVpc", tagged="vpc"),
        Call(
            "ec2", "ModifyVpcAttribute", keys=("enableDnsSupport", "enableDnsHostnames"), supplied={"VpcId": "vpc-1"},
            renamed={each: f"{each}.Value" for each in ("enableDnsSupport", "enableDnsHostnames")},
        ),
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": (Call("ec2", "CreateVpcEndpoint", tagged="vpc-endpoint"),),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": (
        Call("ecr", "PutLifecyclePolicy", renamed={"repository": "repositoryName", "policy": "lifecyclePolicyText"}),
    ),
    "aws:ecr/pullThroughCacheRule:PullThroughCacheRule": (Call("ecr", "CreatePullThroughCacheRule"),),
    "aws:ecr/repository:Repository": (
        Call(
            "ecr", "CreateRepository", renamed={"encryptionConfigurations": "encryptionConfiguration"},
            supplied={"repositoryName": "made-up"}, skipped={"forceDelete": _ON_DELETE},
        ),
    ),
    "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate": (
        Call(
            "ecr", "CreateRepositoryCreationTemplate", prepare=_template_tags,
            renamed={"appliedFors": "appliedFor", "encryptionConfigurations": "encryptionConfiguration"},
        ),
    ),
    "aws:eks/accessEntry:AccessEntry": (Call("eks", "CreateAccessEntry"),),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": (Call("eks", "AssociateAccessPolicy"),),
    "aws:eks/addon:Addon": (
        Call("eks", "CreateAddon"),
        Call(
            "eks", "UpdateAddon", keys=("resolveConflictsOnUpdate",),
            renamed={"resolveConflictsOnUpdate": "resolveConflicts"},
            supplied={"clusterName": "made-up", "addonName": "made-up"},
        ),
    ),
    "aws:eks/cluster:Cluster": (
        Call("eks", "CreateCluster", renamed={"vpcConfig": "resourcesVpcConfig"}, prepare=_logging),
    ),
    "aws:eks/nodeGroup:NodeGroup": (
        Call(
            "eks", "CreateNodegroup", renamed={"subnetIds": "subnets", "nodeRoleArn": "nodeRole"},
            supplied={"nodegroupName": "made-up"},
        ),
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": (Call("eks", "CreatePodIdentityAssociation"),),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": (
        Call("iam", "CreateOpenIDConnectProvider", renamed={"clientIdLists": "ClientIDList"}),
    ),
    "aws:iam/role:Role": (
        Call(
            "iam", "CreateRole", renamed={"assumeRolePolicy": "AssumeRolePolicyDocument"},
            supplied={"RoleName": "made-up"},
        ),
    ),
    "aws:iam/rolePolicy:RolePolicy": (
        Call(
            "iam", "PutRolePolicy", renamed={"role": "RoleName", "policy": "PolicyDocument"},
            supplied={"PolicyName": "made-up"},
        ),
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": (
        Call("iam", "AttachRolePolicy", renamed={"role": "RoleName"}),
    ),
    "aws:kms/key:Key": (
        Call("kms", "CreateKey"),
        Call(
            "kms", "EnableKeyRotation", keys=("rotationPeriodInDays", "enableKeyRotation"),
            supplied={"KeyId": "made-up"},
            prepare=lambda inputs: {key: value for key, value in inputs.items() if key != "enableKeyRotation"},
        ),
        Call(
            "kms", "ScheduleKeyDeletion", keys=("deletionWindowInDays",), supplied={"KeyId": "made-up"},
            renamed={"deletionWindowInDays": "PendingWindowInDays"},
        ),
    ),
    "aws:route53/healthCheck:HealthCheck": (
        Call(
            "route53", "CreateHealthCheck", supplied={"CallerReference": "made-up"}, skipped={"tags": _ZONE_TAGS},
            renamed={**_within("HealthCheckConfig", *_CHECK), "fqdn": "HealthCheckConfig.FullyQualifiedDomainName"},
        ),
    ),
    "aws:route53/record:Record": (Call("route53", "ChangeResourceRecordSets", prepare=_record),),
    "aws:route53/zone:Zone": (
        Call(
            "route53", "CreateHostedZone", renamed=_within("HostedZoneConfig", "comment"), skipped={"tags": _ZONE_TAGS},
            supplied={"CallerReference": "made-up"},
        ),
    ),
    "aws:s3/bucket:Bucket": (
        Call("s3", "CreateBucket", supplied={"Bucket": "made-up"}, skipped={"forceDestroy": _ON_DELETE}),
        Call(
            "s3", "PutBucketTagging", keys=("tags",), renamed={"tags": "Tagging.TagSet"},
            supplied={"Bucket": "made-up"},
        ),
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": (
        Call("s3", "PutBucketLifecycleConfiguration", renamed=_within("LifecycleConfiguration", "rules")),
    ),
    "aws:s3/bucketLogging:BucketLogging": (
        Call(
            "s3", "PutBucketLogging",
            renamed=_within("BucketLoggingStatus.LoggingEnabled", "targetBucket", "targetPrefix"),
        ),
    ),
    "aws:s3/bucketObjectv2:BucketObjectv2": (
        Call(
            "s3", "PutObject",
            skipped={"source": "the bytes of the object", "tags": "one header, encoded by the provider"},
        ),
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": (
        Call("s3", "PutBucketOwnershipControls", renamed={"rule": "OwnershipControls.Rules"}),
    ),
    "aws:s3/bucketPolicy:BucketPolicy": (Call("s3", "PutBucketPolicy"),),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": (
        Call(
            "s3", "PutPublicAccessBlock",
            renamed=_within(
                "PublicAccessBlockConfiguration", "blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls",
                "restrictPublicBuckets",
            ),
        ),
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        Call(
            "s3", "PutBucketEncryption",
            renamed={
                **_within("ServerSideEncryptionConfiguration", "rules"),
                "rules.applyServerSideEncryptionByDefault.kmsMasterKeyId": "KMSMasterKeyID",
            },
        ),
    ),
    "aws:s3/bucketVersioning:BucketVersioning": (Call("s3", "PutBucketVersioning"),),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": (
        Call(
            "ec2", "AuthorizeSecurityGroupIngress", prepare=_ingress_rule, tagged="security-group-rule",
            skipped={"tags": "TagSpecifications of the same call, whose limits are those of every tag"},
        ),
    ),
}  # fmt: skip
"""Resource type to its API calls, the one that makes it first."""
