"""Sections of the settings about models and how requests reach them."""

from typing import Annotated

from pydantic import AfterValidator, Field

from serving.images import parse_image
from serving.settings_base import Block, ObjectName, Version


def _image(value: str) -> str:
    """Refuse what is not registry/repository with a tag other than latest, or a digest."""
    parse_image(value)
    return value


Image = Annotated[str, AfterValidator(_image)]


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


class Certificate(Block):
    """A certificate that every cluster gets for itself and renews, proving the domain by DNS (ACME, DNS-01)."""

    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", description="where the authority writes to")
    server: str = Field(
        default="https://acme-v02.api.letsencrypt.org/directory",
        pattern=r"^https://[^\s]+$",
        description="directory of the ACME authority",
    )


class Ingress(Block):
    """How clients reach a site."""

    port: int | None = Field(
        default=None, ge=1, le=65535, description="port of the public address; 443 with TLS, 80 without"
    )
    tls_secret: ObjectName | None = Field(
        default=None,
        description="Secret of type kubernetes.io/tls in the serving namespace; plain HTTP when absent",
    )
    certificate: Certificate | None = Field(
        default=None, description="get certificates by ACME in place of tlsSecret; needs dns.route53.zoneId"
    )
    peer_fallback: bool = Field(
        default=True,
        description="send requests to other sites, with mutual TLS, while no server of a model is healthy at a site",
    )

    @property
    def tls(self) -> bool:
        """Whether callers speak TLS."""
        return self.tls_secret is not None or self.certificate is not None

    @property
    def listen_port(self) -> int:
        """The public port in force."""
        return self.port or (443 if self.tls else 80)


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
    drain_s: int = Field(
        default=20, ge=0, le=300, description="seconds a pod goes on serving after it has been taken out of the answers"
    )


class Images(Block):
    """Container images; a digest behind the tag makes them immutable."""

    server: Image = Field(default="docker.io/tensorflow/serving:2.20.0-gpu", description="TensorFlow Serving")
    puller: Image = Field(default="docker.io/rclone/rclone:1.75.1", description="rclone, which fetches a bundle")
    mirror: bool = Field(
        default=True,
        description="take images through a cache in each cloud's registry, so that it starts pods alone",
    )
    docker_hub_vault: str | None = Field(
        default=None,
        pattern=r"^/subscriptions/[0-9a-fA-F-]{36}/resourceGroups/[^/]+/providers/Microsoft\.KeyVault/vaults/[a-zA-Z0-9-]{3,24}$",
        description="id of the Azure key vault with the secrets docker-hub-username and docker-hub-token; without it "
        "Azure sites do not cache images of Docker Hub",
    )
    docker_hub_secret: str | None = Field(
        default=None,
        pattern=r"^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:ecr-pullthroughcache/[A-Za-z0-9/_+=.@-]+$",
        description="AWS secret with a Docker Hub token; without it AWS sites do not cache images of Docker Hub",
    )
