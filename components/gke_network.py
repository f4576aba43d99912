"""Network of a GKE cluster."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_gcp as gcp

from components._base import coerce, reject, token
from components._limits import network_problems

DEFAULT_CIDR = "10.20.0.0/16"
PODS_CIDR = "10.64.0.0/14"
SERVICES_CIDR = "10.68.0.0/20"
PODS_RANGE = "pods"
SERVICES_RANGE = "services"


@dataclass(frozen=True, kw_only=True)
class GkeNetworkArgs:
    """Arguments of `GkeNetwork`."""

    region: str
    """Google Cloud region of the subnetwork."""
    project: Optional[str] = None
    """Google Cloud project id. Default the provider's."""
    cidr: Optional[str] = None
    """IPv4 range of nodes, /16 to /20. Default 10.20.0.0/16. A change replaces the network."""

    def __post_init__(self) -> None:
        reject("GkeNetwork", network_problems(self.cidr))


class GkeNetwork(pulumi.ComponentResource):
    """A VPC with one subnetwork, ranges for pods (10.64.0.0/14) and services (10.68.0.0/20), and a NAT gateway.

    Nodes need no public address. Needs the role `roles/compute.networkAdmin`.
    """

    network_id: pulumi.Output[str]
    """Id of the network."""
    subnetwork_id: pulumi.Output[str]
    """Id of the subnetwork; known once nodes in it can reach the internet."""

    def __init__(self, name: str, args: GkeNetworkArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(GkeNetwork), name, {}, opts)
        a = coerce(GkeNetworkArgs, args)
        child = pulumi.ResourceOptions(parent=self)
        network = gcp.compute.Network(
            f"{name}-network", project=a.project, auto_create_subnetworks=False, routing_mode="REGIONAL", opts=child
        )
        subnetwork = gcp.compute.Subnetwork(
            f"{name}-nodes",
            project=a.project,
            network=network.id,
            region=a.region,
            ip_cidr_range=a.cidr or DEFAULT_CIDR,
            secondary_ip_ranges=[
                gcp.compute.SubnetworkSecondaryIpRangeArgs(range_name=PODS_RANGE, ip_cidr_range=PODS_CIDR),
                gcp.compute.SubnetworkSecondaryIpRangeArgs(range_name=SERVICES_RANGE, ip_cidr_range=SERVICES_CIDR),
            ],
            private_ip_google_access=True,
            opts=child,
        )
        router = gcp.compute.Router(
            f"{name}-router", project=a.project, network=network.id, region=a.region, opts=child
        )
        nat = gcp.compute.RouterNat(
            f"{name}-nat",
            project=a.project,
            router=router.name,
            region=a.region,
            nat_ip_allocate_option="AUTO_ONLY",
            source_subnetwork_ip_ranges_to_nat="ALL_SUBNETWORKS_ALL_IP_RANGES",
            opts=child,
        )
        self.network_id = network.id
        self.subnetwork_id = pulumi.Output.all(subnetwork.id, nat.id).apply(lambda ids: str(ids[0]))
        self.register_outputs({"network_id": self.network_id, "subnetwork_id": self.subnetwork_id})
