"""Simulated GKE: control planes, node pools, and who a workload of a cluster is."""

from __future__ import annotations

import re

from localcloud import ledger
from localcloud.providers import clusters, gcp_kms
from localcloud.providers.calls import ApiError, Call, CreateResult, Kind, text
from localcloud.providers.gcp_names import place, project, self_link, valid_name
from localcloud.providers.machines import ATTACHABLE, Machine, free_capacity, machine, preemptible, require_quota
from localcloud.store import JsonDict, Resource

CLUSTER, POOL = "gcp:container/cluster:Cluster", "gcp:container/nodePool:NodePool"
MEMBER = "gcp:storage/bucketIAMMember:BucketIAMMember"
_SUBJECT = re.compile(
    r"principal://iam\.googleapis\.com/projects/\d+/locations/global/workloadIdentityPools/"
    r"(?P<pool>[^/]+)/subject/ns/(?P<namespace>[^/]+)/sa/(?P<account>[^/]+)"
)
_EFFECTS = {"NO_SCHEDULE": "NoSchedule", "PREFER_NO_SCHEDULE": "PreferNoSchedule", "NO_EXECUTE": "NoExecute"}
_GPU_TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
_DEFAULT_VERSION = "1.36"
_DEFAULT_MACHINE = "e2-standard-2"


# -- workload identity


def subject(member: str) -> tuple[str, str, str] | None:
    """Return workload pool, namespace and service account of an IAM member that is a Kubernetes workload."""
    match = _SUBJECT.fullmatch(member)
    return (match["pool"], match["namespace"], match["account"]) if match else None


def _clusters_of(call: Call, pool: str) -> list[str]:
    return [each.id for each in call.store.clusters("gcp") if each.attributes.get("workload_pool") == pool]


def require_pool_exists(call: Call, member: str) -> None:
    """Check that a member's workload pool exists: it comes with the project's first cluster that uses it.

    Raises:
        ApiError: If not.
    """
    found = subject(member)
    if found is not None and not _clusters_of(call, found[0]):
        raise ApiError(f"badRequest: Identity Pool does not exist ({found[0]})", "INVALID_ARGUMENT")


def bind_identities(call: Call, id_: str, member: str) -> None:
    """Let a service account act as an IAM member in every cluster of its workload pool."""
    found = subject(member)
    for cluster in _clusters_of(call, found[0]) if found is not None else []:
        _, namespace, account = found or ("", "", "")
        identity = ledger.Identity("gcp", f"{id_}@{cluster}", cluster, namespace, account, member)
        ledger.put_identity(call.store, identity)


def unbind_identities(call: Call, id_: str) -> None:
    """Take back what `bind_identities` gave."""
    for identity in ledger.identities(call.store, "gcp"):
        if identity.id == f"{id_}@{identity.cluster_id}":
            ledger.delete_identity(call.store, "gcp", identity.id)


# -- clusters


def _create_cluster(call: Call, inputs: JsonDict) -> CreateResult:
    name, where = valid_name(inputs.get("name")), place(call, inputs)
    if not inputs.get("removeDefaultNodePool") and not inputs.get("nodePools"):
        raise ApiError(
            "the local Google Cloud keeps no default node pool: set removeDefaultNodePool and add node pools"
        )
    if not inputs.get("initialNodeCount"):
        raise ApiError("badRequest: Cluster.initial_node_count must be greater than zero", "INVALID_ARGUMENT")
    _check_endpoints(inputs)
    encryption = inputs.get("databaseEncryption") or {}
    if (encryption.get("state") == "ENCRYPTED") != bool(encryption.get("keyName")):
        raise ApiError("badRequest: databaseEncryption needs a keyName when it is ENCRYPTED, and only then")
    gcp_kms.require_key(call, encryption.get("keyName"), where, "container-engine-robot")
    version = text(inputs.get("minMasterVersion")) or _DEFAULT_VERSION
    pool = text((inputs.get("workloadIdentityConfig") or {}).get("workloadPool"))
    id_ = f"projects/{project(call, inputs)}/locations/{where}/clusters/{name}"
    issuer = self_link("container", id_).replace("www.googleapis.com/container", "container.googleapis.com")
    clusters.begin_cluster(call, name, version, where, {"issuer": issuer, "workload_pool": pool, "resource": id_})
    return id_, {
        "selfLink": self_link("container", id_),
        "location": where,
        "masterVersion": f"{clusters.patch_version(version)}-gke.1000000",
        "nodeLocations": inputs.get("nodeLocations") or [f"{where}-{letter}" for letter in "abc"],
        "deletionProtection": inputs.get("deletionProtection", True),
    }


def _check_endpoints(inputs: JsonDict) -> None:
    """Check that a cluster can be reached, and by address only by whom it names."""
    endpoints = inputs.get("controlPlaneEndpointsConfig") or {}
    by_address = (endpoints.get("ipEndpointsConfig") or {}).get("enabled", True)
    if by_address:
        return
    if not (endpoints.get("dnsEndpointConfig") or {}).get("allowExternalTraffic"):
        raise ApiError("badRequest: without IP endpoints the DNS endpoint must allow external traffic")
    if inputs.get("masterAuthorizedNetworksConfig"):
        raise ApiError("badRequest: authorized networks need IP endpoints")


def _reachable(inputs: JsonDict, host: str, authority: str) -> JsonDict:
    """Return how a cluster is reached: here its DNS name is the address of its API server, too."""
    given = inputs.get("controlPlaneEndpointsConfig") or {}
    by_name = {"allowExternalTraffic": False, **(given.get("dnsEndpointConfig") or {}), "endpoint": host}
    by_address = given.get("ipEndpointsConfig") or {"enabled": True}
    return {
        "endpoint": host,
        "masterAuth": {**(inputs.get("masterAuth") or {}), "clusterCaCertificate": authority},
        "controlPlaneEndpointsConfig": {"dnsEndpointConfig": by_name, "ipEndpointsConfig": by_address},
    }


def _wait_for_cluster(call: Call, row: Resource) -> JsonDict:
    cluster = clusters.wait_for_cluster(call, row.inputs["name"])
    for member in call.rows(MEMBER):
        bind_identities(call, member.id, member.inputs["member"])
    return _reachable(row.inputs, cluster.endpoint.removeprefix("https://"), clusters.authority(cluster))


def _update_cluster(call: Call, row: Resource, inputs: JsonDict) -> JsonDict:
    _check_endpoints(inputs)
    version = text(inputs.get("minMasterVersion")) or _DEFAULT_VERSION
    call.store.set_cluster("gcp", row.inputs["name"], version=version)
    cluster = clusters.wait_for_cluster(call, row.inputs["name"])
    return {
        **_reachable(inputs, cluster.endpoint.removeprefix("https://"), clusters.authority(cluster)),
        "masterVersion": f"{clusters.patch_version(version)}-gke.1000000",
        "deletionProtection": inputs.get("deletionProtection", True),
    }


def _delete_cluster(call: Call, row: Resource) -> None:
    if row.inputs.get("deletionProtection", True):
        raise ApiError(f"cannot destroy cluster {row.id} without setting deletionProtection to false")
    clusters.end_cluster(call, row.inputs["name"])


# -- node pools


def _cluster_of(call: Call, inputs: JsonDict) -> Resource:
    reference = text(inputs["cluster"])
    for row in call.rows(CLUSTER):
        if reference in (row.id, row.inputs["name"]):
            return row
    raise ApiError(f"notFound: the cluster {reference!r} was not found", "NOT_FOUND")


def _accelerators(machine_type: str, found: Machine, node: JsonDict) -> tuple[int, str]:
    """Return number and type of a node's GPUs.

    Raises:
        ApiError: If machine type and accelerator do not go together.
    """
    wanted = (node.get("guestAccelerators") or [None])[0]
    if wanted is None:
        return (found.gpus, found.accelerator) if found.accelerator else (0, "")
    kind, count = wanted["type"], int(wanted["count"])
    known = {*ATTACHABLE, "nvidia-l4", "nvidia-tesla-a100", "nvidia-a100-80gb", "nvidia-h100-80gb"}
    if kind not in known:
        raise ApiError(f"accelerator type {kind!r} does not exist; use one of {', '.join(sorted(known))}")
    if found.accelerator:
        if (kind, count) != (found.accelerator, found.gpus):
            raise ApiError(f"{machine_type} comes with {found.gpus} {found.accelerator}, not with {count} {kind}")
    elif not machine_type.startswith(ATTACHABLE.get(kind, ())):
        raise ApiError(f"accelerator {kind} cannot be attached to {machine_type}")
    return count, kind


def _limits(inputs: JsonDict, zones: int) -> tuple[int, int]:
    scaling = inputs.get("autoscaling") or {}
    if "totalMaxNodeCount" in scaling:
        return int(scaling.get("totalMinNodeCount") or 0), int(scaling["totalMaxNodeCount"])
    if scaling:
        return int(scaling.get("minNodeCount") or 0) * zones, int(scaling["maxNodeCount"]) * zones
    count = int(inputs.get("nodeCount") or inputs.get("initialNodeCount") or 0) * zones
    return count, max(count, 1)


def _taints(call: Call, cluster: str, name: str, node: JsonDict, gpus: int) -> list[JsonDict]:
    declared = [
        {"key": each["key"], "value": text(each.get("value")), "effect": _EFFECTS[each["effect"]]}
        for each in node.get("taints") or []
    ]
    own = clusters.pool_id(cluster, name)
    # GKE adds the taint only where other nodes can take the pods without GPUs.
    others = any(not pool.spec["gpus"] and pool.id != own for pool in call.store.pools("gcp", cluster))
    return [*declared, _GPU_TAINT] if gpus and others and _GPU_TAINT not in declared else declared


def _check_node(call: Call, row: Resource, node: JsonDict, zones: list[str]) -> None:
    """Check what nodes need beside a machine: a key that disks may use, and a reservation's own zone."""
    gcp_kms.require_key(call, node.get("bootDiskKmsKey"), text(row.outputs["location"]), "compute-system")
    reservation = node.get("reservationAffinity") or {}
    if reservation.get("consumeReservationType") == "SPECIFIC_RESERVATION":
        if not reservation.get("key") or not reservation.get("values"):
            raise ApiError("badRequest: a specific reservation needs key and values", "INVALID_ARGUMENT")
        if node.get("spot"):
            raise ApiError("badRequest: spot nodes cannot consume a reservation", "INVALID_ARGUMENT")
    outside = [zone for zone in zones if zone.rpartition("-")[0] != row.outputs["location"]]
    if outside:
        raise ApiError(f"badRequest: {', '.join(outside)} is not in {row.outputs['location']}", "INVALID_ARGUMENT")


def _spec(call: Call, row: Resource, inputs: JsonDict) -> JsonDict:
    cluster, name, node = row.inputs["name"], inputs["name"], inputs.get("nodeConfig") or {}
    zones = inputs.get("nodeLocations") or row.outputs["nodeLocations"]
    _check_node(call, row, node, zones)
    least, most = _limits(inputs, len(zones))
    clusters.require_sizes(least, most)
    machine_type = text(node.get("machineType")) or _DEFAULT_MACHINE
    found = machine("gcp", machine_type)
    gpus, accelerator = _accelerators(machine_type, found, node)
    quota = accelerator.upper().replace("-TESLA", "").replace("-", "_") + "_GPUS" if gpus else "CPUS"
    if node.get("spot"):
        quota = preemptible(call, text(row.outputs["location"]), quota)
    size = gpus or found.vcpus
    used = sum(
        pool.spec["min"] * (pool.spec["gpus"] or pool.spec["vcpus"])
        for pool in call.store.pools("gcp")
        if pool.spec.get("quota") == quota and pool.id != clusters.pool_id(cluster, name)
    )
    require_quota(
        call, text(row.outputs["location"]), quota, used + least * size,
        f"QUOTA_EXCEEDED: insufficient quota for {quota}: limit {{maximum}}, needed {{needed}}",
    )  # fmt: skip
    free = free_capacity(call, zones, machine_type)
    if free is not None and free < least:
        where = ", ".join(zones)
        raise ApiError(f"ZONE_RESOURCE_POOL_EXHAUSTED: not enough {machine_type} in {where}", "RESOURCE_EXHAUSTED")
    labels = {"cloud.google.com/gke-nodepool": name, **(node.get("labels") or {})}
    if gpus:
        labels["cloud.google.com/gke-accelerator"] = accelerator
    if node.get("spot"):
        labels["cloud.google.com/gke-spot"] = "true"
    return {
        "machine_type": machine_type,
        "gpus": gpus,
        "labels": labels,
        "taints": _taints(call, cluster, name, node, gpus),
        "min": least,
        "max": most,
        "desired": least,
        "zones": zones,
        "spot": bool(node.get("spot")),
        "vcpus": found.vcpus,
        "memory_gib": found.memory_gib,
        "quota": quota,
    }


def _create_pool(call: Call, inputs: JsonDict) -> CreateResult:
    row, name = _cluster_of(call, inputs), valid_name(inputs.get("name"))
    cluster = row.inputs["name"]
    if clusters.find_pool(call, cluster, name) is not None:
        raise ApiError(f"alreadyExists: {row.id}/nodePools/{name} already exists", "ALREADY_EXISTS")
    clusters.begin_pool(call, cluster, name, _spec(call, row, inputs))
    group = f"https://www.googleapis.com/compute/v1/projects/{project(call, inputs)}/instanceGroups/gke-{name}"
    return f"{row.id}/nodePools/{name}", {
        "location": row.outputs["location"],
        "nodeLocations": inputs.get("nodeLocations") or row.outputs["nodeLocations"],
        "instanceGroupUrls": [group],
        "managedInstanceGroupUrls": [group],
        "version": row.outputs["masterVersion"],
        "maxPodsPerNode": 110,
    }


def _wait_for_pool(call: Call, row: Resource) -> JsonDict:
    clusters.wait_for_pool(call, _cluster_of(call, row.inputs).inputs["name"], row.inputs["name"])
    return {}


def _update_pool(call: Call, row: Resource, inputs: JsonDict) -> JsonDict:
    cluster = _cluster_of(call, inputs)
    clusters.begin_pool(call, cluster.inputs["name"], inputs["name"], _spec(call, cluster, inputs))
    return {}


def _delete_pool(call: Call, row: Resource) -> None:
    clusters.end_pool(call, row.id.split("/")[5], row.inputs["name"])


KINDS = {
    CLUSTER: Kind(
        _create_cluster,
        _wait_for_cluster,
        _update_cluster,
        _delete_cluster,
        computed=("controlPlaneEndpointsConfig.dnsEndpointConfig.endpoint", "masterAuth.clusterCaCertificate"),
    ),
    POOL: Kind(_create_pool, _wait_for_pool, _update_pool, _delete_pool),
}
