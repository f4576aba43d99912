"""Checks what the components send to Google Cloud against Google's own descriptions of its APIs.

The descriptions are the discovery documents that google-api-python-client ships. `problems` compares the inputs of a
resource with the schema of the API object that the provider makes of them: names, kinds and enums at every depth. What
the provider calls otherwise than the API is in `RENAMED`; what it does not send as part of the object is in
`NOT_IN_BODY`, with the reason.
"""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.components import recording

JsonDict = dict[str, Any]

RESOURCES: Mapping[str, tuple[str, str]] = {
    "gcp:artifactregistry/repository:Repository": ("artifactregistry.v1", "Repository"),
    "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember": ("artifactregistry.v1", "Binding"),
    "gcp:compute/address:Address": ("compute.v1", "Address"),
    "gcp:compute/firewall:Firewall": ("compute.v1", "Firewall"),
    "gcp:compute/healthCheck:HealthCheck": ("compute.v1", "HealthCheck"),
    "gcp:compute/network:Network": ("compute.v1", "Network"),
    "gcp:compute/router:Router": ("compute.v1", "Router"),
    "gcp:compute/routerNat:RouterNat": ("compute.v1", "RouterNat"),
    "gcp:compute/subnetwork:Subnetwork": ("compute.v1", "Subnetwork"),
    "gcp:container/cluster:Cluster": ("container.v1", "Cluster"),
    "gcp:container/nodePool:NodePool": ("container.v1", "NodePool"),
    "gcp:dns/managedZone:ManagedZone": ("dns.v1", "ManagedZone"),
    "gcp:dns/recordSet:RecordSet": ("dns.v1", "ResourceRecordSet"),
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": ("iam.v1", "WorkloadIdentityPool"),
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": ("iam.v1", "WorkloadIdentityPoolProvider"),
    "gcp:kms/cryptoKey:CryptoKey": ("cloudkms.v1", "CryptoKey"),
    "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember": ("cloudkms.v1", "Binding"),
    "gcp:kms/keyRing:KeyRing": ("cloudkms.v1", "KeyRing"),
    "gcp:logging/projectBucketConfig:ProjectBucketConfig": ("logging.v2", "LogBucket"),
    "gcp:projects/iAMAuditConfig:IAMAuditConfig": ("cloudresourcemanager.v1", "AuditConfig"),
    "gcp:projects/iAMMember:IAMMember": ("cloudresourcemanager.v1", "Binding"),
    "gcp:projects/service:Service": ("serviceusage.v1", "GoogleApiServiceusageV1Service"),
    "gcp:projects/serviceIdentity:ServiceIdentity": ("serviceusage.v1beta1", "ServiceIdentity"),
    "gcp:serviceaccount/account:Account": ("iam.v1", "CreateServiceAccountRequest"),
    "gcp:serviceaccount/iAMMember:IAMMember": ("iam.v1", "Binding"),
    "gcp:storage/bucket:Bucket": ("storage.v1", "Bucket"),
    "gcp:storage/bucketIAMMember:BucketIAMMember": ("storage.v1", "Policy.bindings"),
    "gcp:storage/bucketObject:BucketObject": ("storage.v1", "Object"),
}
"""Resource type to the document and the schema of what the provider sends; a schema may be a part of another."""

COVERAGE = {
    token: f"{document.replace('.', ' ')} {schema} (discovery document)"
    for token, (document, schema) in RESOURCES.items()
}
"""Resource type to what its inputs are checked against, in words."""

_BINDING = {"member": "members[]"}
RENAMED: Mapping[str, Mapping[str, str]] = {
    "AcceleratorConfig": {"count": "acceleratorCount", "type": "acceleratorType"},
    "Binding": _BINDING,
    "Bucket": {
        "lifecycleRules": "lifecycle.rule",
        "publicAccessPrevention": "iamConfiguration.publicAccessPrevention",
        "uniformBucketLevelAccess": "iamConfiguration.uniformBucketLevelAccess.enabled",
    },
    "Cluster": {
        "datapathProvider": "networkConfig.datapathProvider",
        "enableIntranodeVisibility": "networkConfig.enableIntraNodeVisibility",
        "enableLegacyAbac": "legacyAbac.enabled",
        "enableShieldedNodes": "shieldedNodes.enabled",
        "minMasterVersion": "initialClusterVersion",
        "nodeLocations": "locations",
    },
    "CreateServiceAccountRequest": {"displayName": "serviceAccount.displayName"},
    "Firewall": {"allows": "allowed", "denies": "denied"},
    "Firewall.allowed": {"protocol": "IPProtocol"},
    "Firewall.denied": {"protocol": "IPProtocol"},
    "GoogleApiServiceusageV1Service": {"service": "name"},
    "LoggingConfig": {"enableComponents": "componentConfig.enableComponents"},
    "MaintenancePolicy": {"recurringWindow": "window.recurringWindow"},
    "MonitoringConfig": {
        "enableComponents": "componentConfig.enableComponents",
        "managedPrometheus": "managedPrometheusConfig",
    },
    "Network": {"routingMode": "routingConfig.routingMode"},
    "NodeConfig": {"guestAccelerators": "accelerators"},
    "NodePool": {"nodeConfig": "config", "nodeLocations": "locations"},
    "Policy.bindings": _BINDING,
    "RRSetRoutingPolicy": {"wrrs": "wrr.items"},
    "RecurringTimeWindow": {"endTime": "window.endTime", "startTime": "window.startTime"},
}
"""Schema, or place in one, to the API's names of the provider's properties; `[]` makes one value a list of it."""

KEYED = {("Repository", "cleanupPolicies"): "id"}
"""Lists of the provider that are maps in the API, by the property that becomes the key."""

_PATH = "part of the request's address"
_GUARD = "the provider's own rule, never sent"
NOT_IN_BODY: Mapping[str, Mapping[str, str]] = {
    "Address": {"project": _PATH},
    "AuditConfig": {"project": _PATH},
    "Binding": {
        "cryptoKeyId": _PATH,
        "location": _PATH,
        "project": _PATH,
        "repository": _PATH,
        "serviceAccountId": _PATH,
    },
    "Bucket": {"forceDestroy": _GUARD, "project": "a parameter of the request"},
    "Bucket.lifecycle.rule.condition": {"withState": "three states that the provider turns into isLive"},
    "Cluster": {
        "deletionProtection": _GUARD,
        "networkingMode": "the provider turns it into ipAllocationPolicy.useIpAliases",
        "project": _PATH,
        "removeDefaultNodePool": "a second request of the provider",
    },
    "CreateServiceAccountRequest": {"project": _PATH},
    "CryptoKey": {"keyRing": _PATH},
    "Firewall": {"project": _PATH},
    "GoogleApiServiceusageV1Service": {"disableOnDestroy": _GUARD, "project": _PATH},
    "HealthCheck": {"project": _PATH},
    "KeyRing": {"location": _PATH, "project": _PATH},
    "LogBucket": {"bucketId": _PATH, "location": _PATH, "project": _PATH},
    "ManagedZone": {"project": _PATH},
    "Network": {"project": _PATH},
    "NodePool": {"cluster": _PATH, "ignoreNodeCountChanges": _GUARD},
    "Object": {"source": "sent as the object's contents"},
    "Policy.bindings": {"bucket": _PATH},
    "Repository": {"location": _PATH, "project": _PATH, "repositoryId": "a parameter of the request"},
    "ResourceRecordSet": {"managedZone": _PATH, "project": _PATH},
    "Router": {"project": _PATH},
    "RouterNat": {"project": _PATH, "region": _PATH, "router": _PATH},
    "ServiceIdentity": {"project": _PATH, "service": _PATH},
    "Subnetwork": {"project": _PATH},
    "WorkloadIdentityPool": {"project": _PATH, "workloadIdentityPoolId": "a parameter of the request"},
    "WorkloadIdentityPoolProvider": {
        "project": _PATH,
        "workloadIdentityPoolId": _PATH,
        "workloadIdentityPoolProviderId": "a parameter of the request",
    },
}
"""Schema to the provider's properties that have no place in it, with the reason; they are not compared."""

_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "array": list,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "object": dict,
    "string": str,
}


def problems(token: str, inputs: Mapping[str, Any]) -> list[str]:
    """Return what an API would not know or not take of a resource's inputs; values that are not known pass.

    Raises:
        KeyError: If the resource type is not in `RESOURCES`.
    """
    name, place = RESOURCES[token]
    root, *parts = place.split(".")
    schema = _schemas(name)[root]
    for part in parts:
        schema = _inner(schema["properties"][part])
    return list(_object(name, place, schema, inputs, token))


@functools.cache
def _schemas(document: str) -> JsonDict:
    spec = importlib.util.find_spec("googleapiclient")
    assert spec is not None
    assert spec.origin is not None
    file = Path(spec.origin).parent / "discovery_cache" / "documents" / f"{document}.json"
    found: JsonDict = json.loads(file.read_text())["schemas"]
    return found


def _inner(schema: JsonDict) -> JsonDict:
    return schema["items"] if schema.get("type") == "array" else schema


def _object(document: str, place: str, schema: JsonDict, given: Mapping[str, Any], path: str) -> Iterator[str]:
    renamed, outside = RENAMED.get(place, {}), NOT_IN_BODY.get(place, {})
    for key, value in given.items():
        if key in outside:
            continue
        here = f"{path}.{key}"
        steps = renamed.get(key, key)
        one = steps.endswith("[]")
        found, where = schema, place
        for step in steps.removesuffix("[]").split("."):
            properties = found.get("properties", {})
            if step not in properties:
                yield f"{here}: {where} has no {step}"
                break
            found, where = _resolved(document, properties[step], f"{where}.{step}")
        else:
            if (place, key) in KEYED and isinstance(value, list):
                value = {each[KEYED[place, key]]: each for each in value}
            yield from _value(document, where, found, [value] if one else value, here)


def _resolved(document: str, schema: JsonDict, where: str) -> tuple[JsonDict, str]:
    """Return a schema without a reference, and the key of the tables that is in force in it."""
    reference = schema.get("$ref")
    return (_schemas(document)[reference], reference) if reference else (schema, where)


def _value(document: str, where: str, schema: JsonDict, value: Any, path: str) -> Iterator[str]:
    if value is None or value == recording.UNKNOWN:
        return
    kind = schema["type"]
    number_as_text = kind == "string" and schema.get("format") in ("int64", "uint64") and isinstance(value, int)
    wrong_bool = isinstance(value, bool) and kind != "boolean"
    if kind == "any" or (number_as_text and not wrong_bool):
        return
    if wrong_bool or not isinstance(value, _KINDS[kind]):
        yield f"{path}: must be {kind}, got {value!r}"
        return
    yield from _contents(document, where, schema, value, path)


def _contents(document: str, where: str, schema: JsonDict, value: Any, path: str) -> Iterator[str]:
    kind = schema["type"]
    if kind == "array":
        inner, inside = _resolved(document, schema["items"], where)
        for index, each in enumerate(value):
            yield from _value(document, inside, inner, each, f"{path}[{index}]")
    elif kind == "object" and "additionalProperties" in schema:
        inner, inside = _resolved(document, schema["additionalProperties"], where)
        for key, each in value.items():
            yield from _value(document, inside, inner, each, f"{path}.{key}")
    elif kind == "object":
        yield from _object(document, where, schema, value, path)
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{path}: must be one of {', '.join(schema['enum'])}, got {value!r}"
