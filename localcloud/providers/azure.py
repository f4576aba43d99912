"""Simulated Azure: resource groups, storage and role assignments; the rest is in `azure_*`, put together here."""

from __future__ import annotations

import re

from localcloud import ledger
from localcloud.providers import objects
from localcloud.providers.azure_aks import IDENTITY, user_credentials
from localcloud.providers.azure_aks import KINDS as AKS_KINDS
from localcloud.providers.azure_names import (
    GROUP,
    TENANT,
    arm_id,
    generic,
    group_id,
    name_rule,
    stable_uuid,
    subscription,
)
from localcloud.providers.azure_network import KINDS as NETWORK_KINDS
from localcloud.providers.azure_registry import KINDS as REGISTRY_KINDS
from localcloud.providers.azure_security import KINDS as SECURITY_KINDS
from localcloud.providers.azure_security import lockable, may_use_key
from localcloud.providers.calls import ApiError, Call, CreateResult, Kind, Vendor, text
from localcloud.store import JsonDict, Resource

_ASSIGNMENT = "azure-native:authorization:RoleAssignment"
_ACCOUNT, _CONTAINER = "azure-native:storage:StorageAccount", "azure-native:storage:BlobContainer"
_BLOB = "azure-native:storage:Blob"
_SERVICE = "azure-native:storage:BlobServiceProperties"
_DATA_READERS = {
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",  # Storage Blob Data Reader
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe",  # Storage Blob Data Contributor
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",  # Storage Blob Data Owner
}
_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def _create_group(call: Call, inputs: JsonDict) -> CreateResult:
    name = inputs["resourceGroupName"]
    where = text(inputs.get("location") or call.config.get("location"))
    if not where:
        raise ApiError("LocationRequired: a resource group needs a location", "INVALID_ARGUMENT")
    outputs = {"name": name, "location": where.lower().replace(" ", ""), "type": "Microsoft.Resources/resourceGroups"}
    return group_id(call, name), {**outputs, "properties": {"provisioningState": "Succeeded"}}


def _delete_group(call: Call, row: Resource) -> None:
    # Azure deletes what is left inside with the group; here that would hide what a program forgets to delete first.
    held = [each.id for each in call.store.resources("azure") if each.id.startswith(f"{row.id}/")]
    if held:
        raise ApiError(f"the resource group still contains resources: {', '.join(held)}")


# -- storage


def _check_encryption(call: Call, inputs: JsonDict) -> None:
    encryption = inputs.get("encryption") or {}
    if encryption.get("keySource") != "Microsoft.Keyvault":
        return
    own = text((encryption.get("encryptionIdentity") or {}).get("encryptionUserAssignedIdentity"))
    identity = call.require(IDENTITY, own, f"InvalidIdentity: the identity {own} does not exist")
    vault = text((encryption.get("keyVaultProperties") or {}).get("keyVaultUri"))
    name = vault.removeprefix("https://").partition(".")[0]
    if not may_use_key(call, identity.outputs["principalId"], name):
        raise ApiError(f"KeyVaultAuthenticationFailure: {own} may not use the keys of the vault {name!r}")


def _account_identity(inputs: JsonDict) -> JsonDict:
    identity = inputs.get("identity") or {"type": "None"}
    return {"type": identity["type"], "userAssignedIdentities": {}}


def _update_account(call: Call, row: Resource, inputs: JsonDict) -> JsonDict:
    _check_encryption(call, inputs)
    return {"identity": _account_identity(inputs)}


def _create_account(call: Call, inputs: JsonDict) -> CreateResult:
    _check_encryption(call, inputs)
    id_, outputs = generic(call, inputs)
    name = inputs["accountName"]
    hosts = {part: f"https://{name}.{part}.core.windows.net/" for part in ("blob", "dfs", "file", "queue", "table")}
    return id_, {
        **outputs,
        "identity": _account_identity(inputs),
        "primaryEndpoints": hosts,
        "primaryLocation": outputs["location"],
        "statusOfPrimary": "available",
    }


def _require_account(call: Call, inputs: JsonDict) -> None:
    group = group_id(call, inputs["resourceGroupName"])
    account = f"{group}/providers/Microsoft.Storage/storageAccounts/{inputs['accountName']}"
    call.require(_ACCOUNT, account, f"ParentResourceNotFound: the storage account {account} does not exist")


def _create_container(call: Call, inputs: JsonDict) -> CreateResult:
    _require_account(call, inputs)
    return generic(call, inputs)


def _bind_container(call: Call, row: Resource) -> JsonDict:
    for assignment in call.rows(_ASSIGNMENT):
        _put_grant(call, assignment.id, assignment.inputs, row)
    return {}


def _bucket(inputs: JsonDict) -> str:
    return f"{inputs['accountName']}/{inputs['containerName']}"


def _delete_container(call: Call, row: Resource) -> None:
    objects.empty(call, _bucket(row.inputs), force=True)
    for assignment in call.rows(_ASSIGNMENT):
        ledger.delete_grant(call.store, "azure", f"{assignment.id}@{row.id}")


def _create_service(call: Call, inputs: JsonDict) -> CreateResult:
    _require_account(call, inputs)
    return generic(call, {**inputs, "blobServicesName": "default"})


def _create_blob(call: Call, inputs: JsonDict) -> CreateResult:
    id_ = arm_id(call, inputs)
    container = id_.rpartition("/blobs/")[0]
    call.require(_CONTAINER, container, f"ContainerNotFound: {container} does not exist")
    stored = objects.put(call, _bucket(inputs), inputs["blobName"], inputs)
    url = f"https://{inputs['accountName']}.blob.core.windows.net/{inputs['containerName']}/{inputs['blobName']}"
    return url, {"name": inputs["blobName"], "url": url, "contentMd5": objects.md5_base64(stored), "type": "Block"}


def _update_blob(call: Call, row: Resource, inputs: JsonDict) -> JsonDict:
    stored = objects.put(call, _bucket(inputs), inputs["blobName"], inputs)
    return {"contentMd5": objects.md5_base64(stored)}


# -- role assignments


def _put_grant(call: Call, id_: str, inputs: JsonDict, container: Resource) -> None:
    role = text(inputs["roleDefinitionId"]).rpartition("/")[2]
    if role not in _DATA_READERS or not f"{container.id}/".startswith(f"{inputs['scope']}/"):
        return
    for identity in call.rows(IDENTITY):
        if identity.outputs.get("principalId") == inputs["principalId"]:
            client = text(identity.outputs["clientId"])
            grant = ledger.Grant("azure", f"{id_}@{container.id}", client, _bucket(container.inputs), "")
            ledger.put_grant(call.store, grant)


def _create_assignment(call: Call, inputs: JsonDict) -> CreateResult:
    for key, what in (("roleAssignmentName", inputs["roleAssignmentName"]), ("principalId", inputs["principalId"])):
        if not re.fullmatch(_UUID, text(what).lower()):
            raise ApiError(f"InvalidRoleAssignmentId: {key} {what!r} must be a UUID", "INVALID_ARGUMENT")
    if inputs.get("condition") and inputs.get("conditionVersion") != "2.0":
        raise ApiError("InvalidConditionVersion: a condition needs the version 2.0", "INVALID_ARGUMENT")
    for other in call.rows(_ASSIGNMENT):
        if all(other.inputs[key] == inputs[key] for key in ("principalId", "roleDefinitionId", "scope")):
            raise ApiError(f"RoleAssignmentExists: the role assignment already exists: {other.id}", "ALREADY_EXISTS")
    id_ = arm_id(call, inputs)
    for container in call.rows(_CONTAINER):
        _put_grant(call, id_, inputs, container)
    return id_, {"name": inputs["roleAssignmentName"], "type": "Microsoft.Authorization/roleAssignments"}


def _delete_assignment(call: Call, row: Resource) -> None:
    for container in call.rows(_CONTAINER):
        ledger.delete_grant(call.store, "azure", f"{row.id}@{container.id}")


# -- the vendor


def _client_config(call: Call, arguments: JsonDict) -> JsonDict:
    client = stable_uuid("local-client")
    return {"subscriptionId": subscription(call), "tenantId": TENANT, "clientId": client, "objectId": client}


_KINDS = {
    GROUP: Kind(_create_group, delete=_delete_group),
    _ACCOUNT: Kind(_create_account, update=_update_account),
    _CONTAINER: Kind(_create_container, wait=_bind_container, delete=_delete_container),
    _SERVICE: Kind(_create_service, upsert=True),
    _BLOB: Kind(
        _create_blob,
        update=_update_blob,
        delete=lambda call, row: objects.delete(call, _bucket(row.inputs), row.inputs["blobName"]),
        upsert=True,
    ),
    _ASSIGNMENT: Kind(_create_assignment, delete=_delete_assignment),
    **AKS_KINDS,
    **NETWORK_KINDS,
    **REGISTRY_KINDS,
    **SECURITY_KINDS,
}
KINDS = lockable(_KINDS)
VENDOR = Vendor(
    package="azure-native",
    cloud="azure",
    distribution="pulumi-azure-native",
    kinds=KINDS,
    invokes={
        "azure-native:authorization:getClientConfig": _client_config,
        "azure-native:containerservice:listManagedClusterUserCredentials": user_credentials,
    },
    generic=generic,
    common=lambda call, inputs: {"azureApiVersion": "2025-10-01"},
    name_rule=name_rule,
    check_config=lambda config: [],
    replaces_config=("subscriptionId",),
)
