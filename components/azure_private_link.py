"""A way from a virtual network to a registry, store or vault that does not touch the internet."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_azure_native as azure_native

from components._base import coerce, reject, token
from components._naming import tags

ZONES = {
    "blob": "privatelink.blob.core.windows.net",
    "registry": "privatelink.azurecr.io",
    "vault": "privatelink.vaultcore.azure.net",
}
"""Part of a service to the private DNS zone that answers for it.

https://learn.microsoft.com/azure/private-link/private-endpoint-dns (2026-08)
"""
_GLOBAL = "Global"


@dataclass(frozen=True, kw_only=True)
class AzurePrivateLinkArgs:
    """Arguments of `AzurePrivateLink`."""

    resource_group_name: pulumi.Input[str]
    """Resource group that holds the endpoint and the DNS zone; one component per group and part of a service."""
    location: str
    """Azure location of the network. A change replaces the endpoint."""
    network_id: pulumi.Input[str]
    """Virtual network in which the service's name leads to the endpoint."""
    subnet_id: pulumi.Input[str]
    """Subnet of the endpoint. A change replaces it."""
    resource_id: pulumi.Input[str]
    """ARM id of the registry, storage account or vault. A change replaces the endpoint."""
    group: str
    """Part of the service: `blob`, `registry` or `vault`. A change replaces the endpoint and the zone."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        if self.group not in ZONES:
            reject("AzurePrivateLink", [("group", f"must be one of {', '.join(ZONES)}, got {self.group!r}")])


class AzurePrivateLink(pulumi.ComponentResource):
    """A private endpoint, and the DNS zone that leads the network's clients to it.

    A network linked to another zone of the same name cannot be linked to this one. Needs `Network Contributor` and
    `Private DNS Zone Contributor`.
    """

    endpoint_id: pulumi.Output[str]
    """ARM id of the endpoint; known once names lead to it."""

    def __init__(self, name: str, args: AzurePrivateLinkArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(AzurePrivateLink), name, {}, opts)
        a = coerce(AzurePrivateLinkArgs, args)
        own = tags("AzurePrivateLink", a.labels)
        child = pulumi.ResourceOptions(parent=self)
        place = {"resource_group_name": a.resource_group_name}
        zone = azure_native.privatedns.PrivateZone(
            f"{name}-zone", private_zone_name=ZONES[a.group], location=_GLOBAL, tags=own, opts=child, **place
        )
        link = azure_native.privatedns.VirtualNetworkLink(
            f"{name}-network",
            private_zone_name=zone.name,
            location=_GLOBAL,
            registration_enabled=False,
            virtual_network=azure_native.privatedns.SubResourceArgs(id=a.network_id),
            tags=own,
            opts=child,
            **place,
        )
        endpoint = azure_native.network.PrivateEndpoint(
            f"{name}-endpoint",
            location=a.location,
            subnet=azure_native.network.SubnetArgs(id=a.subnet_id),
            private_link_service_connections=[
                azure_native.network.PrivateLinkServiceConnectionArgs(
                    name=a.group, private_link_service_id=a.resource_id, group_ids=[a.group]
                )
            ],
            tags=own,
            opts=child,
            **place,
        )
        names = azure_native.network.PrivateDnsZoneGroup(
            f"{name}-names",
            private_endpoint_name=endpoint.name,
            private_dns_zone_group_name="default",
            private_dns_zone_configs=[
                azure_native.network.PrivateDnsZoneConfigArgs(name=a.group, private_dns_zone_id=zone.id)
            ],
            opts=child,
            **place,
        )
        self.endpoint_id = pulumi.Output.all(endpoint.id, names.id, link.id).apply(lambda ids: str(ids[0]))
        self.register_outputs({"endpoint_id": self.endpoint_id})
