"""Static public addresses of an EKS cluster's load balancer."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_aws as aws

from components._base import coerce, protected, reject, token
from components._naming import tags


@dataclass(frozen=True, kw_only=True)
class EksAddressArgs:
    """Arguments of `EksAddress`."""

    zones: list[str]
    """Availability zones of the load balancer's subnets; each gets an address."""
    protect: Optional[bool] = None
    """Refuse to release the addresses. Default True."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        reject("EksAddress", [] if self.zones else [("zones", "must name at least one zone")])


class EksAddress(pulumi.ComponentResource):
    """Elastic IPs for a Network Load Balancer, which needs one per zone. Needs permission for `ec2:*Address*`."""

    addresses: list[pulumi.Output[str]]
    """Public IPv4 addresses, in the order of `zones`."""
    allocation_ids: pulumi.Output[str]
    """Allocation ids joined by commas, as the load balancer's annotation wants them."""
    account_id: pulumi.Output[str]
    """AWS account the addresses belong to, without asking the cloud who is calling."""

    def __init__(self, name: str, args: EksAddressArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(EksAddress), name, {}, opts)
        a = coerce(EksAddressArgs, args)
        own = tags("EksAddress", a.labels)
        eips = [
            aws.ec2.Eip(f"{name}-{zone}", domain="vpc", tags=own, opts=protected(self, a.protect)) for zone in a.zones
        ]
        self.addresses = [eip.public_ip for eip in eips]
        self.allocation_ids = pulumi.Output.all(*[eip.allocation_id for eip in eips]).apply(",".join)
        self.account_id = eips[0].arn.apply(lambda arn: arn.split(":")[4])
        self.register_outputs(
            {"addresses": self.addresses, "allocation_ids": self.allocation_ids, "account_id": self.account_id}
        )
