"""The stack's settings: one strict, frozen object per stack, read from `tricorn:settings`.

Every section refuses unknown keys. `parse_settings` and `load_settings` report all mistakes of a file together, one
line each; building `Settings` in another way skips the rules that span several sections (`settings_rules`).
"""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from serving.settings_access import Access, Admins, ApiKeys, Callers, Ci, Jwt
from serving.settings_base import Block, ModelName, Name, PoolName, PublicKey
from serving.settings_pools import GPU_CLASSES, GpuPool, PoolOverride, Reservation, Spot
from serving.settings_sections import (
    Canary,
    Certificate,
    CloudDns,
    Dns,
    Images,
    Ingress,
    Model,
    Replicas,
    Resources,
    Route53,
    Serving,
)
from serving.settings_sites import (
    SYSTEM_POOL,
    AnySite,
    AwsSite,
    AzureSite,
    Cluster,
    GcpSite,
    KubernetesSite,
    Machines,
    Site,
    SystemPool,
)

__all__ = [
    "GPU_CLASSES",
    "SYSTEM_POOL",
    "Access",
    "Admins",
    "AnySite",
    "ApiKeys",
    "AwsSite",
    "AzureSite",
    "Callers",
    "Canary",
    "Certificate",
    "Ci",
    "CloudDns",
    "Cluster",
    "Dns",
    "GcpSite",
    "GpuPool",
    "Images",
    "Ingress",
    "Jwt",
    "KubernetesSite",
    "Machines",
    "Model",
    "PoolOverride",
    "Replicas",
    "Reservation",
    "Resources",
    "Route53",
    "Serving",
    "Settings",
    "SettingsError",
    "Site",
    "Spot",
    "SystemPool",
    "load_settings",
    "parse_settings",
    "settings_schema",
]


def _kubernetes_version(value: str) -> str:
    """Refuse what is not 1.30 or later."""
    if int(value.split(".")[1]) < 30:
        raise ValueError("must be 1.30 or later: pods drain with a preStop sleep")
    return value


LabelKey = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
LabelValue = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$")]


class Settings(Block):
    """Everything one stack is made from."""

    domain: str = Field(
        max_length=230,
        pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$",
        description="name that clients resolve: lower case, no final dot, such as serve.example.com",
    )
    sites: dict[Name, AnySite] = Field(min_length=1, description="clusters by name; at least one")
    kubernetes_version: Annotated[str, Field(pattern=r"^1\.[0-9]{2}$"), AfterValidator(_kubernetes_version)] = Field(
        default="1.36", description='Kubernetes minor version in quotes, such as "1.36"'
    )
    cluster: Cluster = Field(default=Cluster(), description="how closed and how well kept every cluster is")
    system_pool: SystemPool = Field(default=SystemPool(), description="the pool without GPUs")
    pools: dict[PoolName, GpuPool] = Field(default={}, description="GPU pools by name")
    models: dict[ModelName, Model] = Field(default={}, description="models by name")
    signers: Annotated[tuple[PublicKey, ...], Field(strict=False)] = Field(
        default=(),
        description="public keys one of which must have signed every model version; none has to be signed when empty",
    )
    ingress: Ingress = Field(default=Ingress(), description="how clients reach a site")
    dns: Dns = Field(default=Dns(), description="who answers for the domain")
    serving: Serving = Field(default=Serving(), description="settings of every TensorFlow Serving process")
    images: Images = Field(default=Images(), description="container images")
    access: Access = Field(default=Access(), description="who may do what")
    frozen: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        default=(),
        description="sites, and route53 or cloudDns, to leave as they are because their cloud does not answer",
    )
    owner: LabelValue = Field(default="platform", description="team that answers for the stack, as a label value")
    labels: dict[LabelKey, LabelValue] = Field(default={}, description="tags and labels put on every resource")
    protect: bool = Field(default=True, description="refuse to delete clusters, stores and addresses")

    @property
    def all_labels(self) -> dict[str, str]:
        """Labels of every resource: the configured ones and the owner."""
        return {**self.labels, "owner": self.owner}

    @property
    def route53(self) -> Route53 | None:
        """The Route 53 zone in force: the configured one, else a new one when a site is on AWS."""
        if self.dns.route53 is not None or self.dns.cloud_dns is not None:
            return self.dns.route53
        return Route53() if any(site.cloud == "aws" for site in self.sites.values()) else None

    @property
    def cloud_dns(self) -> CloudDns | None:
        """The Cloud DNS zone in force: the configured one, else one in the first Google Cloud site's project."""
        if self.dns.route53 is not None or self.dns.cloud_dns is not None:
            return self.dns.cloud_dns
        projects = [site.project for site in self.sites.values() if isinstance(site, GcpSite)]
        return CloudDns(project=projects[0]) if projects else None


class SettingsError(ValueError):
    """Settings that break a rule.

    Attributes:
        problems: One line per mistake, `path: rule (got value); fix`; the message is these lines.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def parse_settings(raw: object) -> Settings:
    """Check a stack's settings.

    Args:
        raw: What YAML or JSON gave for the settings object: mappings, lists, strings, numbers and booleans.

    Raises:
        SettingsError: With every mistake, in the order of their paths.
    """
    from serving.settings_messages import explain
    from serving.settings_refused import mark_refused
    from serving.settings_rules import spanning_problems

    settings: Settings | None = None
    problems: list[str] = []
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        problems = explain(Settings, error)
        raw = mark_refused(raw, error)
    problems += spanning_problems(raw)
    if settings is None or problems:
        raise SettingsError(tuple(sorted(set(problems))))
    return settings


def load_settings() -> Settings:
    """Read `tricorn:settings` of the current Pulumi stack.

    Raises:
        pulumi.RunError: With every mistake and its path; the engine prints it without a traceback.
    """
    import pulumi

    config = pulumi.Config("tricorn")
    raw = config.get_object("settings")
    if raw is None:
        raise pulumi.RunError(
            f"Pulumi.{pulumi.get_stack()}.yaml has no tricorn:settings; "
            "copy the block from Pulumi.dev.yaml and set its domain and sites"
        )
    try:
        return parse_settings(raw)
    except SettingsError as error:
        lines = "\n".join(f"  tricorn:settings.{line}" for line in error.problems)
        raise pulumi.RunError(f"Pulumi.{pulumi.get_stack()}.yaml is not valid:\n{lines}") from None


def settings_schema() -> dict[str, Any]:
    """JSON schema of `tricorn:settings`, for editors and the reference documentation."""
    return Settings.model_json_schema(by_alias=True)
