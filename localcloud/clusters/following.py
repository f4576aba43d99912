"""Doing something for every active cluster of a cloud, for as long as it is active."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from localcloud.context import CloudContext
from localcloud.nodes.api import KubeApi
from localcloud.store import Cluster

_LOG = logging.getLogger(__name__)
_ROUND_S = 0.5


async def follow_clusters(
    context: CloudContext, what: str, work: Callable[[Cluster, KubeApi], Awaitable[None]]
) -> None:
    """Run `work` once for each active cluster until cancelled; it starts over when it fails, and ends with its cluster.

    Args:
        context: The cloud.
        what: What is done, for the log.
        work: Called with a cluster and its API; never returns by itself.
    """
    running: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def serve(cluster: Cluster) -> None:
        async with KubeApi.open(context, cluster) as api:
            await work(cluster, api)

    try:
        while True:
            clusters = await asyncio.to_thread(context.store.clusters, context.cloud)
            wanted = {(each.id, each.ca): each for each in clusters if each.status == "active" and each.endpoint}
            for key in [key for key, task in running.items() if key not in wanted or task.done()]:
                task = running.pop(key)
                task.cancel()
                for problem in await asyncio.gather(task, return_exceptions=True):
                    if isinstance(problem, Exception):
                        _LOG.error("%s of cluster %s failed and starts again", what, key[0], exc_info=problem)
            for key, cluster in wanted.items():
                if key not in running:
                    running[key] = asyncio.create_task(serve(cluster))
            await asyncio.sleep(_ROUND_S)
    finally:
        for task in running.values():
            task.cancel()
        await asyncio.gather(*running.values(), return_exceptions=True)
