"""Container image references: parsing and the rules an image must follow to be deployed."""

import re
from dataclasses import dataclass

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PLACEHOLDER = "sha256:" + "0" * 64
_REFERENCE = re.compile(
    rf"^(?P<registry>(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9-]+)*)(?::[0-9]+)?)/"
    rf"(?P<repository>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?$"
)


@dataclass(frozen=True)
class ImageReference:
    """One image, by tag, by digest or by both (the digest decides then)."""

    registry: str
    """Host of the registry, with a port where it has one, e.g. `docker.io`."""
    repository: str
    """Path inside the registry, e.g. `tensorflow/serving`."""
    tag: str | None
    """Tag, e.g. `2.20.0-gpu`; None when the image is named by digest alone."""
    digest: str | None
    """`sha256:` and 64 hexadecimal digits; None when the image is named by tag alone."""

    @property
    def has_placeholder(self) -> bool:
        """Whether the digest is all zeros, which stack files have until they are pinned."""
        return self.digest == _PLACEHOLDER

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"


def parse_image(text: str) -> ImageReference:
    """Take an image reference apart.

    Args:
        text: `registry/repository[:tag][@sha256:digest]`; the registry must be written out.

    Raises:
        ValueError: If the text is no such reference, names no version, or names only the moving tag `latest`.
    """
    found = _REFERENCE.match(text)
    if found is None or not ("." in found["registry"] or ":" in found["registry"]):
        raise ValueError("must be registry/repository:tag or registry/repository@sha256:<64 hex digits>")
    tag, digest = found["tag"], found["digest"]
    if tag is None and digest is None:
        raise ValueError("must name a version: add a tag or a digest")
    if tag == "latest" and digest is None:
        raise ValueError("must not use the moving tag 'latest': name a version or add a digest")
    return ImageReference(found["registry"], found["repository"], tag, digest)
