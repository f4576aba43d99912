"""Simulated Google Cloud: network, Cloud Storage, Artifact Registry, Cloud DNS; the rest is in the other `gcp_*`."""

from __future__ import annotations

import re
import zlib
from dataclasses import replace

from localcloud import ledger
from localcloud.providers import gcp_iam, gcp_kms, gcp_services, objects, rules
from localcloud.providers.calls import ApiError, Call, CreateResult, Kind, Vendor, text, unique
from localcloud.providers.gcp_gke import KINDS as GKE_KINDS
from localcloud.providers.gcp_gke import MEMBER, bind_identities, require_pool_exists, subject, unbind_identities
from localcloud.providers.gcp_names import PROJECT_NUMBER, place, project, self_link, valid_name
from localcloud.providers.gcp_quotas import INVOKES as QUOTA_INVOKES
from localcloud.store import JsonDict, Resource

_ADDRESS = "gcp:compute/address:Address"
_BUCKET, _OBJECT = "gcp:storage/bucket:Bucket", "gcp:storage/bucketObject:BucketObject"
_ZONE, _RECORD = "gcp:dns/managedZone:ManagedZone", "gcp:dns/recordSet:RecordSet"
_READERS = {
    "roles/storage.objectViewer", "roles/storage.objectUser", "roles/storage.objectAdmin", "roles/storage.admin",
    "roles/storage.legacyObjectReader", "roles/storage.legacyObjectOwner",
}  # fmt: skip
_TIME = "2026-01-01T00:00:00.000-00:00"


# -- network


def _compute(collection: str, scope: str, *references: tuple[str, str]) -> Kind:
    """Return a named part of the network; `scope` is `global` or `regions`, references are inputs and their types."""

    def create(call: Call, inputs: JsonDict) -> CreateResult:
        name = valid_name(inputs.get("name"))
        for key, type_ in references:
            if inputs.get(key) and not _exists(call, type_, text(inputs[key])):
                raise ApiError(f"notFound: the resource {inputs[key]!r} ({key}) was not found", "NOT_FOUND")
        where = "global" if scope == "global" else f"regions/{place(call, inputs)}"
        id_ = f"projects/{project(call, inputs)}/{where}/{collection}/{name}"
        outputs: JsonDict = {"selfLink": self_link("compute", id_), "creationTimestamp": _TIME, "name": name}
        return id_, outputs if scope == "global" else {**outputs, "region": place(call, inputs)}

    return Kind(create)


def _exists(call: Call, type_: str, reference: str) -> bool:
    """Return whether a resource is meant by an id, a link or a bare name."""
    return any(
        reference in (row.id, row.outputs.get("selfLink"))
        or ("/" not in reference and row.id.endswith(f"/{reference}"))
        for row in call.rows(type_)
    )


def _create_nat(call: Call, inputs: JsonDict) -> CreateResult:
    name, router = valid_name(inputs.get("name")), text(inputs["router"]).rpartition("/")[2]
    if not _exists(call, "gcp:compute/router:Router", router):
        raise ApiError(f"notFound: the router {router!r} was not found", "NOT_FOUND")
    return f"{project(call, inputs)}/{place(call, inputs)}/{router}/{name}", {"region": place(call, inputs)}


def _address(scope: str) -> Kind:
    parts = _compute("addresses", scope)

    def create(call: Call, inputs: JsonDict) -> CreateResult:
        id_, outputs = parts.create(call, inputs)
        if inputs.get("addressType", "EXTERNAL") == "EXTERNAL":
            if call.row(call.type, id_) is not None:
                raise ApiError(f"alreadyExists: the resource {id_!r} already exists", "ALREADY_EXISTS")
            outputs["address"] = ledger.allocate_address(call.store, "gcp", id_, inputs["name"]).ip
        return id_, {**outputs, "addressType": inputs.get("addressType", "EXTERNAL"), "users": []}

    return Kind(create, delete=lambda call, row: ledger.release_address(call.store, "gcp", row.id))


# -- access to buckets


def _require_bucket(call: Call, inputs: JsonDict) -> str:
    bucket = text(inputs["bucket"]).removeprefix("b/")
    call.require(_BUCKET, bucket, f"notFound: the specified bucket {bucket!r} does not exist")
    return bucket


def _prefix(inputs: JsonDict) -> str:
    expression = text((inputs.get("condition") or {}).get("expression"))
    match = re.search(r'resource\.name\.startsWith\("projects/_/buckets/[^/]+/objects/([^"]*)"\)', expression)
    return match.group(1) if match else ""


def _create_bucket_member(call: Call, inputs: JsonDict) -> CreateResult:
    bucket = _require_bucket(call, inputs)
    id_ = gcp_iam.member_id(call, inputs, f"b/{bucket}")
    if subject(inputs["member"]) is not None:
        require_pool_exists(call, inputs["member"])
        bind_identities(call, id_, inputs["member"])
    if inputs["role"] in _READERS:
        ledger.put_grant(call.store, ledger.Grant("gcp", id_, inputs["member"], bucket, _prefix(inputs)))
    return id_, {"etag": "CAI="}


def _delete_bucket_member(call: Call, row: Resource) -> None:
    ledger.delete_grant(call.store, "gcp", row.id)
    unbind_identities(call, row.id)


# -- Cloud Storage


def _create_bucket(call: Call, inputs: JsonDict) -> CreateResult:
    name = inputs["name"]
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]", name):
        raise ApiError(f"invalid bucket name {name!r}: must be 3 to 63 lower-case letters, digits, dots and dashes")
    key = (inputs.get("encryption") or {}).get("defaultKmsKeyName")
    gcp_kms.require_key(call, key, inputs["location"], "gs-project-accounts")
    outputs = {"selfLink": self_link("storage", f"b/{name}"), "url": f"gs://{name}", "timeCreated": _TIME}
    return name, {**outputs, "storageClass": "STANDARD", "projectNumber": int(PROJECT_NUMBER)}


def _create_object(call: Call, inputs: JsonDict) -> CreateResult:
    bucket = _require_bucket(call, inputs)
    stored = objects.put(call, bucket, inputs["name"], inputs)
    link = f"b/{bucket}/o/{stored.key.replace('/', '%2F')}"
    return f"{bucket}-{stored.key}", {
        "outputName": stored.key,
        "md5hash": objects.md5_base64(stored),
        "md5hexhash": stored.md5,
        "crc32c": "",
        "generation": 1,
        "selfLink": self_link("storage", link),
        "mediaLink": self_link("storage", link) + "?alt=media",
        "storageClass": "STANDARD",
    }


def _delete_bucket(call: Call, row: Resource) -> None:
    objects.empty(call, row.id, bool(row.inputs.get("forceDestroy")))


# -- Artifact Registry and Cloud DNS


def _create_repository(call: Call, inputs: JsonDict) -> CreateResult:
    location, name = place(call, inputs), inputs["repositoryId"]
    gcp_kms.require_key(call, inputs.get("kmsKeyName"), location, "gcp-sa-artifactregistry")
    remote = inputs.get("mode") == "REMOTE_REPOSITORY"
    if remote != bool(inputs.get("remoteRepositoryConfig")):
        raise ApiError("a remote repository, and no other, needs a remoteRepositoryConfig", "INVALID_ARGUMENT")
    if remote and (inputs.get("dockerConfig") or {}).get("immutableTags"):
        raise ApiError("immutable tags are for standard repositories", "INVALID_ARGUMENT")
    uri = f"{location}-docker.pkg.dev/{project(call, inputs)}/{name}"
    id_ = f"projects/{project(call, inputs)}/locations/{location}/repositories/{name}"
    return id_, {"name": name, "registryUri": uri, "createTime": _TIME, "updateTime": _TIME, "location": location}


def _create_zone(call: Call, inputs: JsonDict) -> CreateResult:
    name = valid_name(inputs.get("name"))
    if not inputs["dnsName"].endswith("."):
        raise ApiError(f"invalid dnsName {inputs['dnsName']!r}: must end with a dot", "INVALID_ARGUMENT")
    servers = [f"ns-cloud-a{index}.googledomains.com." for index in range(1, 5)]
    id_ = f"projects/{project(call, inputs)}/managedZones/{name}"
    number = zlib.crc32(id_.encode())
    return id_, {"nameServers": servers, "managedZoneId": str(number), "creationTime": _TIME, "visibility": "public"}


def _records_of(call: Call, zone: Resource) -> list[Resource]:
    names = (zone.id, zone.inputs["name"])
    return [row for row in call.rows(_RECORD) if row.inputs["managedZone"] in names]


def _delete_zone(call: Call, row: Resource) -> None:
    held = _records_of(call, row)
    if held and not row.inputs.get("forceDestroy"):
        raise ApiError(
            f"containerNotEmpty: the zone {row.inputs['name']!r} still holds {', '.join(r.id for r in held)}"
        )


def _create_record(call: Call, inputs: JsonDict) -> CreateResult:
    reference = inputs["managedZone"]
    zone = next((row for row in call.rows(_ZONE) if reference in (row.id, row.inputs["name"])), None)
    if zone is None:
        raise ApiError(f"notFound: the managed zone {reference!r} does not exist", "NOT_FOUND")
    name, suffix = inputs["name"], zone.inputs["dnsName"]
    if name != suffix and not name.endswith(f".{suffix}"):
        raise ApiError(f"invalid record name {name!r}: must end with the zone's {suffix!r}", "INVALID_ARGUMENT")
    check = (inputs.get("routingPolicy") or {}).get("healthCheck")
    if check and not _exists(call, "gcp:compute/healthCheck:HealthCheck", check):
        raise ApiError(f"notFound: the health check {check!r} does not exist", "NOT_FOUND")
    return f"{zone.id}/rrsets/{name}/{inputs['type']}", {}


# -- the vendor


def _generic(call: Call, inputs: JsonDict) -> CreateResult:
    service, kind = call.type.split(":")[1].split("/")
    name = text(inputs.get("name")) or unique(f"{kind.lower()}-", 12)
    id_ = f"projects/{project(call, inputs)}/{service}/{kind}/{name}"
    return id_, {"selfLink": self_link(service, id_), "etag": "BwY="}


def _common(call: Call, inputs: JsonDict) -> JsonDict:
    outputs: JsonDict = {}
    if call.config.get("project") or inputs.get("project"):
        outputs["project"] = project(call, inputs)
    labels = inputs.get("labels") or inputs.get("resourceLabels") or {}
    defaults = call.config.get("defaultLabels")
    shared = defaults if isinstance(defaults, dict) else {}
    return {**outputs, "effectiveLabels": {**shared, **labels}, "pulumiLabels": {**shared, **labels}}


def _get_project(call: Call, arguments: JsonDict) -> JsonDict:
    name = text(arguments.get("projectId")) or project(call, {})
    return {"projectId": name, "number": PROJECT_NUMBER, "name": name, "id": f"projects/{name}"}


def _client_config(call: Call, arguments: JsonDict) -> JsonDict:
    where = {key: text(call.config.get(key)) for key in ("region", "zone")}
    return {**where, "project": project(call, {}), "accessToken": "", "id": "client-config", "defaultLabels": {}}


_NETWORK, _SUBNETWORK = "gcp:compute/network:Network", "gcp:compute/subnetwork:Subnetwork"
KINDS = {
    _NETWORK: _compute("networks", "global"),
    _SUBNETWORK: _compute("subnetworks", "regions", ("network", _NETWORK)),
    "gcp:compute/router:Router": _compute("routers", "regions", ("network", _NETWORK)),
    "gcp:compute/routerNat:RouterNat": Kind(_create_nat),
    "gcp:compute/firewall:Firewall": _compute("firewalls", "global", ("network", _NETWORK)),
    "gcp:compute/healthCheck:HealthCheck": _compute("healthChecks", "global"),
    _ADDRESS: _address("regions"),
    "gcp:compute/globalAddress:GlobalAddress": _address("global"),
    MEMBER: Kind(_create_bucket_member, delete=_delete_bucket_member, upsert=True),
    _BUCKET: Kind(_create_bucket, delete=_delete_bucket),
    _OBJECT: Kind(
        _create_object,
        delete=lambda call, row: objects.delete(call, row.inputs["bucket"], row.inputs["name"]),
        upsert=True,
    ),
    "gcp:artifactregistry/repository:Repository": Kind(_create_repository),
    _ZONE: Kind(_create_zone, delete=_delete_zone),
    _RECORD: Kind(_create_record),
    **gcp_iam.KINDS,
    **gcp_kms.KINDS,
    **gcp_services.KINDS,
    **GKE_KINDS,
}


def _checked(kind: Kind) -> Kind:
    """Return a kind that is refused while its service is off."""

    def create(call: Call, inputs: JsonDict) -> CreateResult:
        gcp_services.require_service(call, inputs)
        return kind.create(call, inputs)

    return replace(kind, create=create)


VENDOR = Vendor(
    package="gcp",
    cloud="gcp",
    distribution="pulumi-gcp",
    kinds={type_: _checked(kind) for type_, kind in KINDS.items()},
    invokes={
        **QUOTA_INVOKES,
        "gcp:organizations/getProject:getProject": _get_project,
        "gcp:organizations/getClientConfig:getClientConfig": _client_config,
    },
    generic=_generic,
    common=_common,
    name_rule=rules.bridged_name,
    check_config=lambda config: [],
    replaces_config=("project",),
)
