"""How Google Cloud names things."""

from __future__ import annotations

import re

from localcloud.providers.calls import ApiError, Call, text
from localcloud.store import JsonDict

PROJECT_NUMBER = "100000000001"
"""Number of the one project of the simulated Google Cloud."""


def project(call: Call, inputs: JsonDict) -> str:
    """Return a resource's project: its own, or the provider's.

    Raises:
        ApiError: If neither is set.
    """
    found = text(inputs.get("project") or call.config.get("project"))
    if not found:
        raise ApiError("project: required field is not set; set `gcp:project` or the provider's `project`")
    return found


def place(call: Call, inputs: JsonDict) -> str:
    """Return a resource's location or region: its own, or the provider's region.

    Raises:
        ApiError: If neither is set.
    """
    found = text(inputs.get("location") or inputs.get("region") or call.config.get("region"))
    if not found:
        raise ApiError("region: required field is not set; set `gcp:region` or the resource's own")
    return found.rpartition("/")[2]


def valid_name(name: object) -> str:
    """Return a resource's name.

    Raises:
        ApiError: If Google Cloud would not take it.
    """
    found = text(name)
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", found):
        raise ApiError(f"invalid name {found!r}: must match [a-z]([-a-z0-9]{{0,61}}[a-z0-9])?", "INVALID_ARGUMENT")
    return found


def self_link(service: str, path: str) -> str:
    """Return the URL of a resource."""
    return f"https://www.googleapis.com/{service}/v1/{path}"
