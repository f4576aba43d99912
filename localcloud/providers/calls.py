"""What a vendor's behaviour for a resource type gets to work with, and how it says no."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from localcloud.addresses import ENDPOINT_HTTP_PORT, endpoint_address
from localcloud.paths import RunPaths
from localcloud.providers.inputs import Schema
from localcloud.providers.rules import AutoName
from localcloud.store import JsonDict, Resource, Store

_T = TypeVar("_T")
_ANSWER_TIMEOUT_S = 2.0
_POLL_S = 0.1
_ALIVE_EVERY_S = 1.0
DEFAULT_TIMEOUT_S = 180.0


class ApiError(Exception):
    """A vendor's API refuses a call; `code` is the name of a gRPC status, nothing was made or changed."""

    def __init__(self, message: str, code: str = "FAILED_PRECONDITION") -> None:
        super().__init__(message)
        self.code = code


class Incomplete(Exception):
    """The resource exists but did not become what was asked for, so the engine must keep it in its state."""


@dataclass(frozen=True)
class Call:
    """One call of the engine: which resource, the provider's configuration, and the cloud's state."""

    cloud: str
    store: Store
    paths: RunPaths
    config: Mapping[str, object]
    urn: str = ""
    name: str = ""
    type: str = ""
    timeout_s: float = 0.0
    """The program's custom timeout in seconds; 0 for none."""
    cancelled: threading.Event = field(default_factory=threading.Event)

    def rows(self, type_: str) -> list[Resource]:
        """Return the cloud's resources of one type."""
        return self.store.resources(self.cloud, type_)

    def row(self, type_: str, id_: object) -> Resource | None:
        """Return one resource of the cloud, or None."""
        return self.store.resource(self.cloud, type_, str(id_))

    def require(self, type_: str, id_: object, message: str) -> Resource:
        """Return one resource of the cloud.

        Raises:
            ApiError: With `message` if there is none.
        """
        found = self.row(type_, id_)
        if found is None:
            raise ApiError(message, "NOT_FOUND")
        return found

    def wait(self, what: str, probe: Callable[[], _T | None]) -> _T:
        """Poll until `probe` returns something, for the custom timeout or 180 s.

        Raises:
            Incomplete: If it takes too long, the command is cancelled or the cloud stops answering.
        """
        limit = self.timeout_s or DEFAULT_TIMEOUT_S
        started = time.monotonic()
        asked = started
        while (found := probe()) is None:
            now = time.monotonic()
            if self.cancelled.is_set():
                raise Incomplete(f"cancelled while waiting for {what}")
            if now - started > limit:
                raise Incomplete(f"timeout while waiting for {what} after {limit:g} s")
            if now - asked > _ALIVE_EVERY_S:
                asked = now
                if not answers(self.cloud):
                    raise Incomplete(f"{no_answer(self.cloud)} (while waiting for {what})")
            time.sleep(_POLL_S)
        return found


def answers(cloud: str) -> bool:
    """Return whether the cloud's API answers; takes 2 s at most."""
    request = b"GET /-/alive HTTP/1.0\r\nHost: localhost\r\n\r\n"
    try:
        with socket.create_connection((endpoint_address(cloud), ENDPOINT_HTTP_PORT), _ANSWER_TIMEOUT_S) as link:
            link.settimeout(_ANSWER_TIMEOUT_S)
            link.sendall(request)
            status = link.makefile("rb").readline().split()
    except OSError:
        return False
    return len(status) > 1 and status[1] == b"200"


def no_answer(cloud: str) -> str:
    """Return the message of a call to a cloud that is down."""
    return f"the {cloud} cloud API does not answer at http://{endpoint_address(cloud)}:{ENDPOINT_HTTP_PORT}"


def unique(prefix: str = "", digits: int = 17) -> str:
    """Return a new id of hexadecimal digits behind a prefix."""
    return prefix + secrets.token_hex(digits // 2 + 1)[:digits]


def text(value: object) -> str:
    """Return a property as a string, empty when it is missing."""
    return "" if value is None else str(value)


def names(items: Mapping[str, object]) -> str:
    """Return the keys of a table for a message."""
    return ", ".join(sorted(items))


CreateResult = tuple[str, JsonDict]


def _nothing_to_check(call: Call, row: Resource) -> None:
    return None


def _unchanged(call: Call, row: Resource, inputs: JsonDict) -> JsonDict:
    return {}


def _no_wait(call: Call, row: Resource) -> JsonDict:
    return {}


@dataclass(frozen=True)
class Kind:
    """A resource type as its vendor's API behaves.

    `create` returns the id and the outputs beside the inputs; it must have no effect when it raises. `wait` returns
    once the resource is usable, with more outputs. `update` returns the outputs that change beside the inputs. An id
    that exists already is refused, unless `upsert` says that the API overwrites.
    """

    create: Callable[[Call, JsonDict], CreateResult]
    wait: Callable[[Call, Resource], JsonDict] = _no_wait
    update: Callable[[Call, Resource, JsonDict], JsonDict] = _unchanged
    delete: Callable[[Call, Resource], None] = _nothing_to_check
    upsert: bool = False
    computed: tuple[str, ...] = ()
    """Paths of outputs that only the cloud sets but that lie inside an input, such as `masterAuth.certificate`."""


Invoke = Callable[[Call, JsonDict], JsonDict]


@dataclass(frozen=True)
class Vendor:
    """One vendor's provider: its package of the Pulumi registry and the behaviour of its types and functions."""

    package: str
    cloud: str
    distribution: str
    """Python distribution of the SDK, whose version the provider reports."""
    kinds: Mapping[str, Kind]
    invokes: Mapping[str, Invoke]
    generic: Callable[[Call, JsonDict], CreateResult]
    """Creates any type that has no entry in `kinds`."""
    common: Callable[[Call, JsonDict], JsonDict]
    """Outputs that every resource has, from its inputs."""
    name_rule: Callable[[str, Schema], AutoName | None]
    """How a type's resources are named when the program gives no name."""
    check_config: Callable[[JsonDict], list[tuple[str, str]]]
    """Problems of a provider's configuration as pairs of property and reason."""
    replaces_config: tuple[str, ...]
    """Configuration whose change replaces every resource."""
