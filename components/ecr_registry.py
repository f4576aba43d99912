"""Container registry on AWS."""

import json
import re
from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_aws as aws

from components._aws_policies import allow, document, role_path, service_trust
from components._base import coerce, protected, reject, token
from components._image_cache import cached_path
from components._limits import Problems
from components._naming import physical, stack_scope, tags

_SECRET = re.compile(
    r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:ecr-pullthroughcache/[A-Za-z0-9/_+=.@-]+"
)
_HUB = "docker.io"
_UPSTREAMS = {
    _HUB: ("docker-hub", "registry-1.docker.io"),
    "quay.io": ("quay", "quay.io"),
    "registry.k8s.io": ("k8s", "registry.k8s.io"),
    "public.ecr.aws": ("ecr-public", "public.ecr.aws"),
}
"""Registry to the last part of its prefix in the cache, and its address. Others need a token each."""
_KEPT_IMAGES = 50
_UNTAGGED_DAYS = 14


def secret_problems(arn: Optional[str]) -> Problems:
    """Problems of the ARN of the secret with a Docker Hub token; none when it is not given."""
    if arn is None or _SECRET.fullmatch(arn):
        return []
    reason = "must be the ARN of a secret named ecr-pullthroughcache/..., which is the only kind ECR reads"
    return [("dockerHubSecretArn", f"{reason}, got {arn!r}")]


@dataclass(frozen=True, kw_only=True)
class EcrRegistryArgs:
    """Arguments of `EcrRegistry`."""

    key_arn: Optional[pulumi.Input[str]] = None
    """KMS key of the images. Default one of AWS's own. A change replaces the repository."""
    mirror: Optional[bool] = None
    """Cache images of quay.io, registry.k8s.io and public.ecr.aws, and of Docker Hub with a secret. Default False."""
    docker_hub_secret_arn: Optional[str] = None
    """Secret of AWS Secrets Manager named `ecr-pullthroughcache/...` with a Docker Hub user and access token.

    Without one, ECR caches no image of Docker Hub. The stack never reads it. Default none.
    """
    puller_role_name: Optional[pulumi.Input[str]] = None
    """IAM role of the nodes, which may fill the cache. Default none: only what is cached already can be pulled."""
    protect: Optional[bool] = None
    """Refuse to delete the repository and the images in it. Default True."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        reject("EcrRegistry", secret_problems(self.docker_hub_secret_arn))


class EcrRegistry(pulumi.ComponentResource):
    """A private ECR repository with immutable tags and scanning on push, and a cache of public registries.

    ECR makes a repository for an image when it is first pulled through the cache. These repositories are not part of
    the stack and stay when it is destroyed. Scanning beyond that on push is a setting of the whole account, which this
    leaves alone. Needs permission for `ecr:*Repository*`, `ecr:*LifecyclePolicy` and `ecr:*PullThroughCacheRule`.
    """

    registry_url: pulumi.Output[str]
    """Address images are pushed to and pulled from, without a scheme."""

    def __init__(self, name: str, args: EcrRegistryArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(EcrRegistry), name, {}, opts)
        a = coerce(EcrRegistryArgs, args)
        own = tags("EcrRegistry", a.labels)
        key = None
        if a.key_arn is not None:
            key = [aws.ecr.RepositoryEncryptionConfigurationArgs(encryption_type="KMS", kms_key=a.key_arn)]
        repository = aws.ecr.Repository(
            f"{name}-images",
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration=aws.ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
            encryption_configurations=key,
            force_delete=a.protect is False,
            tags=own,
            opts=protected(self, a.protect),
        )
        # Images with a tag are kept: a tag is what a running version is named by.
        aws.ecr.LifecyclePolicy(
            f"{name}-images",
            repository=repository.name,
            policy=_lifecycle("untagged", "sinceImagePushed", _UNTAGGED_DAYS),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.registry_url = repository.repository_url
        self._prefixes: dict[str, str] = {}
        self._ready: list[pulumi.Output[str]] = []
        if a.mirror:
            self._declare_cache(name, a, own, repository.arn)
        self.register_outputs({"registry_url": self.registry_url})

    def image(self, reference: str) -> pulumi.Output[str]:
        """Name of a public image in the cache, known once the cache is there; the same name where none covers it.

        Args:
            reference: `registry/repository[:tag][@sha256:digest]`; tag and digest are kept.
        """
        path = cached_path(reference, self._prefixes)
        if path is None:
            return pulumi.Output.from_input(reference)
        return pulumi.Output.all(self.registry_url, *self._ready).apply(
            lambda values: f"{str(values[0]).partition('/')[0]}/{path}"
        )

    def _declare_cache(
        self, name: str, a: EcrRegistryArgs, own: dict[str, str], repository_arn: pulumi.Output[str]
    ) -> None:
        child = pulumi.ResourceOptions(parent=self)
        # Prefixes are unique in a registry, of which an account has one per region: two stacks must not share one.
        root = physical("aws", "image_cache", name, stack_scope())
        repositories = repository_arn.apply(lambda arn: f"{arn.partition('repository/')[0]}repository/{root}/*")
        creator = aws.iam.Role(
            f"{name}-cache-role",
            path=role_path(),
            assume_role_policy=service_trust("ecr.amazonaws.com"),
            tags=own,
            opts=child,
        )
        creation = aws.iam.RolePolicy(
            f"{name}-cache-create",
            role=creator.name,
            policy=pulumi.Output.all(repositories, a.key_arn).apply(lambda values: _creation(values[0], values[1])),
            opts=child,
        )
        key = None
        if a.key_arn is not None:
            key = [
                aws.ecr.RepositoryCreationTemplateEncryptionConfigurationArgs(encryption_type="KMS", kms_key=a.key_arn)
            ]
        template = aws.ecr.RepositoryCreationTemplate(
            f"{name}-cache",
            prefix=root,
            description=f"Cached images of {name}",
            applied_fors=["PULL_THROUGH_CACHE"],
            image_tag_mutability="IMMUTABLE",
            encryption_configurations=key,
            lifecycle_policy=_lifecycle("any", "imageCountMoreThan", _KEPT_IMAGES),
            custom_role_arn=creator.arn,
            resource_tags=own,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[creation]),
        )
        self._ready.append(template.id)
        for registry, (part, upstream) in _UPSTREAMS.items():
            secret = a.docker_hub_secret_arn if registry == _HUB else None
            if registry == _HUB and secret is None:
                continue
            rule = aws.ecr.PullThroughCacheRule(
                f"{name}-cache-{part}",
                ecr_repository_prefix=f"{root}/{part}",
                upstream_registry_url=upstream,
                credential_arn=secret,
                opts=child,
            )
            self._prefixes[registry] = f"{root}/{part}"
            self._ready.append(rule.id)
        if a.puller_role_name is not None:
            actions = ["ecr:BatchImportUpstreamImage", "ecr:CreateRepository"]
            filling = aws.iam.RolePolicy(
                f"{name}-cache-fill",
                role=a.puller_role_name,
                policy=repositories.apply(lambda arn: document(allow(actions, [arn]))),
                opts=child,
            )
            self._ready.append(filling.id)


def _creation(repositories: str, key_arn: Optional[str]) -> str:
    statements = [allow(["ecr:CreateRepository", "ecr:TagResource"], [repositories])]
    if key_arn is not None:
        statements.append(allow(["kms:CreateGrant", "kms:RetireGrant", "kms:DescribeKey"], [key_arn]))
    return document(*statements)


def _lifecycle(tag_status: str, count_type: str, count: int) -> str:
    selection: dict[str, object] = {"tagStatus": tag_status, "countType": count_type, "countNumber": count}
    if count_type == "sinceImagePushed":
        selection["countUnit"] = "days"
    return json.dumps({"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]})
