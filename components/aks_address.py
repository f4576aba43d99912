"""Static public address of an AKS cluster's load balancer."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_azure_native as azure_native

from components._base import coerce, protected, token
from components._naming import tags


@dataclass(frozen=True, kw_only=True)
class AksAddressArgs:
    """Arguments of `AksAddress`."""

    resource_group_name: pulumi.Input[str]
    """Resource group that holds the address; the cluster's identity needs Network Contributor on it."""
    location: str
    """Azure location of the cluster. A change replaces the address."""
    zones: Optional[list[str]] = None
    """Zones of the address. Default the location's own choice. A change replaces the address."""
    protect: Optional[bool] = None
    """Refuse to release the address. Default True."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""


class AksAddress(pulumi.ComponentResource):
    """A static Standard public IPv4 address. Needs `Network Contributor`."""

    addresses: list[pulumi.Output[str]]
    """The address."""
    address_id: pulumi.Output[str]
    """Its ARM id."""

    def __init__(self, name: str, args: AksAddressArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(AksAddress), name, {}, opts)
        a = coerce(AksAddressArgs, args)
        address = azure_native.network.PublicIPAddress(
            f"{name}-public",
            resource_group_name=a.resource_group_name,
            location=a.location,
            sku=azure_native.network.PublicIPAddressSkuArgs(name="Standard"),
            public_ip_allocation_method="Static",
            public_ip_address_version="IPv4",
            zones=a.zones,
            tags=tags("AksAddress", a.labels),
            opts=protected(self, a.protect),
        )
        self.addresses = [address.ip_address.apply(str)]
        self.address_id = address.id
        self.register_outputs({"addresses": self.addresses, "address_id": self.address_id})
