"""Network of an EKS cluster."""

import ipaddress
from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_aws as aws

from components._base import coerce, reject, token
from components._limits import Problems, network_problems
from components._naming import tags

DEFAULT_CIDR = "10.10.0.0/16"
_SUBNET_BITS = 4
_FIRST_PRIVATE = 8


def zone_problems(zones: list[str]) -> Problems:
    """Problems of the zones of a network, which must be 2 to 8 different ones."""
    if 2 <= len(set(zones)) == len(zones) <= _FIRST_PRIVATE:
        return []
    return [("zones", f"must be 2 to {_FIRST_PRIVATE} different zones, got {zones}")]


@dataclass(frozen=True, kw_only=True)
class EksNetworkArgs:
    """Arguments of `EksNetwork`."""

    zones: list[str]
    """Availability zones, at least 2 and at most 8, e.g. `us-east-1a`. EKS asks for two."""
    cidr: Optional[str] = None
    """IPv4 range of the VPC, /16 to /20. Default 10.10.0.0/16. A change replaces the network."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        reject("EksNetwork", [*zone_problems(self.zones), *network_problems(self.cidr)])


class EksNetwork(pulumi.ComponentResource):
    """A VPC with a public and a private subnet per zone.

    Nodes live in the private subnets and reach the internet through one NAT gateway; load balancers live in the
    public ones. Needs permission for `ec2:*Vpc*`, `ec2:*Subnet*`, `ec2:*Route*`, `ec2:*Gateway*`, `ec2:*Address*`.
    """

    vpc_id: pulumi.Output[str]
    """Id of the VPC."""
    public_subnet_ids: pulumi.Output[list[str]]
    """Subnets of load balancers, in the order of `zones`."""
    private_subnet_ids: pulumi.Output[list[str]]
    """Subnets of nodes, in the order of `zones`."""

    def __init__(self, name: str, args: EksNetworkArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(EksNetwork), name, {}, opts)
        a = coerce(EksNetworkArgs, args)
        own = tags("EksNetwork", a.labels)
        child = pulumi.ResourceOptions(parent=self)
        ranges = list(ipaddress.IPv4Network(a.cidr or DEFAULT_CIDR).subnets(_SUBNET_BITS))
        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=a.cidr or DEFAULT_CIDR,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=own,
            opts=child,
        )
        internet = aws.ec2.InternetGateway(f"{name}-internet", vpc_id=vpc.id, tags=own, opts=child)
        public_routes = aws.ec2.RouteTable(
            f"{name}-public",
            vpc_id=vpc.id,
            routes=[aws.ec2.RouteTableRouteArgs(cidr_block="0.0.0.0/0", gateway_id=internet.id)],
            tags=own,
            opts=child,
        )
        public = []
        for index, zone in enumerate(a.zones):
            subnet = aws.ec2.Subnet(
                f"{name}-public-{zone}",
                vpc_id=vpc.id,
                cidr_block=str(ranges[index]),
                availability_zone=zone,
                map_public_ip_on_launch=False,
                tags={**own, "kubernetes.io/role/elb": "1"},
                opts=child,
            )
            aws.ec2.RouteTableAssociation(
                f"{name}-public-{zone}", route_table_id=public_routes.id, subnet_id=subnet.id, opts=child
            )
            public.append(subnet)
        address = aws.ec2.Eip(f"{name}-nat", domain="vpc", tags=own, opts=child)
        nat = aws.ec2.NatGateway(
            f"{name}-nat",
            allocation_id=address.id,
            subnet_id=public[0].id,
            tags=own,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[internet]),
        )
        private_routes = aws.ec2.RouteTable(
            f"{name}-private",
            vpc_id=vpc.id,
            routes=[aws.ec2.RouteTableRouteArgs(cidr_block="0.0.0.0/0", nat_gateway_id=nat.id)],
            tags=own,
            opts=child,
        )
        # Routes come with the subnet's id, so that no node starts in a subnet without a way out.
        associations = []
        for index, zone in enumerate(a.zones):
            subnet = aws.ec2.Subnet(
                f"{name}-private-{zone}",
                vpc_id=vpc.id,
                cidr_block=str(ranges[_FIRST_PRIVATE + index]),
                availability_zone=zone,
                tags={**own, "kubernetes.io/role/internal-elb": "1"},
                opts=child,
            )
            associations.append(
                aws.ec2.RouteTableAssociation(
                    f"{name}-private-{zone}", route_table_id=private_routes.id, subnet_id=subnet.id, opts=child
                )
            )
        self.vpc_id = vpc.id
        self.public_subnet_ids = pulumi.Output.all(*[subnet.id for subnet in public])
        self.private_subnet_ids = pulumi.Output.all(*[link.subnet_id for link in associations])
        self.register_outputs(
            {
                "vpc_id": self.vpc_id,
                "public_subnet_ids": self.public_subnet_ids,
                "private_subnet_ids": self.private_subnet_ids,
            }
        )
