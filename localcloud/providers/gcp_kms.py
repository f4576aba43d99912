"""Simulated Cloud KMS: key rings, keys, and whether a service may encrypt with one."""

from __future__ import annotations

import re

from localcloud.providers.calls import ApiError, Call, CreateResult, Kind, text
from localcloud.providers.gcp_names import PROJECT_NUMBER, place, project
from localcloud.store import JsonDict

RING, KEY = "gcp:kms/keyRing:KeyRing", "gcp:kms/cryptoKey:CryptoKey"
MEMBER = "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember"
_ENCRYPTS = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
_LEAST_ROTATION_S = 24 * 3600


def require_key(call: Call, key: object, location: str, agent: str) -> None:
    """Check that a service can encrypt with a key; nothing to check without one.

    Args:
        call: The call.
        key: Id of the key, or nothing.
        location: Where the resource that is to be encrypted is.
        agent: Domain of the service's agent, such as `compute-system`.

    Raises:
        ApiError: If there is no such key, it is elsewhere, or the agent may not use it.
    """
    if not key:
        return
    found = call.require(KEY, key, f"notFound: the Cloud KMS key {text(key)!r} was not found")
    where = found.id.split("/")[3]
    if where not in (location.lower(), "global"):
        raise ApiError(f"the Cloud KMS key {found.id} is in {where}, not in {location}", "INVALID_ARGUMENT")
    member = f"serviceAccount:service-{PROJECT_NUMBER}@{agent}.iam.gserviceaccount.com"
    for grant in call.rows(MEMBER):
        if (grant.inputs["cryptoKeyId"], grant.inputs["role"], grant.inputs["member"]) == (found.id, _ENCRYPTS, member):
            return
    raise ApiError(
        f"Permission 'cloudkms.cryptoKeyVersions.useToEncrypt' denied on {found.id} for {member}", "PERMISSION_DENIED"
    )


def _valid(name: object) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,63}", text(name)):
        raise ApiError(f"invalid name {text(name)!r}: must match [a-zA-Z0-9_-]{{1,63}}", "INVALID_ARGUMENT")
    return text(name)


def _create_ring(call: Call, inputs: JsonDict) -> CreateResult:
    return f"projects/{project(call, inputs)}/locations/{place(call, inputs)}/keyRings/{_valid(inputs.get('name'))}", {}


def _create_key(call: Call, inputs: JsonDict) -> CreateResult:
    ring = inputs["keyRing"]
    call.require(RING, ring, f"notFound: the key ring {ring!r} was not found")
    period = text(inputs.get("rotationPeriod"))
    if period and float(period.removesuffix("s")) < _LEAST_ROTATION_S:
        raise ApiError(f"rotation period must be at least 24 hours, got {period}", "INVALID_ARGUMENT")
    state = {"name": f"{ring}/cryptoKeys/{inputs['name']}/cryptoKeyVersions/1", "state": "ENABLED"}
    return f"{ring}/cryptoKeys/{_valid(inputs['name'])}", {"primaries": [state], "purpose": "ENCRYPT_DECRYPT"}


KINDS = {RING: Kind(_create_ring), KEY: Kind(_create_key)}
