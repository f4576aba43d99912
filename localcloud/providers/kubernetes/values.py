"""Pulumi property values as plain Python values, with secrets and unknowns kept apart."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from google.protobuf import struct_pb2

UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
_SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a type tag of the protocol
_OUTPUT_SIGNATURE = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_SHORTEST_REDACTED = 4

Json = Any
Properties = dict[str, Any]


class Unknown:
    """A value that is known only after the resources it comes from exist."""

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN = Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that Pulumi encrypts in its state and hides in its output."""

    value: Json

    def __repr__(self) -> str:
        return "[secret]"


def from_struct(struct: struct_pb2.Struct) -> Properties:
    """Return a message's properties; null members are dropped, integral numbers become int."""
    return {key: _from_value(value) for key, value in struct.fields.items() if value.WhichOneof("kind") != "null_value"}


def _from_value(value: struct_pb2.Value) -> Json:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        signature = value.struct_value.fields.get(_SIGNATURE_KEY)
        members = from_struct(value.struct_value)
        if signature is None:
            return members
        if signature.string_value == _SECRET_SIGNATURE:
            return Secret(members.get("value"))
        if signature.string_value == _OUTPUT_SIGNATURE:
            inner = members.get("value", UNKNOWN)
            return Secret(inner) if members.get("secret") else inner
        raise ValueError("assets, archives and resource references have no meaning in Kubernetes objects")
    if kind == "list_value":
        return [_from_value(item) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "string_value":
        return UNKNOWN if value.string_value == UNKNOWN_TEXT else value.string_value
    if kind == "bool_value":
        return value.bool_value
    return None


def to_struct(properties: Properties) -> struct_pb2.Struct:
    """Return the message for properties."""
    struct = struct_pb2.Struct()
    for key, value in properties.items():
        struct.fields[key].CopyFrom(_to_value(value))
    return struct


def _to_value(value: Json) -> struct_pb2.Value:
    result = struct_pb2.Value()
    if isinstance(value, Unknown):
        result.string_value = UNKNOWN_TEXT
    elif isinstance(value, Secret):
        wrapped = to_struct({_SIGNATURE_KEY: _SECRET_SIGNATURE, "value": value.value})
        result.struct_value.CopyFrom(wrapped)
    elif value is None:
        result.null_value = struct_pb2.NullValue.NULL_VALUE
    elif isinstance(value, bool):
        result.bool_value = value
    elif isinstance(value, int | float):
        result.number_value = value
    elif isinstance(value, str):
        result.string_value = value
    elif isinstance(value, dict):
        result.struct_value.CopyFrom(to_struct(value))
    elif isinstance(value, list):
        result.list_value.CopyFrom(struct_pb2.ListValue(values=[_to_value(item) for item in value]))
    else:
        raise TypeError(f"{type(value).__name__} is no property value")
    return result


def reveal(value: Json) -> Json:
    """Return a copy without secret markers."""
    if isinstance(value, Secret):
        return reveal(value.value)
    if isinstance(value, dict):
        return {key: reveal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [reveal(item) for item in value]
    return value


def has_unknown(value: Json) -> bool:
    """Return whether any part is unknown."""
    if isinstance(value, Secret):
        return has_unknown(value.value)
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return isinstance(value, Unknown)


def mark_like(value: Json, pattern: Json) -> Json:
    """Return `value` with secret markers where `pattern` has them."""
    if isinstance(pattern, Secret):
        return value if isinstance(value, Secret) else Secret(reveal(value))
    if isinstance(value, dict) and isinstance(pattern, dict):
        return {key: mark_like(item, pattern.get(key)) for key, item in value.items()}
    if isinstance(value, list) and isinstance(pattern, list) and len(value) == len(pattern):
        return [mark_like(item, like) for item, like in zip(value, pattern, strict=True)]
    return value


def _secret_texts(value: Json, inside: bool) -> set[str]:
    if isinstance(value, Secret):
        return _secret_texts(value.value, True)
    if isinstance(value, dict):
        return set().union(*(_secret_texts(item, inside) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(_secret_texts(item, inside) for item in value))
    return {value} if inside and isinstance(value, str) else set()


def redact(text: str, properties: Properties) -> str:
    """Return `text` without the secret strings of `properties`, plain or base64."""
    for secret in sorted(_secret_texts(properties, False), key=len, reverse=True):
        if len(secret) >= _SHORTEST_REDACTED:
            text = text.replace(secret, "[secret]")
            text = text.replace(base64.b64encode(secret.encode()).decode(), "[secret]")
    return text
