"""Sections of the settings about clusters: where they are, how closed they are, and their pool without GPUs."""

from typing import Annotated, Literal

from pydantic import Field

from serving.settings_base import Address, Block, CallerNetwork, PrivateNetwork

SYSTEM_POOL = "system"
"""Name of the pool without GPUs that every cluster has."""
_ZONES = "zones of the site's nodes; chosen by the cloud when absent"


class Site(Block):
    """What sites of every cloud have."""

    weight: int = Field(ge=0, le=255, description="share of DNS answers, 0 to 255; 0 drains the site")


class CloudSite(Site):
    """What sites have whose network the stack makes."""

    cidr: PrivateNetwork | None = Field(
        default=None, description="address range of the site's network; the component's default when absent"
    )


class AwsSite(CloudSite):
    """A cluster in one AWS region."""

    cloud: Literal["aws"]
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$", description="AWS region such as us-east-1")
    zones: (
        Annotated[
            tuple[Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9][a-z]$")], ...],
            Field(strict=False, min_length=2, max_length=8),
        ]
        | None
    ) = Field(default=None, description=_ZONES)

    @property
    def location_name(self) -> str:
        """The cloud's own name of the place."""
        return self.region


class GcpSite(CloudSite):
    """A cluster in one Google Cloud region."""

    cloud: Literal["gcp"]
    project: str = Field(
        pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$", description="project id, not its number or display name"
    )
    region: str = Field(pattern=r"^[a-z]+-[a-z]+[0-9]+$", description="Google Cloud region such as us-central1")
    zones: (
        Annotated[
            tuple[Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+[0-9]+-[a-z]$")], ...],
            Field(strict=False, min_length=1, max_length=4),
        ]
        | None
    ) = Field(default=None, description=_ZONES)

    @property
    def location_name(self) -> str:
        """The cloud's own name of the place."""
        return self.region


class AzureSite(CloudSite):
    """A cluster in one Azure location."""

    cloud: Literal["azure"]
    subscription: str = Field(
        pattern=r"^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$",
        description="Azure subscription id, a UUID",
    )
    location: str = Field(pattern=r"^[a-z]+[0-9]?$", description="Azure location such as eastus")
    zones: Annotated[tuple[Literal["1", "2", "3"], ...], Field(strict=False, min_length=1, max_length=3)] | None = (
        Field(default=None, description="zones of the nodes without GPUs; none are asked for when absent")
    )

    @property
    def location_name(self) -> str:
        """The cloud's own name of the place."""
        return self.location


class KubernetesSite(Site):
    """An existing cluster, such as one on premises: nothing is made outside it."""

    cloud: Literal["kubernetes"]
    kubeconfig: str = Field(
        min_length=1, description="path of the cluster's kubeconfig file; its contents stay out of the state"
    )
    context: str | None = Field(default=None, min_length=1, description="context in it; its current one when absent")
    addresses: Annotated[tuple[Address, ...], Field(strict=False, min_length=1)] = Field(
        description="public IPv4 addresses that lead to the cluster's load balancer"
    )
    store: str = Field(
        pattern=r"^https?://[^\s/]+(/[^\s]*)?$",
        description="address of a folder with the bundle archives that pods can read, such as https://files.example.com/models",
    )
    load_balancer_annotations: dict[str, str] = Field(
        default={}, description="annotations of the load balancer's Service, such as MetalLB's"
    )

    @property
    def location_name(self) -> str:
        """The kubeconfig, which is all that is known of the place."""
        return self.kubeconfig


AnySite = Annotated[AwsSite | GcpSite | AzureSite | KubernetesSite, Field(discriminator="cloud")]
CLOUDS = ("aws", "gcp", "azure", "kubernetes")
"""Every `cloud` a site may have."""


class Machines(Block):
    """Machine type per cloud; a cloud left out uses its component's default."""

    aws: str | None = Field(default=None, min_length=1, description="EC2 instance type such as m7i.xlarge")
    gcp: str | None = Field(default=None, min_length=1, description="machine type such as n2-standard-4")
    azure: str | None = Field(default=None, min_length=1, description="VM size such as Standard_D4s_v5")


class SystemPool(Block):
    """The pool without GPUs: cluster add-ons, the gateway, and models without a pool of their own."""

    min: int = Field(default=1, ge=1, le=100, description="fewest nodes, 1 to 100")
    max: int = Field(default=3, ge=1, le=100, description="most nodes, 1 to 100")
    machine: Machines = Field(default=Machines(), description="machine type per cloud")


class Cluster(Block):
    """How closed and how well kept every cluster is; the defaults are those of production."""

    endpoint: Literal["private", "public"] = Field(
        default="private", description="who reaches the API server: the site's network, or also authorizedRanges"
    )
    authorized_ranges: Annotated[tuple[CallerNetwork, ...], Field(strict=False)] = Field(
        default=(), description="IPv4 ranges that reach a public API server; the whole internet is refused"
    )
    customer_keys: bool = Field(
        default=True, description="encrypt secrets, disks, registries and stores with keys of the stack's own"
    )
    private_links: bool = Field(
        default=True, description="reach the cloud's registries, stores and APIs without the internet"
    )
    nat_per_zone: bool = Field(default=True, description="a way out of every zone, so that no zone needs another (AWS)")
    flow_logs: bool = Field(default=True, description="log the network's connections")
    log_retention_days: Literal[1, 7, 14, 30, 60, 90, 180, 365] = Field(
        default=90, description="days that audit and flow logs are kept"
    )
    scanning: bool = Field(default=True, description="scan images and clusters for known weaknesses, at extra cost")
