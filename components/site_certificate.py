"""The public certificate of a site."""

from dataclasses import dataclass
from typing import Optional

import pulumi

from components._base import coerce, reject, token
from components._kubernetes import manifest_resource
from components._refusals import section_problems
from serving.certificates import PUBLIC_SECRET, Acme, public_certificate_objects
from serving.settings_sections import Certificate, Route53

READY_TIMEOUT = "20m"
"""Longest wait for the authority on the internet, which waits for DNS."""


@dataclass(frozen=True, kw_only=True)
class SiteCertificateArgs:
    """Arguments of `SiteCertificate`."""

    namespace: str
    """Namespace of the Gateway, made by `ServingNamespace`."""
    site: str
    """Name of the site."""
    domain: str
    """Public name of all sites; the certificate is for it and for `<site>.<domain>`."""
    email: str
    """Where the authority writes to."""
    zone_id: pulumi.Input[str]
    """Route 53 zone of the domain, delegated already."""
    server: Optional[str] = None
    """Directory of the ACME authority. Default that of Let's Encrypt."""
    region: Optional[str] = None
    """AWS region that calls to Route 53 are signed for. Default us-east-1."""
    role_arn: Optional[pulumi.Input[str]] = None
    """Role of cert-manager's service account that may write the challenge. Default none: the nodes' own credentials."""

    def __post_init__(self) -> None:
        bad = section_problems(Certificate, {"email": self.email, "server": self.server})
        if isinstance(self.zone_id, str):
            bad += section_problems(Route53, {"zone_id": self.zone_id})
        reject("SiteCertificate", bad)


class SiteCertificate(pulumi.ComponentResource):
    """A certificate for the domain that cert-manager gets by ACME and renews, proving the domain by DNS.

    Every site gets its own, so that none depends on another. Once per cluster: the issuer is the cluster's.
    """

    secret_name: pulumi.Output[str]
    """Name of the Secret with the certificate and its key, known once it is there."""

    def __init__(self, name: str, args: SiteCertificateArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(SiteCertificate), name, {}, opts)
        a = coerce(SiteCertificateArgs, args)
        defaults = Certificate.model_validate({"email": a.email})
        acme = Acme(
            server=a.server or defaults.server,
            email=a.email,
            zone_id=a.zone_id,
            region=a.region or "us-east-1",
            role_arn=a.role_arn,
        )
        objects = public_certificate_objects(a.namespace, a.site, a.domain, acme)
        issuer = manifest_resource(f"{name}-issuer", objects["issuer"], pulumi.ResourceOptions(parent=self))
        certificate = manifest_resource(
            f"{name}-certificate",
            objects["certificate"],
            pulumi.ResourceOptions(
                parent=self,
                depends_on=[issuer],
                custom_timeouts=pulumi.CustomTimeouts(create=READY_TIMEOUT, update=READY_TIMEOUT),
            ),
        )
        self.secret_name = certificate.urn.apply(lambda _: PUBLIC_SECRET)
        self.register_outputs({"secret_name": self.secret_name})
