"""Names, tags and labels. Pure except for the stack and project name."""

import hashlib
import re
import uuid
from dataclasses import dataclass
from typing import Optional

import pulumi


@dataclass(frozen=True)
class NameRule:
    """What a cloud accepts as a physical name."""

    pattern: str
    """Regular expression of the whole name."""
    max_length: int
    """Longest name in characters."""
    separator: str
    """Put between the readable part and the hash; empty where only letters and digits are allowed."""


RULES = {
    # https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html (2026-08)
    ("aws", "cluster"): NameRule(r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}", 100, "-"),
    # https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreatePullThroughCacheRule.html (2026-08)
    # At most 30 characters, of which the part of each registry, such as /docker-hub, needs 11.
    ("aws", "image_cache"): NameRule(r"[a-z][a-z0-9-]{1,18}", 19, "-"),
    # https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules (2026-08)
    ("azure", "storage_account"): NameRule(r"[a-z0-9]{3,24}", 24, ""),
    ("azure", "registry"): NameRule(r"[a-z0-9]{5,50}", 50, ""),
    ("azure", "agent_pool"): NameRule(r"[a-z][a-z0-9]{0,11}", 12, ""),
    ("azure", "key_vault"): NameRule(r"[a-z][a-z0-9-]{1,22}[a-z0-9]", 24, "-"),
    # https://cloud.google.com/iam/docs/service-accounts-create (2026-08)
    ("gcp", "service_account"): NameRule(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", 30, "-"),
    # https://cloud.google.com/artifact-registry/docs/repositories/create-repos (2026-08)
    ("gcp", "repository"): NameRule(r"[a-z][a-z0-9-]{0,61}[a-z0-9]", 63, "-"),
    # https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools/create (2026-08)
    ("gcp", "identity_pool"): NameRule(r"[a-z0-9][a-z0-9-]{2,30}[a-z0-9]", 32, "-"),
}
"""Rules of the names that the providers do not make up themselves."""

_HASH_LENGTH = {"agent_pool": 4}
_DEFAULT_HASH_LENGTH = 8


def physical(cloud: str, kind: str, name: str, scope: str) -> str:
    """Make a physical name for a cloud that has no automatic one.

    The name is a readable part, shortened as needed, and a hash of `scope`, so it is stable and differs
    wherever the scope differs.

    Args:
        cloud: `aws`, `gcp` or `azure`.
        kind: What is named; with the cloud a key of `RULES`.
        name: Logical name the readable part is taken from.
        scope: Everything that makes the name unique: account or project, stack, settings that force a replacement.

    Raises:
        ValueError: If no valid name can be made from `name`.
    """
    rule = RULES[cloud, kind]
    length = _HASH_LENGTH.get(kind, _DEFAULT_HASH_LENGTH)
    digest = hashlib.sha256(f"{name}\n{scope}".encode()).hexdigest()[:length]
    readable = re.sub(r"[^a-z0-9]+", rule.separator, name.lower()).strip("-")
    readable = readable[: rule.max_length - length - len(rule.separator)].rstrip("-")
    result = f"{readable}{rule.separator}{digest}"
    if not re.fullmatch(rule.pattern, result):
        raise ValueError(f"{name!r} gives the {cloud} {kind} name {result!r}, which does not match {rule.pattern}")
    return result


def stack_scope(*parts: str) -> str:
    """Scope for `physical` that is unique to this project and stack."""
    return "\n".join((pulumi.get_organization(), pulumi.get_project(), pulumi.get_stack(), *parts))


def stable_uuid(*parts: str) -> str:
    """UUID made from this stack and the given parts, for resources whose name must be a UUID."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"tricorn:{stack_scope(*parts)}"))


def tags(component: str, labels: Optional[dict[str, str]]) -> dict[str, str]:
    """Tags (AWS, Azure) and labels (Google Cloud) of a component's resources.

    Args:
        component: Class name of the component.
        labels: The caller's own, which may add keys but not override these.
    """
    own = {
        "project": label_value(pulumi.get_project()),
        "stack": label_value(pulumi.get_stack()),
        "component": component.lower(),
        "managed-by": "pulumi",
    }
    return {**(labels or {}), **own}


def label_value(text: str) -> str:
    """Shortened and lower-cased text that every cloud accepts as a label's value."""
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower())[:63].strip("-_")
