"""Kubernetes Events, as `kubectl describe` shows them."""

from __future__ import annotations

import asyncio
import hashlib
import logging

from localcloud.nodes.api import UNREACHABLE, ApiError, KubeApi, Object
from localcloud.nodes.status import timestamp

_LOG = logging.getLogger(__name__)
_REMEMBERED = 1000


class Events:
    """Records events in the background; a repeated one raises the count of the first."""

    def __init__(self, api: KubeApi, component: str) -> None:
        self._api = api
        self._component = component
        self._counts: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def record(self, involved: Object, reason: str, message: str, *, warning: bool = False, field: str = "") -> None:
        """Record an event of an object; losing one is harmless, so failures are only logged."""
        metadata = involved["metadata"]
        text = f"{metadata['uid']}/{reason}/{message}/{field}"
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        if len(self._counts) > _REMEMBERED:
            self._counts.clear()
        self._counts[key] = count = self._counts.get(key, 0) + 1
        namespace = metadata.get("namespace") or "default"
        event: Object = {
            "metadata": {"name": f"{metadata['name'][:200]}.{key}", "namespace": namespace},
            "involvedObject": {
                "apiVersion": "v1", "kind": involved.get("kind") or "Pod", "name": metadata["name"],
                "namespace": metadata.get("namespace"), "uid": metadata["uid"], "fieldPath": field or None,
            },
            "reason": reason, "message": message[:1000], "type": "Warning" if warning else "Normal",
            "source": {"component": self._component}, "reportingComponent": self._component,
            "firstTimestamp": timestamp(), "lastTimestamp": timestamp(), "count": count,
        }  # fmt: skip
        task = asyncio.create_task(self._send(namespace, event, count))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, namespace: str, event: Object, count: int) -> None:
        base = f"/api/v1/namespaces/{namespace}/events"
        try:
            if count > 1:
                change = {"count": count, "lastTimestamp": event["lastTimestamp"]}
                try:
                    await self._api.patch(f"{base}/{event['metadata']['name']}", change)
                    return
                except ApiError as error:
                    if error.status != 404:
                        raise
            await self._api.post(base, event)
        except (*UNREACHABLE, ApiError) as error:
            _LOG.debug("event %s of %s: %s", event["reason"], event["metadata"]["name"], error)
