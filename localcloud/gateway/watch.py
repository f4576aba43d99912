"""A live copy of the Kubernetes objects that decide a cluster's gateway."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp

_LOG = logging.getLogger(__name__)
_RETRY_S = 1.0
_WATCH_TIMEOUT_S = 300
_CONNECT_TIMEOUT_S = 5.0
Object = dict[str, Any]

KINDS: dict[tuple[str, str], str] = {
    ("v1", "Namespace"): "/api/v1/namespaces",
    ("v1", "Service"): "/api/v1/services",
    ("v1", "Secret"): "/api/v1/secrets",
    ("v1", "ConfigMap"): "/api/v1/configmaps",
    ("discovery.k8s.io/v1", "EndpointSlice"): "/apis/discovery.k8s.io/v1/endpointslices",
    ("gateway.networking.k8s.io/v1", "GatewayClass"): "/apis/gateway.networking.k8s.io/v1/gatewayclasses",
    ("gateway.networking.k8s.io/v1", "Gateway"): "/apis/gateway.networking.k8s.io/v1/gateways",
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): "/apis/gateway.networking.k8s.io/v1/httproutes",
    ("gateway.networking.k8s.io/v1", "GRPCRoute"): "/apis/gateway.networking.k8s.io/v1/grpcroutes",
    ("gateway.networking.k8s.io/v1", "BackendTLSPolicy"): "/apis/gateway.networking.k8s.io/v1/backendtlspolicies",
    ("gateway.networking.k8s.io/v1beta1", "ReferenceGrant"): "/apis/gateway.networking.k8s.io/v1beta1/referencegrants",
    ("gateway.envoyproxy.io/v1alpha1", "HTTPRouteFilter"): "/apis/gateway.envoyproxy.io/v1alpha1/httproutefilters",
    ("gateway.envoyproxy.io/v1alpha1", "EnvoyProxy"): "/apis/gateway.envoyproxy.io/v1alpha1/envoyproxies",
    ("gateway.envoyproxy.io/v1alpha1", "Backend"): "/apis/gateway.envoyproxy.io/v1alpha1/backends",
    ("gateway.envoyproxy.io/v1alpha1", "SecurityPolicy"): "/apis/gateway.envoyproxy.io/v1alpha1/securitypolicies",
    (
        "gateway.envoyproxy.io/v1alpha1",
        "ClientTrafficPolicy",
    ): "/apis/gateway.envoyproxy.io/v1alpha1/clienttrafficpolicies",
    (
        "gateway.envoyproxy.io/v1alpha1",
        "BackendTrafficPolicy",
    ): "/apis/gateway.envoyproxy.io/v1alpha1/backendtrafficpolicies",
}
"""Kinds the gateway follows, with the path that lists them."""


class Gone(Exception):
    """The version a watch started from is too old; the kind must be listed again."""


class ClusterObjects:
    """Lists and watches every kind of `KINDS`, and calls `changed` after each difference."""

    def __init__(self, server: str, ca: str, token: str, changed: Callable[[], None]) -> None:
        self._server = server
        self._token = token
        self._context = ssl.create_default_context(cadata=ca)
        self._changed = changed
        self._objects: dict[tuple[str, str], dict[tuple[str, str], Object]] = {kind: {} for kind in KINDS}
        self._listed: set[tuple[str, str]] = set()
        self._session: aiohttp.ClientSession | None = None

    def of(self, kind: str) -> list[Object]:
        """Return the objects of a kind, by namespace and name."""
        return [
            found
            for (_, name), objects in self._objects.items()
            if name == kind
            for _, found in sorted(objects.items())
        ]

    @property
    def complete(self) -> bool:
        """Return whether every kind that the cluster serves has been listed at least once."""
        return len(self._listed) == len(KINDS)

    async def run(self) -> None:
        """Follow the cluster until cancelled; survives restarts of its API server."""
        timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT_TIMEOUT_S)
        connector = aiohttp.TCPConnector(ssl=self._context, limit=0)
        headers = {"Authorization": f"Bearer {self._token}"}
        async with aiohttp.ClientSession(timeout=timeout, connector=connector, headers=headers) as session:
            self._session = session
            async with asyncio.TaskGroup() as group:
                for kind, path in KINDS.items():
                    group.create_task(self._follow(session, kind, path))

    async def patch_status(self, found: Object, status: Object) -> None:
        """Merge `status` into an object's status; a failure is logged and left to the next change."""
        if self._session is None:
            return
        base = KINDS[(found["apiVersion"], found["kind"])].partition("?")[0]
        metadata = found["metadata"]
        if namespace := metadata.get("namespace"):
            prefix, _, plural = base.rpartition("/")
            base = f"{prefix}/namespaces/{namespace}/{plural}"
        try:
            async with self._session.patch(
                f"{self._server}{base}/{metadata['name']}/status",
                data=json.dumps({"status": status}),
                headers={"Content-Type": "application/merge-patch+json"},
            ) as answer:
                if answer.status >= 400:
                    _LOG.warning("status of %s %s: %s", found["kind"], metadata["name"], (await answer.text())[:300])
        except (aiohttp.ClientError, TimeoutError) as error:
            _LOG.info("status of %s %s: %s", found["kind"], metadata["name"], error)

    async def _follow(self, session: aiohttp.ClientSession, kind: tuple[str, str], path: str) -> None:
        while True:
            try:
                version = await self._list(session, kind, path)
                while version:
                    version = await self._watch(session, kind, path, version)
            except (aiohttp.ClientError, TimeoutError, Gone, ValueError):
                pass  # the API server restarts or has compacted its history: list again
            await asyncio.sleep(_RETRY_S)

    async def _list(self, session: aiohttp.ClientSession, kind: tuple[str, str], path: str) -> str:
        async with session.get(self._server + path) as answer:
            if answer.status == 404:  # the kind's definition is not installed (yet)
                self._listed.add(kind)
                return ""
            answer.raise_for_status()
            body = await answer.json()
        self._objects[kind] = {_key(each): _complete(each, kind) for each in body["items"]}
        self._listed.add(kind)
        self._changed()
        return str(body["metadata"]["resourceVersion"])

    async def _watch(self, session: aiohttp.ClientSession, kind: tuple[str, str], path: str, version: str) -> str:
        mark = "&" if "?" in path else "?"
        query = f"watch=1&allowWatchBookmarks=true&timeoutSeconds={_WATCH_TIMEOUT_S}&resourceVersion={version}"
        async with session.get(f"{self._server}{path}{mark}{query}", read_bufsize=1 << 22) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                event = json.loads(line)
                changed = event["object"]
                if event["type"] == "ERROR":
                    raise Gone
                version = str(changed["metadata"]["resourceVersion"])
                if event["type"] == "BOOKMARK":
                    continue
                if event["type"] == "DELETED":
                    self._objects[kind].pop(_key(changed), None)
                else:
                    self._objects[kind][_key(changed)] = _complete(changed, kind)
                self._changed()
        return version


def _key(found: Object) -> tuple[str, str]:
    return found["metadata"].get("namespace", ""), found["metadata"]["name"]


def _complete(found: Object, kind: tuple[str, str]) -> Object:
    """Give an object from a list its kind, and drop what only the API server cares for."""
    found["metadata"].pop("managedFields", None)
    return {"apiVersion": kind[0], "kind": kind[1], **found}
