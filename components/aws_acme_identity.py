"""Access of certificate issuers to one name of a Route 53 zone."""

import re
from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_aws as aws

from components._aws_policies import allow, document, role_path, token_trust
from components._base import coerce, reject, token
from components._naming import tags

AUDIENCE = "sts.amazonaws.com"
SUBJECT = "system:serviceaccount:cert-manager:cert-manager"
_ZONE = re.compile(r"Z[0-9A-Z]{1,31}")
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")


@dataclass(frozen=True, kw_only=True)
class AwsAcmeIdentityArgs:
    """Arguments of `AwsAcmeIdentity`."""

    domain: str
    """Name the certificates are for, e.g. `serve.example.com`, without a final dot."""
    zone_id: str
    """Route 53 zone that holds the name, e.g. `Z0123456789ABCDEFGHIJ`."""
    issuer_url: pulumi.Input[str]
    """OpenID Connect issuer of the cluster that cert-manager runs in, on whatever cloud."""
    labels: Optional[dict[str, str]] = None
    """Tags of every resource, beside the component's own."""

    def __post_init__(self) -> None:
        bad = []
        if not _DOMAIN.fullmatch(self.domain):
            bad.append(("domain", f"must be a lower-case domain name without a final dot, got {self.domain!r}"))
        if not _ZONE.fullmatch(self.zone_id):
            bad.append(("zoneId", f"must be the id of a Route 53 zone, Z..., got {self.zone_id!r}"))
        if isinstance(self.issuer_url, str) and not self.issuer_url.startswith("https://"):
            bad.append(("issuerUrl", f"must begin with https://, got {self.issuer_url!r}"))
        reject("AwsAcmeIdentity", bad)


class AwsAcmeIdentity(pulumi.ComponentResource):
    """A role with which cert-manager of one cluster proves that it owns a name, and changes no other record.

    The cluster's own tokens are the credentials, so no key is stored. AWS allows one identity provider per issuer and
    account. Needs permission for `iam:*OpenIDConnectProvider*` and to create roles.
    """

    role_arn: pulumi.Output[str]
    """IAM role that the service account `cert-manager` of the namespace `cert-manager` assumes."""

    def __init__(self, name: str, args: AwsAcmeIdentityArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(AwsAcmeIdentity), name, {}, opts)
        a = coerce(AwsAcmeIdentityArgs, args)
        own = tags("AwsAcmeIdentity", a.labels)
        child = pulumi.ResourceOptions(parent=self)
        issuer = pulumi.Output.from_input(a.issuer_url)
        provider = aws.iam.OpenIdConnectProvider(
            f"{name}-issuer", url=issuer, client_id_lists=[AUDIENCE], tags=own, opts=child
        )
        role = aws.iam.Role(
            f"{name}-role",
            path=role_path(),
            assume_role_policy=pulumi.Output.all(provider.arn, issuer).apply(
                lambda values: token_trust(values[0], values[1], SUBJECT, AUDIENCE)
            ),
            tags=own,
            opts=child,
        )
        policy = aws.iam.RolePolicy(
            f"{name}-challenge", role=role.name, policy=_challenge(a.domain, a.zone_id), opts=child
        )
        self.role_arn = pulumi.Output.all(role.arn, policy.id).apply(lambda values: str(values[0]))
        self.register_outputs({"role_arn": self.role_arn})


def _challenge(domain: str, zone_id: str) -> str:
    zone = f"arn:aws:route53:::hostedzone/{zone_id}"
    key = "route53:ChangeResourceRecordSets"
    names = [f"_acme-challenge.{domain}", f"_acme-challenge.*.{domain}"]
    # ForAllValues is true of an empty list: Null makes sure that there is something to compare.
    only = {
        "ForAllValues:StringLike": {f"{key}NormalizedRecordNames": names},
        "ForAllValues:StringEquals": {f"{key}RecordTypes": ["TXT"]},
        "Null": {f"{key}NormalizedRecordNames": "false", f"{key}RecordTypes": "false"},
    }
    return document(
        allow(["route53:GetChange"], ["arn:aws:route53:::change/*"]),
        allow(["route53:ListHostedZonesByName"], ["*"]),
        allow(["route53:ListResourceRecordSets"], [zone]),
        allow(["route53:ChangeResourceRecordSets"], [zone], only),
    )
