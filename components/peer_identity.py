"""What a site's gateway shows to other sites, and what they need to believe it."""

import base64
from dataclasses import dataclass
from typing import Any, Optional

import pulumi

from components._base import coerce, reject, token
from components._kubernetes import manifest_resource
from serving.certificates import PEER_AUTHORITY, peer_identity_objects, peer_name

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

    def __post_init__(self) -> None:
        name = peer_name(self.site, self.domain)
        bad = [] if len(name) <= _LONGEST_NAME else [("domain", f"must be shorter: {name} has {len(name)} characters")]
        reject("PeerIdentity", bad)


class PeerIdentity(pulumi.ComponentResource):
    """A certificate authority of the site's own, and a certificate of it for its gateway.

    Needs cert-manager in the cluster. Private keys are made there and never read.
    """

    authority: pulumi.Output[str]
    """PEM certificate of the authority, public."""

    def __init__(self, name: str, args: PeerIdentityArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(PeerIdentity), name, {}, opts)
        a = coerce(PeerIdentityArgs, args)
        made: dict[str, pulumi.CustomResource] = {}
        for role, manifest in peer_identity_objects(a.namespace, a.site, a.domain).items():
            options = pulumi.ResourceOptions(parent=self, depends_on=list(made.values())[-1:])
            made[role] = manifest_resource(f"{name}-{role}", manifest, options)
        # Complete when the gateway has its certificate. Not an output: a resource has no schema type.
        self.certificate = made["certificate"]
        # The request and not the Secret, which also holds the key. By the authority's id, which a preview does not know
        # before there is one: then there is nothing to read either.
        found = _Found("Certificate", f"{name}-found", made["authority"].id, self, made["authority"])
        # Every issue has a request of its own; older ones are deleted.
        identifier = found.status.apply(lambda status: f"{a.namespace}/{PEER_AUTHORITY}-{int(status['revision'])}")
        request = _Found("CertificateRequest", f"{name}-request", identifier, self, found)
        self.authority = request.status.apply(_certificate)
        self.register_outputs({"authority": self.authority})


class _Found(pulumi.CustomResource):
    """An object of cert-manager that is there already. `CustomResource.get` of the SDK knows no `status`."""

    status: pulumi.Output[Any]

    def __init__(
        self, kind: str, name: str, identifier: pulumi.Input[str], parent: pulumi.Resource, after: pulumi.Resource
    ) -> None:
        super().__init__(
            f"kubernetes:cert-manager.io/v1:{kind}",
            name,
            {"status": None},
            pulumi.ResourceOptions(parent=parent, depends_on=[after], id=identifier),
        )


def _certificate(status: Any) -> str:
    return base64.b64decode(status["ca"]).decode("ascii")
