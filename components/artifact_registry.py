"""Container registry on Google Cloud."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_gcp as gcp

from components._base import coerce, protected, token
from components._naming import physical, stack_scope, tags


@dataclass(frozen=True, kw_only=True)
class ArtifactRegistryArgs:
    """Arguments of `ArtifactRegistry`."""

    project: str
    """Google Cloud project id."""
    region: str
    """Region of the repository. A change replaces it."""
    protect: Optional[bool] = None
    """Refuse to delete the repository and the images in it. Default True."""
    labels: Optional[dict[str, str]] = None
    """Labels of every resource, beside the component's own."""


class ArtifactRegistry(pulumi.ComponentResource):
    """A Docker repository with immutable tags. Needs the role `roles/artifactregistry.admin`."""

    registry_url: pulumi.Output[str]
    """Address images are pushed to and pulled from, without a scheme."""

    def __init__(self, name: str, args: ArtifactRegistryArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(ArtifactRegistry), name, {}, opts)
        a = coerce(ArtifactRegistryArgs, args)
        repository = gcp.artifactregistry.Repository(
            f"{name}-images",
            repository_id=physical("gcp", "repository", name, stack_scope(a.project, a.region)),
            project=a.project,
            location=a.region,
            format="DOCKER",
            docker_config=gcp.artifactregistry.RepositoryDockerConfigArgs(immutable_tags=True),
            labels=tags("ArtifactRegistry", a.labels),
            opts=protected(self, a.protect),
        )
        self.registry_url = pulumi.Output.concat(a.region, "-docker.pkg.dev/", a.project, "/", repository.repository_id)
        self.register_outputs({"registry_url": self.registry_url})
