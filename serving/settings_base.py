"""What every section of the stack's settings is made of: its base class and the kinds of names."""

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from serving.signatures import BEGIN, SignatureError, load_signer

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,19}$")]
PoolName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,7}$")]
ModelName = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$")]
ObjectName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
"""Name of a Kubernetes object."""
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Block(BaseModel):
    """Base of every section: strict types, frozen, no unknown keys, camelCase names in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)


def private_network(value: str) -> str:
    """Refuse what is not a private IPv4 network from /16 to /20."""
    network = _network(value)
    if not network.is_private or not 16 <= network.prefixlen <= 20:
        raise ValueError("must be a private network between /16 and /20")
    return value


def caller_network(value: str) -> str:
    """Refuse what is not an IPv4 network, and the one of everybody."""
    if _network(value).prefixlen == 0:
        raise ValueError("must not be the whole internet; name the ranges of your offices and runners")
    return value


def address(value: str) -> str:
    """Refuse what is not an IPv4 address."""
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        raise ValueError("must be an IPv4 address such as 203.0.113.10") from None
    return value


def public_key(value: str) -> str:
    """Refuse what is not an Ed25519 public key in PEM, or the path of a .pem file."""
    if value.lstrip().startswith(BEGIN):
        try:
            load_signer(value)
        except SignatureError:
            raise ValueError("must be an Ed25519 public key in PEM") from None
    elif not value.endswith(".pem"):
        raise ValueError("must be an Ed25519 public key in PEM, or the path of a .pem file with one")
    return value


def _network(value: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(value)
    except ValueError:
        raise ValueError("must be an IPv4 network such as 10.10.0.0/16, with no host bits set") from None


PrivateNetwork = Annotated[str, AfterValidator(private_network)]
CallerNetwork = Annotated[str, AfterValidator(caller_network)]
Address = Annotated[str, AfterValidator(address)]
PublicKey = Annotated[str, AfterValidator(public_key)]
