"""The other sites, as backends of a cluster's routes."""

from dataclasses import dataclass
from typing import Optional

import pulumi

from components._base import coerce, reject, token
from components._kubernetes import manifest_resource
from serving.peers import peer_objects


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Another site."""

    authority: pulumi.Input[str]
    """PEM certificate of its authority, such as `PeerIdentity.authority`."""
    addresses: list[pulumi.Input[str]]
    """Static public IPv4 addresses of its load balancer."""


@dataclass(frozen=True, kw_only=True)
class PeerBackendsArgs:
    """Arguments of `PeerBackends`."""

    namespace: str
    """Namespace of the Gateway and the routes."""
    domain: str
    """Public name of all sites."""
    peers: dict[str, Peer]
    """The other sites by name."""

    def __post_init__(self) -> None:
        bad = [] if self.peers else [("peers", "must name at least one other site")]
        bad += [
            (f"peers.{name}.addresses", "must hold at least one address")
            for name, peer in self.peers.items()
            if not (peer["addresses"] if isinstance(peer, dict) else peer.addresses)
        ]
        reject("PeerBackends", bad)


class PeerBackends(pulumi.ComponentResource):
    """A Backend per other site, asked by routes only while their own servers are not healthy, with mutual TLS.

    Needs Envoy Gateway and the certificate of `PeerIdentity` in the cluster.
    """

    names: pulumi.Output[list[str]]
    """Names of the other sites, known once routes may lead to them."""

    def __init__(self, name: str, args: PeerBackendsArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(PeerBackends), name, {}, opts)
        a = coerce(PeerBackendsArgs, args)
        authorities = {site: peer.authority for site, peer in a.peers.items()}
        addresses = {site: peer.addresses for site, peer in a.peers.items()}
        objects = peer_objects(a.namespace, a.domain, authorities, addresses)
        for site in a.peers:
            authority = manifest_resource(
                f"{name}-ca-{site}", objects[f"ca-{site}"], pulumi.ResourceOptions(parent=self)
            )
            # A Backend without its authority is invalid, and routes that name it answer with errors.
            manifest_resource(
                f"{name}-backend-{site}",
                objects[f"backend-{site}"],
                pulumi.ResourceOptions(parent=self, depends_on=[authority]),
            )
        self.names = self.urn.apply(lambda _: list(a.peers))
        self.register_outputs({"names": self.names})
