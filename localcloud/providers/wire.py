"""Pulumi property values as plain JSON values, as a vendor's API sees them."""

from __future__ import annotations

from typing import Any

from google.protobuf import struct_pb2

from localcloud.store import JsonDict

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""Stands for a value that is known only after the resources it comes from exist; occurs in previews only."""
SIGNATURE = "4dabf18193072939515e22adb298388d"
ASSET = "c44067f5952c0a294b673a41bacd8c17"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a type tag of the protocol
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e"


def to_plain(struct: struct_pb2.Struct) -> JsonDict:
    """Return a message's properties; nulls are dropped, whole numbers become int, secrets lose their wrapping.

    Assets stay dicts with their signature and `path` or `text`.
    """
    return {key: _plain(value) for key, value in struct.fields.items() if value.WhichOneof("kind") != "null_value"}


def _plain(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        members = to_plain(value.struct_value)
        signature = members.get(SIGNATURE)
        if signature == _SECRET:
            return members.get("value")
        if signature == _OUTPUT:
            return members.get("value", UNKNOWN)
        if signature == _RESOURCE:
            return members.get("id", UNKNOWN)
        return members
    if kind == "list_value":
        return [_plain(item) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind in (None, "null_value"):
        return None
    return getattr(value, kind)


def to_struct(properties: JsonDict) -> struct_pb2.Struct:
    """Return the message for properties."""
    struct = struct_pb2.Struct()
    struct.update(properties)
    return struct


def is_asset(value: object) -> bool:
    """Return whether a value is a file or text that belongs to a resource."""
    return isinstance(value, dict) and value.get(SIGNATURE) == ASSET


def has_unknown(value: object) -> bool:
    """Return whether any part of a value is unknown."""
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return value == UNKNOWN
