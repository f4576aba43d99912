"""Network of an AKS cluster."""

import ipaddress
from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_azure_native as azure_native

from components._aks_profiles import zone_problems
from components._base import coerce, reject, token
from components._limits import network_problems
from components._naming import tags

DEFAULT_CIDR = "10.30.0.0/16"
PODS_CIDR = "10.72.0.0/14"
SERVICES_CIDR = "10.76.0.0/20"
DNS_ADDRESS = "10.76.0.10"
DEFAULT_PUBLIC_PORTS = (443, 8443)
"""The public listener, and the one for requests of other sites."""
_API_PREFIX = 28
"""Smallest subnet that AKS accepts for its API servers."""
_ENDPOINTS_PREFIX = 26


@dataclass(frozen=True, kw_only=True)
class AksNetworkArgs:
    """Arguments of `AksNetwork`."""

    resource_group_name: pulumi.Input[str]
    """Resource group that holds the network."""
    location: str
    """Azure location, e.g. `eastus`."""
    cidr: Optional[str] = None
    """IPv4 range, /16 to /20; nodes take its first half. Default 10.30.0.0/16. A change replaces the network."""
    zones: Optional[list[str]] = None
    """Zones of the address of the way out. Default the location's own choice. A change replaces the address."""
    public_ports: Optional[list[int]] = None
    """TCP ports on which the internet reaches the cluster's load balancer. Default 443 and 8443."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        bad = [*network_problems(self.cidr), *zone_problems(self.zones)]
        bad += [
            ("publicPorts", f"must be ports from 1 to 65535, got {port}")
            for port in self.public_ports or []
            if not 1 <= port <= 65535
        ]
        reject("AksNetwork", bad)


class AksNetwork(pulumi.ComponentResource):
    """A virtual network whose nodes reach the internet through a NAT gateway only, and are reached on few ports only.

    It has a subnet for nodes, one handed over to the API servers, and one for private endpoints. Pods (10.72.0.0/14)
    and services (10.76.0.0/20) live in an overlay outside of it. Needs `Network Contributor`.
    """

    network_id: pulumi.Output[str]
    """Id of the virtual network."""
    subnet_id: pulumi.Output[str]
    """Id of the nodes' subnet."""
    api_subnet_id: pulumi.Output[str]
    """Id of the API servers' subnet, which holds nothing else."""
    endpoint_subnet_id: pulumi.Output[str]
    """Id of the subnet for private endpoints."""

    def __init__(self, name: str, args: AksNetworkArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(AksNetwork), name, {}, opts)
        a = coerce(AksNetworkArgs, args)
        service = azure_native.network
        common = {"resource_group_name": a.resource_group_name, "location": a.location}
        own, child = tags("AksNetwork", a.labels), pulumi.ResourceOptions(parent=self)
        cidr = a.cidr or DEFAULT_CIDR
        nodes, rest = ipaddress.IPv4Network(cidr).subnets()
        network = service.VirtualNetwork(
            f"{name}-vnet",
            address_space=service.AddressSpaceArgs(address_prefixes=[cidr]),
            tags=own,
            # Subnets are resources of their own; listed here as well they would be deleted at the next update.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["subnets"]),
            **common,
        )
        address = service.PublicIPAddress(
            f"{name}-nat",
            sku=service.PublicIPAddressSkuArgs(name="Standard"),
            public_ip_allocation_method="Static",
            zones=a.zones,
            tags=own,
            opts=child,
            **common,
        )
        nat = service.NatGateway(
            # A NAT gateway can be in one zone at most; in none of them, Azure chooses.
            f"{name}-nat",
            sku=service.NatGatewaySkuArgs(name="Standard"),
            public_ip_addresses=[service.SubResourceArgs(id=address.id)],
            tags=own,
            opts=child,
            **common,
        )
        guards = {
            which: service.NetworkSecurityGroup(f"{name}-{which}", security_rules=rules, tags=own, opts=child, **common)
            for which, rules in {"nodes": [_public_rule(a.public_ports)], "endpoints": []}.items()
        }

        def subnet(
            which: str, prefix: ipaddress.IPv4Network, after: Optional[pulumi.Resource], **more: object
        ) -> azure_native.network.Subnet:
            return service.Subnet(
                f"{name}-{which}",
                virtual_network_name=network.name,
                resource_group_name=a.resource_group_name,
                address_prefix=str(prefix),
                default_outbound_access=False,
                # Azure changes one subnet of a network at a time and refuses the others meanwhile.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[after] if after else None),
                **more,
            )

        node_subnet = subnet(
            "nodes",
            nodes,
            None,
            nat_gateway=service.SubResourceArgs(id=nat.id),
            network_security_group=service.NetworkSecurityGroupArgs(id=guards["nodes"].id),
            service_endpoints=[service.ServiceEndpointPropertiesFormatArgs(service="Microsoft.Storage")],
        )
        api_subnet = subnet(
            "api",
            next(rest.subnets(new_prefix=_API_PREFIX)),
            node_subnet,
            delegations=[service.DelegationArgs(name="aks", service_name="Microsoft.ContainerService/managedClusters")],
        )
        # The second one: the API servers' subnet lies in the first.
        _, endpoints, *_ = rest.subnets(new_prefix=_ENDPOINTS_PREFIX)
        endpoint_subnet = subnet(
            "endpoints",
            endpoints,
            api_subnet,
            network_security_group=service.NetworkSecurityGroupArgs(id=guards["endpoints"].id),
            private_endpoint_network_policies="NetworkSecurityGroupEnabled",
        )
        self.network_id = network.id
        self.subnet_id = node_subnet.id
        self.api_subnet_id = api_subnet.id
        self.endpoint_subnet_id = endpoint_subnet.id
        self.register_outputs(
            {
                "network_id": self.network_id,
                "subnet_id": self.subnet_id,
                "api_subnet_id": self.api_subnet_id,
                "endpoint_subnet_id": self.endpoint_subnet_id,
            }
        )


def _public_rule(ports: Optional[list[int]]) -> azure_native.network.SecurityRuleArgs:
    """What the internet reaches; AKS writes no rules into the group of a subnet that is not its own."""
    return azure_native.network.SecurityRuleArgs(
        name="public-listeners",
        description="Callers and other sites reach the load balancer; the rules below are Azure's own.",
        priority=200,
        direction="Inbound",
        access="Allow",
        protocol="Tcp",
        source_address_prefix="Internet",
        source_port_range="*",
        destination_address_prefix="*",
        destination_port_ranges=[str(port) for port in ports or DEFAULT_PUBLIC_PORTS],
    )
