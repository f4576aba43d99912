"""Requests to a cluster's API server, and live copies of its objects."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from localcloud.clusters.access import admin_token
from localcloud.context import CloudContext
from localcloud.store import Cluster

Object = dict[str, Any]
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
UNREACHABLE = (aiohttp.ClientError, TimeoutError, OSError)
"""What a request raises when the API server cannot be asked; it may be starting again."""
_TIMEOUT_S = 10.0
_WATCH_S = 300
_RETRY_S = 0.5
_LONGEST_LINE = 1 << 22


class ApiError(Exception):
    """The API server refused; `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class KubeApi:
    """A cluster's API as its administrator."""

    def __init__(self, session: aiohttp.ClientSession, server: str) -> None:
        self._session = session
        self._server = server

    @classmethod
    @asynccontextmanager
    async def open(cls, context: CloudContext, cluster: Cluster) -> AsyncIterator[KubeApi]:
        """Open a session with an active cluster."""
        token = admin_token(context.paths, context.cloud, cluster.id)
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=cluster.ca), limit=0)
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        headers = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session:
            yield cls(session, cluster.endpoint)

    async def request(self, method: str, path: str, body: Object | None = None, content: str = "") -> Object:
        """Send a request and return the answered object.

        Raises:
            ApiError: If the server refuses.
            aiohttp.ClientError, TimeoutError, OSError: If it cannot be asked.
        """
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": content or "application/json"} if data else {}
        async with self._session.request(method, self._server + path, data=data, headers=headers) as answer:
            text = await answer.text()
        try:
            result: Object = json.loads(text)
        except ValueError:
            result = {"message": text[:300]}
        if answer.status >= 400:
            raise ApiError(answer.status, str(result.get("message") or f"HTTP status {answer.status}"))
        return result

    async def get(self, path: str) -> Object:
        """Return an object or a list; errors as in `request`."""
        return await self.request("GET", path)

    async def find(self, path: str) -> Object | None:
        """Return an object, or None when there is none."""
        try:
            return await self.request("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def post(self, path: str, body: Object) -> Object:
        """Create an object."""
        return await self.request("POST", path, body)

    async def patch(self, path: str, body: Object, content: str = MERGE) -> Object:
        """Change an object."""
        return await self.request("PATCH", path, body, content)

    async def delete(self, path: str, *, grace_s: int | None = None, uid: str | None = None) -> None:
        """Delete an object, if it exists and (given `uid`) still is that very one."""
        body: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if grace_s is not None:
            body["gracePeriodSeconds"] = grace_s
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        try:
            await self.request("DELETE", path, body)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def events(self, path: str, version: str) -> AsyncIterator[Object]:
        """Watch a collection from a version on; ends when the server ends it."""
        mark = "&" if "?" in path else "?"
        query = f"{mark}watch=1&allowWatchBookmarks=true&timeoutSeconds={_WATCH_S}&resourceVersion={version}"
        timeout = aiohttp.ClientTimeout(total=None, connect=_TIMEOUT_S, sock_read=_WATCH_S + _TIMEOUT_S)
        async with self._session.get(
            f"{self._server}{path}{query}", timeout=timeout, read_bufsize=_LONGEST_LINE
        ) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                yield json.loads(line)


class Informer:
    """A live copy of a collection.

    `changed` is called with (object, False) for each added or changed object and with (object, True) for a deleted one.
    """

    def __init__(self, api: KubeApi, path: str, changed: Callable[[Object, bool], None]) -> None:
        self.objects: dict[str, Object] = {}
        self.listed = asyncio.Event()
        self._api = api
        self._path = path
        self._changed = changed

    async def run(self) -> None:
        """Follow the collection until cancelled; survives restarts of the API server by listing again."""
        while True:
            try:
                version = await self._list()
                while version:
                    version = await self._watch(version)
            except (*UNREACHABLE, ApiError, ValueError):
                await asyncio.sleep(_RETRY_S)

    async def _list(self) -> str:
        found = await self._api.get(self._path)
        present = {each["metadata"]["uid"]: each for each in found["items"]}
        for uid in [uid for uid in self.objects if uid not in present]:
            self._changed(self.objects.pop(uid), True)
        self.objects.update(present)
        self.listed.set()
        for each in present.values():
            self._changed(each, False)
        return str(found["metadata"]["resourceVersion"])

    async def _watch(self, version: str) -> str:
        async for event in self._api.events(self._path, version):
            found = event["object"]
            if event["type"] == "ERROR":
                return ""  # the history was compacted: list again
            version = str(found["metadata"]["resourceVersion"])
            if event["type"] == "BOOKMARK":
                continue
            gone = event["type"] == "DELETED"
            if gone:
                self.objects.pop(found["metadata"]["uid"], None)
            else:
                self.objects[found["metadata"]["uid"]] = found
            self._changed(found, gone)
        return version
