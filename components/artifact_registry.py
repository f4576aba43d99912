"""Container registry on Google Cloud."""

from dataclasses import dataclass
from typing import Any, Optional

import pulumi
import pulumi_gcp as gcp

from components._base import coerce, protected, token
from components._hardening import PRODUCTION, Hardening
from components._image_cache import cached_path
from components._naming import physical, stack_scope, tags

UPSTREAMS = {
    "docker.io": "docker",
    "ghcr.io": "ghcr",
    "quay.io": "quay",
    "registry.k8s.io": "k8s",
}
"""Public registries that are cached, with the last part of their repository's logical name."""
READER = "roles/artifactregistry.reader"
KEPT_VERSIONS = 10
UNTAGGED_AGE = f"{30 * 24 * 3600}s"


@dataclass(frozen=True, kw_only=True)
class ArtifactRegistryArgs:
    """Arguments of `ArtifactRegistry`."""

    project: str
    """Google Cloud project id."""
    region: str
    """Region of the repository. A change replaces it."""
    hardening: Optional[Hardening] = None
    """Whether images are scanned. Default that of production: yes."""
    key: Optional[pulumi.Input[str]] = None
    """Id of the Cloud KMS key that encrypts images. Default Google's own. A change replaces the repository."""
    mirror: Optional[bool] = None
    """Cache images of docker.io, ghcr.io, quay.io and registry.k8s.io on first use. Default False."""
    reader: Optional[pulumi.Input[str]] = None
    """IAM member that pulls images, such as the nodes' `serviceAccount:...`. Default none is let in."""
    protect: Optional[bool] = None
    """Refuse to delete the repository and the images in it; caches are deleted all the same. Default True."""
    labels: Optional[dict[str, str]] = None
    """Labels of every resource, beside the component's own."""


class ArtifactRegistry(pulumi.ComponentResource):
    """A Docker repository with immutable tags and, if wanted, caches of public registries beside it.

    Images without a tag go after 30 days, the ten newest versions of an image never. Caches keep everything: a cloud
    that starts alone must find what it once pulled. Needs the role `roles/artifactregistry.admin`.
    """

    registry_url: pulumi.Output[str]
    """Address images are pushed to and pulled from, without a scheme."""

    def __init__(self, name: str, args: ArtifactRegistryArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(ArtifactRegistry), name, {}, opts)
        a = coerce(ArtifactRegistryArgs, args)
        self._name, self._args = name, a
        self.registry_url = self._repository(
            "images",
            name,
            protected(self, a.protect),
            docker_config=gcp.artifactregistry.RepositoryDockerConfigArgs(immutable_tags=True),
            cleanup_policies=[
                gcp.artifactregistry.RepositoryCleanupPolicyArgs(
                    id="keep-newest",
                    action="KEEP",
                    most_recent_versions=gcp.artifactregistry.RepositoryCleanupPolicyMostRecentVersionsArgs(
                        keep_count=KEPT_VERSIONS
                    ),
                ),
                gcp.artifactregistry.RepositoryCleanupPolicyArgs(
                    id="delete-untagged",
                    action="DELETE",
                    condition=gcp.artifactregistry.RepositoryCleanupPolicyConditionArgs(
                        tag_state="UNTAGGED", older_than=UNTAGGED_AGE
                    ),
                ),
            ],
        )
        caches = {
            host: self._repository(
                short,
                f"{name}-{short}",
                pulumi.ResourceOptions(parent=self),
                mode="REMOTE_REPOSITORY",
                remote_repository_config=_upstream(host),
            )
            for host, short in (UPSTREAMS.items() if a.mirror else ())
        }
        self._caches = pulumi.Output.all(**caches)
        self._prefixes = {host: self._address(self._id(f"{name}-{UPSTREAMS[host]}")) for host in caches}
        self.register_outputs({"registry_url": self.registry_url})

    def image(self, reference: str) -> pulumi.Output[str]:
        """Name of a public image in its cache; the same name where there is none. Tag and digest are kept."""
        path = cached_path(reference, self._prefixes)
        if path is None:
            return pulumi.Output.from_input(reference)
        return self._caches.apply(lambda _: path)

    def _id(self, name: str) -> str:
        return physical("gcp", "repository", name, stack_scope(self._args.project, self._args.region))

    def _address(self, repository_id: str) -> str:
        return f"{self._args.region}-docker.pkg.dev/{self._args.project}/{repository_id}"

    def _repository(self, suffix: str, name: str, opts: pulumi.ResourceOptions, **more: Any) -> pulumi.Output[str]:
        """Declare a repository; returns its address, which waits for the reader's grant."""
        a = self._args
        scan = (a.hardening or PRODUCTION).scanning is not False
        repository = gcp.artifactregistry.Repository(
            f"{self._name}-{suffix}",
            repository_id=self._id(name),
            project=a.project,
            location=a.region,
            format="DOCKER",
            kms_key_name=a.key,
            vulnerability_scanning_config=gcp.artifactregistry.RepositoryVulnerabilityScanningConfigArgs(
                enablement_config="INHERITED" if scan else "DISABLED"
            ),
            labels=tags("ArtifactRegistry", a.labels),
            opts=opts,
            **more,
        )
        address: pulumi.Output[str] = repository.repository_id.apply(self._address)
        if a.reader is None:
            return address
        grant = gcp.artifactregistry.RepositoryIamMember(
            f"{self._name}-{suffix}-reader",
            project=a.project,
            location=a.region,
            repository=repository.repository_id,
            role=READER,
            member=a.reader,
            opts=pulumi.ResourceOptions(parent=self),
        )
        # The role is known in a preview, unlike the id, so that policies can see the whole name of an image.
        return pulumi.Output.all(address, grant.role).apply(lambda values: str(values[0]))


def _upstream(host: str) -> gcp.artifactregistry.RepositoryRemoteRepositoryConfigArgs:
    if host == "docker.io":
        return gcp.artifactregistry.RepositoryRemoteRepositoryConfigArgs(
            description="Docker Hub",
            docker_repository=gcp.artifactregistry.RepositoryRemoteRepositoryConfigDockerRepositoryArgs(
                public_repository="DOCKER_HUB"
            ),
        )
    return gcp.artifactregistry.RepositoryRemoteRepositoryConfigArgs(
        description=host,
        common_repository=gcp.artifactregistry.RepositoryRemoteRepositoryConfigCommonRepositoryArgs(
            uri=f"https://{host}"
        ),
    )
