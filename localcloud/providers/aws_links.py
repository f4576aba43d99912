"""Simulated EC2: private links, flow logs, security group rules, launch templates."""

from __future__ import annotations

from localcloud.providers.aws_keys import require_key, require_role
from localcloud.providers.aws_names import ACCOUNT, arn, region
from localcloud.providers.calls import ApiError, Call, CreateResult, Kind, text, unique
from localcloud.store import JsonDict, Resource

_VPC, _SUBNET, _TABLE = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet", "aws:ec2/routeTable:RouteTable"
_ENDPOINT, _TEMPLATE = "aws:ec2/vpcEndpoint:VpcEndpoint", "aws:ec2/launchTemplate:LaunchTemplate"
_GATEWAYS = ("s3", "dynamodb")
_INTERFACES = (
    "s3", "ecr.api", "ecr.dkr", "sts", "eks", "eks-auth", "ec2", "logs", "elasticloadbalancing", "autoscaling", "kms",
    "secretsmanager", "ssm", "monitoring",
)  # fmt: skip


def _create_endpoint(call: Call, inputs: JsonDict) -> CreateResult:
    vpc = call.require(_VPC, inputs["vpcId"], f"InvalidVpcID.NotFound: {inputs['vpcId']} does not exist")
    name, gateway = text(inputs["serviceName"]), inputs.get("vpcEndpointType", "Gateway") == "Gateway"
    offered = [f"com.amazonaws.{region(call)}.{each}" for each in (_GATEWAYS if gateway else _INTERFACES)]
    if name not in offered:
        raise ApiError(f"InvalidServiceName: the Vpc Endpoint Service '{name}' does not exist")
    if gateway and (inputs.get("subnetIds") or inputs.get("securityGroupIds")):
        raise ApiError("InvalidParameter: a gateway endpoint has route tables, and neither subnets nor groups")
    for table in inputs.get("routeTableIds") or []:
        call.require(_TABLE, table, f"InvalidRouteTableId.NotFound: {table} does not exist")
    if not gateway:
        _check_interface(call, vpc, inputs)
    id_ = unique("vpce-")
    return id_, {"arn": arn(call, "ec2", f"vpc-endpoint/{id_}"), "ownerId": ACCOUNT, "state": "available"}


def _check_interface(call: Call, vpc: Resource, inputs: JsonDict) -> None:
    subnets = [
        call.require(_SUBNET, each, f"InvalidSubnetID.NotFound: {each} does not exist")
        for each in inputs.get("subnetIds") or []
    ]
    zones = [text(each.outputs["availabilityZone"]) for each in subnets]
    if len(set(zones)) != len(zones):
        raise ApiError(f"DuplicateSubnetsInSameZone: found two subnets in one of {', '.join(zones)}")
    if not subnets or not inputs.get("securityGroupIds"):
        raise ApiError("InvalidParameter: an interface endpoint needs subnets and security groups")
    if inputs.get("privateDnsEnabled"):
        if not (vpc.inputs.get("enableDnsSupport", True) and vpc.inputs.get("enableDnsHostnames")):
            raise ApiError(f"InvalidParameter: private DNS needs enableDnsSupport and enableDnsHostnames of {vpc.id}")
        same = [
            row.id
            for row in call.rows(_ENDPOINT)
            if row.inputs["vpcId"] == vpc.id and row.inputs["serviceName"] == inputs["serviceName"]
        ]
        if same:
            raise ApiError(f"InvalidParameter: private-dns-enabled cannot be set because {same[0]} has that domain")


def _create_flow_log(call: Call, inputs: JsonDict) -> CreateResult:
    call.require(_VPC, inputs.get("vpcId"), f"InvalidVpcId.NotFound: {inputs.get('vpcId')} does not exist")
    require_role(call, inputs.get("iamRoleArn"), "vpc-flow-logs.amazonaws.com")
    groups = {row.outputs.get("arn") for row in call.rows("aws:cloudwatch/logGroup:LogGroup")}
    if inputs.get("logDestination") not in groups:
        raise ApiError(f"LogDestinationNotFoundException: {inputs.get('logDestination')} does not exist")
    id_ = unique("fl-")
    return id_, {"arn": arn(call, "ec2", f"vpc-flow-log/{id_}")}


def _create_rule(call: Call, inputs: JsonDict) -> CreateResult:
    if not text(inputs["securityGroupId"]).startswith("sg-"):
        raise ApiError(f"InvalidGroupId.Malformed: {inputs['securityGroupId']!r} is not the id of a security group")
    id_ = unique("sgr-")
    return id_, {"arn": arn(call, "ec2", f"security-group-rule/{id_}"), "securityGroupRuleId": id_}


def _check_template(call: Call, inputs: JsonDict) -> None:
    for mapping in inputs.get("blockDeviceMappings") or []:
        require_key(call, (mapping.get("ebs") or {}).get("kmsKeyId"), "")
    reserved = (inputs.get("capacityReservationSpecification") or {}).get("capacityReservationTarget")
    block = (inputs.get("instanceMarketOptions") or {}).get("marketType") == "capacity-block"
    if block and not (reserved and inputs.get("instanceType")):
        raise ApiError("InvalidParameterCombination: a capacity block needs an instance type and its reservation")


def _create_template(call: Call, inputs: JsonDict) -> CreateResult:
    _check_template(call, inputs)
    id_ = unique("lt-")
    return id_, {"arn": arn(call, "ec2", f"launch-template/{id_}"), "latestVersion": 1, "defaultVersion": 1}


def _update_template(call: Call, row: Resource, inputs: JsonDict) -> JsonDict:
    _check_template(call, inputs)
    version = int(row.outputs["latestVersion"]) + 1
    return {"latestVersion": version, "defaultVersion": version if inputs.get("updateDefaultVersion") else 1}


def require_template(call: Call, wanted: JsonDict) -> Resource:
    """Return the launch template that a node group refers to.

    Raises:
        ApiError: If there is none, or not in that version.
    """
    id_ = wanted.get("id")
    found = call.require(_TEMPLATE, id_, f"InvalidRequestException: launch template {id_} does not exist")
    versions = {"$Latest", "$Default", *(str(n + 1) for n in range(int(found.outputs["latestVersion"])))}
    if text(wanted.get("version")) not in versions:
        raise ApiError(f"InvalidRequestException: launch template {id_} has no version {wanted.get('version')!r}")
    return found


def delete_subnet(call: Call, row: Resource) -> None:
    """Refuse to delete a subnet that something still has an interface in.

    Raises:
        ApiError: Naming what.
    """
    left = []
    for each in call.store.resources("aws"):
        inside = [each.inputs.get("subnetId"), *(each.inputs.get("subnetIds") or [])]
        inside += (each.inputs.get("vpcConfig") or {}).get("subnetIds") or []
        if row.id in inside:
            left.append(each.id)
    if left:
        raise ApiError(f"DependencyViolation: the subnet {row.id} has dependencies: {', '.join(left)}")


KINDS = {
    _ENDPOINT: Kind(_create_endpoint),
    "aws:ec2/flowLog:FlowLog": Kind(_create_flow_log),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": Kind(_create_rule),
    _TEMPLATE: Kind(_create_template, update=_update_template),
}
