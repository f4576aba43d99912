"""Network of an EKS cluster."""

import ipaddress
from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_aws as aws

from components._aws_logs import log_group
from components._base import coerce, reject, token
from components._eks_network_parts import declare_flow_log, declare_links
from components._hardening import PRODUCTION, Hardening
from components._limits import Problems, network_problems
from components._naming import tags

DEFAULT_CIDR = "10.10.0.0/16"
_SUBNET_BITS = 4
_FIRST_PRIVATE = 8


def zone_problems(zones: list[str]) -> Problems:
    """Problems of the zones of a network, which must be 2 to 8 different ones of one region."""
    if not 2 <= len(set(zones)) == len(zones) <= _FIRST_PRIVATE:
        return [("zones", f"must be 2 to {_FIRST_PRIVATE} different zones, got {zones}")]
    if len({zone[:-1] for zone in zones}) > 1:
        return [("zones", f"must be zones of one region, got {zones}")]
    return []


@dataclass(frozen=True, kw_only=True)
class EksNetworkArgs:
    """Arguments of `EksNetwork`."""

    zones: list[str]
    """Availability zones of one region, at least 2 and at most 8, e.g. `us-east-1a`. EKS asks for two."""
    cidr: Optional[str] = None
    """IPv4 range of the VPC, /16 to /20. Default 10.10.0.0/16. A change replaces the network."""
    hardening: Optional[Hardening] = None
    """Which ways out, links and logs the network has. Default that of production."""
    key_arn: Optional[pulumi.Input[str]] = None
    """KMS key of the flow logs, which must let CloudWatch Logs use it (`AwsKmsKey`). Default one of AWS's own."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        reject("EksNetwork", [*zone_problems(self.zones), *network_problems(self.cidr)])


class EksNetwork(pulumi.ComponentResource):
    """A VPC with a public and a private subnet per zone.

    Nodes live in the private subnets and reach the internet through NAT gateways, one per zone unless the hardening
    says one for all; load balancers live in the public ones. The VPC's default security group lets nothing through.
    Needs permission for `ec2:*Vpc*`, `ec2:*Subnet*`, `ec2:*Route*`, `ec2:*Gateway*`, `ec2:*Address*`,
    `ec2:*SecurityGroup*`, `ec2:*FlowLogs`, `logs:*LogGroup*` and to create and pass a role.
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
        hardening = a.hardening or PRODUCTION
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
        # Without rules here, what forgets to name a security group reaches nothing.
        aws.ec2.DefaultSecurityGroup(f"{name}-default", vpc_id=vpc.id, ingress=[], egress=[], tags=own, opts=child)
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
        each_zone = hardening.nat_per_zone is not False
        routes = {
            zone: self._way_out(name, f"-{zone}" if each_zone else "", vpc, public[index], internet, own)
            for index, zone in enumerate(a.zones if each_zone else a.zones[:1])
        }
        # Routes come with the subnet's id, so that no node starts in a subnet without a way out.
        associations = []
        for index, zone in enumerate(a.zones):
            subnet = aws.ec2.Subnet(
                f"{name}-private-{zone}",
                vpc_id=vpc.id,
                cidr_block=str(ranges[_FIRST_PRIVATE + index]),
                availability_zone=zone,
                map_public_ip_on_launch=False,
                tags={**own, "kubernetes.io/role/internal-elb": "1"},
                opts=child,
            )
            table = routes[zone if each_zone else a.zones[0]]
            associations.append(
                aws.ec2.RouteTableAssociation(
                    f"{name}-private-{zone}", route_table_id=table.id, subnet_id=subnet.id, opts=child
                )
            )
        private_ids = [link.subnet_id for link in associations]
        if hardening.private_links is not False:
            tables = [table.id for table in routes.values()]
            declare_links(name, a.zones[0][:-1], vpc, private_ids, tables, own, self)
        if hardening.flow_logs is not False:
            declare_flow_log(name, vpc, log_group(f"{name}-flows", hardening, a.key_arn, own, self), own, self)
        self.vpc_id = vpc.id
        self.public_subnet_ids = pulumi.Output.all(*[subnet.id for subnet in public])
        self.private_subnet_ids = pulumi.Output.all(*private_ids)
        self.register_outputs(
            {
                "vpc_id": self.vpc_id,
                "public_subnet_ids": self.public_subnet_ids,
                "private_subnet_ids": self.private_subnet_ids,
            }
        )

    def _way_out(
        self,
        name: str,
        suffix: str,
        vpc: aws.ec2.Vpc,
        subnet: aws.ec2.Subnet,
        internet: aws.ec2.InternetGateway,
        own: dict[str, str],
    ) -> aws.ec2.RouteTable:
        """Declare a NAT gateway in a public subnet and the route table of the subnets that use it."""
        child = pulumi.ResourceOptions(parent=self)
        address = aws.ec2.Eip(f"{name}-nat{suffix}", domain="vpc", tags=own, opts=child)
        nat = aws.ec2.NatGateway(
            f"{name}-nat{suffix}",
            allocation_id=address.id,
            subnet_id=subnet.id,
            tags=own,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[internet]),
        )
        return aws.ec2.RouteTable(
            f"{name}-private{suffix}",
            vpc_id=vpc.id,
            routes=[aws.ec2.RouteTableRouteArgs(cidr_block="0.0.0.0/0", nat_gateway_id=nat.id)],
            tags=own,
            opts=child,
        )
