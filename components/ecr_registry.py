"""Container registry on AWS."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_aws as aws

from components._base import coerce, protected, token
from components._naming import tags


@dataclass(frozen=True, kw_only=True)
class EcrRegistryArgs:
    """Arguments of `EcrRegistry`."""

    protect: Optional[bool] = None
    """Refuse to delete the repository and the images in it. Default True."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""


class EcrRegistry(pulumi.ComponentResource):
    """A private ECR repository with immutable tags and scanning on push. Needs permission for `ecr:*Repository*`."""

    registry_url: pulumi.Output[str]
    """Address images are pushed to and pulled from, without a scheme."""

    def __init__(self, name: str, args: EcrRegistryArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(EcrRegistry), name, {}, opts)
        a = coerce(EcrRegistryArgs, args)
        repository = aws.ecr.Repository(
            f"{name}-images",
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration=aws.ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
            force_delete=a.protect is False,
            tags=tags("EcrRegistry", a.labels),
            opts=protected(self, a.protect),
        )
        self.registry_url = repository.repository_url
        self.register_outputs({"registry_url": self.registry_url})
