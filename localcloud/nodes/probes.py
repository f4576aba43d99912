"""The kubelet's probes: gRPC health, HTTP GET and TCP."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

import aiohttp

Object = dict[str, Any]
_HEALTH_METHOD = "/grpc.health.v1.Health/Check"
_SERVING = b"\x08\x01"


class ProbeFailed(Exception):
    """The probe got no or a bad answer; the text says which."""


@dataclass(frozen=True)
class Schedule:
    """When a probe runs and how many answers in a row decide; times in seconds."""

    delay_s: float
    period_s: float
    timeout_s: float
    successes: int
    failures: int

    @classmethod
    def of(cls, probe: Object) -> Schedule:
        """Return a manifest's schedule, with Kubernetes' defaults."""
        return cls(
            float(probe.get("initialDelaySeconds") or 0),
            float(probe.get("periodSeconds") or 10),
            float(probe.get("timeoutSeconds") or 1),
            int(probe.get("successThreshold") or 1),
            int(probe.get("failureThreshold") or 3),
        )


def port_of(container: Object, port: int | str) -> int:
    """Return a port's number; names are those of the container's ports.

    Raises:
        ProbeFailed: If no port has the name.
    """
    if isinstance(port, int):
        return port
    for each in container.get("ports") or []:
        if each.get("name") == port:
            return int(each["containerPort"])
    if port.isdigit():
        return int(port)
    raise ProbeFailed(f"container {container['name']} has no port named {port!r}")


async def ask(probe: Object, container: Object, address: str) -> None:
    """Run a probe once against a pod's loopback address.

    Raises:
        ProbeFailed: If the answer is not good.
    """
    timeout_s = Schedule.of(probe).timeout_s
    try:
        async with asyncio.timeout(timeout_s):
            if "grpc" in probe:
                await _grpc(address, int(probe["grpc"]["port"]), probe["grpc"].get("service") or "")
            elif "httpGet" in probe:
                await _http(probe["httpGet"], address, port_of(container, probe["httpGet"]["port"]))
            elif "tcpSocket" in probe:
                await _tcp(address, port_of(container, probe["tcpSocket"]["port"]))
            else:
                raise ProbeFailed("probes of this kind (exec) are not supported by the local clouds")
    except TimeoutError:
        raise ProbeFailed(f"no answer within {timeout_s:g} s") from None


async def _grpc(address: str, port: int, service: str) -> None:
    import grpc.aio  # only nodes with gRPC probes pay for it

    name = service.encode()
    request = b"\x0a" + bytes([len(name)]) + name if name else b""
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))
    async with grpc.aio.insecure_channel(f"{address}:{port}", options=options) as channel:
        try:
            answer = await channel.unary_unary(_HEALTH_METHOD, bytes, bytes)(request)
        except grpc.aio.AioRpcError as error:
            raise ProbeFailed(f"gRPC health on port {port}: {error.code().name}: {error.details()}") from None
    if not answer.startswith(_SERVING):
        raise ProbeFailed(f"gRPC health on port {port}: service {service!r} is not SERVING")


async def _http(get: Object, address: str, port: int) -> None:
    path = "/" + str(get.get("path") or "/").lstrip("/")
    url = f"{str(get.get('scheme') or 'HTTP').lower()}://{address}:{port}{path}"
    headers = {each["name"]: each["value"] for each in get.get("httpHeaders") or []}
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, headers=headers, ssl=False, allow_redirects=False) as answer,
        ):
            status = answer.status
    except (aiohttp.ClientError, OSError) as error:
        if isinstance(error, TimeoutError):
            raise
        raise ProbeFailed(f"GET {path} on port {port}: {error}") from None
    if not 200 <= status < 400:
        raise ProbeFailed(f"GET {path} on port {port}: status {status}")


async def _tcp(address: str, port: int) -> None:
    try:
        _, writer = await asyncio.open_connection(address, port)
    except OSError as error:
        raise ProbeFailed(f"TCP port {port}: {error.strerror or error}") from None
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
