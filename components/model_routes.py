"""Which requests reach which versions of a model in a cluster."""

from dataclasses import dataclass
from typing import Optional

import pulumi

from components._base import coerce, reject, token
from components._kubernetes import manifest_resource
from components._refusals import section_problems
from serving.routes import health_path, model_routes
from serving.settings_sections import Serving

DEFAULT_REQUEST_TIMEOUT_MS = 10_000


@dataclass(frozen=True, kw_only=True)
class ModelRoutesArgs:
    """Arguments of `ModelRoutes`."""

    model: str
    """Name of the model."""
    namespace: str
    """Namespace of the Gateway and the model servers."""
    site: str
    """Name of the site, told to callers in the header `x-served-by`."""
    versions: dict[str, int]
    """Share of the requests by version, in percent; they add up to 100."""
    default: Optional[bool] = None
    """Whether gRPC callers that name no model get this one. Default False."""
    request_timeout_ms: Optional[int] = None
    """Longest request in milliseconds. Default 10000."""

    def __post_init__(self) -> None:
        bad = []
        if sum(self.versions.values()) != 100 or min(self.versions.values(), default=-1) < 0:
            bad.append(("versions", f"must be shares from 0 that add up to 100, got {self.versions}"))
        bad += [
            (f"versions.{version}", "must be a version number") for version in self.versions if not version.isdigit()
        ]
        bad += section_problems(Serving, {"request_timeout_ms": self.request_timeout_ms})
        reject("ModelRoutes", bad)


class ModelRoutes(pulumi.ComponentResource):
    """Routes of one model for gRPC, REST and health checks, with weights by version and retries between pods."""

    health_path: pulumi.Output[str]
    """Path that answers while this site serves the model."""

    def __init__(self, name: str, args: ModelRoutesArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(ModelRoutes), name, {}, opts)
        a = coerce(ModelRoutesArgs, args)
        objects = model_routes(
            a.model,
            a.namespace,
            a.site,
            {int(version): weight for version, weight in a.versions.items()},
            default=bool(a.default),
            request_timeout_ms=a.request_timeout_ms or DEFAULT_REQUEST_TIMEOUT_MS,
        )
        for role, manifest in objects.items():
            manifest_resource(f"{name}-{role}", manifest, pulumi.ResourceOptions(parent=self))
        self.health_path = pulumi.Output.from_input(health_path(a.model))
        self.register_outputs({"health_path": self.health_path})
