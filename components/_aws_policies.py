"""IAM policy documents, as JSON, and the place of the roles that have them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import pulumi

from components._naming import label_value

Statement = dict[str, Any]


def role_path() -> str:
    """Path of every role that a cluster or its pods use, so that a pipeline may be let at these and at no other."""
    return f"/{label_value(pulumi.get_project())}/"


def document(*statements: Statement) -> str:
    """A policy document of some statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions: Sequence[str], resources: Sequence[str], condition: Optional[Mapping[str, Any]] = None) -> Statement:
    """Statement that allows actions on resources, under a condition if there is one."""
    found: Statement = {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return {**found, "Condition": dict(condition)} if condition else found


def service_trust(service: str, condition: Optional[Mapping[str, Any]] = None) -> str:
    """Trust policy that lets an AWS service use a role."""
    return document(_trust({"Service": service}, ["sts:AssumeRole"], condition))


def pod_trust(namespace: str, service_account: str) -> str:
    """Trust policy that lets the pods of one service account use a role through EKS Pod Identity."""
    tags = {"kubernetes-namespace": namespace, "kubernetes-service-account": service_account}
    condition = {"StringEquals": {f"aws:RequestTag/{key}": value for key, value in tags.items()}}
    return document(_trust({"Service": "pods.eks.amazonaws.com"}, ["sts:AssumeRole", "sts:TagSession"], condition))


def token_trust(provider_arn: str, issuer: str, subject: str, audience: str) -> str:
    """Trust policy that lets the tokens of one subject use a role, and no other token of the issuer.

    Args:
        provider_arn: ARN of the issuer's `iam.OpenIdConnectProvider`.
        issuer: URL of the issuer as its tokens have it.
        subject: The tokens' `sub`, whole.
        audience: The tokens' `aud`.
    """
    key = issuer.removeprefix("https://")
    condition = {"StringEquals": {f"{key}:sub": subject, f"{key}:aud": audience}}
    return document(_trust({"Federated": provider_arn}, ["sts:AssumeRoleWithWebIdentity"], condition))


def _trust(principal: Mapping[str, str], actions: list[str], condition: Optional[Mapping[str, Any]]) -> Statement:
    found: Statement = {"Effect": "Allow", "Principal": dict(principal), "Action": actions}
    return {**found, "Condition": dict(condition)} if condition else found
