"""Sections of the stack's settings; `serving.settings` puts them together."""

import ipaddress
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic.alias_generators import to_camel

from serving.images import parse_image

GPU_CLASSES = ("T4-class", "L4-class", "A10G-class", "A100-40", "A100-80", "H100")
"""Names a pool's `gpu` may have; a cloud's catalog maps each to machine types."""

SYSTEM_POOL = "system"
"""Name of the pool without GPUs that every cluster has."""

_BLACKWELL = ("b100", "b200", "b300", "gb200", "gb300", "rtx-pro-6000", "rtxpro6000", "blackwell")


def _gpu_class(value: object) -> object:
    if isinstance(value, str) and any(value.lower().startswith(name) for name in _BLACKWELL):
        raise ValueError(
            "must not be a Blackwell GPU: TensorFlow Serving's CUDA 12.5 has no kernels for it; "
            f"use one of {', '.join(GPU_CLASSES)}"
        )
    return value


def _private_network(value: str) -> str:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError:
        raise ValueError("must be an IPv4 network such as 10.10.0.0/16, with no host bits set") from None
    if not network.is_private or not 16 <= network.prefixlen <= 20:
        raise ValueError("must be a private network between /16 and /20")
    return value


def _image(value: str) -> str:
    parse_image(value)
    return value


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,19}$")]
PoolName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,7}$")]
ModelName = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$")]
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]
Image = Annotated[str, AfterValidator(_image)]


class Block(BaseModel):
    """Base of every section: strict types, frozen, no unknown keys, camelCase names in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)


class Site(Block):
    """What sites of every cloud have."""

    weight: int = Field(ge=0, le=255, description="share of DNS answers, 0 to 255; 0 drains the site")
    cidr: Annotated[str, AfterValidator(_private_network)] | None = Field(
        default=None, description="address range of the site's network; the component's default when absent"
    )


class AwsSite(Site):
    """A cluster in one AWS region."""

    cloud: Literal["aws"]
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$", description="AWS region such as us-east-1")

    @property
    def location_name(self) -> str:
        """The cloud's own name of the place."""
        return self.region


class GcpSite(Site):
    """A cluster in one Google Cloud region."""

    cloud: Literal["gcp"]
    project: str = Field(
        pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$", description="project id, not its number or display name"
    )
    region: str = Field(pattern=r"^[a-z]+-[a-z]+[0-9]+$", description="Google Cloud region such as us-central1")

    @property
    def location_name(self) -> str:
        """The cloud's own name of the place."""
        return self.region


class AzureSite(Site):
    """A cluster in one Azure location."""

    cloud: Literal["azure"]
    subscription: str = Field(
        pattern=r"^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$",
        description="Azure subscription id, a UUID",
    )
    location: str = Field(pattern=r"^[a-z]+[0-9]?$", description="Azure location such as eastus")

    @property
    def location_name(self) -> str:
        """The cloud's own name of the place."""
        return self.location


AnySite = Annotated[AwsSite | GcpSite | AzureSite, Field(discriminator="cloud")]


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


class Spot(Block):
    """How much of a pool is bought as interruptible capacity."""

    share: str = Field(pattern=r"^(100|[1-9]?[0-9])%$", description="part of max bought as spot capacity, 0% to 100%")
    fallback: Literal["on-demand", "none"] = Field(
        default="on-demand", description="what serves when spot capacity is gone: on-demand nodes, or none"
    )

    @property
    def share_percent(self) -> int:
        """The share as a whole number, 0 to 100."""
        return int(self.share.removesuffix("%"))


class GpuPool(Block):
    """One policy for GPU nodes, translated to machine types by every cloud's catalog."""

    gpu: Annotated[
        Literal["T4-class", "L4-class", "A10G-class", "A100-40", "A100-80", "H100"],
        BeforeValidator(_gpu_class),
    ]
    """GPU class, one of `GPU_CLASSES`."""
    min: int = Field(default=0, ge=0, le=1000, description="fewest nodes in a site, 0 to 1000")
    max: int = Field(ge=1, le=1000, description="most nodes in a site, 1 to 1000")
    spot: Spot | None = Field(default=None, description="interruptible capacity; none when absent")


class Canary(Block):
    """A second version that takes part of a model's requests."""

    version: Version = Field(description="version of the bundle")
    weight: int = Field(ge=0, le=100, description="percentage of the requests in a canary site, 0 to 100")
    sites: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | None = Field(
        default=None, description="sites that run the canary; every site when absent"
    )


class Replicas(Block):
    """Bounds of the number of pods of one version in one site."""

    min: int = Field(default=1, ge=1, le=1000, description="fewest pods, 1 to 1000")
    max: int = Field(default=1, ge=1, le=1000, description="most pods, 1 to 1000")


class Resources(Block):
    """What one model server pod reserves."""

    cpu: int = Field(default=1, ge=1, le=96, description="whole CPUs, also the number of TensorFlow threads")
    memory_mib: int | None = Field(
        default=None, ge=256, description="memory in MiB; derived from the bundle's measured peak when absent"
    )


class Model(Block):
    """A model, its versions and where they run."""

    bundle: str = Field(min_length=1, description="folder of the model's bundles, relative to the project")
    stable: Version = Field(description="version of the bundle that answers")
    canary: Canary | None = Field(default=None, description="second version that takes some requests")
    pool: str | None = Field(default=None, description="a name under pools; CPU nodes when absent")
    replicas: Replicas = Field(default=Replicas(), description="bounds of the number of pods")
    resources: Resources = Field(default=Resources(), description="what one pod reserves")

    def versions_at(self, site: str) -> dict[int, int]:
        """Versions of a site with their percentages of the requests; the stable one first."""
        canary = self.canary
        if canary is None or (canary.sites is not None and site not in canary.sites):
            return {self.stable: 100}
        return {self.stable: 100 - canary.weight, canary.version: canary.weight}


class Ingress(Block):
    """How clients reach a site."""

    port: int | None = Field(
        default=None, ge=1, le=65535, description="port of the public address; 443 with tlsSecret, 80 without"
    )
    tls_secret: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$",
        description="Secret of type kubernetes.io/tls in the serving namespace; plain HTTP when absent",
    )

    @property
    def listen_port(self) -> int:
        """The public port in force."""
        return self.port or (443 if self.tls_secret else 80)


class Route53(Block):
    """The domain's zone in Route 53."""

    zone_id: str | None = Field(
        default=None,
        pattern=r"^Z[A-Z0-9]{1,31}$",
        description="an existing hosted zone; one is created when absent",
    )


class CloudDns(Block):
    """The domain's zone in Cloud DNS."""

    project: str = Field(
        pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$", description="Google Cloud project that holds the zone"
    )
    managed_zone: str | None = Field(
        default=None,
        pattern=r"^[a-z][a-z0-9-]{0,61}[a-z0-9]$",
        description="an existing zone; one is created when absent",
    )


class Dns(Block):
    """Who answers for the domain. Naming an authority turns off the ones chosen by default."""

    ttl: int = Field(default=30, ge=5, le=3600, description="lifetime of an answer in seconds, 5 to 3600")
    route53: Route53 | None = Field(default=None, description="default when a site is on AWS")
    cloud_dns: CloudDns | None = Field(
        default=None, description="default when a site is on Google Cloud, in its project"
    )


class Serving(Block):
    """Settings of every TensorFlow Serving process."""

    warmup_iterations: int = Field(default=3, ge=1, le=100, description="replays of each warm-up record, 1 to 100")
    batch_timeout_micros: int = Field(
        default=2000, ge=0, le=1_000_000, description="longest wait for a batch to fill, in microseconds"
    )
    request_timeout_ms: int = Field(
        default=10_000, ge=100, le=15_000, description="longest request in milliseconds, 100 to 15000"
    )
    grpc_max_threads: int = Field(default=256, ge=8, le=4096, description="requests held at once by one server")


class Images(Block):
    """Container images; a digest behind the tag makes them immutable."""

    server: Image = Field(default="docker.io/tensorflow/serving:2.20.0-gpu", description="TensorFlow Serving")
    puller: Image = Field(default="docker.io/rclone/rclone:1.75.1", description="rclone, which fetches a bundle")
