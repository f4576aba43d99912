"""Simulated Google Cloud: the services (APIs) of a project, their agents, and settings of the project itself."""

from __future__ import annotations

import zlib

from localcloud.providers.calls import ApiError, Call, CreateResult, Kind
from localcloud.providers.gcp_names import PROJECT_NUMBER, project
from localcloud.store import JsonDict

SERVICE = "gcp:projects/service:Service"
_AGENTS = {
    "artifactregistry.googleapis.com": "gcp-sa-artifactregistry",
    "container.googleapis.com": "container-engine-robot",
    "storage.googleapis.com": "gs-project-accounts",
}
_UNNAMED = ("storage.googleapis.com",)
"""Services that make their agent without saying its name."""
_OWN_NAMES = {"serviceaccount": "iam", "organizations": "cloudresourcemanager", "kms": "cloudkms"}
"""Modules of the SDK that are not called like their service."""
_ALWAYS_ON = ("projects", "storage")
"""`projects` is partly Service Usage itself; Cloud Storage is on in every project."""
_UNCHECKED = ("gcp:compute/healthCheck:HealthCheck", "gcp:dns/")
"""Parts of a public name, which a program declares beside its sites and without waiting for their services."""


def require_service(call: Call, inputs: JsonDict) -> None:
    """Check that the service of a resource type is on in its project.

    A project in which no program switches services has all of them on.

    Raises:
        ApiError: If it is off.
    """
    module = call.type.split(":")[1].partition("/")[0]
    if module in _ALWAYS_ON or call.type.startswith(_UNCHECKED):
        return
    wanted = f"{_OWN_NAMES.get(module, module)}.googleapis.com"
    where = project(call, inputs)
    switched = {row.inputs["service"] for row in call.rows(SERVICE) if project(call, row.inputs) == where}
    if switched and wanted not in switched:
        raise ApiError(
            f"SERVICE_DISABLED: {wanted} has not been used in project {where} before or it is disabled",
            "PERMISSION_DENIED",
        )


def _shared(call: Call, inputs: JsonDict, key: str) -> str:
    # Two programs or sites may declare the same setting of a project; either can go while the other stays.
    return f"{project(call, inputs)}/{inputs[key]}/{zlib.crc32(call.urn.encode()):08x}"


def _create_service(call: Call, inputs: JsonDict) -> CreateResult:
    if not inputs["service"].endswith(".googleapis.com"):
        raise ApiError(f"Not found or permission denied for service(s): {inputs['service']}.", "NOT_FOUND")
    return _shared(call, inputs, "service"), {}


def _create_identity(call: Call, inputs: JsonDict) -> CreateResult:
    service = inputs["service"]
    if service not in _AGENTS:
        raise ApiError(f"{service} has not been configured for service identities", "INVALID_ARGUMENT")
    email = "" if service in _UNNAMED else f"service-{PROJECT_NUMBER}@{_AGENTS[service]}.iam.gserviceaccount.com"
    return _shared(call, inputs, "service"), {"email": email, "member": f"serviceAccount:{email}" if email else ""}


def _create_audit_config(call: Call, inputs: JsonDict) -> CreateResult:
    return _shared(call, inputs, "service"), {"etag": "BwY="}


def _create_log_bucket(call: Call, inputs: JsonDict) -> CreateResult:
    days = inputs.get("retentionDays", 30)
    if not 1 <= days <= 3650:
        raise ApiError(f"retention must be 1 to 3650 days, got {days}", "INVALID_ARGUMENT")
    name = f"projects/{project(call, inputs)}/locations/{inputs['location']}/buckets/{inputs['bucketId']}"
    return _shared(call, inputs, "bucketId"), {"name": name, "lifecycleState": "ACTIVE", "retentionDays": days}


KINDS = {
    SERVICE: Kind(_create_service, upsert=True),
    "gcp:projects/serviceIdentity:ServiceIdentity": Kind(_create_identity, upsert=True),
    "gcp:projects/iAMAuditConfig:IAMAuditConfig": Kind(_create_audit_config, upsert=True),
    "gcp:logging/projectBucketConfig:ProjectBucketConfig": Kind(_create_log_bucket, upsert=True),
}
