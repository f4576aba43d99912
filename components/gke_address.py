"""Static public address of a GKE cluster's load balancer."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_gcp as gcp

from components._base import coerce, protected, token
from components._naming import tags


@dataclass(frozen=True, kw_only=True)
class GkeAddressArgs:
    """Arguments of `GkeAddress`."""

    project: str
    """Google Cloud project id."""
    region: str
    """Region of the cluster. A change replaces the address."""
    protect: Optional[bool] = None
    """Refuse to release the address. Default True."""
    labels: Optional[dict[str, str]] = None
    """Labels of every resource, beside the component's own."""


class GkeAddress(pulumi.ComponentResource):
    """A regional external IPv4 address for a passthrough load balancer. Needs `roles/compute.networkAdmin`."""

    addresses: list[pulumi.Output[str]]
    """The address."""
    address_name: pulumi.Output[str]
    """Name of the address, as the load balancer's annotation wants it."""

    def __init__(self, name: str, args: GkeAddressArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(GkeAddress), name, {}, opts)
        a = coerce(GkeAddressArgs, args)
        address = gcp.compute.Address(
            f"{name}-public",
            project=a.project,
            region=a.region,
            address_type="EXTERNAL",
            network_tier="PREMIUM",
            labels=tags("GkeAddress", a.labels),
            opts=protected(self, a.protect),
        )
        self.addresses = [address.address]
        self.address_name = address.name
        self.register_outputs({"addresses": self.addresses, "address_name": self.address_name})
