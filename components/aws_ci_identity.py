"""Access of a pipeline to AWS without a stored key."""

import re
from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_aws as aws

from components._aws_ci_policies import PARTS, READ_POLICIES, deploy_policies, preview_policy
from components._aws_policies import token_trust
from components._base import coerce, reject, token
from components._naming import label_value, tags

DEFAULT_AUDIENCE = "sts.amazonaws.com"
_ISSUER = re.compile(r"https://[^\s]+[^/\s]")
_SESSION_S = 3600


@dataclass(frozen=True, kw_only=True)
class AwsCiIdentityArgs:
    """Arguments of `AwsCiIdentity`."""

    issuer: str
    """Issuer of the pipeline's tokens without a final slash, e.g. `https://token.actions.githubusercontent.com`."""
    preview_subject: str
    """Whole `sub` of tokens that may preview, e.g. `repo:acme/models:pull_request`."""
    deploy_subject: str
    """Whole `sub` of tokens that may deploy, e.g. `repo:acme/models:environment:prod`; not the one of previews."""
    audience: Optional[str] = None
    """`aud` of the tokens. Default `sts.amazonaws.com`."""
    provider_arn: Optional[str] = None
    """Identity provider of the issuer that the account has already; AWS allows one per issuer. Default: make one."""
    boundary_arn: Optional[str] = None
    """IAM policy that bounds both roles, whatever theirs say. Default none."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        bad = []
        if not _ISSUER.fullmatch(self.issuer):
            bad.append(("issuer", f"must begin with https:// and not end with a slash, got {self.issuer!r}"))
        for argument, subject in (("previewSubject", self.preview_subject), ("deploySubject", self.deploy_subject)):
            if not subject or "*" in subject or "?" in subject:
                bad.append((argument, f"must be one whole subject without wildcards, got {subject!r}"))
        if self.preview_subject == self.deploy_subject:
            bad.append(("deploySubject", f"must not be that of previews, got {self.deploy_subject!r} for both"))
        reject("AwsCiIdentity", bad)


class AwsCiIdentity(pulumi.ComponentResource):
    """Two roles for a pipeline, each for the tokens of one subject: one that only looks, one that deploys.

    The deploying role makes and changes the roles of clusters and their pods, which have a path of their own, and no
    other role. It could give these more than it has itself: keep each environment in an account of its own. It can make
    no user and no lasting key, and cannot change either role of the pipeline. Deploying to a cluster also needs
    an access entry: pass `deploy_role_arn` as `deployer_role_arn` of `EksServingCluster`. Where the state of the stack
    is kept is not this component's business. Needs permission for `iam:*OpenIDConnectProvider*` and to create roles.
    """

    preview_role_arn: pulumi.Output[str]
    """IAM role that reads how things are set up, and no data."""
    deploy_role_arn: pulumi.Output[str]
    """IAM role that makes, changes and deletes what the components declare."""

    def __init__(self, name: str, args: AwsCiIdentityArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(AwsCiIdentity), name, {}, opts)
        a = coerce(AwsCiIdentityArgs, args)
        self._own = tags("AwsCiIdentity", a.labels)
        child = pulumi.ResourceOptions(parent=self)
        audience = a.audience or DEFAULT_AUDIENCE
        provider = pulumi.Output.from_input(a.provider_arn or "")
        if a.provider_arn is None:
            provider = aws.iam.OpenIdConnectProvider(
                f"{name}-issuer", url=a.issuer, client_id_lists=[audience], tags=self._own, opts=child
            ).arn
        preview = self._role(f"{name}-preview", provider, a, a.preview_subject)
        deploy = self._role(f"{name}-deploy", provider, a, a.deploy_subject)
        for policy in READ_POLICIES:
            aws.iam.RolePolicyAttachment(
                f"{name}-preview-{policy.rpartition('/')[2]}",
                role=preview.name,
                policy_arn=f"arn:aws:iam::aws:policy/{policy}",
                opts=child,
            )
        aws.iam.RolePolicy(f"{name}-preview-limits", role=preview.name, policy=preview_policy(), opts=child)
        project = label_value(pulumi.get_project())
        written = pulumi.Output.all(preview.arn, deploy.arn).apply(
            lambda arns: deploy_policies(arns[1].split(":")[4], project, list(arns))
        )
        for part in PARTS:
            aws.iam.RolePolicy(f"{name}-deploy-{part}", role=deploy.name, policy=written[part], opts=child)
        self.preview_role_arn = preview.arn
        self.deploy_role_arn = deploy.arn
        self.register_outputs({"preview_role_arn": self.preview_role_arn, "deploy_role_arn": self.deploy_role_arn})

    def _role(self, name: str, provider: pulumi.Output[str], a: AwsCiIdentityArgs, subject: str) -> aws.iam.Role:
        audience = a.audience or DEFAULT_AUDIENCE
        return aws.iam.Role(
            f"{name}-role",
            assume_role_policy=provider.apply(lambda arn: token_trust(arn, a.issuer, subject, audience)),
            max_session_duration=_SESSION_S,
            permissions_boundary=a.boundary_arn,
            tags=self._own,
            opts=pulumi.ResourceOptions(parent=self),
        )
