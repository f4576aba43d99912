"""How simulated addresses map to loopback, and which address every part listens on.

Kubernetes objects and DNS data carry simulated addresses (10.x for pods and services, 203.0.113.x for public
addresses) because the API server refuses loopback ones. Only what opens sockets maps them, with `to_loopback`.
"""

from __future__ import annotations

import ipaddress

from localcloud.paths import CLOUDS

API_SERVER_PORT = 6443
ENDPOINT_HTTP_PORT = 9000
ENDPOINT_HTTPS_PORT = 9443
DNS_PORT = 5353
RESOLVER_ADDRESS = "127.0.0.1"
RESOLVER_PORT = 5300
PUBLIC_ADDRESSES_PER_CLOUD = 64
_PUBLIC_FIRST = 16
_PUBLIC_PREFIX = "203.0.113."


def cloud_index(cloud: str) -> int:
    """Return 1 for aws, 2 for gcp, 3 for azure."""
    return CLOUDS.index(cloud) + 1


def cluster_address(cloud: str, number: int) -> str:
    """Return the loopback address of the control plane of a cloud's cluster `number` (from 1)."""
    return f"127.0.{cloud_index(cloud)}.{number}"


def endpoint_address(cloud: str) -> str:
    """Return the loopback address of the cloud's own API: objects, identities, DNS authority."""
    return f"127.0.{cloud_index(cloud)}.250"


def pod_network(cloud: str, number: int) -> ipaddress.IPv4Network:
    """Return the simulated /16 of a cluster's pods."""
    return ipaddress.IPv4Network(f"10.{100 + 10 * cloud_index(cloud) + number}.0.0/16")


def service_network(cloud: str, number: int) -> ipaddress.IPv4Network:
    """Return the simulated /16 of a cluster's ClusterIPs."""
    return ipaddress.IPv4Network(f"10.{200 + 10 * (cloud_index(cloud) - 1) + number}.0.0/16")


def public_addresses(cloud: str) -> list[str]:
    """Return the public addresses a cloud can hand out, from the documentation block of RFC 5737."""
    first = _PUBLIC_FIRST + PUBLIC_ADDRESSES_PER_CLOUD * (cloud_index(cloud) - 1)
    return [f"{_PUBLIC_PREFIX}{n}" for n in range(first, first + PUBLIC_ADDRESSES_PER_CLOUD)]


def to_loopback(address: str) -> str:
    """Map a simulated address to the loopback address that stands for it.

    Raises:
        ValueError: If the address is neither loopback nor in a simulated range.
    """
    if address.startswith("127."):
        return address
    if address.startswith(_PUBLIC_PREFIX):
        return "127.113.0." + address.removeprefix(_PUBLIC_PREFIX)
    if address.startswith("10."):
        return "127." + address.removeprefix("10.")
    raise ValueError(f"address {address!r} is outside the simulated ranges 10.0.0.0/8 and 203.0.113.0/24")
