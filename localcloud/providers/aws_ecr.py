"""Simulated ECR: repositories and the cache of public registries."""

from __future__ import annotations

import json
import re

from localcloud.providers.aws_keys import require_key, require_role
from localcloud.providers.aws_names import ACCOUNT, arn, region
from localcloud.providers.calls import ApiError, Call, CreateResult, Kind, text
from localcloud.store import JsonDict

_REPOSITORY = "aws:ecr/repository:Repository"
_PREFIX = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*/?")
_WITH_TOKEN = ("registry-1.docker.io", "ghcr.io", "registry.gitlab.com")
_WITHOUT_TOKEN = ("public.ecr.aws", "quay.io", "registry.k8s.io")
_TOKENS_PART = ":secret:ecr-pullthroughcache/"
_PREFIX_MAX = 30


def _check_encryption(call: Call, inputs: JsonDict) -> None:
    for each in inputs.get("encryptionConfigurations") or []:
        require_key(call, each.get("kmsKey"), "")


def _create_repository(call: Call, inputs: JsonDict) -> CreateResult:
    _check_encryption(call, inputs)
    name = inputs["name"]
    outputs = {"arn": arn(call, "ecr", f"repository/{name}"), "registryId": ACCOUNT}
    return name, {**outputs, "repositoryUrl": f"{ACCOUNT}.dkr.ecr.{region(call)}.amazonaws.com/{name}"}


def _create_lifecycle(call: Call, inputs: JsonDict) -> CreateResult:
    name = inputs["repository"]
    call.require(_REPOSITORY, name, f"RepositoryNotFoundException: the repository {name} does not exist")
    _check_lifecycle(inputs["policy"])
    return name, {"registryId": ACCOUNT}


def _check_lifecycle(policy: object) -> None:
    try:
        rules = json.loads(text(policy))["rules"]
        for rule in rules:
            selection = rule["selection"]
            by_age = selection["countType"] == "sinceImagePushed"
            if by_age != ("countUnit" in selection) or rule["action"]["type"] != "expire":
                raise ValueError("a rule by age needs countUnit, one by number has none, and both expire")
    except (ValueError, KeyError) as error:
        raise ApiError(f"InvalidParameterException: invalid lifecycle policy: {error}") from None


def _check_prefix(prefix: str, most: int) -> None:
    if not 2 <= len(prefix) <= most or not _PREFIX.fullmatch(prefix):
        raise ApiError(f"InvalidParameterException: prefix {prefix!r} must have 2 to {most} letters, digits and ._-/")


def _create_rule(call: Call, inputs: JsonDict) -> CreateResult:
    prefix, upstream = text(inputs["ecrRepositoryPrefix"]), text(inputs["upstreamRegistryUrl"])
    _check_prefix(prefix, _PREFIX_MAX)
    if upstream not in (*_WITH_TOKEN, *_WITHOUT_TOKEN):
        raise ApiError(f"UnsupportedUpstreamRegistryException: {upstream} is not supported")
    secret = text(inputs.get("credentialArn"))
    if upstream in _WITH_TOKEN and _TOKENS_PART not in secret:
        raise ApiError(
            f"InvalidParameterException: {upstream} needs the ARN of a secret named ecr-pullthroughcache/..."
        )
    return prefix, {"registryId": ACCOUNT}


def _create_template(call: Call, inputs: JsonDict) -> CreateResult:
    prefix = text(inputs["prefix"])
    _check_prefix(prefix, 256)
    _check_encryption(call, inputs)
    encrypted = any(each.get("kmsKey") for each in inputs.get("encryptionConfigurations") or [])
    if inputs.get("customRoleArn"):
        require_role(call, inputs["customRoleArn"], "ecr.amazonaws.com")
    elif encrypted or inputs.get("resourceTags"):
        raise ApiError("InvalidParameterException: a template with a key or tags needs customRoleArn")
    if inputs.get("lifecyclePolicy"):
        _check_lifecycle(inputs["lifecyclePolicy"])
    return prefix, {"registryId": ACCOUNT}


KINDS = {
    _REPOSITORY: Kind(_create_repository),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": Kind(_create_lifecycle, upsert=True),
    "aws:ecr/pullThroughCacheRule:PullThroughCacheRule": Kind(_create_rule),
    "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate": Kind(_create_template),
}
