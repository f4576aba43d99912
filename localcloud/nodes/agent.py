"""The node agent: the kubelet of every node of a cloud's clusters."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import time

from localcloud.addresses import pod_network
from localcloud.clusters.following import follow_clusters
from localcloud.context import CloudContext
from localcloud.nodes.api import STRATEGIC, UNREACHABLE, ApiError, Informer, KubeApi, Object
from localcloud.nodes.events import Events
from localcloud.nodes.launch import Site
from localcloud.nodes.pods import PodWorker
from localcloud.nodes.shapes import NODE_ADDRESSES, POOL_ANNOTATION, heartbeat, is_ready, lease
from localcloud.store import Cluster

_LOG = logging.getLogger(__name__)
_ROUND_S = 0.5
_LEASE_PERIOD_S = 10.0
_POD_PATH = "/api/v1/pods?fieldSelector=spec.nodeName%21%3D"
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_OVER = ("Succeeded", "Failed")


class NodeAgent:
    """Runs a kubelet's work for all nodes of all active clusters of the cloud."""

    def __init__(self, context: CloudContext) -> None:
        self._context = context

    async def run(self) -> None:
        """Follow the store's clusters until cancelled; then end every pod's processes."""
        await follow_clusters(self._context, "nodes", self._serve)

    async def _serve(self, cluster: Cluster, api: KubeApi) -> None:
        await ClusterNodes(Site(self._context, cluster, api, Events(api, "localcloud-kubelet"))).run()


class ClusterNodes:
    """The nodes of one cluster: their leases and conditions, and a worker for each of their pods."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._nodes: dict[str, Object] = {}
        self._workers: dict[str, tuple[PodWorker, asyncio.Task[None]]] = {}
        self._addresses = PodAddresses(pod_network(site.context.cloud, site.cluster.number))
        self._wake = asyncio.Event()
        self._node_informer = Informer(site.api, "/api/v1/nodes", self._node_changed)
        self._pod_informer = Informer(site.api, _POD_PATH, self._pod_changed)

    async def run(self) -> None:
        """Work until cancelled; then end every process."""
        tasks = [
            asyncio.create_task(each)
            for each in (self._node_informer.run(), self._pod_informer.run(), self._keep_alive(), self._assign())
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in (*tasks, *(task for _, task in self._workers.values())):
                task.cancel()
            await asyncio.gather(*tasks, *(task for _, task in self._workers.values()), return_exceptions=True)

    def _node_changed(self, node: Object, gone: bool) -> None:
        name = node["metadata"]["name"]
        if gone:
            self._nodes.pop(name, None)
        elif POOL_ANNOTATION in (node["metadata"].get("annotations") or {}):
            self._nodes[name] = node
        self._wake.set()

    def _pod_changed(self, pod: Object, gone: bool) -> None:
        found = self._workers.get(pod["metadata"]["uid"])
        if found is not None:
            if gone:
                found[0].abandon()
            else:
                found[0].update(pod)
        self._wake.set()

    async def _assign(self) -> None:
        """Start a worker for every pod on our nodes, once all pods' recorded addresses are known."""
        await self._pod_informer.listed.wait()
        await self._node_informer.listed.wait()
        while True:
            await self._wake.wait()
            self._wake.clear()
            for uid in [uid for uid, (_, task) in self._workers.items() if task.done()]:
                worker, task = self._workers.pop(uid)
                if not task.cancelled() and (problem := task.exception()):
                    _LOG.error("worker of pod %s failed", uid, exc_info=problem)
            recorded = {uid: (pod.get("status") or {}).get("podIP") for uid, pod in self._pod_informer.objects.items()}
            self._addresses.keep({uid: ip for uid, ip in recorded.items() if ip} | {
                uid: worker.pod_ip for uid, (worker, _) in self._workers.items()
            })  # fmt: skip
            for uid, pod in self._pod_informer.objects.items():
                if uid not in self._workers and _is_ours(pod, self._nodes):
                    self._start(uid, pod)
            for worker, _ in self._workers.values():
                if worker.pod["spec"]["nodeName"] not in self._nodes:
                    worker.abandon()

    def _start(self, uid: str, pod: Object) -> None:
        node = self._nodes[pod["spec"]["nodeName"]]
        worker = PodWorker(self._site, pod, self._addresses.take(uid), _internal_ip(node))
        task = asyncio.create_task(worker.run())
        task.add_done_callback(lambda _: self._wake.set())
        self._workers[uid] = (worker, task)

    async def _keep_alive(self) -> None:
        """Renew the nodes' leases, and say again that they are ready where the control plane thinks otherwise."""
        renewed: dict[str, float] = {}
        while True:
            for name, node in list(self._nodes.items()):
                try:
                    if time.monotonic() - renewed.get(name, -_LEASE_PERIOD_S) >= _LEASE_PERIOD_S:
                        await self._renew(node)
                        renewed[name] = time.monotonic()
                    if not is_ready(node):
                        body = {"status": heartbeat(node)}
                        self._nodes[name] = await self._site.api.patch(f"/api/v1/nodes/{name}/status", body, STRATEGIC)
                        self._wake.set()
                except ApiError as error:
                    if error.status == 404:
                        self._nodes.pop(name, None)
                    else:
                        _LOG.warning("node %s: %s", name, error)
                except UNREACHABLE:
                    break
            await asyncio.sleep(_ROUND_S)

    async def _renew(self, node: Object) -> None:
        body = lease(node)
        try:
            await self._site.api.patch(f"{_LEASES}/{node['metadata']['name']}", {"spec": body["spec"]})
        except ApiError as error:
            if error.status != 404:
                raise
            with contextlib.suppress(ApiError):
                await self._site.api.post(_LEASES, body)


class PodAddresses:
    """Simulated addresses of a cluster's pods; none is used again before all others were."""

    def __init__(self, network: ipaddress.IPv4Network) -> None:
        hosts = int(network.network_address)
        self._first, self._count = hosts + 2, network.num_addresses - NODE_ADDRESSES - 2
        self._next = 0
        self._taken: dict[str, str] = {}

    def keep(self, taken: dict[str, str]) -> None:
        """Replace what is known of taken addresses, by pod uid."""
        self._taken = dict(taken)

    def take(self, uid: str) -> str:
        """Return the pod's address, by preference the one it has.

        Raises:
            RuntimeError: If every address is taken.
        """
        if uid in self._taken:
            return self._taken[uid]
        used = set(self._taken.values())
        for _ in range(self._count):
            address = str(ipaddress.IPv4Address(self._first + self._next))
            self._next = (self._next + 1) % self._count
            if address not in used:
                self._taken[uid] = address
                return address
        raise RuntimeError("every pod address of the cluster is taken")


def _is_ours(pod: Object, nodes: dict[str, Object]) -> bool:
    return pod["spec"].get("nodeName") in nodes and (pod.get("status") or {}).get("phase") not in _OVER


def _internal_ip(node: Object) -> str:
    addresses = (node.get("status") or {}).get("addresses") or []
    return str(next(each["address"] for each in addresses if each["type"] == "InternalIP"))
