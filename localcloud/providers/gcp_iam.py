"""Simulated Google Cloud IAM: service accounts, members of policies, and pools that trust another issuer's tokens."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable

from localcloud.providers import gcp_kms
from localcloud.providers.calls import ApiError, Call, CreateResult, Kind
from localcloud.providers.gcp_names import PROJECT_NUMBER, project
from localcloud.store import JsonDict

_ACCOUNT = "gcp:serviceaccount/account:Account"
_POOL = "gcp:iam/workloadIdentityPool:WorkloadIdentityPool"
_KINDS_OF_MEMBERS = r"(allUsers|allAuthenticatedUsers)$|(user|group|domain|serviceAccount|principal|principalSet):"


def _create_account(call: Call, inputs: JsonDict) -> CreateResult:
    name = inputs["accountId"]
    if not re.fullmatch(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", name):
        raise ApiError(f"invalid account id {name!r}: must be 6 to 30 lower-case letters, digits and dashes")
    email = f"{name}@{project(call, inputs)}.iam.gserviceaccount.com"
    id_ = f"projects/{project(call, inputs)}/serviceAccounts/{email}"
    number = str(zlib.crc32(email.encode()) + 10**20)
    return id_, {"email": email, "member": f"serviceAccount:{email}", "name": id_, "uniqueId": number}


def member_id(call: Call, inputs: JsonDict, on: str) -> str:
    """Return the id of a member of the policy on something.

    Raises:
        ApiError: If there is no such member.
    """
    member = inputs["member"]
    if not re.match(_KINDS_OF_MEMBERS, member):
        raise ApiError(
            f"invalid member {member!r}: must start with its kind, such as serviceAccount:", "INVALID_ARGUMENT"
        )
    if member.startswith("serviceAccount:") and member.endswith(f"@{project(call, inputs)}.iam.gserviceaccount.com"):
        known = {row.outputs["member"] for row in call.rows(_ACCOUNT)}
        if member not in known:
            raise ApiError(f"service account {member} does not exist", "INVALID_ARGUMENT")
    title = (inputs.get("condition") or {}).get("title")
    return f"{on}/{inputs['role']}/{member}" + (f"/{title}" if title else "")


def _member(on: Callable[[Call, JsonDict], str]) -> Kind:
    return Kind(lambda call, inputs: (member_id(call, inputs, on(call, inputs)), {"etag": "BwY="}), upsert=True)


def _create_pool(call: Call, inputs: JsonDict) -> CreateResult:
    name = inputs["workloadIdentityPoolId"]
    if not re.fullmatch(r"[a-z0-9-]{4,32}", name) or name.startswith("gcp-"):
        raise ApiError(f"invalid workload identity pool id {name!r}: must be 4 to 32 of [a-z0-9-], not gcp-...")
    path = f"locations/global/workloadIdentityPools/{name}"
    full = f"projects/{PROJECT_NUMBER}/{path}"
    return f"projects/{project(call, inputs)}/{path}", {"name": full, "state": "ACTIVE"}


def _create_provider(call: Call, inputs: JsonDict) -> CreateResult:
    pool = f"projects/{project(call, inputs)}/locations/global/workloadIdentityPools/{inputs['workloadIdentityPoolId']}"
    found = call.require(_POOL, pool, f"notFound: the workload identity pool {pool!r} was not found")
    condition = inputs.get("attributeCondition") or ""
    if not condition:
        # https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines
        raise ApiError("The attribute condition must reference one of the provider's claims", "INVALID_ARGUMENT")
    tail = f"providers/{inputs['workloadIdentityPoolProviderId']}"
    return f"{pool}/{tail}", {"name": f"{found.outputs['name']}/{tail}", "state": "ACTIVE"}


KINDS = {
    _ACCOUNT: Kind(_create_account),
    _POOL: Kind(_create_pool),
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": Kind(_create_provider),
    "gcp:projects/iAMMember:IAMMember": _member(lambda call, inputs: inputs["project"]),
    "gcp:serviceaccount/iAMMember:IAMMember": _member(lambda call, inputs: inputs["serviceAccountId"]),
    "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember": _member(lambda call, inputs: inputs["repository"]),
    gcp_kms.MEMBER: _member(lambda call, inputs: inputs["cryptoKeyId"]),
}
