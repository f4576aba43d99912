"""Simulated Azure container registries with their caches of other registries."""

from __future__ import annotations

from localcloud.providers.azure_names import generic, stable_uuid
from localcloud.providers.calls import ApiError, Call, CreateResult, Kind, text
from localcloud.store import JsonDict, Resource

REGISTRY = "azure-native:containerregistry:Registry"
_RULE, _CREDENTIALS = "azure-native:containerregistry:CacheRule", "azure-native:containerregistry:CredentialSet"
_OPEN = ("ghcr.io", "gcr.io", "mcr.microsoft.com", "public.ecr.aws", "quay.io", "registry.k8s.io")
_WITH_ACCOUNT = ("docker.io",)
_PREMIUM = {
    "publicNetworkAccess": "Disabled",
    "dataEndpointEnabled": True,
    "zoneRedundancy": "Enabled",
}
"""What only the tier Premium has."""


def _check_tier(inputs: JsonDict) -> None:
    tier = text((inputs.get("sku") or {}).get("name"))
    wanted = [key for key, value in _PREMIUM.items() if inputs.get(key) == value]
    if ((inputs.get("policies") or {}).get("retentionPolicy") or {}).get("status") == "enabled":
        wanted.append("policies.retentionPolicy")
    if wanted and tier != "Premium":
        raise ApiError(f"SkuNotSupported: {', '.join(wanted)} needs the tier Premium, not {tier}", "INVALID_ARGUMENT")


def _create_registry(call: Call, inputs: JsonDict) -> CreateResult:
    _check_tier(inputs)
    id_, outputs = generic(call, inputs)
    return id_, {**outputs, "loginServer": f"{inputs['registryName'].lower()}.azurecr.io"}


def _update_registry(call: Call, row: Resource, inputs: JsonDict) -> JsonDict:
    _check_tier(inputs)
    return {}


def _require_registry(call: Call, id_: str) -> None:
    registry = "/".join(id_.split("/")[:-2])
    call.require(REGISTRY, registry, f"ParentResourceNotFound: the registry {registry} does not exist")


def _create_credentials(call: Call, inputs: JsonDict) -> CreateResult:
    id_, outputs = generic(call, inputs)
    _require_registry(call, id_)
    for each in inputs.get("authCredentials") or []:
        for key in ("usernameSecretIdentifier", "passwordSecretIdentifier"):
            if ".vault.azure.net/secrets/" not in text(each.get(key)):
                raise ApiError(f"InvalidParameter: {key} must be the address of a secret", "INVALID_ARGUMENT")
    identity = {**(inputs.get("identity") or {}), "principalId": stable_uuid(id_, "principal")}
    return id_, {**outputs, "identity": identity}


def _create_rule(call: Call, inputs: JsonDict) -> CreateResult:
    id_, outputs = generic(call, inputs)
    _require_registry(call, id_)
    source, target = text(inputs.get("sourceRepository")), text(inputs.get("targetRepository"))
    host = source.partition("/")[0]
    credentials = inputs.get("credentialSetResourceId")
    if host not in (*_OPEN, *_WITH_ACCOUNT):
        raise ApiError(f"UnsupportedUpstream: {host} cannot be cached", "INVALID_ARGUMENT")
    if host in _WITH_ACCOUNT and not credentials:
        raise ApiError(f"CredentialsRequired: {host} is cached with an account only", "INVALID_ARGUMENT")
    if credentials:
        call.require(_CREDENTIALS, credentials, f"ResourceNotFound: {credentials} does not exist")
    for other in call.rows(_RULE):
        same = other.id != id_ and other.inputs["registryName"] == inputs["registryName"]
        if same and _overlap(text(other.inputs["targetRepository"]), target):
            raise ApiError(f"CacheRuleOverlap: {target} overlaps the rule {other.id}", "INVALID_ARGUMENT")
    return id_, outputs


def _overlap(one: str, other: str) -> bool:
    first, second = one.removesuffix("*"), other.removesuffix("*")
    return first.startswith(second) or second.startswith(first)


KINDS = {
    REGISTRY: Kind(_create_registry, update=_update_registry),
    _CREDENTIALS: Kind(_create_credentials, update=lambda call, row, inputs: {"identity": row.outputs["identity"]}),
    _RULE: Kind(_create_rule),
}
