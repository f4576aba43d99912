"""Simulated AKS: control planes with their system pools, agent pools, kubeconfigs, federated identities."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from localcloud import ledger
from localcloud.providers import clusters
from localcloud.providers.azure_names import TENANT, arm_id, generic, group_id, location, stable_uuid
from localcloud.providers.azure_network import SUBNET
from localcloud.providers.azure_security import require_disks
from localcloud.providers.calls import ApiError, Call, CreateResult, Kind, text, unique
from localcloud.providers.machines import free_capacity, machine, require_quota
from localcloud.store import JsonDict, Resource

CLUSTER, POOL = "azure-native:containerservice:ManagedCluster", "azure-native:containerservice:AgentPool"
IDENTITY = "azure-native:managedidentity:UserAssignedIdentity"
_CREDENTIAL = "azure-native:managedidentity:FederatedIdentityCredential"
_SPOT_TAINT = {"key": "kubernetes.azure.com/scalesetpriority", "value": "spot", "effect": "NoSchedule"}
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_DEFAULT_VERSION = "1.36"
_MAINTENANCE = ("default", "aksManagedAutoUpgradeSchedule", "aksManagedNodeOSUpgradeSchedule")
_MOST_CREDENTIALS = 20


# -- agent pools


def _taint(written: str) -> JsonDict:
    match = re.fullmatch(r"([^=:]+)(?:=([^:]*))?:(\w+)", written)
    if match is None or match.group(3) not in _EFFECTS:
        raise ApiError(f"InvalidParameter: node taint {written!r} must be key=value:{'|'.join(_EFFECTS)}")
    return {"key": match.group(1), "value": match.group(2) or "", "effect": match.group(3)}


def _limits(profile: JsonDict) -> tuple[int, int, int]:
    count = int(profile.get("count") or 0)
    if not profile.get("enableAutoScaling"):
        return count, max(count, 1), count
    least, most = int(profile.get("minCount") or 0), int(profile.get("maxCount") or 0)
    return least, most, max(least, min(most, count))


def _spec(call: Call, cluster: str, name: str, where: str, profile: JsonDict) -> JsonDict:
    least, most, desired = _limits(profile)
    clusters.require_sizes(least, most)
    size = text(profile.get("vmSize")) or "Standard_D4s_v5"
    found = machine("azure", size)
    numbers = profile.get("availabilityZones") or []
    zones = [f"{where}-{number}" for number in numbers] or ["0"]
    spot = profile.get("scaleSetPriority") == "Spot"
    quota = found.counted(spot)
    used = sum(
        pool.spec["min"] * pool.spec["vcpus"]
        for pool in call.store.pools("azure")
        if pool.spec.get("quota") == quota and pool.id != clusters.pool_id(cluster, name)
    )
    require_quota(
        call, where, quota, used + least * found.vcpus,
        f"ErrCode_InsufficientVCPUQuota: requested {{needed}} vCPUs of {quota} in {where}, limit {{maximum}}",
    )  # fmt: skip
    free = free_capacity(call, zones, size)
    if free is not None and free < least:
        raise ApiError(f"AllocationFailed: not enough {size} in {', '.join(zones)}", "RESOURCE_EXHAUSTED")
    if spot and profile.get("mode") == "System":
        raise ApiError(f"InvalidParameter: system pool {name!r} cannot have priority Spot")
    if spot and profile.get("capacityReservationGroupID"):
        raise ApiError(f"InvalidParameter: spot pool {name!r} cannot use a capacity reservation", "INVALID_ARGUMENT")
    driver = text((profile.get("gpuProfile") or {}).get("driver")) or "Install"
    if found.gpus and driver == "Install" and (profile.get("securityProfile") or {}).get("enableSecureBoot"):
        raise ApiError(f"InvalidParameter: pool {name!r}: the GPU driver does not start with Secure Boot")
    taints = [_taint(each) for each in profile.get("nodeTaints") or []]
    labels = {"kubernetes.azure.com/agentpool": name, "kubernetes.azure.com/mode": text(profile.get("mode")).lower()}
    if found.gpus:
        labels["kubernetes.azure.com/accelerator"] = "nvidia"
    if spot:
        labels["kubernetes.azure.com/scalesetpriority"] = "spot"
        taints += [] if _SPOT_TAINT in taints else [_SPOT_TAINT]
    return {
        "machine_type": size,
        "gpus": found.gpus if driver == "Install" else 0,
        "labels": {**labels, **(profile.get("nodeLabels") or {})},
        "taints": taints,
        "min": least,
        "max": most,
        "desired": desired,
        "zones": zones,
        "spot": spot,
        "vcpus": found.vcpus,
        "memory_gib": found.memory_gib,
        "quota": quota,
    }


def _cluster_row(call: Call, inputs: JsonDict) -> Resource:
    id_ = _cluster_id(call, inputs)
    return call.require(CLUSTER, id_, f"ResourceNotFound: the cluster {id_} was not found")


def _cluster_id(call: Call, inputs: JsonDict) -> str:
    group = group_id(call, inputs.get("resourceGroupName"))
    return f"{group}/providers/Microsoft.ContainerService/managedClusters/{inputs.get('resourceName')}"


def _create_pool(call: Call, inputs: JsonDict) -> CreateResult:
    id_ = arm_id(call, inputs)
    cluster, name = _cluster_row(call, inputs), inputs["agentPoolName"]
    if clusters.find_pool(call, cluster.inputs["resourceName"], name) is not None:
        raise ApiError(f"cannot create already existing resource {id_!r}", "ALREADY_EXISTS")
    mode = inputs.get("mode", "User")
    profile = {**inputs, "mode": mode}
    spec = _spec(call, inputs["resourceName"], name, text(cluster.outputs["location"]), profile)
    clusters.begin_pool(call, inputs["resourceName"], name, spec)
    return id_, {
        "name": name,
        "type": "Microsoft.ContainerService/managedClusters/agentPools",
        "provisioningState": "Creating",
        "currentOrchestratorVersion": cluster.outputs["currentKubernetesVersion"],
        "nodeImageVersion": "AKSUbuntu-2404gen2containerd-202601.01.0",
        "mode": mode,
        "count": spec["desired"],
        "powerState": {"code": "Running"},
    }


def _wait_for_pool(call: Call, row: Resource) -> JsonDict:
    clusters.wait_for_pool(call, row.inputs["resourceName"], row.inputs["agentPoolName"])
    return {"provisioningState": "Succeeded"}


def _update_pool(call: Call, row: Resource, inputs: JsonDict) -> JsonDict:
    cluster, name = _cluster_row(call, inputs), inputs["agentPoolName"]
    profile = {**inputs, "mode": inputs.get("mode", "User")}
    spec = _spec(call, inputs["resourceName"], name, text(cluster.outputs["location"]), profile)
    clusters.begin_pool(call, inputs["resourceName"], name, spec)
    return {}


# -- clusters


def _profiles(inputs: JsonDict) -> list[JsonDict]:
    profiles = inputs.get("agentPoolProfiles") or []
    if not any(profile.get("mode") == "System" for profile in profiles):
        raise ApiError("InvalidParameter: agentPoolProfiles needs a pool of mode System", "INVALID_ARGUMENT")
    return [dict(profile) for profile in profiles]


def _put_profiles(call: Call, cluster: str, where: str, inputs: JsonDict) -> None:
    for profile in _profiles(inputs):
        clusters.begin_pool(call, cluster, profile["name"], _spec(call, cluster, profile["name"], where, profile))


def _check_identities(call: Call, inputs: JsonDict) -> None:
    for id_ in (inputs.get("identity") or {}).get("userAssignedIdentities") or []:
        call.require(IDENTITY, id_, f"InvalidIdentity: the identity {id_} does not exist")


def _check_access(call: Call, inputs: JsonDict) -> None:
    access = inputs.get("apiServerAccessProfile") or {}
    if access.get("enablePrivateCluster") and access.get("authorizedIPRanges"):
        raise ApiError("InvalidParameter: a private cluster has no authorizedIPRanges", "INVALID_ARGUMENT")
    if access.get("enableVnetIntegration"):
        id_ = text(access.get("subnetId"))
        subnet = call.require(SUBNET, id_, f"InvalidParameter: the API servers' subnet {id_!r} does not exist")
        services = [each.get("serviceName") for each in subnet.inputs.get("delegations") or []]
        if services != ["Microsoft.ContainerService/managedClusters"]:
            raise ApiError(f"InvalidParameter: {id_} must be delegated to Microsoft.ContainerService/managedClusters")
    if disks := inputs.get("diskEncryptionSetID"):
        require_disks(call, text(disks))


def _create_cluster(call: Call, inputs: JsonDict) -> CreateResult:
    id_, name, where = arm_id(call, inputs), inputs["resourceName"], location(call, inputs)
    _check_identities(call, inputs)
    _check_access(call, inputs)
    if not inputs.get("dnsPrefix") and not inputs.get("fqdnSubdomain"):
        raise ApiError("InvalidParameter: dnsPrefix is required", "INVALID_ARGUMENT")
    for profile in _profiles(inputs):
        _spec(call, name, profile["name"], where, profile)
    version = text(inputs.get("kubernetesVersion")) or _DEFAULT_VERSION
    enabled = bool((inputs.get("oidcIssuerProfile") or {}).get("enabled"))
    issuer = f"https://{where}.oic.prod-aks.azure.com/{TENANT}/{stable_uuid(id_)}/" if enabled else ""
    clusters.begin_cluster(call, name, version, where, {"issuer": issuer, "resource": id_})
    nodes = text(inputs.get("nodeResourceGroup")) or f"MC_{inputs['resourceGroupName']}_{name}_{where}"
    agents = f"{group_id(call, nodes)}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
    kubelet = {
        "clientId": stable_uuid(id_, "kubelet", "client"),
        "objectId": stable_uuid(id_, "kubelet", "object"),
        "resourceId": f"{agents}/{name}-agentpool",
    }
    return id_, {
        "name": name,
        "type": "Microsoft.ContainerService/managedClusters",
        "location": where,
        "provisioningState": "Creating",
        "currentKubernetesVersion": clusters.patch_version(version),
        "kubernetesVersion": version,
        "nodeResourceGroup": nodes,
        "identityProfile": {"kubeletidentity": kubelet, **(inputs.get("identityProfile") or {})},
        "oidcIssuerProfile": {"enabled": enabled, "issuerURL": issuer},
        "identity": _identity_outputs(call, id_, inputs),
        "maxAgentPools": 100,
        "powerState": {"code": "Running"},
        "resourceUID": unique("", 24),
    }


def _identity_outputs(call: Call, id_: str, inputs: JsonDict) -> JsonDict:
    identity = inputs.get("identity") or {"type": "SystemAssigned"}
    assigned: dict[str, Any] = {}
    for each in identity.get("userAssignedIdentities") or []:
        row = call.row(IDENTITY, each)
        assigned[each] = {key: row.outputs[key] for key in ("clientId", "principalId")} if row is not None else {}
    principal = {} if assigned else {"principalId": stable_uuid(id_, "principal")}
    return {"type": identity.get("type"), "tenantId": TENANT, "userAssignedIdentities": assigned, **principal}


def _wait_for_cluster(call: Call, row: Resource) -> JsonDict:
    name = row.inputs["resourceName"]
    cluster = clusters.wait_for_cluster(call, name)
    where = text(row.outputs["location"])
    _put_profiles(call, name, where, row.inputs)
    for profile in _profiles(row.inputs):
        clusters.wait_for_pool(call, name, profile["name"])
    host = cluster.endpoint.removeprefix("https://").rpartition(":")[0]
    return {"provisioningState": "Succeeded", "fqdn": host, "azurePortalFQDN": host}


def _update_cluster(call: Call, row: Resource, inputs: JsonDict) -> JsonDict:
    _check_access(call, inputs)
    version = text(inputs.get("kubernetesVersion")) or _DEFAULT_VERSION
    call.store.set_cluster("azure", row.inputs["resourceName"], version=version)
    computed = ("identityProfile", "oidcIssuerProfile", "nodeResourceGroup")
    kept = {key: row.outputs[key] for key in computed if key in row.outputs}
    return {**kept, "identity": _identity_outputs(call, row.id, inputs), "kubernetesVersion": version}


def _delete_cluster(call: Call, row: Resource) -> None:
    clusters.end_cluster(call, row.inputs["resourceName"])


def user_credentials(call: Call, arguments: JsonDict) -> JsonDict:
    """Return the kubeconfig of an AAD cluster: server, certificate authority and the `kubelogin` command."""
    row = _cluster_row(call, arguments)
    name = row.inputs["resourceName"]
    cluster = call.store.cluster("azure", name)
    if cluster is None or cluster.status != "active":
        raise ApiError(f"the cluster {name} is not active")
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": "kubelogin",
            "args": ["get-token", "--login", "azurecli", "--server-id", "6dae42f8-4368-4678-94ff-3960e28e3630"],
            "provideClusterInfo": True,
            "interactiveMode": "Never",
        }
    }
    server = {"server": cluster.endpoint, "certificate-authority-data": clusters.authority(cluster)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": server}],
        "users": [{"name": "clusterUser", "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "clusterUser"}}],
        "current-context": name,
    }
    value = base64.b64encode(json.dumps(config).encode()).decode()  # JSON is YAML
    return {"kubeconfigs": [{"name": "clusterUser", "value": value}]}


# -- identities


def _create_identity(call: Call, inputs: JsonDict) -> CreateResult:
    id_ = arm_id(call, inputs)
    return id_, {
        "name": inputs["resourceName"],
        "type": "Microsoft.ManagedIdentity/userAssignedIdentities",
        "location": location(call, inputs),
        "clientId": stable_uuid(id_, "client"),
        "principalId": stable_uuid(id_, "principal"),
        "tenantId": TENANT,
    }


def _create_maintenance(call: Call, inputs: JsonDict) -> CreateResult:
    if inputs.get("configName") not in _MAINTENANCE:
        raise ApiError(f"InvalidParameter: configName must be one of {', '.join(_MAINTENANCE)}", "INVALID_ARGUMENT")
    _cluster_row(call, inputs)
    return generic(call, inputs)


def _put_identity(call: Call, id_: str, inputs: JsonDict) -> None:
    match = re.fullmatch(r"system:serviceaccount:([^:]+):([^:]+)", inputs["subject"])
    if match is None and inputs["subject"].startswith("system:"):
        raise ApiError(f"InvalidParameter: subject {inputs['subject']!r} must be system:serviceaccount:NAMESPACE:NAME")
    if not text(inputs["issuer"]).startswith("https://"):
        raise ApiError(f"InvalidParameter: issuer {inputs['issuer']!r} must be an https address", "INVALID_ARGUMENT")
    if inputs["audiences"] != ["api://AzureADTokenExchange"]:
        raise ApiError("InvalidParameter: audiences must be ['api://AzureADTokenExchange']", "INVALID_ARGUMENT")
    parent = f"{id_.rpartition('/federatedIdentityCredentials/')[0]}"
    identity = call.require(IDENTITY, parent, f"ParentResourceNotFound: {parent} does not exist")
    siblings = [each for each in call.rows(_CREDENTIAL) if each.id.startswith(f"{parent}/") and each.id != id_]
    if len(siblings) >= _MOST_CREDENTIALS:
        raise ApiError(f"LimitExceeded: {parent} has {_MOST_CREDENTIALS} federated credentials already")
    for cluster in call.store.clusters("azure"):
        if match is not None and cluster.attributes.get("issuer") == inputs["issuer"]:
            ledger.put_identity(
                call.store,
                ledger.Identity("azure", id_, cluster.id, match[1], match[2], text(identity.outputs["clientId"])),
            )


def _create_credential(call: Call, inputs: JsonDict) -> CreateResult:
    id_ = arm_id(call, inputs)
    _put_identity(call, id_, inputs)
    return id_, {"name": inputs["federatedIdentityCredentialResourceName"]}


def _update_credential(call: Call, row: Resource, inputs: JsonDict) -> JsonDict:
    ledger.delete_identity(call.store, "azure", row.id)
    _put_identity(call, row.id, inputs)
    return {}


KINDS = {
    CLUSTER: Kind(_create_cluster, _wait_for_cluster, _update_cluster, _delete_cluster),
    POOL: Kind(
        _create_pool,
        _wait_for_pool,
        _update_pool,
        lambda call, row: clusters.end_pool(call, row.inputs["resourceName"], row.inputs["agentPoolName"]),
    ),
    "azure-native:containerservice:MaintenanceConfiguration": Kind(_create_maintenance, upsert=True),
    IDENTITY: Kind(_create_identity),
    _CREDENTIAL: Kind(
        _create_credential,
        update=_update_credential,
        delete=lambda call, row: ledger.delete_identity(call.store, "azure", row.id),
    ),
}
