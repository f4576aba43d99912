"""Simulated AWS: network, IAM, S3, Route 53; the rest is in the other modules `aws_*`."""

from __future__ import annotations

import ipaddress
import json
import re
import uuid
from collections.abc import Iterator

from localcloud import ledger
from localcloud.providers import objects, rules
from localcloud.providers.aws_ecr import KINDS as ECR_KINDS
from localcloud.providers.aws_eks import KINDS as EKS_KINDS
from localcloud.providers.aws_keys import KINDS as KEY_KINDS
from localcloud.providers.aws_links import KINDS as LINK_KINDS
from localcloud.providers.aws_links import delete_subnet
from localcloud.providers.aws_names import ACCOUNT, arn, region, role_arn
from localcloud.providers.aws_quotas import INVOKES as QUOTA_INVOKES
from localcloud.providers.aws_quotas import ZONES as _ZONES
from localcloud.providers.calls import ApiError, Call, CreateResult, Kind, Vendor, text, unique
from localcloud.store import JsonDict, Resource

_VPC, _SUBNET, _EIP = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet", "aws:ec2/eip:Eip"
_ROLE, _ROLE_POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
_BUCKET, _OBJECT = "aws:s3/bucket:Bucket", "aws:s3/bucketObjectv2:BucketObjectv2"
_ZONE, _RECORD = "aws:route53/zone:Zone", "aws:route53/record:Record"
_ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"


# -- network


def _ec2(kind: str, prefix: str, parent: str = "") -> Kind:
    """Return a network part without behaviour of its own; `parent` names the input with the id of a subnet or VPC."""

    def create(call: Call, inputs: JsonDict) -> CreateResult:
        if parent:
            type_, noun = (_VPC, "vpc") if parent == "vpcId" else (_SUBNET, "subnet")
            call.require(type_, inputs[parent], f"Invalid{noun.title()}ID.NotFound: {inputs[parent]} does not exist")
        id_ = unique(f"{prefix}-")
        return id_, {"arn": arn(call, "ec2", f"{kind}/{id_}"), "ownerId": ACCOUNT}

    return Kind(create)


def _create_vpc(call: Call, inputs: JsonDict) -> CreateResult:
    id_ = unique("vpc-")
    return id_, {
        "arn": arn(call, "ec2", f"vpc/{id_}"),
        "ownerId": ACCOUNT,
        "mainRouteTableId": unique("rtb-"),
        "defaultRouteTableId": unique("rtb-"),
        "defaultSecurityGroupId": unique("sg-"),
        "defaultNetworkAclId": unique("acl-"),
        "instanceTenancy": inputs.get("instanceTenancy", "default"),
    }


def _delete_vpc(call: Call, row: Resource) -> None:
    left = [each.id for each in call.store.resources("aws") if each.inputs.get("vpcId") == row.id]
    if left:
        raise ApiError(f"DependencyViolation: {row.id} has dependencies and cannot be deleted: {', '.join(left)}")


def _adopt_default_group(call: Call, inputs: JsonDict) -> CreateResult:
    vpc = call.require(_VPC, inputs.get("vpcId"), f"InvalidVpcID.NotFound: {inputs.get('vpcId')} does not exist")
    id_ = text(vpc.outputs["defaultSecurityGroupId"])
    return id_, {"arn": arn(call, "ec2", f"security-group/{id_}"), "ownerId": ACCOUNT, "name": "default"}


def _create_subnet(call: Call, inputs: JsonDict) -> CreateResult:
    vpc = call.require(_VPC, inputs["vpcId"], f"InvalidVpcID.NotFound: {inputs['vpcId']} does not exist")
    zone = text(inputs.get("availabilityZone")) or f"{region(call)}a"
    if zone[:-1] != region(call) or zone[-1] not in _ZONES:
        offered = ", ".join(region(call) + each for each in _ZONES)
        raise ApiError(f"InvalidParameterValue: {zone} is not an availability zone; use one of {offered}")
    block = ipaddress.ip_network(text(inputs.get("cidrBlock")))
    if not block.subnet_of(ipaddress.ip_network(text(vpc.inputs["cidrBlock"]))):  # type: ignore[arg-type]  # both are IPv4
        raise ApiError(f"InvalidSubnet.Range: {block} is not inside {vpc.inputs['cidrBlock']} of {vpc.id}")
    for other in call.rows(_SUBNET):
        if other.inputs["vpcId"] == vpc.id and block.overlaps(ipaddress.ip_network(text(other.inputs["cidrBlock"]))):
            raise ApiError(f"InvalidSubnet.Conflict: {block} overlaps {other.inputs['cidrBlock']} of {other.id}")
    id_ = unique("subnet-")
    zone_id = f"use1-az{_ZONES.index(zone[-1]) + 1}"
    outputs = {"arn": arn(call, "ec2", f"subnet/{id_}"), "ownerId": ACCOUNT, "availabilityZone": zone}
    return id_, {**outputs, "availabilityZoneId": zone_id}


def _create_eip(call: Call, inputs: JsonDict) -> CreateResult:
    id_ = unique("eipalloc-")
    address = ledger.allocate_address(call.store, "aws", id_, call.name)
    return id_, {
        "allocationId": id_,
        "publicIp": address.ip,
        "publicDns": f"ec2-{address.ip.replace('.', '-')}.compute-1.amazonaws.com",
        "arn": arn(call, "ec2", f"elastic-ip/{id_}"),
        "domain": inputs.get("domain", "vpc"),
        "networkBorderGroup": region(call),
    }


def _delete_eip(call: Call, row: Resource) -> None:
    used = [each.id for each in call.rows("aws:ec2/natGateway:NatGateway") if each.inputs["allocationId"] == row.id]
    if used:
        raise ApiError(f"InvalidIPAddress.InUse: {row.id} is in use by {', '.join(used)}")
    ledger.release_address(call.store, "aws", row.id)


def _create_nat(call: Call, inputs: JsonDict) -> CreateResult:
    address = call.require(_EIP, inputs.get("allocationId"), f"InvalidAllocationID.NotFound: {inputs['allocationId']}")
    call.require(_SUBNET, inputs.get("subnetId"), f"InvalidSubnetID.NotFound: {inputs.get('subnetId')} does not exist")
    return unique("nat-"), {"publicIp": address.outputs["publicIp"], "connectivityType": "public"}


# -- IAM


def _create_role(call: Call, inputs: JsonDict) -> CreateResult:
    name = inputs["name"]
    try:
        json.loads(text(inputs.get("assumeRolePolicy")))
    except ValueError as error:
        raise ApiError(f"MalformedPolicyDocument: assumeRolePolicy of role {name} is not JSON: {error}") from None
    return name, {
        "arn": role_arn(name, text(inputs.get("path")) or "/"),
        "uniqueId": unique("AROA", 16).upper(),
        "createDate": "2026-01-01T00:00:00Z",
    }


def _delete_role(call: Call, row: Resource) -> None:
    used = [
        each.id for type_ in (_ROLE_POLICY, _ATTACHMENT) for each in call.rows(type_) if each.inputs["role"] == row.id
    ]
    if used:
        raise ApiError(f"DeleteConflict: role {row.id} must first lose its policies: {', '.join(used)}")


def _create_attachment(call: Call, inputs: JsonDict) -> CreateResult:
    call.require(_ROLE, inputs["role"], f"NoSuchEntity: the role {inputs['role']} does not exist")
    return f"{inputs['role']}/{inputs['policyArn']}", {}


def _read_grants(inputs: JsonDict) -> Iterator[tuple[str, str]]:
    """Yield bucket and key prefix of every grant to read S3 objects in a policy."""
    for statement in json.loads(inputs["policy"]).get("Statement", []):
        actions, resources = statement.get("Action", []), statement.get("Resource", [])
        actions = [actions] if isinstance(actions, str) else actions
        if statement.get("Effect") != "Allow" or not {"s3:GetObject", "s3:Get*", "s3:*", "*"} & set(actions):
            continue
        for resource in [resources] if isinstance(resources, str) else resources:
            match = re.fullmatch(r"arn:aws:s3:::([^/]+)/(.*?)\*?", resource)
            if match:
                yield match.group(1), match.group(2)


def _put_grants(call: Call, id_: str, inputs: JsonDict) -> None:
    role = call.require(_ROLE, inputs["role"], f"NoSuchEntity: the role {inputs['role']} does not exist")
    for number, (bucket, prefix) in enumerate(_read_grants(inputs)):
        grant = ledger.Grant("aws", f"{id_}#{number}", text(role.outputs["arn"]), bucket, prefix)
        ledger.put_grant(call.store, grant)


def _create_role_policy(call: Call, inputs: JsonDict) -> CreateResult:
    id_ = f"{inputs['role']}:{inputs['name']}"
    try:
        _put_grants(call, id_, inputs)
    except (ValueError, AttributeError) as error:
        raise ApiError(f"MalformedPolicyDocument: policy of {id_} is not a policy in JSON: {error}") from None
    return id_, {}


def _delete_role_policy(call: Call, row: Resource) -> None:
    for number, _ in enumerate(_read_grants(row.inputs)):
        ledger.delete_grant(call.store, "aws", f"{row.id}#{number}")


def _update_role_policy(call: Call, row: Resource, inputs: JsonDict) -> JsonDict:
    _delete_role_policy(call, row)
    _put_grants(call, row.id, inputs)
    return {}


# -- S3


def _create_bucket(call: Call, inputs: JsonDict) -> CreateResult:
    name = inputs["bucket"]
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name):
        raise ApiError(f"InvalidBucketName: {name!r} must be 3 to 63 lower-case letters, digits, dots and dashes")
    return name, {
        "arn": f"arn:aws:s3:::{name}",
        "bucketDomainName": f"{name}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{name}.s3.{region(call)}.amazonaws.com",
        "bucketRegion": region(call),
        "hostedZoneId": "Z3AQBSTGFYJSTF",
    }


def _delete_bucket(call: Call, row: Resource) -> None:
    objects.empty(call, row.id, bool(row.inputs.get("forceDestroy")))


def _bucket_part(call: Call, inputs: JsonDict) -> CreateResult:
    bucket = inputs["bucket"]
    call.require(_BUCKET, bucket, f"NoSuchBucket: the bucket {bucket} does not exist")
    return bucket, {}


def _object_outputs(call: Call, inputs: JsonDict) -> JsonDict:
    stored = objects.put(call, inputs["bucket"], inputs["key"], inputs)
    return {
        "etag": stored.md5,
        "arn": f"arn:aws:s3:::{stored.bucket}/{stored.key}",
        "checksumSha256": stored.sha256,
        "storageClass": "STANDARD",
        "versionId": unique("", 32),
    }


def _create_object(call: Call, inputs: JsonDict) -> CreateResult:
    _bucket_part(call, inputs)
    if not inputs.get("key"):
        raise ApiError("MissingParameter: key is required", "INVALID_ARGUMENT")
    return f"{inputs['bucket']}/{inputs['key']}", _object_outputs(call, inputs)


# -- Route 53


def _create_zone(call: Call, inputs: JsonDict) -> CreateResult:
    if not inputs.get("name"):
        raise ApiError("InvalidInput: a hosted zone needs a name", "INVALID_ARGUMENT")
    id_ = unique("Z", 20).upper()
    servers = [f"ns-{index * 512 + 7}.awsdns-{index}.{top}" for index, top in enumerate(("com", "net", "org", "co.uk"))]
    outputs = {"zoneId": id_, "arn": f"arn:aws:route53:::hostedzone/{id_}", "name": inputs["name"].rstrip(".")}
    return id_, {**outputs, "nameServers": servers, "primaryNameServer": servers[0]}


def _delete_zone(call: Call, row: Resource) -> None:
    held = [each.id for each in call.rows(_RECORD) if each.inputs["zoneId"] == row.id]
    if held and not row.inputs.get("forceDestroy"):
        raise ApiError(f"HostedZoneNotEmpty: {row.id} still holds {', '.join(held)}")


def _create_record(call: Call, inputs: JsonDict) -> CreateResult:
    zone = call.require(_ZONE, inputs["zoneId"], f"NoSuchHostedZone: {inputs['zoneId']} does not exist")
    name, zone_name = text(inputs["name"]).rstrip("."), text(zone.outputs["name"])
    complete = name if name == zone_name or name.endswith(f".{zone_name}") else f"{name}.{zone_name}"
    if complete == zone_name and inputs["type"] in ("NS", "SOA") and not inputs.get("allowOverwrite"):
        # A zone is born with these; AWS replaces them only when it is told to.
        raise ApiError(f"InvalidChangeBatch: tried to create {inputs['type']} {complete}, but it already exists")
    check = inputs.get("healthCheckId")
    if check:
        call.require("aws:route53/healthCheck:HealthCheck", check, f"NoSuchHealthCheck: {check} does not exist")
    parts = (zone.id, inputs["name"], inputs["type"], inputs.get("setIdentifier"))
    return "_".join(text(part) for part in parts if part), {"fqdn": complete}


def _create_health_check(call: Call, inputs: JsonDict) -> CreateResult:
    id_ = str(uuid.uuid4())
    return id_, {"arn": f"arn:aws:route53:::healthcheck/{id_}"}


# -- the vendor


def _generic(call: Call, inputs: JsonDict) -> CreateResult:
    service, kind = call.type.split(":")[1].split("/")
    id_ = text(inputs.get("name")) or unique(f"{kind.lower()}-")
    return id_, {"arn": arn(call, service, f"{kind}/{id_}")}


def _common(call: Call, inputs: JsonDict) -> JsonDict:
    defaults = call.config.get("defaultTags")
    shared = defaults.get("tags", {}) if isinstance(defaults, dict) else {}
    outputs: JsonDict = {"region": inputs.get("region") or region(call)}
    return {**outputs, "tagsAll": {**shared, **(inputs.get("tags") or {})}}


def _check_config(config: JsonDict) -> list[tuple[str, str]]:
    if not config.get("region"):
        return [("region", "Missing region configuration: set `region` of the provider or `aws:region`")]
    return []


_KIND_OF_PART = Kind(_bucket_part, upsert=True)
KINDS = {
    _VPC: Kind(_create_vpc, delete=_delete_vpc),
    _SUBNET: Kind(_create_subnet, delete=delete_subnet),
    "aws:ec2/internetGateway:InternetGateway": _ec2("internet-gateway", "igw", "vpcId"),
    "aws:ec2/routeTable:RouteTable": _ec2("route-table", "rtb", "vpcId"),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": _ec2("association", "rtbassoc", "subnetId"),
    "aws:ec2/securityGroup:SecurityGroup": _ec2("security-group", "sg", "vpcId"),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": Kind(_adopt_default_group),
    _EIP: Kind(_create_eip, delete=_delete_eip),
    "aws:ec2/natGateway:NatGateway": Kind(_create_nat),
    _ROLE: Kind(_create_role, delete=_delete_role),
    _ATTACHMENT: Kind(_create_attachment, upsert=True),
    _ROLE_POLICY: Kind(_create_role_policy, update=_update_role_policy, delete=_delete_role_policy, upsert=True),
    _BUCKET: Kind(_create_bucket, delete=_delete_bucket),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _KIND_OF_PART,
    "aws:s3/bucketLogging:BucketLogging": _KIND_OF_PART,
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": _KIND_OF_PART,
    "aws:s3/bucketPolicy:BucketPolicy": _KIND_OF_PART,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _KIND_OF_PART,
    "aws:s3/bucketVersioning:BucketVersioning": _KIND_OF_PART,
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _KIND_OF_PART,
    _OBJECT: Kind(
        _create_object,
        update=lambda call, row, inputs: _object_outputs(call, inputs),
        delete=lambda call, row: objects.delete(call, row.inputs["bucket"], row.inputs["key"]),
        upsert=True,
    ),
    _ZONE: Kind(_create_zone, delete=_delete_zone),
    _RECORD: Kind(_create_record),
    "aws:route53/healthCheck:HealthCheck": Kind(_create_health_check),
    **ECR_KINDS,
    **EKS_KINDS,
    **KEY_KINDS,
    **LINK_KINDS,
}


def _caller(call: Call, arguments: JsonDict) -> JsonDict:
    user = f"arn:aws:iam::{ACCOUNT}:user/local"
    return {"accountId": ACCOUNT, "arn": user, "userId": "AIDALOCAL", "id": ACCOUNT}


def _zones(call: Call, arguments: JsonDict) -> JsonDict:
    found = [region(call) + letter for letter in _ZONES]
    return {
        "names": found,
        "zoneIds": [f"use1-az{i + 1}" for i in range(len(found))],
        "id": region(call),
        "state": "available",
    }


VENDOR = Vendor(
    package="aws",
    cloud="aws",
    distribution="pulumi-aws",
    kinds=KINDS,
    invokes={
        **QUOTA_INVOKES,
        "aws:index/getCallerIdentity:getCallerIdentity": _caller,
        "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
        "aws:index/getRegion:getRegion": lambda call, _: {
            "name": region(call),
            "region": region(call),
            "id": region(call),
        },
        "aws:index/getPartition:getPartition": lambda call, _: {
            "partition": "aws",
            "dnsSuffix": "amazonaws.com",
            "id": "aws",
        },
    },
    generic=_generic,
    common=_common,
    name_rule=rules.bridged_name,
    check_config=_check_config,
    replaces_config=("region",),
)
