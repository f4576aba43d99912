"""Network of a GKE cluster."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_gcp as gcp

from components._base import coerce, reject, token
from components._hardening import PRODUCTION, Hardening
from components._limits import network_problems

DEFAULT_CIDR = "10.20.0.0/16"
PODS_CIDR = "10.64.0.0/14"
SERVICES_CIDR = "10.68.0.0/20"
PODS_RANGE = "pods"
SERVICES_RANGE = "services"
FLOW_SAMPLING = 0.5
"""Part of the packets that flow logs look at."""
DENY_PRIORITY = 65000
"""Behind every rule that GKE makes (999 and 1000) and before the network's own, which log nothing (65535)."""
DELETE_TIMEOUT = "30m"
"""Groups and rules that load balancers leave behind keep a network in use for a while after their cluster is gone."""


@dataclass(frozen=True, kw_only=True)
class GkeNetworkArgs:
    """Arguments of `GkeNetwork`."""

    region: str
    """Google Cloud region of the subnetwork."""
    project: Optional[str] = None
    """Google Cloud project id. Default the provider's."""
    cidr: Optional[str] = None
    """IPv4 range of nodes, /16 to /20. Default 10.20.0.0/16. A change replaces the network."""
    hardening: Optional[Hardening] = None
    """Flow logs and the private way to Google's services. Default that of production: both."""

    def __post_init__(self) -> None:
        reject("GkeNetwork", network_problems(self.cidr))


class GkeNetwork(pulumi.ComponentResource):
    """A VPC with one subnetwork, ranges for pods (10.64.0.0/14) and services (10.68.0.0/20), and a NAT gateway.

    Nodes need no public address. What comes in is refused unless another rule lets it in: GKE makes those for its nodes
    and load balancers, `GkeFirewall` those for health checks. Needs the roles `roles/compute.networkAdmin` and
    `roles/compute.securityAdmin`.
    """

    network_id: pulumi.Output[str]
    """Id of the network."""
    subnetwork_id: pulumi.Output[str]
    """Id of the subnetwork; known once nodes in it can reach the internet."""

    def __init__(self, name: str, args: GkeNetworkArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(GkeNetwork), name, {}, opts)
        a = coerce(GkeNetworkArgs, args)
        hard = a.hardening or PRODUCTION
        child = pulumi.ResourceOptions(parent=self)
        slow = pulumi.ResourceOptions(parent=self, custom_timeouts=pulumi.CustomTimeouts(delete=DELETE_TIMEOUT))
        network = gcp.compute.Network(
            f"{name}-network", project=a.project, auto_create_subnetworks=False, routing_mode="REGIONAL", opts=slow
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
            private_ip_google_access=hard.private_links is not False,
            log_config=None if hard.flow_logs is False else _flow_logs(),
            opts=slow,
        )
        gcp.compute.Firewall(
            f"{name}-deny-ingress",
            project=a.project,
            network=network.id,
            direction="INGRESS",
            priority=DENY_PRIORITY,
            source_ranges=["0.0.0.0/0"],
            denies=[gcp.compute.FirewallDenyArgs(protocol="all")],
            log_config=(
                None if hard.flow_logs is False else gcp.compute.FirewallLogConfigArgs(metadata="INCLUDE_ALL_METADATA")
            ),
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
            log_config=gcp.compute.RouterNatLogConfigArgs(enable=True, filter="ERRORS_ONLY"),
            opts=child,
        )
        self.network_id = network.id
        self.subnetwork_id = pulumi.Output.all(subnetwork.id, nat.id).apply(lambda ids: str(ids[0]))
        self.register_outputs({"network_id": self.network_id, "subnetwork_id": self.subnetwork_id})


def _flow_logs() -> gcp.compute.SubnetworkLogConfigArgs:
    return gcp.compute.SubnetworkLogConfigArgs(
        aggregation_interval="INTERVAL_5_SEC", flow_sampling=FLOW_SAMPLING, metadata="INCLUDE_ALL_METADATA"
    )
