"""Names of public images in a registry that caches them."""

import re
from collections.abc import Mapping
from typing import Optional

DOCKER_HUB = "docker.io"
_ALIASES = {"index.docker.io": DOCKER_HUB, "registry-1.docker.io": DOCKER_HUB}


def cached_path(reference: str, prefixes: Mapping[str, str]) -> Optional[str]:
    """Path of an image in a cache: `prefix/repository[:tag][@digest]`; None where its registry is not cached.

    Args:
        reference: Image as clients write it; one without a registry is of Docker Hub.
        prefixes: Registry host to the prefix under which the cache holds its images.
    """
    first, slash, rest = reference.partition("/")
    if slash and re.search(r"[.:]|^localhost$", first):
        host, repository = _ALIASES.get(first, first), rest
    else:
        host, repository = DOCKER_HUB, reference
    if host not in prefixes:
        return None
    if host == DOCKER_HUB and "/" not in repository:
        # Docker Hub keeps its own images under this name, which clients may leave out and caches may not.
        repository = f"library/{repository}"
    return f"{prefixes[host]}/{repository}"
