"""Simulated AWS: encryption keys, log groups, identity providers, and who may use which."""

from __future__ import annotations

import json
import re

from localcloud.providers.aws_names import ACCOUNT, arn, region
from localcloud.providers.calls import ApiError, Call, CreateResult, Kind, text, unique
from localcloud.store import JsonDict, Resource

_KEY, _ROLE = "aws:kms/key:Key", "aws:iam/role:Role"
_GROUP, _ISSUER = "aws:cloudwatch/logGroup:LogGroup", "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
_RETENTION = (
    0,
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)


def require_key(call: Call, key_arn: object, user: str) -> None:
    """Check that a key exists and that its policy names a principal.

    Args:
        call: The call.
        key_arn: ARN of the key; None is fine.
        user: Part of the principal, such as `logs.us-east-1.amazonaws.com`; empty for anyone in the account.

    Raises:
        ApiError: If not.
    """
    if key_arn is None:
        return
    key = next((row for row in call.rows(_KEY) if row.outputs.get("arn") == key_arn), None)
    if key is None:
        raise ApiError(f"NotFoundException: key {key_arn} does not exist", "NOT_FOUND")
    if user not in text(key.inputs.get("policy")):
        raise ApiError(f"AccessDeniedException: the policy of {key_arn} does not let {user} use it")


def require_role(call: Call, role_arn: object, service: str) -> None:
    """Check that a role exists and trusts a service.

    Raises:
        ApiError: If not.
    """
    role = next((row for row in call.rows(_ROLE) if row.outputs.get("arn") == role_arn), None)
    if role is None:
        raise ApiError(f"InvalidParameterException: the role {role_arn} does not exist")
    if service not in json.dumps(json.loads(text(role.inputs["assumeRolePolicy"])).get("Statement")):
        raise ApiError(f"InvalidParameterException: the trust policy of {role_arn} does not allow {service}")


def _check_key_policy(inputs: JsonDict) -> None:
    policy = text(inputs.get("policy"))
    if not policy:
        return
    try:
        statements = json.loads(policy)["Statement"]
    except (ValueError, KeyError) as error:
        raise ApiError(f"MalformedPolicyDocumentException: not a key policy: {error}") from None
    owners = [each for each in statements if f"{ACCOUNT}:root" in json.dumps(each.get("Principal"))]
    if not any({"kms:*", "kms:PutKeyPolicy"} & set(each["Action"]) for each in owners):
        raise ApiError(
            "MalformedPolicyDocumentException: the new key policy will not allow you to update the key policy in "
            "the future"
        )


def _create_key(call: Call, inputs: JsonDict) -> CreateResult:
    _check_key_policy(inputs)
    id_ = f"{unique('', 8)}-{unique('', 4)}-{unique('', 4)}-{unique('', 4)}-{unique('', 12)}"
    return id_, {"arn": arn(call, "kms", f"key/{id_}"), "keyId": id_, "keyUsage": "ENCRYPT_DECRYPT"}


def _update_key(call: Call, row: Resource, inputs: JsonDict) -> JsonDict:
    _check_key_policy(inputs)
    return {}


def _check_group(call: Call, inputs: JsonDict) -> None:
    require_key(call, inputs.get("kmsKeyId"), f"logs.{region(call)}.amazonaws.com")
    days = inputs.get("retentionInDays", 0)
    if days not in _RETENTION:
        raise ApiError(f"InvalidParameterException: retentionInDays must be one of {_RETENTION}, got {days}")


def _create_group(call: Call, inputs: JsonDict) -> CreateResult:
    name = text(inputs["name"])
    if not re.fullmatch(r"[.\-_/#A-Za-z0-9]{1,512}", name):
        raise ApiError(f"InvalidParameterException: {name!r} is not a name of a log group")
    # A cluster that logs makes its group itself unless it finds one.
    cluster = re.fullmatch(r"/aws/eks/([^/]+)/cluster", name)
    if cluster is not None and call.row("aws:eks/cluster:Cluster", cluster[1]) is not None:
        raise ApiError(f"ResourceAlreadyExistsException: the log group {name} exists already", "ALREADY_EXISTS")
    _check_group(call, inputs)
    return name, {"arn": arn(call, "logs", f"log-group:{name}")}


def _update_group(call: Call, row: Resource, inputs: JsonDict) -> JsonDict:
    _check_group(call, inputs)
    return {}


def _create_issuer(call: Call, inputs: JsonDict) -> CreateResult:
    url = text(inputs.get("url"))
    if not url.startswith("https://"):
        raise ApiError(f"InvalidInput: url must begin with https://, got {url!r}", "INVALID_ARGUMENT")
    if any(row.inputs["url"] == url for row in call.rows(_ISSUER)):
        raise ApiError(f"EntityAlreadyExists: provider with url {url} already exists", "ALREADY_EXISTS")
    id_ = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{url.removeprefix('https://')}"
    return id_, {"arn": id_}


KINDS = {
    _KEY: Kind(_create_key, update=_update_key),
    _GROUP: Kind(_create_group, update=_update_group),
    _ISSUER: Kind(_create_issuer),
}
