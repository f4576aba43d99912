"""Asking a container registry which digest a tag names, by the OCI distribution interface."""

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping

from serving.images import ImageReference

_HOSTS = {"docker.io": "registry-1.docker.io"}
"""Registries whose interface has another host than their images' names."""
_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_TIMEOUT_S = 20.0


class RegistryError(Exception):
    """A registry gives no digest; the text says for which image, why, and what to do."""


def digest_of(image: ImageReference, *, scheme: str = "https") -> str:
    """Return the digest that a public image's tag names now, `sha256:` and 64 hexadecimal digits.

    The digest of an image for several platforms is that of its index, which every platform resolves for itself.

    Args:
        image: Image with a tag.
        scheme: `http` for a registry without TLS.

    Raises:
        RegistryError: If the registry does not answer, knows no such tag, or wants to know who asks.
    """
    host = _HOSTS.get(image.registry, image.registry)
    url = f"{scheme}://{host}/v2/{image.repository}/manifests/{image.tag}"
    try:
        try:
            found = _head(url, {})
        except urllib.error.HTTPError as error:
            challenge = error.headers.get("WWW-Authenticate", "")
            if error.code != 401 or not challenge.startswith("Bearer "):
                raise
            found = _head(url, {"Authorization": f"Bearer {_anonymous_token(challenge)}"})
    except urllib.error.HTTPError as error:
        reason = {401: "wants to know who asks", 403: "refuses", 404: "knows no such tag", 429: "is asked too often"}
        said = reason.get(error.code, f"answers {error.code}")
        raise RegistryError(f"{image}: {image.registry} {said}; check the name, or add the digest yourself") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", None) or error
        raise RegistryError(f"{image}: {image.registry} does not answer ({why}); try again") from None
    if not _DIGEST.fullmatch(found):
        raise RegistryError(f"{image}: {image.registry} names no digest; add it yourself, from the registry's web page")
    return found


def _head(url: str, headers: Mapping[str, str]) -> str:
    accepted = {"Accept": ", ".join(_MANIFESTS), **headers}
    request = urllib.request.Request(url, method="HEAD", headers=accepted)  # noqa: S310 - http or https, see above
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310 - as above
        return str(response.headers.get("Docker-Content-Digest", ""))


def _anonymous_token(challenge: str) -> str:
    """Return a token for reading public images, which registries give to everybody."""
    parts = dict(_CHALLENGE.findall(challenge))
    realm = parts.pop("realm", "")
    if not realm.startswith(("https://", "http://")):
        raise ValueError("the registry names no address for tokens")
    query = urllib.parse.urlencode({key: parts[key] for key in ("service", "scope") if key in parts})
    with urllib.request.urlopen(f"{realm}?{query}", timeout=_TIMEOUT_S) as response:  # noqa: S310 - checked above
        answer = json.load(response)
    return str(answer.get("token") or answer.get("access_token") or "")
