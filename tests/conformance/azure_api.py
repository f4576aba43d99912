"""Comparing declared azure-native resources with the models of Azure's own Python SDKs (azure-mgmt-*).

The model of a resource type is the body of the call that creates it; the call's other parameters are the names in
the resource's path. Two generations of models are read: those with `rest_field` descriptors, and the older ones with
an `_attribute_map`. azure-native lifts what Azure keeps under `properties` to the top, at any depth, and calls a few
properties as the SDKs do rather than as the API does, so a property is looked up in both places and by both names.
"""

from __future__ import annotations

import enum
import functools
import importlib
import inspect
import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

UNKNOWN = "<unknown>"
CREATING_CALLS = {
    "azure-native:authorization:RoleAssignment": ("authorization.v2022_04_01", "RoleAssignments", "create"),
    "azure-native:compute:DiskEncryptionSet": ("compute", "DiskEncryptionSets", "begin_create_or_update"),
    "azure-native:containerregistry:CacheRule": ("containerregistry", "CacheRules", "begin_create"),
    "azure-native:containerregistry:CredentialSet": ("containerregistry", "CredentialSets", "begin_create"),
    "azure-native:containerregistry:Registry": ("containerregistry", "Registries", "begin_create"),
    "azure-native:containerservice:AgentPool": ("containerservice", "AgentPools", "begin_create_or_update"),
    "azure-native:containerservice:MaintenanceConfiguration": (
        "containerservice", "MaintenanceConfigurations", "create_or_update",
    ),
    "azure-native:containerservice:ManagedCluster": ("containerservice", "ManagedClusters", "begin_create_or_update"),
    "azure-native:keyvault:Key": ("keyvault", "Keys", "create_if_not_exist"),
    "azure-native:keyvault:Vault": ("keyvault", "Vaults", "begin_create_or_update"),
    "azure-native:managedidentity:FederatedIdentityCredential": (
        "msi.v2024_11_30", "FederatedIdentityCredentials", "create_or_update",
    ),
    "azure-native:managedidentity:UserAssignedIdentity": (
        "msi.v2024_11_30", "UserAssignedIdentities", "create_or_update",
    ),
    "azure-native:network:NatGateway": ("network", "NatGateways", "begin_create_or_update"),
    "azure-native:network:NetworkSecurityGroup": ("network", "NetworkSecurityGroups", "begin_create_or_update"),
    "azure-native:network:PrivateDnsZoneGroup": ("network", "PrivateDnsZoneGroups", "begin_create_or_update"),
    "azure-native:network:PrivateEndpoint": ("network", "PrivateEndpoints", "begin_create_or_update"),
    "azure-native:network:PublicIPAddress": ("network", "PublicIPAddresses", "begin_create_or_update"),
    "azure-native:network:Subnet": ("network", "Subnets", "begin_create_or_update"),
    "azure-native:network:VirtualNetwork": ("network", "VirtualNetworks", "begin_create_or_update"),
    "azure-native:operationalinsights:Workspace": ("loganalytics", "Workspaces", "begin_create_or_update"),
    "azure-native:privatedns:PrivateZone": ("privatedns", "PrivateZones", "begin_create_or_update"),
    "azure-native:privatedns:VirtualNetworkLink": ("privatedns", "VirtualNetworkLinks", "begin_create_or_update"),
    "azure-native:resources:ResourceGroup": ("resource.resources", "ResourceGroups", "create_or_update"),
    "azure-native:storage:BlobContainer": ("storage", "BlobContainers", "create"),
    "azure-native:storage:BlobServiceProperties": ("storage", "BlobServices", "set_service_properties"),
    "azure-native:storage:StorageAccount": ("storage", "StorageAccounts", "begin_create"),
}  # fmt: skip
"""Type token to package below `azure.mgmt`, group of operations and call that creates such a resource."""
NOT_COMPARED = {
    "azure-native:authorization:ManagementLockByScope": "azure-mgmt-resource 26 has no locks; they are a package apart",
    "azure-native:monitor:DiagnosticSetting": "azure-mgmt-monitor 7 has no diagnostic settings",
    "azure-native:storage:Blob": "a blob is uploaded to the store itself; Resource Manager has no model of it",
}
"""Types that no installed model describes, each with the reason."""
_IMPLIED = {"azure-native:storage:BlobServiceProperties": {"blobServicesName"}}
"""Names in a path that the SDK fills in itself, having one possible value."""


@dataclass(frozen=True)
class Field:
    """One property of a model."""

    type: Any
    required: bool
    read_only: bool


class Unlisted(AssertionError):
    """A type that is neither compared nor listed with a reason."""


def problems(token: str, inputs: Mapping[str, Any]) -> list[str]:
    """Return what Azure's model of a type does not have, has with another kind or value, or misses.

    Raises:
        Unlisted: If the type is in neither table of this module.
    """
    if token in NOT_COMPARED:
        return []
    call, model = _call(token)
    path_names = {_plain(name) for name in inspect.signature(call).parameters}
    body = {
        name: value
        for name, value in inputs.items()
        if _plain(name) not in path_names and name not in _IMPLIED.get(token, set())
    }
    return list(_object_problems(model, body, token.rpartition(":")[2]))


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


@functools.cache
def _call(token: str) -> tuple[Callable[..., Any], type]:
    if token not in CREATING_CALLS:
        raise Unlisted(f"{token} is compared with no model of Azure; add it to CREATING_CALLS, or a reason why not")
    package, group, name = CREATING_CALLS[token]
    operations = importlib.import_module(f"azure.mgmt.{package}.operations")
    call: Callable[..., Any] = inspect.unwrap(getattr(getattr(operations, f"{group}Operations"), name))
    for parameter in inspect.signature(call, eval_str=True).parameters.values():
        for part in (parameter.annotation, *get_args(parameter.annotation)):
            if isinstance(part, type) and _is_model(part):
                return call, part
    raise AssertionError(f"{call.__qualname__} takes no model")


def _is_model(cls: type) -> bool:
    return hasattr(cls, "_attribute_map") or any(_descriptors(base) for base in cls.__mro__)


def _descriptors(cls: type) -> dict[str, Any]:
    return {name: value for name, value in vars(cls).items() if type(value).__name__ == "_RestField"}


@functools.cache
def fields(model: type) -> dict[str, Field]:
    """Return the properties of a model by every name that azure-native may give them."""
    found: dict[str, Field] = {}
    for name, wire, field in _mapped(model) if hasattr(model, "_attribute_map") else _described(model):
        for key in (wire, _camel(name)):
            found.setdefault(_key(key), field)
    inner = found.get("properties")
    nested = _model_in(inner.type) if inner is not None else None
    if nested is not None:
        for key, field in fields(nested).items():
            # What the outer one has as well (an id, a name) is the outer one's, unless only Azure may set that.
            if key not in found or found[key].read_only:
                found[key] = field
    return found


def _key(name: str) -> str:
    """Names differ in the case of abbreviations: `osDiskSizeGB`, `vnetSubnetID`."""
    return name.lower()


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _described(model: type) -> Iterator[tuple[str, str, Field]]:
    """Properties of a model with descriptors."""
    for cls in model.__mro__:
        for name, descriptor in _descriptors(cls).items():
            details = vars(descriptor)
            annotation = _resolved(cls.__annotations__[name], cls.__module__)
            required = type(None) not in get_args(annotation)
            yield (
                name,
                details["_rest_name_input"] or name,
                Field(annotation, required, details["_visibility"] == ["read"]),
            )


def _mapped(model: Any) -> Iterator[tuple[str, str, Field]]:
    """Properties of an older model; dots in their names are the levels that azure-native lifts."""
    for name, described in model._attribute_map.items():
        rules = model._validation.get(name, {})
        wire = re.split(r"(?<!\\)\.", described["key"])[-1].replace("\\", "")
        kind = _written_type(described["type"], model.__module__)
        yield name, wire, Field(kind, bool(rules.get("required")), bool(rules.get("readonly")))


_SCALARS = {
    "str": str, "int": int, "long": int, "float": float, "bool": bool,
    "iso-8601": str, "duration": str, "rfc-1123": str,
}  # fmt: skip


def _written_type(text: str, module: str) -> Any:
    """Type that an older model writes as `str`, `[str]`, `{str}` or the name of a class."""
    if text.startswith("["):
        return list[_written_type(text[1:-1], module)]  # type: ignore[misc]  # built at run time
    if text.startswith("{"):
        return dict[str, _written_type(text[1:-1], module)]  # type: ignore[misc]  # built at run time
    return _SCALARS.get(text) or getattr(sys.modules[module.rpartition(".")[0]], text, Any)


def _resolved(annotation: Any, module: str) -> Any:
    """Replace the quoted names of models by the classes."""
    if get_origin(annotation) is Literal:
        return annotation
    if isinstance(annotation, str) or hasattr(annotation, "__forward_arg__"):
        name = (annotation if isinstance(annotation, str) else annotation.__forward_arg__).rpartition(".")[2]
        package, own = importlib.import_module(module.rpartition(".")[0]), importlib.import_module(module)
        return getattr(package, name) if hasattr(package, name) else getattr(own, name)
    if parts := get_args(annotation):
        inner = tuple(_resolved(part, module) for part in parts)
        origin = get_origin(annotation)
        return Union[inner] if origin in (Union, types.UnionType) else origin[inner if len(inner) > 1 else inner[0]]  # noqa: UP007 - built at run time
    return annotation


def _parts(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        return [each for part in get_args(annotation) for each in _parts(part)]
    return [annotation]


def _model_in(annotation: Any) -> type | None:
    return next((part for part in _parts(annotation) if isinstance(part, type) and _is_model(part)), None)


def _object_problems(model: type, given: Mapping[str, Any], path: str) -> Iterator[str]:
    known = fields(model)
    for name, value in given.items():
        field = known.get(_key(name))
        if field is None:
            yield f"{path}.{name} does not exist"
        elif field.read_only:
            yield f"{path}.{name} is set by Azure only"
        else:
            yield from _value_problems(field.type, value, f"{path}.{name}")
    names = {_key(name) for name in given}
    for wire, either in _required(model, lifted="properties" not in names):
        if not names & either:
            yield f"{path}.{wire} is required"


@functools.cache
def _required(model: type, *, lifted: bool) -> frozenset[tuple[str, frozenset[str]]]:
    """The API's names of what must be given, each with the names it may be given by."""
    mapped = list(_mapped(model) if hasattr(model, "_attribute_map") else _described(model))
    found = {
        (wire, frozenset({_key(wire), _key(_camel(name))}))
        for name, wire, field in mapped
        if field.required and not field.read_only and not (lifted and wire == "properties")
    }
    for _, wire, field in mapped:
        if lifted and wire == "properties" and (nested := _model_in(field.type)) is not None:
            found |= _required(nested, lifted=True)
    return frozenset(found)


def _value_problems(annotation: Any, value: Any, path: str) -> Iterator[str]:
    if value is None or value == UNKNOWN or annotation is Any:
        return
    parts = _parts(annotation)
    if isinstance(value, dict):
        yield from _mapping_problems(parts, value, path)
    elif isinstance(value, list):
        elements = [get_args(part)[0] for part in parts if get_origin(part) is list]
        if elements:
            for index, each in enumerate(value):
                yield from _value_problems(elements[0], each, f"{path}[{index}]")
        elif not (path.endswith(".userAssignedIdentities") and all(isinstance(each, str) for each in value)):
            # azure-native takes the ids of identities as a list and writes the map that Azure wants.
            yield f"{path} must not be a list"
    else:
        yield from _scalar_problems(parts, value, path)


def _mapping_problems(parts: list[Any], value: Mapping[str, Any], path: str) -> Iterator[str]:
    models = [part for part in parts if isinstance(part, type) and _is_model(part)]
    maps = [get_args(part)[1] for part in parts if get_origin(part) is dict]
    if models:
        yield from _object_problems(models[0], value, path)
    elif maps:
        for key, each in value.items():
            yield from _value_problems(maps[0], each, f"{path}.{key}")
    else:
        yield f"{path} must not be an object"


def _scalar_problems(parts: list[Any], value: Any, path: str) -> Iterator[str]:
    values = [each.value for part in parts if isinstance(part, type) and issubclass(part, enum.Enum) for each in part]
    values += [each for part in parts if get_origin(part) is Literal for each in get_args(part)]
    if values:
        if value not in values:
            yield f"{path} must be one of {', '.join(map(str, values))}, got {value!r}"
        return
    kind = bool if isinstance(value, bool) else type(value)
    wanted = {part for part in parts if isinstance(part, type)}
    fits = (
        kind in wanted or (kind is int and float in wanted) or (kind is float and value.is_integer() and int in wanted)
    )
    dates = any(part.__module__ in ("datetime", "isodate") for part in wanted)
    if not fits and not (dates and kind is str):
        yield f"{path} must not be {value!r}"


def _covered(token: str) -> str:
    package = CREATING_CALLS[token][0].partition(".")[0]
    return f"azure-mgmt-{package} {_call(token)[1].__name__}"


COVERAGE: dict[str, str] = {token: _covered(token) for token in CREATING_CALLS}
"""Type token to what it is compared with: distribution and model."""
