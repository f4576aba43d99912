"""Simulated Azure: key vaults and keys, disk encryption, locks, and the audit logs of other resources."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from localcloud.providers.azure_names import arm_id, generic, stable_uuid
from localcloud.providers.calls import ApiError, Call, CreateResult, Kind, text
from localcloud.store import JsonDict, Resource

LOCK = "azure-native:authorization:ManagementLockByScope"
_VAULT, KEY = "azure-native:keyvault:Vault", "azure-native:keyvault:Key"
_DISKS = "azure-native:compute:DiskEncryptionSet"
_WORKSPACE, _DIAGNOSTICS = "azure-native:operationalinsights:Workspace", "azure-native:monitor:DiagnosticSetting"
_ASSIGNMENT = "azure-native:authorization:RoleAssignment"
_KEY_USER = "e147488a-f6f5-4113-8e2d-b22465e65bf6"
_DESTINATIONS = ("workspaceId", "storageAccountId", "eventHubAuthorizationRuleId", "marketplacePartnerId")


def _create_vault(call: Call, inputs: JsonDict) -> CreateResult:
    id_, outputs = generic(call, inputs)
    name = id_.rpartition("/")[2]
    # Vaults are named worldwide, and a deleted one keeps its name for as long as it could be recovered.
    if any(
        each["type"] == _VAULT and text(each["id"]).rpartition("/")[2] == name for each in call.store.events("azure")
    ):
        raise ApiError(f"VaultAlreadyExists: the name {name!r} is in use, maybe by a deleted vault", "ALREADY_EXISTS")
    properties = {**inputs["properties"], "vaultUri": f"https://{name}.vault.azure.net/"}
    return id_, {**outputs, "properties": properties}


def _create_key(call: Call, inputs: JsonDict) -> CreateResult:
    id_, outputs = generic(call, inputs)
    vault = id_.rpartition("/keys/")[0]
    call.require(_VAULT, vault, f"ParentResourceNotFound: the vault {vault} does not exist")
    uri = f"https://{inputs['vaultName']}.vault.azure.net/keys/{inputs['keyName']}"
    version = stable_uuid(id_, "version").replace("-", "")
    return id_, {**outputs, "keyUri": uri, "keyUriWithVersion": f"{uri}/{version}"}


def may_use_key(call: Call, principal: object, vault_name: str) -> bool:
    """Return whether an identity has the role to use the keys of a vault."""
    return any(
        each.inputs["principalId"] == principal
        and text(each.inputs["roleDefinitionId"]).endswith(_KEY_USER)
        and f"{each.inputs['scope']}/".partition("/vaults/")[2].startswith(f"{vault_name}/")
        for each in call.rows(_ASSIGNMENT)
    )


def _create_disks(call: Call, inputs: JsonDict) -> CreateResult:
    id_, outputs = generic(call, inputs)
    url = text((inputs.get("activeKey") or {}).get("keyUrl"))
    if not any(url == key.outputs.get("keyUriWithVersion") for key in call.rows(KEY)):
        raise ApiError(f"KeyVaultKeyNotFound: there is no key {url!r}", "NOT_FOUND")
    identity = {**(inputs.get("identity") or {}), "principalId": stable_uuid(id_, "principal")}
    return id_, {**outputs, "identity": identity}


def _update_disks(call: Call, row: Resource, inputs: JsonDict) -> JsonDict:
    return {"identity": row.outputs["identity"]}


def require_disks(call: Call, id_: str) -> None:
    """Refuse a disk encryption set that does not exist or cannot use its key.

    Raises:
        ApiError: As Azure would.
    """
    row = call.require(_DISKS, id_, f"InvalidParameter: the disk encryption set {id_} does not exist")
    vault = text(row.inputs["activeKey"]["keyUrl"]).removeprefix("https://").partition(".")[0]
    if not may_use_key(call, row.outputs["identity"]["principalId"], vault):
        raise ApiError(f"KeyVaultAccessForbidden: {id_} may not use the keys of the vault {vault!r}")


def _create_workspace(call: Call, inputs: JsonDict) -> CreateResult:
    days = inputs.get("retentionInDays", 30)
    if not 30 <= int(days) <= 730:
        raise ApiError(f"InvalidParameter: retentionInDays must be from 30 to 730, got {days}", "INVALID_ARGUMENT")
    id_, outputs = generic(call, inputs)
    return id_, {**outputs, "customerId": stable_uuid(id_, "customer")}


def _create_diagnostics(call: Call, inputs: JsonDict) -> CreateResult:
    target = text(inputs.get("resourceUri"))
    if not any(row.id == target for row in call.store.resources("azure")):
        raise ApiError(f"ResourceNotFound: {target} does not exist", "NOT_FOUND")
    if not any(inputs.get(key) for key in _DESTINATIONS):
        raise ApiError(f"BadRequest: one of {', '.join(_DESTINATIONS)} is required", "INVALID_ARGUMENT")
    if workspace := inputs.get("workspaceId"):
        call.require(_WORKSPACE, workspace, f"ResourceNotFound: the workspace {workspace} does not exist")
    return arm_id(call, inputs), {"type": "Microsoft.Insights/diagnosticSettings"}


def _create_lock(call: Call, inputs: JsonDict) -> CreateResult:
    scope = text(inputs["scope"])
    if not any(row.id == scope for row in call.store.resources("azure")):
        raise ApiError(f"ResourceNotFound: {scope} does not exist", "NOT_FOUND")
    return arm_id(call, inputs), {"name": inputs["lockName"], "type": "Microsoft.Authorization/locks"}


def lockable(kinds: Mapping[str, Kind]) -> dict[str, Kind]:
    """Return the same types, none of which can be deleted at or below a locked scope."""

    def guarded(kind: Kind) -> Kind:
        def delete(call: Call, row: Resource) -> None:
            for lock in call.rows(LOCK):
                if f"{row.id}/".startswith(f"{lock.inputs['scope']}/"):
                    raise ApiError(f"ScopeLocked: {row.id} cannot be deleted because of the lock {lock.id}")
            kind.delete(call, row)

        return dataclasses.replace(kind, delete=delete)

    return {type_: kind if type_ == LOCK else guarded(kind) for type_, kind in kinds.items()}


KINDS = {
    LOCK: Kind(_create_lock),
    _VAULT: Kind(_create_vault),
    KEY: Kind(_create_key),
    _DISKS: Kind(_create_disks, update=_update_disks),
    _WORKSPACE: Kind(_create_workspace),
    _DIAGNOSTICS: Kind(_create_diagnostics, upsert=True),
}
