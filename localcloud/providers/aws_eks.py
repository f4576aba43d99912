"""Simulated EKS: control planes, managed node groups, add-ons, access entries, pod identities."""

from __future__ import annotations

from localcloud import ledger
from localcloud.providers import clusters
from localcloud.providers.aws_keys import require_key, require_role
from localcloud.providers.aws_links import require_template
from localcloud.providers.aws_names import ACCOUNT, arn, region
from localcloud.providers.calls import ApiError, Call, CreateResult, Kind, text, unique
from localcloud.providers.machines import Machine, free_capacity, machine, require_quota
from localcloud.store import JsonDict, Resource

_CLUSTER, _GROUP = "aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup"
_SUBNET = "aws:ec2/subnet:Subnet"
_EFFECTS = {"NO_SCHEDULE": "NoSchedule", "PREFER_NO_SCHEDULE": "PreferNoSchedule", "NO_EXECUTE": "NoExecute"}
_DEFAULT_VERSION = "1.36"
_DEFAULT_MACHINE = "t3.medium"
_TIME = "2026-01-01T00:00:00Z"


def _zones(call: Call, subnet_ids: list[str]) -> list[str]:
    rows = [
        call.require(_SUBNET, each, f"InvalidParameterException: the subnet ID {each!r} does not exist")
        for each in subnet_ids
    ]
    return sorted({text(row.outputs["availabilityZone"]) for row in rows})


def _require_cluster(call: Call, name: object) -> Resource:
    return call.require(_CLUSTER, name, f"ResourceNotFoundException: no cluster found for name: {name}")


def _create_cluster(call: Call, inputs: JsonDict) -> CreateResult:
    name, version = inputs["name"], text(inputs.get("version")) or _DEFAULT_VERSION
    require_role(call, inputs["roleArn"], "eks.amazonaws.com")
    if len(_zones(call, inputs["vpcConfig"]["subnetIds"])) < 2:
        raise ApiError("InvalidParameterException: subnets specified must be in at least two different AZs")
    require_key(call, ((inputs.get("encryptionConfig") or {}).get("provider") or {}).get("keyArn"), "")
    if not any((inputs["vpcConfig"].get(f"endpoint{each}Access", each == "Public")) for each in ("Public", "Private")):
        raise ApiError("InvalidParameterException: private and public endpoint access cannot both be false")
    issuer = f"https://oidc.eks.{region(call)}.amazonaws.com/id/{unique('', 32).upper()}"
    clusters.begin_cluster(call, name, version, region(call), {"issuer": issuer})
    return name, {
        "arn": arn(call, "eks", f"cluster/{name}"),
        "createdAt": _TIME,
        "identities": [{"oidcs": [{"issuer": issuer}]}],
        "platformVersion": "eks.1",
        "status": "CREATING",
        "version": version,
        "vpcConfig": _network(call, inputs, unique("sg-")),
    }


def _network(call: Call, inputs: JsonDict, group: str) -> JsonDict:
    """Return a cluster's network as EKS reports it, with the security group that EKS made for it."""
    asked = inputs["vpcConfig"]
    subnet = call.row(_SUBNET, asked["subnetIds"][0])
    vpc = subnet.inputs["vpcId"] if subnet is not None else ""
    return {"publicAccessCidrs": [], **asked, "clusterSecurityGroupId": group, "vpcId": vpc}


def _wait_for_cluster(call: Call, row: Resource) -> JsonDict:
    cluster = clusters.wait_for_cluster(call, row.id)
    authority = {"data": clusters.authority(cluster)}
    return {"status": "ACTIVE", "endpoint": cluster.endpoint, "certificateAuthority": authority}


def _update_cluster(call: Call, row: Resource, inputs: JsonDict) -> JsonDict:
    version = text(inputs.get("version")) or text(row.outputs.get("version"))
    call.store.set_cluster("aws", row.id, version=version)
    group = text(row.outputs["vpcConfig"]["clusterSecurityGroupId"])
    return {"version": version, "vpcConfig": _network(call, inputs, group)}


def _delete_cluster(call: Call, row: Resource) -> None:
    if row.inputs.get("deletionProtection"):
        raise ApiError(f"InvalidRequestException: deletion protection is enabled on cluster {row.id}")
    clusters.require_no_pools(call, row.id)
    clusters.end_cluster(call, row.id)


# -- node groups


def _machine_types(call: Call, inputs: JsonDict) -> list[str]:
    """Return the instance types of a group, which stand in it or in its launch template.

    Raises:
        ApiError: If the launch template and the group contradict each other.
    """
    types = list(inputs.get("instanceTypes") or [])
    block = inputs.get("capacityType") == "CAPACITY_BLOCK"
    market = ""
    if inputs.get("launchTemplate"):
        template = require_template(call, inputs["launchTemplate"]).inputs
        if inputs.get("diskSize"):
            raise ApiError("InvalidParameterException: disk size must be specified within the launch template")
        if types and template.get("instanceType"):
            raise ApiError("InvalidParameterException: instance types stand in the launch template and in the group")
        for mapping in template.get("blockDeviceMappings") or []:
            require_key(call, (mapping.get("ebs") or {}).get("kmsKeyId"), "AWSServiceRoleForAutoScaling")
        market = text((template.get("instanceMarketOptions") or {}).get("marketType"))
        types = types or [each for each in [template.get("instanceType")] if each]
    if block != (market == "capacity-block"):
        raise ApiError("InvalidParameterException: capacity type CAPACITY_BLOCK and the template's market must agree")
    return types or [_DEFAULT_MACHINE]


def _choose(call: Call, inputs: JsonDict, zones: list[str], least: int) -> tuple[str, Machine]:
    """Return the first instance type that can be had now.

    Raises:
        ApiError: If a type is unknown, or the group needs nodes at once and no type has room for them.
    """
    types = _machine_types(call, inputs)
    known = {each: machine("aws", each) for each in types}
    for name, found in known.items():
        free = free_capacity(call, zones, name)
        if least == 0 or free is None or free >= least:
            return name, found
    raise ApiError(
        f"InsufficientInstanceCapacity: we currently do not have sufficient {', '.join(types)} capacity "
        f"in {', '.join(zones)}",
        "RESOURCE_EXHAUSTED",
    )


def _minor(version: str) -> int:
    return int(version.split(".")[1])


def _spec(call: Call, inputs: JsonDict) -> JsonDict:
    cluster, name = inputs["clusterName"], inputs["nodeGroupName"]
    scaling = inputs["scalingConfig"]
    least, most, desired = (int(scaling[key]) for key in ("minSize", "maxSize", "desiredSize"))
    clusters.require_sizes(least, most)
    zones = _zones(call, inputs["subnetIds"])
    control_plane, version = _require_cluster(call, cluster), text(inputs.get("version"))
    if version and _minor(version) > _minor(text(control_plane.outputs["version"])):
        raise ApiError(f"InvalidParameterException: nodes of {version} are newer than cluster {cluster}")
    machine_type, found = _choose(call, inputs, zones, least)
    image = text(inputs.get("amiType")) or "AL2023_x86_64_STANDARD"
    if "NVIDIA" in image and not found.gpus:
        raise ApiError(f"InvalidParameterException: {machine_type} has no GPU, but amiType is {image}")
    spot = inputs.get("capacityType") == "SPOT"
    quota = found.counted(spot)
    used = sum(
        pool.spec["min"] * pool.spec["vcpus"]
        for pool in call.store.pools("aws")
        if pool.spec.get("quota") == quota and pool.id != clusters.pool_id(cluster, name)
    )
    require_quota(
        call, region(call), quota, used + least * found.vcpus,
        f"VcpuLimitExceeded: your limit of {{maximum}} vCPUs ({quota}) does not allow the {{needed}} requested",
    )  # fmt: skip
    system = {"eks.amazonaws.com/nodegroup": name, "eks.amazonaws.com/capacityType": "SPOT" if spot else "ON_DEMAND"}
    return {
        "machine_type": machine_type,
        # The driver is part of the NVIDIA images only: without it a node offers no GPU.
        "gpus": found.gpus if "NVIDIA" in image else 0,
        "labels": {**system, **(inputs.get("labels") or {})},
        "taints": [
            {"key": each["key"], "value": text(each.get("value")), "effect": _EFFECTS[each["effect"]]}
            for each in inputs.get("taints") or []
        ],
        "min": least,
        "max": most,
        "desired": desired,
        "zones": zones,
        "spot": spot,
        "vcpus": found.vcpus,
        "memory_gib": found.memory_gib,
        "quota": quota,
    }


def _create_group(call: Call, inputs: JsonDict) -> CreateResult:
    cluster, name = inputs["clusterName"], inputs["nodeGroupName"]
    _require_cluster(call, cluster)
    require_role(call, inputs["nodeRoleArn"], "ec2.amazonaws.com")
    if clusters.find_pool(call, cluster, name) is not None:
        raise ApiError(f"ResourceInUseException: node group {name} exists already in {cluster}", "ALREADY_EXISTS")
    bad = [each["effect"] for each in inputs.get("taints") or [] if each["effect"] not in _EFFECTS]
    if bad:
        raise ApiError(f"InvalidParameterException: taint effect {bad[0]!r} must be one of {', '.join(_EFFECTS)}")
    clusters.begin_pool(call, cluster, name, _spec(call, inputs))
    return f"{cluster}:{name}", {
        "arn": arn(call, "eks", f"nodegroup/{cluster}/{name}/{unique('', 32)}"),
        "amiType": inputs.get("amiType", "AL2023_x86_64_STANDARD"),
        "capacityType": inputs.get("capacityType", "ON_DEMAND"),
        "diskSize": inputs.get("diskSize", 20),
        "instanceTypes": _machine_types(call, inputs),
        "resources": [{"autoscalingGroups": [{"name": f"eks-{name}"}], "remoteAccessSecurityGroupId": ""}],
        "status": "CREATING",
        "version": text(inputs.get("version")) or _require_cluster(call, cluster).outputs["version"],
    }


def _wait_for_group(call: Call, row: Resource) -> JsonDict:
    clusters.wait_for_pool(call, row.inputs["clusterName"], row.inputs["nodeGroupName"])
    return {"status": "ACTIVE"}


def _update_group(call: Call, row: Resource, inputs: JsonDict) -> JsonDict:
    clusters.begin_pool(call, inputs["clusterName"], inputs["nodeGroupName"], _spec(call, inputs))
    return {}


# -- add-ons, access, identity


def _create_addon(call: Call, inputs: JsonDict) -> CreateResult:
    cluster, addon = inputs["clusterName"], inputs["addonName"]
    _require_cluster(call, cluster)
    version = inputs.get("addonVersion", "v1.0.0-eksbuild.1")
    outputs = {"arn": arn(call, "eks", f"addon/{cluster}/{addon}/{unique('', 32)}"), "addonVersion": version}
    return f"{cluster}:{addon}", {**outputs, "createdAt": _TIME, "modifiedAt": _TIME}


def _create_access(call: Call, inputs: JsonDict) -> CreateResult:
    cluster, principal = inputs["clusterName"], inputs["principalArn"]
    _require_cluster(call, cluster)
    policy = inputs.get("policyArn")
    outputs = {"accessEntryArn": arn(call, "eks", f"access-entry/{cluster}/{unique('', 32)}"), "associatedAt": _TIME}
    times = {"createdAt": _TIME, "modifiedAt": _TIME}
    return f"{cluster}#{principal}#{policy}" if policy else f"{cluster}:{principal}", {**outputs, **times}


def _identity(inputs: JsonDict, id_: str) -> ledger.Identity:
    return ledger.Identity(
        "aws", id_, inputs["clusterName"], inputs["namespace"], inputs["serviceAccount"], inputs["roleArn"]
    )


def _create_association(call: Call, inputs: JsonDict) -> CreateResult:
    _require_cluster(call, inputs["clusterName"])
    require_role(call, inputs["roleArn"], "pods.eks.amazonaws.com")
    key = tuple(inputs[each] for each in ("clusterName", "namespace", "serviceAccount"))
    for other in ledger.identities(call.store, "aws"):
        if (other.cluster_id, other.namespace, other.service_account) == key:
            raise ApiError(f"ResourceInUseException: association already exists: {other.id}", "ALREADY_EXISTS")
    id_ = unique("a-")
    ledger.put_identity(call.store, _identity(inputs, id_))
    association = arn(call, "eks", f"podidentityassociation/{inputs['clusterName']}/{id_}")
    return id_, {"associationId": id_, "associationArn": association, "externalId": ACCOUNT}


def _update_association(call: Call, row: Resource, inputs: JsonDict) -> JsonDict:
    ledger.put_identity(call.store, _identity(inputs, row.id))
    return {}


KINDS = {
    _CLUSTER: Kind(_create_cluster, _wait_for_cluster, _update_cluster, _delete_cluster),
    _GROUP: Kind(
        _create_group,
        _wait_for_group,
        _update_group,
        lambda call, row: clusters.end_pool(call, row.inputs["clusterName"], row.inputs["nodeGroupName"]),
    ),
    "aws:eks/addon:Addon": Kind(_create_addon),
    "aws:eks/accessEntry:AccessEntry": Kind(_create_access),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": Kind(_create_access),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": Kind(
        _create_association,
        update=_update_association,
        delete=lambda call, row: ledger.delete_identity(call.store, "aws", row.id),
    ),
}
