"""Rules that several components have for the same arguments.

Each returns what is wrong, so that a component names every problem of its own and its children's arguments at once.
"""

import ipaddress
import re
from typing import Optional

from serving.settings_sites import SYSTEM_POOL

Problems = list[tuple[str, str]]
"""Pairs of argument name (camelCase) and what is wrong with it, as `reject` takes them."""

POOL_NAME = r"[a-z][a-z0-9]{0,7}"
"""Short enough for AKS; without hyphens, so that no name is another one with the suffix of its spot pool."""


def network_problems(cidr: Optional[str]) -> Problems:
    """Problems of a network's IPv4 range, which must be /16 to /20; none when it is not given."""
    if cidr is None:
        return []
    try:
        prefix = ipaddress.IPv4Network(cidr).prefixlen
    except ValueError as error:
        return [("cidr", f"must be an IPv4 network without host bits: {error}")]
    return [] if 16 <= prefix <= 20 else [("cidr", f"must be between /16 and /20, got {cidr}")]


def node_problems(least: int, most: int, prefix: str = "") -> Problems:
    """Problems of the bounds of a pool that always has nodes.

    Args:
        least: Fewest nodes; must be at least 1.
        most: Most nodes; must be at least `least`.
        prefix: What the argument names begin with, such as `system`; default nothing.
    """
    low, high = (f"{prefix}MinNodes", f"{prefix}MaxNodes") if prefix else ("minNodes", "maxNodes")
    bad = []
    if least < 1:
        bad.append((low, f"must be >= 1, got {least}"))
    if most < least:
        bad.append((high, f"must be >= {low} ({least}), got {most}"))
    return bad


def scalable_problems(least: Optional[int], most: int) -> Problems:
    """Problems of the bounds of a pool that may have no node: `most` from 1, `least` (default 0) from 0 to `most`."""
    bad = []
    if most < 1:
        bad.append(("maxNodes", f"must be >= 1, got {most}"))
    if not 0 <= (least or 0) <= most:
        bad.append(("minNodes", f"must be from 0 to maxNodes ({most}), got {least}"))
    return bad


def pool_problems(path: str, pool: str) -> Problems:
    """Problems of a GPU pool's name.

    Args:
        path: Argument the name stands in.
        pool: The name.
    """
    if pool == SYSTEM_POOL:
        return [(path, f"{pool!r} is the name of the pool without GPUs; choose another")]
    if re.fullmatch(POOL_NAME, pool) is None:
        return [(path, f"must be 1 to 8 lower-case letters and digits that begin with a letter, got {pool!r}")]
    return []


def version_problems(version: str) -> Problems:
    """Problems of a Kubernetes version, which must be a minor version."""
    if re.fullmatch(r"1\.[0-9]{2}", version) is None:
        return [("kubernetesVersion", f'must be a minor version in quotes, such as "1.36", got {version!r}')]
    return []
