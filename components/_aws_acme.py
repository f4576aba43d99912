"""The AWS role with which a site's cert-manager proves the domain, wherever the site's cluster is."""

import importlib
from typing import Optional

import pulumi
import pulumi_aws as aws

_REGION = "us-east-1"
"""IAM and Route 53 have no regions; their calls go there."""


def acme_role(
    name: str,
    provider: Optional[pulumi.ProviderResource],
    *,
    domain: str,
    zone_id: str,
    issuer_url: pulumi.Input[str],
    labels: dict[str, str],
) -> pulumi.Output[str]:
    """Declare the role and return its ARN.

    Args:
        name: Name of the site.
        provider: AWS provider of the stack's sites; one more is declared when None.
        domain: Public name of all sites.
        zone_id: Route 53 zone of the domain.
        issuer_url: OpenID Connect issuer of the site's cluster.
        labels: Tags.
    """
    module = importlib.import_module("components.aws_acme_identity")
    identity = module.AwsAcmeIdentity(
        f"{name}-acme",
        module.AwsAcmeIdentityArgs(domain=domain, zone_id=zone_id, issuer_url=issuer_url, labels=labels),
        pulumi.ResourceOptions(providers=[provider or aws.Provider(f"{name}-acme-aws", region=_REGION)]),
    )
    arn: pulumi.Output[str] = identity.role_arn
    return arn
