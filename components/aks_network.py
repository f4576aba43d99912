"""Network of an AKS cluster."""

import ipaddress
from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_azure_native as azure_native

from components._base import coerce, reject, token
from components._limits import network_problems
from components._naming import tags

DEFAULT_CIDR = "10.30.0.0/16"
PODS_CIDR = "10.72.0.0/14"
SERVICES_CIDR = "10.76.0.0/20"
DNS_ADDRESS = "10.76.0.10"
_NODE_BITS = 1


@dataclass(frozen=True, kw_only=True)
class AksNetworkArgs:
    """Arguments of `AksNetwork`."""

    resource_group_name: pulumi.Input[str]
    """Resource group that holds the network."""
    location: str
    """Azure location, e.g. `eastus`."""
    cidr: Optional[str] = None
    """IPv4 range, /16 to /20; nodes take its first half. Default 10.30.0.0/16. A change replaces the network."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        reject("AksNetwork", network_problems(self.cidr))


class AksNetwork(pulumi.ComponentResource):
    """A virtual network with one subnet for nodes, which reach the internet through a NAT gateway only.

    Pods (10.72.0.0/14) and services (10.76.0.0/20) live in an overlay outside of it. Needs `Network Contributor`.
    """

    subnet_id: pulumi.Output[str]
    """Id of the nodes' subnet."""

    def __init__(self, name: str, args: AksNetworkArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(AksNetwork), name, {}, opts)
        a = coerce(AksNetworkArgs, args)
        own = tags("AksNetwork", a.labels)
        child = pulumi.ResourceOptions(parent=self)
        place = {"resource_group_name": a.resource_group_name}
        cidr = a.cidr or DEFAULT_CIDR
        network = azure_native.network.VirtualNetwork(
            f"{name}-vnet",
            address_space=azure_native.network.AddressSpaceArgs(address_prefixes=[cidr]),
            location=a.location,
            tags=own,
            # Subnets are resources of their own; listed here as well they would be deleted at the next update.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["subnets"]),
            **place,
        )
        address = azure_native.network.PublicIPAddress(
            f"{name}-nat",
            location=a.location,
            sku=azure_native.network.PublicIPAddressSkuArgs(name="Standard"),
            public_ip_allocation_method="Static",
            tags=own,
            opts=child,
            **place,
        )
        nat = azure_native.network.NatGateway(
            f"{name}-nat",
            location=a.location,
            sku=azure_native.network.NatGatewaySkuArgs(name="Standard"),
            public_ip_addresses=[azure_native.network.SubResourceArgs(id=address.id)],
            tags=own,
            opts=child,
            **place,
        )
        subnet = azure_native.network.Subnet(
            f"{name}-nodes",
            virtual_network_name=network.name,
            address_prefix=str(next(ipaddress.IPv4Network(cidr).subnets(_NODE_BITS))),
            nat_gateway=azure_native.network.SubResourceArgs(id=nat.id),
            default_outbound_access=False,
            opts=child,
            **place,
        )
        self.subnet_id = subnet.id
        self.register_outputs({"subnet_id": self.subnet_id})
