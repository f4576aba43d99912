"""Services (APIs) of a Google Cloud project that a serving site calls."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_gcp as gcp

from components._base import coerce, reject, token
from components._hardening import PRODUCTION, Hardening

ALWAYS = (
    "artifactregistry",
    "binaryauthorization",
    "cloudresourcemanager",
    "compute",
    "container",
    "containerfilesystem",
    "dns",
    "iam",
    "iamcredentials",
    "logging",
    "monitoring",
    "storage",
)
KEYS = ("cloudkms",)
SCANNING = ("containerscanning", "containersecurity")


@dataclass(frozen=True, kw_only=True)
class GkeServicesArgs:
    """Arguments of `GkeServices`."""

    project: str
    """Google Cloud project id."""
    hardening: Optional[Hardening] = None
    """How closed and how well kept the site is. Default that of production."""
    names: Optional[list[str]] = None
    """Services by the first part of their names, such as `sts`. Default all that a site needs with its hardening."""

    def __post_init__(self) -> None:
        bad = [
            ("names", f"must be first parts of service names, such as sts, got {each!r}")
            for each in self.names or []
            if not each.isalnum()
        ]
        reject("GkeServices", bad)


class GkeServices(pulumi.ComponentResource):
    """Switches on the services that the parts of a site call.

    Destroying it switches none off: others in the project may use them, and nothing is charged for one that is on.
    Needs the role `roles/serviceusage.serviceUsageAdmin`, and the service `serviceusage` itself, which is on in every
    project that was made by a current tool.
    """

    names: list[pulumi.Output[str]]
    """Full names of the services, such as `container.googleapis.com`; each known once it is on."""

    def __init__(self, name: str, args: GkeServicesArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(GkeServices), name, {}, opts)
        a = coerce(GkeServicesArgs, args)
        self.services = [
            gcp.projects.Service(
                f"{name}-{service}",
                project=a.project,
                service=f"{service}.googleapis.com",
                disable_on_destroy=False,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for service in sorted(set(a.names or _needed(a.hardening or PRODUCTION)))
        ]
        self.names = [service.service for service in self.services]
        self.register_outputs({"names": self.names})

    def first(self, parent: pulumi.Resource) -> pulumi.ResourceOptions:
        """Options of a component below `parent` whose resources must wait until every service is on.

        A component's own `depends_on` does not reach its children; a transformation does.
        """
        return pulumi.ResourceOptions(parent=parent, transformations=[self._wait])

    def _wait(self, given: pulumi.ResourceTransformationArgs) -> Optional[pulumi.ResourceTransformationResult]:
        if not isinstance(given.resource, pulumi.CustomResource):
            return None
        after = pulumi.ResourceOptions(depends_on=list(self.services))
        return pulumi.ResourceTransformationResult(given.props, pulumi.ResourceOptions.merge(given.opts, after))


def _needed(hard: Hardening) -> tuple[str, ...]:
    keys = KEYS if hard.customer_keys is not False else ()
    return (*ALWAYS, *keys, *(SCANNING if hard.scanning is not False else ()))
