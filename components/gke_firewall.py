"""What may reach the nodes of a GKE cluster from outside its network."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_gcp as gcp

from components._base import coerce, token

HEALTH_CHECK_RANGES = ["35.191.0.0/16", "130.211.0.0/22", "209.85.152.0/22", "209.85.204.0/22"]
"""Where Google's load balancers probe from (https://cloud.google.com/load-balancing/docs/health-check-concepts)."""


@dataclass(frozen=True, kw_only=True)
class GkeFirewallArgs:
    """Arguments of `GkeFirewall`."""

    project: str
    """Google Cloud project id."""
    network_id: pulumi.Input[str]
    """Id of the network."""
    node_service_account: pulumi.Input[str]
    """Email of the nodes' service account: the rules are for machines that run as it alone."""


class GkeFirewall(pulumi.ComponentResource):
    """Lets the health checks of Google's load balancers reach the nodes.

    Callers are let in by the rule that GKE makes for each `LoadBalancer` service: its ports, its address and its
    `loadBalancerSourceRanges` alone. Needs the role `roles/compute.securityAdmin`.
    """

    rule_id: pulumi.Output[str]
    """Id of the rule."""

    def __init__(self, name: str, args: GkeFirewallArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(GkeFirewall), name, {}, opts)
        a = coerce(GkeFirewallArgs, args)
        rule = gcp.compute.Firewall(
            f"{name}-health-checks",
            project=a.project,
            network=a.network_id,
            direction="INGRESS",
            source_ranges=HEALTH_CHECK_RANGES,
            target_service_accounts=[a.node_service_account],
            allows=[gcp.compute.FirewallAllowArgs(protocol="tcp")],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.rule_id = rule.id
        self.register_outputs({"rule_id": self.rule_id})
