"""What IAM policy documents allow, and whom roles trust."""

import json
import re
from collections.abc import Iterator
from typing import Any

from policy.check import Finding, Resource, at

_DISCOVERY = re.compile(r"^[a-z0-9-]+:(Describe|List|BatchCheck)[A-Za-z*]*$")
"""Actions that only tell what is there; most of them cannot be narrowed to resources."""
_ANYWHERE = {
    "ecr:GetAuthorizationToken", "ecr-public:GetAuthorizationToken", "sts:GetCallerIdentity",
    "sts:GetServiceBearerToken", "cloudwatch:GetMetricData", "ec2:GetSecurityGroupsForVpc",
    "ec2:GetInstanceTypesFromInstanceRequirements",
}  # fmt: skip
"""Actions that only read, and take no resource or tell nothing about one."""
_SECRETS = re.compile(r"^(secretsmanager|ssm|s3|dynamodb|kms):")
_CONFIGURATION = re.compile(
    r"^((iam|route53|servicequotas):Get[A-Za-z*]*"
    r"|s3:(ListBucket|GetBucket[A-Za-z*]*|Get(Encryption|Lifecycle|Accelerate|Replication)Configuration)"
    r"|kms:(DescribeKey|List\*|GetKeyPolicy|GetKeyRotationStatus)|ecr:GetLifecyclePolicy)$"
)
"""Actions that read how things are set up, and neither data nor secrets; a preview compares it with the program."""
_SUBJECT = ":sub"


def statements(document: Any) -> list[dict[str, Any]]:
    """Statements of a policy document given as JSON or as an object; none where it is absent or unknown."""
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError:
            return []
    found = at(document, "Statement")
    return [each for each in _list(found) if isinstance(each, dict)]


def public_statements(document: Any) -> list[dict[str, Any]]:
    """Statements that allow something to everybody, without any condition."""
    return [
        each
        for each in statements(document)
        if each.get("Effect") == "Allow" and "*" in _principals(each) and not each.get("Condition")
    ]


def tls_only(document: Any) -> bool:
    """Whether a bucket's policy denies everybody everything that does not come over TLS."""
    for each in statements(document):
        condition = each.get("Condition") or {}
        insecure = str((condition.get("Bool") or {}).get("aws:SecureTransport", "")).lower() == "false"
        everything = {"*", "s3:*"} & set(_list(each.get("Action")))
        if each.get("Effect") == "Deny" and insecure and everything and "*" in _principals(each):
            return True
    return False


def findings(resource: Resource, production: bool) -> Iterator[Finding]:
    """Findings about a role or a policy."""
    if resource.type == "aws:iam/role:Role":
        yield from _trust(resource)
        for position, inline in enumerate(_list(at(resource.props, "inlinePolicies"))):
            yield from _allowed(resource, f"inlinePolicies.{position}.policy", at(inline, "policy"))
    else:
        yield from _allowed(resource, "policy", at(resource.props, "policy"))


def _allowed(resource: Resource, path: str, document: Any) -> Iterator[Finding]:
    for each in statements(document):
        if each.get("Effect") != "Allow":
            continue
        actions = [str(action) for action in _list(each.get("Action"))]
        if "NotAction" in each or "NotResource" in each:
            yield Finding(
                resource,
                path,
                sorted(each),
                "must not allow all but some",
                "use Action and Resource in place of Not...",
            )
        for action in actions:
            if action == "*" or re.fullmatch(r"[a-z0-9-]+:\*", action):
                yield Finding(resource, path, action, "must not allow every action", "name the actions that are used")
        broad = [action for action in actions if not _harmless(action)]
        if "*" in _list(each.get("Resource")) and broad and not each.get("Condition"):
            yield Finding(
                resource,
                path,
                f"{broad[0]} on *",
                "must not allow changes or secrets on every resource",
                "name the resources, or add a condition such as a tag's",
            )


def _harmless(action: str) -> bool:
    if action in _ANYWHERE or _CONFIGURATION.match(action):
        return True
    return _DISCOVERY.match(action) is not None and not _SECRETS.match(action)


def _trust(role: Resource) -> Iterator[Finding]:
    path = "assumeRolePolicy"
    for each in statements(at(role.props, path)):
        if each.get("Effect") != "Allow":
            continue
        if "*" in _principals(each):
            yield Finding(role, path, "*", "must not trust everybody", "name the principal")
        if "sts:AssumeRoleWithWebIdentity" in _list(each.get("Action")):
            condition = each.get("Condition") or {}
            exact = [key for key in condition.get("StringEquals") or {} if key.endswith(_SUBJECT)]
            wild = [
                value
                for key, value in (condition.get("StringLike") or {}).items()
                if key.endswith(_SUBJECT) and any("*" in str(part) for part in _list(value))
            ]
            if wild or not exact:
                yield Finding(
                    role,
                    path,
                    wild[0] if wild else condition or None,
                    "must name the exact subject that may take the role",
                    "add StringEquals on the issuer's sub, such as system:serviceaccount:<namespace>:<account>",
                )


def _principals(statement: dict[str, Any]) -> list[Any]:
    principal = statement.get("Principal")
    if isinstance(principal, dict):
        return [each for value in principal.values() for each in _list(value)]
    return _list(principal)


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
