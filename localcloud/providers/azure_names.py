"""How Azure names things: resource ids, and which input holds a type's name."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from localcloud.providers.calls import ApiError, Call, CreateResult, text
from localcloud.providers.inputs import Schema
from localcloud.providers.rules import AutoName
from localcloud.store import JsonDict

TENANT = "00000000-0000-0000-0000-0000000000aa"
"""The one tenant of the simulated Azure."""
_DEFAULT_SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
GROUP = "azure-native:resources:ResourceGroup"
_HEX = 8


@dataclass(frozen=True)
class ArmType:
    """Where a type is in Azure's resource tree: its provider, and pairs of path part and input with the name."""

    provider: str
    path: tuple[tuple[str, str], ...]
    pattern: str = r"[A-Za-z0-9][\w.()-]{0,89}"
    """What the last name must match."""
    letters_only: bool = False
    """Whether automatic names hold lower-case letters and digits only."""

    @property
    def name_input(self) -> str:
        """Input that holds the resource's own name."""
        return self.path[-1][1]


def _arm(provider: str, *path: tuple[str, str], pattern: str = "", letters_only: bool = False) -> ArmType:
    return ArmType(f"Microsoft.{provider}", path, pattern or ArmType.pattern, letters_only)


_CLUSTER = ("managedClusters", "resourceName")
_IDENTITY = ("userAssignedIdentities", "resourceName")
_ACCOUNT = ("storageAccounts", "accountName")
_BLOB_SERVICE = ("blobServices", "blobServicesName")
_CONTAINER = ("blobServices/default/containers", "containerName")
_REGISTRY = ("registries", "registryName")
_VAULT = ("vaults", "vaultName")
_ZONE = ("privateDnsZones", "privateZoneName")
_ACCOUNT_NAME = r"[a-z0-9]{3,24}"
_POOL_NAME = r"[a-z][a-z0-9]{0,11}"
TYPES: Mapping[str, ArmType] = {
    "azure-native:authorization:ManagementLockByScope": _arm("Authorization", ("locks", "lockName")),
    "azure-native:authorization:RoleAssignment": _arm("Authorization", ("roleAssignments", "roleAssignmentName")),
    "azure-native:compute:DiskEncryptionSet": _arm("Compute", ("diskEncryptionSets", "diskEncryptionSetName")),
    "azure-native:containerregistry:CacheRule": _arm(
        "ContainerRegistry", _REGISTRY, ("cacheRules", "cacheRuleName"), pattern=r"[A-Za-z0-9-]{5,50}"
    ),
    "azure-native:containerregistry:CredentialSet": _arm(
        "ContainerRegistry", _REGISTRY, ("credentialSets", "credentialSetName"), pattern=r"[A-Za-z0-9-]{5,50}"
    ),
    "azure-native:containerregistry:Registry": _arm(
        "ContainerRegistry", _REGISTRY, pattern=r"[A-Za-z0-9]{5,50}", letters_only=True
    ),
    "azure-native:containerservice:AgentPool": _arm(
        "ContainerService", _CLUSTER, ("agentPools", "agentPoolName"), pattern=_POOL_NAME
    ),
    "azure-native:containerservice:MaintenanceConfiguration": _arm(
        "ContainerService", _CLUSTER, ("maintenanceConfigurations", "configName")
    ),
    "azure-native:containerservice:ManagedCluster": _arm("ContainerService", _CLUSTER),
    "azure-native:keyvault:Key": _arm("KeyVault", _VAULT, ("keys", "keyName"), pattern=r"[A-Za-z0-9-]{1,127}"),
    "azure-native:keyvault:Vault": _arm("KeyVault", _VAULT, pattern=r"[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]"),
    "azure-native:managedidentity:FederatedIdentityCredential": _arm(
        "ManagedIdentity", _IDENTITY, ("federatedIdentityCredentials", "federatedIdentityCredentialResourceName")
    ),
    "azure-native:managedidentity:UserAssignedIdentity": _arm("ManagedIdentity", _IDENTITY),
    "azure-native:monitor:DiagnosticSetting": _arm("Insights", ("diagnosticSettings", "name")),
    "azure-native:network:NatGateway": _arm("Network", ("natGateways", "natGatewayName")),
    "azure-native:network:NetworkSecurityGroup": _arm("Network", ("networkSecurityGroups", "networkSecurityGroupName")),
    "azure-native:network:PrivateDnsZoneGroup": _arm(
        "Network", ("privateEndpoints", "privateEndpointName"), ("privateDnsZoneGroups", "privateDnsZoneGroupName")
    ),
    "azure-native:network:PrivateEndpoint": _arm("Network", ("privateEndpoints", "privateEndpointName")),
    "azure-native:network:PublicIPAddress": _arm("Network", ("publicIPAddresses", "publicIpAddressName")),
    "azure-native:network:Subnet": _arm(
        "Network", ("virtualNetworks", "virtualNetworkName"), ("subnets", "subnetName")
    ),
    "azure-native:network:VirtualNetwork": _arm("Network", ("virtualNetworks", "virtualNetworkName")),
    "azure-native:operationalinsights:Workspace": _arm(
        "OperationalInsights", ("workspaces", "workspaceName"), pattern=r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]"
    ),
    "azure-native:privatedns:PrivateZone": _arm("Network", _ZONE),
    "azure-native:privatedns:VirtualNetworkLink": _arm(
        "Network", _ZONE, ("virtualNetworkLinks", "virtualNetworkLinkName")
    ),
    "azure-native:storage:Blob": _arm("Storage", _ACCOUNT, _CONTAINER, ("blobs", "blobName"), pattern=r".{1,1024}"),
    "azure-native:storage:BlobContainer": _arm("Storage", _ACCOUNT, _CONTAINER, pattern=r"[a-z0-9-]{3,63}"),
    "azure-native:storage:BlobServiceProperties": _arm("Storage", _ACCOUNT, _BLOB_SERVICE),
    "azure-native:storage:StorageAccount": _arm("Storage", _ACCOUNT, pattern=_ACCOUNT_NAME, letters_only=True),
}


def arm_type(token: str, inputs: Mapping[str, object]) -> ArmType:
    """Return a type's place in the tree; guessed from the token and its inputs' names where it is not listed."""
    if token in TYPES:
        return TYPES[token]
    _, module, kind = token.split(":")
    candidates = [key for key in inputs if key.endswith("Name") and key != "resourceGroupName"]
    own = f"{kind[0].lower()}{kind[1:]}Name"
    name = own if own in inputs or not candidates else candidates[-1]
    return _arm(module[0].upper() + module[1:], (f"{kind[0].lower()}{kind[1:]}s", name))


def name_rule(token: str, schema: Schema) -> AutoName | None:
    """Return how azure-native names a type: random digits at the top of the tree, the logical name below it."""
    if token == GROUP:
        return AutoName("resourceGroupName", 90, "", _HEX)
    if token.endswith(":RoleAssignment"):
        return _UuidName("roleAssignmentName")
    optional = {key: None for key, described in schema["inputs"].items() if not described["required"]}
    place = arm_type(token, optional)
    if place.name_input not in optional:
        return None
    child = len(place.path) > 1
    longest = 24 if place.letters_only else 80
    return AutoName(place.name_input, longest, "", 0 if child else _HEX, letters_only=place.letters_only)


class _UuidName(AutoName):
    """Names that must be UUIDs."""

    def make(self, logical_name: str, seed: bytes) -> str:
        """Return a UUID that the logical name and the seed decide."""
        return str(uuid.UUID(bytes=hashlib.sha256(seed + logical_name.encode()).digest()[:16], version=4))


def subscription(call: Call) -> str:
    """Return the subscription the provider is configured for."""
    return text(call.config.get("subscriptionId")) or _DEFAULT_SUBSCRIPTION


def group_id(call: Call, name: object) -> str:
    """Return the id of a resource group."""
    return f"/subscriptions/{subscription(call)}/resourceGroups/{name}"


def arm_id(call: Call, inputs: JsonDict, token: str = "") -> str:
    """Return the id of a resource from its inputs.

    Raises:
        ApiError: If its resource group does not exist or its name is not valid.
    """
    place = arm_type(token or call.type, inputs)
    above = inputs.get("scope") or inputs.get("resourceUri")
    if above:
        base = text(above)
    else:
        base = group_id(call, inputs.get("resourceGroupName"))
        call.require(
            GROUP, base, f"ResourceGroupNotFound: resource group {inputs.get('resourceGroupName')!r} could not be found"
        )
    name = text(inputs.get(place.name_input))
    if not re.fullmatch(place.pattern, name):
        raise ApiError(f"InvalidParameter: {place.name_input} {name!r} must match {place.pattern}", "INVALID_ARGUMENT")
    return f"{base}/providers/{place.provider}/" + "/".join(f"{part}/{inputs[key]}" for part, key in place.path)


def arm_type_name(token: str, inputs: Mapping[str, object]) -> str:
    """Return a type as Azure spells it, such as `Microsoft.Network/virtualNetworks/subnets`."""
    place = arm_type(token, inputs)
    return "/".join((place.provider, *(part for part, _ in place.path)))


def location(call: Call, inputs: JsonDict) -> str:
    """Return a resource's location: its own, the provider's, or its resource group's."""
    found = inputs.get("location") or call.config.get("location")
    if not found:
        group = call.row(GROUP, group_id(call, inputs.get("resourceGroupName")))
        found = group.outputs.get("location") if group is not None else ""
    return text(found).lower().replace(" ", "")


def stable_uuid(*parts: str) -> str:
    """Return the same UUID for the same parts."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)))


def generic(call: Call, inputs: JsonDict) -> CreateResult:
    """Create a resource that needs no behaviour of its own."""
    place = arm_type(call.type, inputs)
    outputs = {"name": text(inputs.get(place.name_input)), "type": arm_type_name(call.type, inputs)}
    where = {"location": location(call, inputs)} if len(place.path) == 1 else {}
    return arm_id(call, inputs), {**outputs, **where, "provisioningState": "Succeeded", "etag": 'W/"1"'}
