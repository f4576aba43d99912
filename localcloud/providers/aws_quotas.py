"""What the simulated AWS answers about quotas, instance types and Kubernetes versions, from its own tables."""

from __future__ import annotations

from localcloud.providers.aws_names import region
from localcloud.providers.calls import ApiError, Call, Invoke, text
from localcloud.providers.clusters import VERSIONS
from localcloud.providers.machines import MACHINES, granted, machine, offered
from localcloud.store import JsonDict

ZONES = "abcdef"
_QUOTAS = {
    "L-1216C47A": "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
    "L-DB2E81BA": "Running On-Demand G and VT instances",
    "L-417A185B": "Running On-Demand P instances",
    "L-34B43A08": "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests",
    "L-3819A6DF": "All G and VT Spot Instance Requests",
    "L-7212CCBC": "All P4, P3 and P2 Spot Instance Requests",
    "L-C4BD4855": "All P5 Spot Instance Requests",
}


def _quota(call: Call, arguments: JsonDict) -> JsonDict:
    code = text(arguments.get("quotaCode"))
    if arguments.get("serviceCode") != "ec2" or code not in _QUOTAS:
        raise ApiError(f"NoSuchResourceException: there is no quota {code!r} of {arguments.get('serviceCode')!r}")
    return {
        "adjustable": True,
        "quotaCode": code,
        "quotaName": _QUOTAS[code],
        "region": region(call),
        "serviceCode": "ec2",
        "value": granted(call, region(call), code),
    }


def _offerings(call: Call, arguments: JsonDict) -> JsonDict:
    kind = text(arguments.get("locationType")) or "region"
    if kind != "availability-zone":
        raise ApiError(f"the local AWS knows offers by availability-zone only, not by {kind!r}", "UNIMPLEMENTED")
    wanted = {each["name"]: each["values"] for each in arguments.get("filters") or ()}
    found = [
        (name, f"{region(call)}{letter}")
        for name in wanted.get("instance-type", MACHINES["aws"])
        for letter in ZONES
        if offered(call, f"{region(call)}{letter}", name)
    ]
    return {
        "id": region(call),
        "instanceTypes": [name for name, _ in found],
        "locations": [zone for _, zone in found],
        "locationTypes": [kind for _ in found],
        "locationType": kind,
        "region": region(call),
    }


def _instance_type(call: Call, arguments: JsonDict) -> JsonDict:
    name = text(arguments.get("instanceType"))
    found = machine("aws", name)
    return {
        "id": name,
        "instanceType": name,
        "defaultVcpus": found.vcpus,
        "memorySize": int(found.memory_gib * 1024),
        "region": region(call),
    }


def _versions(call: Call, arguments: JsonDict) -> JsonDict:
    return {
        "clusterVersions": [
            {
                "clusterType": "eks",
                "clusterVersion": version,
                "defaultVersion": version == VERSIONS[-1],
                "versionStatus": "STANDARD_SUPPORT",
            }
            for version in VERSIONS
        ],
        "region": region(call),
    }


INVOKES: dict[str, Invoke] = {
    "aws:servicequotas/getServiceQuota:getServiceQuota": _quota,
    "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": _offerings,
    "aws:ec2/getInstanceType:getInstanceType": _instance_type,
    "aws:eks/getClusterVersions:getClusterVersions": _versions,
}
"""Functions by token."""
