"""What a site's gateway shows to other sites, and what they need to believe it."""

import base64
from dataclasses import dataclass
from typing import Any, Optional

import pulumi

from components._base import coerce, reject, token
from components._kubernetes import manifest_resource
from serving.certificates import PEER_AUTHORITY_REQUEST, peer_identity_objects, peer_name

_LONGEST_NAME = 253


@dataclass(frozen=True, kw_only=True)
class PeerIdentityArgs:
    """Arguments of `PeerIdentity`."""

    namespace: str
    """Namespace of the Gateway, made by `ServingNamespace`."""
    site: str
    """Name of the site."""
    domain: str
    """Public name of all sites; the gateway shows `<site>.peer.<domain>`, which need not be in DNS."""
    read: Optional[bool] = None
    """Whether to read the authority's certificate from the cluster. Default True; False for a cluster that is down."""

    def __post_init__(self) -> None:
        name = peer_name(self.site, self.domain)
        bad = [] if len(name) <= _LONGEST_NAME else [("domain", f"must be shorter: {name} has {len(name)} characters")]
        reject("PeerIdentity", bad)


class PeerIdentity(pulumi.ComponentResource):
    """A certificate authority of the site's own, and a certificate of it for its gateway.

    Needs cert-manager in the cluster. Private keys are made there and never read.
    """

    authority: Optional[pulumi.Output[str]]
    """PEM certificate of the authority, public; None when it is not read."""

    def __init__(self, name: str, args: PeerIdentityArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(PeerIdentity), name, {}, opts)
        a = coerce(PeerIdentityArgs, args)
        made: dict[str, pulumi.CustomResource] = {}
        for role, manifest in peer_identity_objects(a.namespace, a.site, a.domain).items():
            options = pulumi.ResourceOptions(parent=self, depends_on=list(made.values())[-1:])
            made[role] = manifest_resource(f"{name}-{role}", manifest, options)
        # Complete when the gateway has its certificate. Not an output: a resource has no schema type.
        self.certificate = made["certificate"]
        self.authority = None
        if a.read is not False:
            # The request and not the Secret, which also holds the key. By the authority's id, which a preview does not
            # know before there is one: then there is nothing to read either.
            identifier = made["authority"].id.apply(lambda _: f"{a.namespace}/{PEER_AUTHORITY_REQUEST}")
            request = _Request(
                f"{name}-request", identifier, pulumi.ResourceOptions(parent=self, depends_on=[made["authority"]])
            )
            self.authority = request.status.apply(_certificate)
        self.register_outputs({"authority": self.authority})


class _Request(pulumi.CustomResource):
    """A CertificateRequest that is there already. `CustomResource.get` of the SDK knows no `status`."""

    status: pulumi.Output[Any]

    def __init__(self, name: str, identifier: pulumi.Input[str], opts: pulumi.ResourceOptions) -> None:
        super().__init__(
            "kubernetes:cert-manager.io/v1:CertificateRequest",
            name,
            {"status": None},
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(id=identifier)),
        )


def _certificate(status: Any) -> str:
    return base64.b64decode(status["ca"]).decode("ascii")
