"""The cloud's node pools: machines come when pods need them and go when they are idle."""

from __future__ import annotations

import asyncio
import logging
import time

from localcloud.clusters.following import follow_clusters
from localcloud.context import CloudContext
from localcloud.nodes.api import UNREACHABLE, ApiError, Informer, KubeApi, Object
from localcloud.nodes.events import Events
from localcloud.nodes.scaling import busy_nodes, decide, nodes_of
from localcloud.nodes.shapes import POOL_ANNOTATION, free_address, free_number, is_ready, node_object
from localcloud.store import Cluster, Pool

_LOG = logging.getLogger(__name__)
_ROUND_S = 0.5
_REPEAT_EVENT_S = 10.0
FAULT_OPERATION = "scale"
"""Operation of the store's faults that make a machine unavailable; the type is the machine type."""


class Autoscaler:
    """Keeps the Nodes of every active cluster of the cloud as its pools and pods need them."""

    def __init__(self, context: CloudContext) -> None:
        self._context = context

    async def run(self) -> None:
        """Work until cancelled; the Nodes stay."""
        await follow_clusters(self._context, "scaling", self._serve)

    async def _serve(self, cluster: Cluster, api: KubeApi) -> None:
        await ClusterPools(self._context, cluster, api).run()


class ClusterPools:
    """The pools of one cluster."""

    def __init__(self, context: CloudContext, cluster: Cluster, api: KubeApi) -> None:
        self._context = context
        self._cluster = cluster
        self._api = api
        self._events = Events(api, "cluster-autoscaler")
        self._nodes = Informer(api, "/api/v1/nodes", lambda *_: None)
        self._pods = Informer(api, "/api/v1/pods", lambda *_: None)
        self._idle_since: dict[str, float] = {}
        self._seen_since: dict[str, float] = {}
        self._told: dict[str, float] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        following = [asyncio.create_task(self._nodes.run()), asyncio.create_task(self._pods.run())]
        try:
            await self._nodes.listed.wait()
            await self._pods.listed.wait()
            now = time.monotonic() - 3600
            self._seen_since = {node["metadata"]["name"]: now for node in self._nodes.objects.values()}
            while True:
                try:
                    await self._round()
                except (*UNREACHABLE, ApiError) as error:
                    _LOG.info("cluster %s: scaling waits: %s", self._cluster.name, error)
                await asyncio.sleep(_ROUND_S)
        finally:
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)

    async def _round(self) -> None:
        pools = await asyncio.to_thread(self._context.store.pools, self._context.cloud, self._cluster.id)
        nodes, pods = list(self._nodes.objects.values()), list(self._pods.objects.values())
        kept = [pool for pool in pools if pool.status != "deleting"]
        await self._remove_lost(pools, nodes)
        nodes = [each for each in nodes if each["metadata"]["uid"] in self._nodes.objects]
        self._note_times(nodes, pods)
        now = time.monotonic()
        decision = await asyncio.to_thread(
            decide,
            self._cluster,
            kept,
            nodes,
            pods,
            {name: now - since for name, since in self._idle_since.items()},
            {name: now - since for name, since in self._seen_since.items()},
            self._take_machine,
        )
        for pool, zone in decision.add:
            await self._add(pool, zone, list(self._nodes.objects.values()), pods)
        for node in decision.remove:
            await self._remove(node, "idle")
        for pod, reason in decision.refused:
            self._tell(pod, reason)
        for pool in kept:
            await self._report(pool, list(self._nodes.objects.values()), decision.problems.get(pool.id, ""))

    def _note_times(self, nodes: list[Object], pods: list[Object]) -> None:
        now, busy = time.monotonic(), busy_nodes(pods)
        names = {node["metadata"]["name"] for node in nodes}
        self._idle_since = {name: self._idle_since.get(name, now) for name in names - busy}
        self._seen_since = {name: self._seen_since.get(name, now) for name in names}

    def _take_machine(self, zone: str, machine_type: str) -> str:
        store, cloud = self._context.store, self._context.cloud
        fault = store.take_fault(cloud, FAULT_OPERATION, machine_type)
        if fault is not None:
            return f"zone {zone} has no {machine_type} left ({fault.argument or fault.kind})"
        # As at the clouds: no figure for a machine type means plenty; figures for some zones mean none in the others.
        with store.connect() as db:
            rows = db.execute(
                "select zone, free from capacity where cloud=? and machine_type=?", (cloud, machine_type)
            ).fetchall()
            if rows and {row["zone"]: int(row["free"]) for row in rows}.get(zone, 0) <= 0:
                return f"zone {zone} has no {machine_type} left (stock-out)"
            db.execute(
                "update capacity set free=free-1 where cloud=? and zone=? and machine_type=?",
                (cloud, zone, machine_type),
            )
        return ""

    def _return_machine(self, zone: str, machine_type: str) -> None:
        with self._context.store.connect() as db:
            db.execute(
                "update capacity set free=free+1 where cloud=? and zone=? and machine_type=?",
                (self._context.cloud, zone, machine_type),
            )

    async def _add(self, pool: Pool, zone: str, nodes: list[Object], pods: list[Object]) -> None:
        node = node_object(pool, self._cluster, zone, free_number(pool, nodes), free_address(self._cluster, nodes))
        name, machine_type = node["metadata"]["name"], str(pool.spec["machine_type"])
        try:
            made = await self._api.post("/api/v1/nodes", node)
        except (*UNREACHABLE, ApiError):
            await asyncio.to_thread(self._return_machine, zone, machine_type)
            raise
        # What the watch will say in a moment: the next round must not add the same machine again.
        self._nodes.objects[made["metadata"]["uid"]] = made
        _LOG.info("cluster %s: node %s (%s, %s) added", self._cluster.name, name, machine_type, zone)
        await asyncio.to_thread(
            self._context.store.event,
            self._context.cloud,
            "add-node",
            machine_type,
            name,
            f"pool {pool.name}, zone {zone}",
        )

    async def _remove(self, node: Object, why: str) -> None:
        """Delete a node and the pods on it: a machine that is gone runs nothing."""
        name, labels = node["metadata"]["name"], node["metadata"].get("labels") or {}
        await self._api.delete(f"/api/v1/nodes/{name}", uid=node["metadata"]["uid"])
        self._nodes.objects.pop(node["metadata"]["uid"], None)
        for pod in list(self._pods.objects.values()):
            if pod["spec"].get("nodeName") == name:
                metadata = pod["metadata"]
                path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
                await self._api.delete(path, grace_s=0, uid=metadata["uid"])
        machine_type = labels.get("node.kubernetes.io/instance-type", "")
        zone = labels.get("topology.kubernetes.io/zone", "")
        await asyncio.to_thread(self._return_machine, zone, machine_type)
        await asyncio.to_thread(self._context.store.event, self._context.cloud, "remove-node", machine_type, name, why)
        _LOG.info("cluster %s: node %s removed (%s)", self._cluster.name, name, why)

    async def _remove_lost(self, pools: list[Pool], nodes: list[Object]) -> None:
        """Remove nodes of pools that are being deleted or gone, then forget the pools being deleted."""
        living = {pool.id for pool in pools if pool.status != "deleting"}
        for node in nodes:
            owner = (node["metadata"].get("annotations") or {}).get(POOL_ANNOTATION)
            if owner is not None and owner not in living:
                await self._remove(node, "pool deleted")
        for pool in pools:
            if pool.status == "deleting":
                await asyncio.to_thread(self._context.store.delete_pool, pool.cloud, pool.id)

    def _tell(self, pod: Object, reason: str) -> None:
        now, uid = time.monotonic(), pod["metadata"]["uid"]
        if now - self._told.get(uid, -_REPEAT_EVENT_S) >= _REPEAT_EVENT_S:
            self._told[uid] = now
            self._events.record(pod, "NotTriggerScaleUp", f"pod didn't trigger scale-up: {reason}", warning=True)

    async def _report(self, pool: Pool, nodes: list[Object], problem: str) -> None:
        mine = nodes_of(pool, nodes)
        ready = sum(is_ready(each) for each in mine)
        status = pool.status
        if ready >= int(pool.spec.get("min") or 0):
            status = "active"
        elif pool.status == "creating" and problem:
            status = "failed"
        if (status, problem) != (pool.status, pool.message):
            await asyncio.to_thread(self._context.store.set_pool, pool.cloud, pool.id, status=status, message=problem)
