"""Simulated Azure networks: addresses, virtual networks, subnets, private endpoints and their DNS zones."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from localcloud import ledger
from localcloud.providers.azure_names import arm_id, generic, group_id
from localcloud.providers.calls import ApiError, Call, CreateResult, Kind, text
from localcloud.store import JsonDict, Resource

ADDRESS = "azure-native:network:PublicIPAddress"
NETWORK, SUBNET = "azure-native:network:VirtualNetwork", "azure-native:network:Subnet"
_GUARD, _NAT = "azure-native:network:NetworkSecurityGroup", "azure-native:network:NatGateway"
_ENDPOINT, _ZONE_GROUP = "azure-native:network:PrivateEndpoint", "azure-native:network:PrivateDnsZoneGroup"
_ZONE, _LINK = "azure-native:privatedns:PrivateZone", "azure-native:privatedns:VirtualNetworkLink"
_CLUSTER = "azure-native:containerservice:ManagedCluster"
_PARTS = {
    "Microsoft.ContainerRegistry/registries": ("registry",),
    "Microsoft.KeyVault/vaults": ("vault",),
    "Microsoft.Storage/storageAccounts": ("blob", "dfs", "file", "queue", "table", "web"),
}


def _create_address(call: Call, inputs: JsonDict) -> CreateResult:
    id_, outputs = generic(call, inputs)
    if call.row(call.type, id_) is not None:
        raise ApiError(f"cannot create already existing resource {id_!r}", "ALREADY_EXISTS")
    if inputs.get("publicIPAllocationMethod", "Dynamic") != "Static":
        return id_, outputs
    return id_, {**outputs, "ipAddress": ledger.allocate_address(call.store, "azure", id_, text(outputs["name"])).ip}


def _delete_address(call: Call, row: Resource) -> None:
    users = [nat.id for nat in call.rows(_NAT) if row.id in _ids(nat.inputs.get("publicIpAddresses"))]
    if users:
        raise ApiError(f"PublicIPAddressCannotBeDeleted: {row.id} is used by {', '.join(users)}")
    ledger.release_address(call.store, "azure", row.id)


def _ids(references: object) -> list[str]:
    return [text(each.get("id")) for each in references] if isinstance(references, list) else []


def _create_nat(call: Call, inputs: JsonDict) -> CreateResult:
    if len(inputs.get("zones") or []) > 1:
        raise ApiError("InvalidParameter: a NAT gateway is in one zone at most", "INVALID_ARGUMENT")
    for id_ in _ids(inputs.get("publicIpAddresses")):
        call.require(ADDRESS, id_, f"InvalidResourceReference: the public address {id_} does not exist")
    return generic(call, inputs)


def _create_subnet(call: Call, inputs: JsonDict) -> CreateResult:
    id_, outputs = generic(call, inputs)
    parent = id_.rpartition("/subnets/")[0]
    network = call.require(NETWORK, parent, f"ParentResourceNotFound: {parent} does not exist")
    prefix = ipaddress.IPv4Network(inputs["addressPrefix"])
    spaces = (network.inputs.get("addressSpace") or {}).get("addressPrefixes") or []
    if not any(prefix.subnet_of(ipaddress.IPv4Network(space)) for space in spaces):
        raise ApiError(f"NetcfgSubnetRangeOutsideVnet: {prefix} is not in {', '.join(spaces)}", "INVALID_ARGUMENT")
    for other in _subnets(call, parent):
        if other.id != id_ and prefix.overlaps(ipaddress.IPv4Network(other.inputs["addressPrefix"])):
            raise ApiError(f"NetcfgSubnetRangesOverlap: {prefix} overlaps {other.id}", "INVALID_ARGUMENT")
    for key, type_ in (("networkSecurityGroup", _GUARD), ("natGateway", _NAT)):
        if reference := (inputs.get(key) or {}).get("id"):
            call.require(type_, reference, f"InvalidResourceReference: {reference} does not exist")
    return id_, outputs


def _subnets(call: Call, network: str) -> Iterator[Resource]:
    return (each for each in call.rows(SUBNET) if each.id.startswith(f"{network}/"))


def _delete_subnet(call: Call, row: Resource) -> None:
    users = [each.id for each in call.rows(_ENDPOINT) if (each.inputs.get("subnet") or {}).get("id") == row.id]
    for cluster in call.rows(_CLUSTER):
        pools = cluster.inputs.get("agentPoolProfiles") or []
        access = cluster.inputs.get("apiServerAccessProfile") or {}
        if row.id in [access.get("subnetId"), *(pool.get("vnetSubnetID") for pool in pools)]:
            users.append(cluster.id)
    if users:
        raise ApiError(f"InUseSubnetCannotBeDeleted: {row.id} is used by {', '.join(users)}")


def _delete_network(call: Call, row: Resource) -> None:
    held = [each.id for each in _subnets(call, row.id)]
    held += [each.id for each in call.rows(_LINK) if each.inputs["virtualNetwork"]["id"] == row.id]
    if held:
        raise ApiError(f"InUseSubnetCannotBeDeleted: {row.id} still has {', '.join(held)}")


def _create_endpoint(call: Call, inputs: JsonDict) -> CreateResult:
    id_, outputs = generic(call, inputs)
    subnet = text((inputs.get("subnet") or {}).get("id"))
    found = call.require(SUBNET, subnet, f"InvalidResourceReference: the subnet {subnet} does not exist")
    if found.inputs.get("delegations"):
        raise ApiError(f"InvalidParameter: {subnet} is delegated and takes no private endpoint", "INVALID_ARGUMENT")
    for connection in inputs.get("privateLinkServiceConnections") or []:
        target = text(connection.get("privateLinkServiceId"))
        if not any(row.id == target for row in call.store.resources("azure")):
            raise ApiError(f"PrivateEndpointTargetNotFound: {target} does not exist", "NOT_FOUND")
        service = "/".join(target.split("/")[-3:-1])
        groups = connection.get("groupIds") or []
        if len(groups) != 1 or groups[0] not in _PARTS.get(service, ()):
            raise ApiError(f"InvalidParameter: {groups} is no part of {service}", "INVALID_ARGUMENT")
    return id_, {**outputs, "networkInterfaces": []}


def _create_zone_group(call: Call, inputs: JsonDict) -> CreateResult:
    id_, outputs = generic(call, inputs)
    endpoint = id_.rpartition("/privateDnsZoneGroups/")[0]
    call.require(_ENDPOINT, endpoint, f"ParentResourceNotFound: {endpoint} does not exist")
    for each in inputs.get("privateDnsZoneConfigs") or []:
        zone = text(each.get("privateDnsZoneId"))
        call.require(_ZONE, zone, f"InvalidResourceReference: the private DNS zone {zone} does not exist")
    return id_, outputs


def _create_zone(call: Call, inputs: JsonDict) -> CreateResult:
    if text(inputs.get("location")).lower() != "global":
        raise ApiError("LocationNotAvailableForResourceType: a private DNS zone is global", "INVALID_ARGUMENT")
    return generic(call, inputs)


def _delete_zone(call: Call, row: Resource) -> None:
    held = [each.id for each in call.rows(_LINK) if each.id.startswith(f"{row.id}/")]
    if held:
        raise ApiError(f"CannotDeleteResource: {row.id} still has {', '.join(held)}")


def _create_link(call: Call, inputs: JsonDict) -> CreateResult:
    id_ = arm_id(call, inputs)
    zone = f"{group_id(call, inputs['resourceGroupName'])}/providers/Microsoft.Network/privateDnsZones/" + text(
        inputs["privateZoneName"]
    )
    call.require(_ZONE, zone, f"ParentResourceNotFound: {zone} does not exist")
    network = text((inputs.get("virtualNetwork") or {}).get("id"))
    call.require(NETWORK, network, f"InvalidResourceReference: the network {network} does not exist")
    for other in call.rows(_LINK):
        same = other.inputs["privateZoneName"] == inputs["privateZoneName"]
        if same and other.id != id_ and other.inputs["virtualNetwork"]["id"] == network:
            raise ApiError(f"BadRequest: {network} is linked to a zone of this name already: {other.id}")
    return generic(call, inputs)


KINDS = {
    ADDRESS: Kind(_create_address, delete=_delete_address),
    NETWORK: Kind(generic, delete=_delete_network),
    SUBNET: Kind(_create_subnet, delete=_delete_subnet),
    _NAT: Kind(_create_nat),
    _GUARD: Kind(generic),
    _ENDPOINT: Kind(_create_endpoint),
    _ZONE_GROUP: Kind(_create_zone_group),
    _ZONE: Kind(_create_zone, delete=_delete_zone),
    _LINK: Kind(_create_link),
}
