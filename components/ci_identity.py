"""What a pipeline previews and deploys with, on every cloud of a stack."""

from dataclasses import dataclass
from typing import Optional

import pulumi

from components._base import coerce, reject, token


@dataclass(frozen=True, kw_only=True)
class CiIdentityArgs:
    """Arguments of `CiIdentity`."""

    issuer: str
    """Issuer of the pipeline's tokens, without a final slash."""
    preview_subject: str
    """Exact subject of tokens that may preview, which only reads."""
    deploy_subject: str
    """Exact subject of tokens that may deploy."""
    aws: Optional[bool] = None
    """Make roles in the AWS account of the provider. Default False."""
    gcp_project: Optional[str] = None
    """Google Cloud project to make identities in. Default none."""
    azure_subscription_id: Optional[str] = None
    """Azure subscription to make identities in. Default none."""
    azure_location: Optional[str] = None
    """Azure location of the identities; needed with `azure_subscription_id` and for nothing else."""
    labels: Optional[dict[str, str]] = None
    """Tags and labels of every resource, beside the components' own."""

    def __post_init__(self) -> None:
        bad = []
        if not self.issuer.startswith("https://") or self.issuer.endswith("/"):
            bad.append(("issuer", f"must begin with https:// and not end with a slash, got {self.issuer!r}"))
        for path, subject in (("previewSubject", self.preview_subject), ("deploySubject", self.deploy_subject)):
            if not subject or "*" in subject:
                bad.append((path, f"must be one exact subject, got {subject!r}"))
        if self.preview_subject == self.deploy_subject:
            bad.append(
                ("deploySubject", f"must differ from previewSubject, which only reads, got {self.deploy_subject!r}")
            )
        if not self.aws and self.gcp_project is None and self.azure_subscription_id is None:
            bad.append(("aws", "no cloud is named; set aws, gcpProject or azureSubscriptionId"))
        if (self.azure_subscription_id is None) != (self.azure_location is None):
            bad.append(("azureLocation", "is needed with azureSubscriptionId and for nothing else"))
        reject("CiIdentity", bad)


class CiIdentity(pulumi.ComponentResource):
    """Identities on every cloud that trust the pipeline's own OpenID Connect tokens: no key is stored anywhere.

    Each cloud gets one that only reads, for previews, and one that deploys. A cloud's SDK is needed only where
    identities are made.
    """

    identities: pulumi.Output[dict[str, dict[str, str]]]
    """By cloud, what the pipeline is configured with; see the outputs of the clouds' own components."""

    def __init__(self, name: str, args: CiIdentityArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(CiIdentity), name, {}, opts)
        a = coerce(CiIdentityArgs, args)
        child = pulumi.ResourceOptions(parent=self)
        found: dict[str, pulumi.Output[dict[str, str]]] = {}
        if a.aws:
            from components.aws_ci_identity import AwsCiIdentity, AwsCiIdentityArgs

            found["aws"] = _outputs(
                AwsCiIdentity(
                    f"{name}-aws",
                    AwsCiIdentityArgs(
                        issuer=a.issuer,
                        preview_subject=a.preview_subject,
                        deploy_subject=a.deploy_subject,
                        labels=a.labels,
                    ),
                    child,
                )
            )
        if a.gcp_project is not None:
            from components.gcp_ci_identity import GcpCiIdentity, GcpCiIdentityArgs

            found["gcp"] = _outputs(
                GcpCiIdentity(
                    f"{name}-gcp",
                    GcpCiIdentityArgs(
                        project=a.gcp_project,
                        issuer=a.issuer,
                        preview_subject=a.preview_subject,
                        deploy_subject=a.deploy_subject,
                        labels=a.labels,
                    ),
                    child,
                )
            )
        if a.azure_subscription_id is not None and a.azure_location is not None:
            from components.azure_ci_identity import AzureCiIdentity, AzureCiIdentityArgs

            found["azure"] = _outputs(
                AzureCiIdentity(
                    f"{name}-azure",
                    AzureCiIdentityArgs(
                        subscription_id=a.azure_subscription_id,
                        location=a.azure_location,
                        issuer=a.issuer,
                        preview_subject=a.preview_subject,
                        deploy_subject=a.deploy_subject,
                        labels=a.labels,
                    ),
                    child,
                )
            )
        self.identities = pulumi.Output.all(**found)
        self.register_outputs({"identities": self.identities})


def _outputs(identity: pulumi.ComponentResource) -> pulumi.Output[dict[str, str]]:
    """Outputs of a cloud's component, by name."""
    named = {key: getattr(identity, key) for key in type(identity).__annotations__}
    return pulumi.Output.all(**named)
