"""What the simulated Google Cloud answers about quotas, machine types and Kubernetes versions, from its own tables."""

from __future__ import annotations

import re

from localcloud.providers.calls import ApiError, Call, Invoke, text
from localcloud.providers.clusters import VERSIONS, patch_version
from localcloud.providers.gcp_names import place, project
from localcloud.providers.machines import MACHINES, granted, offered
from localcloud.store import JsonDict

ALL_REGIONS = "global"
"""Region of the quotas that count everywhere."""
_FAMILIES = {"NVIDIA_H100": "NVIDIA_H100_80GB_GPUS"}
"""Families of the one quota for newer GPUs, and the code that limits node pools here."""
_ZONES = "abcf"
_REGION_QUOTA = re.compile(r"(?P<metric>(PREEMPTIBLE-)?(NVIDIA-[A-Z0-9-]+-GPUS|([A-Z0-9]+-)?CPUS))-per-project-region")


def _quota(call: Call, arguments: JsonDict) -> JsonDict:
    quota, service = text(arguments.get("quotaId")), text(arguments.get("service"))
    if service != "compute.googleapis.com" or not text(arguments.get("parent")).startswith("projects/"):
        raise ApiError(f"NOT_FOUND: {arguments.get('parent')} has no quotas of {service}", "NOT_FOUND")
    region = text(call.config.get("region"))
    if quota == "GPUS-ALL-REGIONS-per-project":
        values = [_dimension({}, ALL_REGIONS, granted(call, ALL_REGIONS, "GPUS_ALL_REGIONS"))]
    elif quota == "GPUS-PER-GPU-FAMILY-per-project-region":
        values = [
            _dimension({"gpu_family": family}, region, granted(call, region, code))
            for family, code in _FAMILIES.items()
        ]
    elif found := _REGION_QUOTA.fullmatch(quota):
        values = [_dimension({}, region, granted(call, region, found["metric"].replace("-", "_")))]
    else:
        raise ApiError(f"NOT_FOUND: there is no quota {quota!r} of {service}", "NOT_FOUND")
    return {
        "containerType": "PROJECT",
        "dimensionsInfos": values,
        "parent": arguments["parent"],
        "quotaId": quota,
        "service": service,
    }


def _dimension(dimensions: JsonDict, location: str, value: float) -> JsonDict:
    return {"dimensions": dimensions, "applicableLocations": [location], "details": [{"value": f"{value:.0f}"}]}


def _zones(call: Call, arguments: JsonDict) -> JsonDict:
    region = place(call, arguments)
    names = [f"{region}-{letter}" for letter in _ZONES]
    return {"id": region, "names": names, "project": project(call, arguments), "region": region}


def _machine_types(call: Call, arguments: JsonDict) -> JsonDict:
    zone, terms = text(arguments.get("zone")), text(arguments.get("filter"))
    wanted = re.findall(r'name = "([^"]+)"', terms)
    if terms and not wanted:
        raise ApiError(f"the local Google Cloud filters machine types by name only, not by {terms!r}", "UNIMPLEMENTED")
    return {
        "id": zone,
        "machineTypes": [
            {"name": name, "guestCpus": each.vcpus, "memoryMb": int(each.memory_gib * 1024)}
            for name, each in MACHINES["gcp"].items()
            if (not terms or name in wanted) and offered(call, zone, name)
        ],
        "project": project(call, arguments),
        "zone": zone,
    }


def _versions(call: Call, arguments: JsonDict) -> JsonDict:
    versions = [f"{patch_version(version)}-gke.100" for version in reversed(VERSIONS)]
    return {
        "defaultClusterVersion": versions[0],
        "latestMasterVersion": versions[0],
        "latestNodeVersion": versions[0],
        "location": text(arguments.get("location")),
        "validMasterVersions": versions,
        "validNodeVersions": versions,
    }


INVOKES: dict[str, Invoke] = {
    "gcp:cloudquota/getSQuotaInfo:getSQuotaInfo": _quota,
    "gcp:compute/getZones:getZones": _zones,
    "gcp:compute/getMachineTypes:getMachineTypes": _machine_types,
    "gcp:container/getEngineVersions:getEngineVersions": _versions,
}
"""Functions by token."""
