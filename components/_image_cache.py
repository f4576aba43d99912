"""Where a cloud's own registry keeps its copy of a public image."""

from collections.abc import Mapping
from typing import Optional

from serving.images import parse_image


def cached_path(reference: str, prefixes: Mapping[str, str]) -> Optional[str]:
    """Path of a cached image in a registry; None where the cache does not cover the image's own registry.

    Args:
        reference: `registry/repository[:tag][@sha256:digest]`; tag and digest are kept as they are.
        prefixes: Host of every registry that is cached, to the first part of the paths of its images.

    Returns:
        What follows the host of the cloud's registry, e.g. `docker-hub/tensorflow/serving:2.20.0@sha256:...`.

    Raises:
        ValueError: If the reference is not one of an image; see `serving.images.parse_image`.
    """
    image = parse_image(reference)
    prefix = prefixes.get(image.registry)
    if prefix is None:
        return None
    return f"{prefix}/{str(image).removeprefix(f'{image.registry}/')}"
