"""How AWS names things."""

from __future__ import annotations

from localcloud.providers.calls import Call, text

ACCOUNT = "123456789012"
"""The one account of the simulated AWS."""


def region(call: Call) -> str:
    """Return the region the provider is configured for."""
    return text(call.config.get("region"))


def arn(call: Call, service: str, resource: str) -> str:
    """Return the ARN of a regional resource."""
    return f"arn:aws:{service}:{region(call)}:{ACCOUNT}:{resource}"


def role_arn(name: object, path: str = "/") -> str:
    """Return the ARN of an IAM role."""
    return f"arn:aws:iam::{ACCOUNT}:role{path}{name}"
