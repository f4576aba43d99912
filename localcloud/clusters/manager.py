"""The managed-Kubernetes service of a simulated cloud: one real control plane for each cluster of the store."""

from __future__ import annotations

import asyncio
import logging

from localcloud.certificates import authority_file, ensure_certificate_authority
from localcloud.clusters.control_plane import ControlPlane, StartFailed
from localcloud.clusters.files import endpoint
from localcloud.context import CloudContext
from localcloud.store import Cluster

_LOG = logging.getLogger(__name__)
_POLL_S = 0.2


class ClusterManager:
    """Makes the running control planes follow the clusters in the store."""

    def __init__(self, ctx: CloudContext) -> None:
        self._ctx = ctx
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Work until cancelled, then end every control plane; their state stays on disk."""
        await asyncio.to_thread(ensure_certificate_authority, self._ctx.paths)
        try:
            while True:
                await self._follow(await asyncio.to_thread(self._ctx.store.clusters, self._ctx.cloud))
                await asyncio.sleep(_POLL_S)
        finally:
            await self._stop(list(self._tasks))

    async def _follow(self, clusters: list[Cluster]) -> None:
        wanted = {each.id: each for each in clusters if each.status in ("creating", "active")}
        await self._stop([id_ for id_ in self._tasks if id_ not in wanted])
        for cluster in clusters:
            if cluster.status == "deleting":
                await self._delete(cluster)
        for id_, cluster in wanted.items():
            task = self._tasks.get(id_)
            if task is not None and task.done() and not task.cancelled() and (error := task.exception()) is not None:
                _LOG.error("%s: control plane starts again after %r", cluster.name, error)
                task = None
            if task is None:
                self._tasks[id_] = asyncio.create_task(self._keep(cluster))

    async def _keep(self, cluster: Cluster) -> None:
        """Run one control plane until cancelled; a new cluster is reported active, or failed with the reason."""
        control_plane = ControlPlane(self._ctx, cluster)
        try:
            try:
                await control_plane.start()
            except StartFailed as error:
                _LOG.error("%s: %s", cluster.name, error)
                if cluster.status == "creating":
                    await self._report(cluster, status="failed", message=str(error))
                    return
                raise
            if cluster.status == "creating":
                authority = authority_file(self._ctx.paths).read_text()
                await self._report(cluster, status="active", endpoint=endpoint(cluster), ca=authority, message="")
            await control_plane.watch()
        finally:
            await control_plane.stop()

    async def _delete(self, cluster: Cluster) -> None:
        await asyncio.to_thread(ControlPlane(self._ctx, cluster).remove_files)
        await asyncio.to_thread(self._ctx.store.delete_cluster, cluster.cloud, cluster.id)
        _LOG.info("%s: deleted", cluster.name)

    async def _report(self, cluster: Cluster, **columns: str) -> None:
        # A cluster that is being deleted meanwhile must stay so.
        current = await asyncio.to_thread(self._ctx.store.cluster, cluster.cloud, cluster.id)
        if current is not None and current.status == cluster.status:
            await asyncio.to_thread(lambda: self._ctx.store.set_cluster(cluster.cloud, cluster.id, **columns))

    async def _stop(self, ids: list[str]) -> None:
        tasks = [self._tasks.pop(id_) for id_ in ids]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
