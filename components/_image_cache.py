"""Names of public images in a cloud's own registry."""

from collections.abc import Mapping
from typing import Optional

DOCKER_HUB = "docker.io"


def cached_path(reference: str, prefixes: Mapping[str, str]) -> Optional[str]:
    """Name of a public image in a registry that caches it; None where no cache covers its registry.

    Args:
        reference: `[registry/]repository[:tag][@sha256:digest]`; without a registry it is Docker Hub's. Tag and digest
            are kept.
        prefixes: Registry host to what stands before the repository in the cache.
    """
    host, _, path = reference.partition("/")
    if not path or not ("." in host or ":" in host or host == "localhost"):
        host, path = DOCKER_HUB, reference
    if host == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    prefix = prefixes.get(host)
    return None if prefix is None else f"{prefix}/{path}"
