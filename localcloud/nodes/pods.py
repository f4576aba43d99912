"""Running one pod: volumes, init containers, containers, probes, restarts, status, and its end."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from localcloud import ledger
from localcloud.addresses import to_loopback
from localcloud.nodes import edge
from localcloud.nodes.api import STRATEGIC, UNREACHABLE, ApiError, Object
from localcloud.nodes.containers import Run
from localcloud.nodes.launch import IMAGE_REASON, CannotStart, Site, launch, log_directory
from localcloud.nodes.plan import ConfigError
from localcloud.nodes.status import ContainerState, pod_status
from localcloud.nodes.volumes import VolumeError, Volumes
from localcloud.nodes.watchdog import Watchdog
from localcloud.objects.metadata import metadata_server

_LOG = logging.getLogger(__name__)
_RETRY_S = 1.0
_FIRST_BACK_OFF_S = 1.0
_LONGEST_BACK_OFF_S = 60.0
_LONG_RUN_S = 120.0
_RENEW_PERIOD_S = 30.0
_COALESCE_S = 0.02
_IMAGE_ERROR_SHOWN_S = 1.0
LOGS_ANNOTATION = "localcloud.tricorn.dev/logs"
"""Pod annotation with the directory of its containers' logs on this machine."""
_T = TypeVar("_T")
_Prepared = dict[str, tuple[Path, bool]]


class PodWorker:
    """Runs one pod from being bound to its node until it is gone from the API."""

    def __init__(self, site: Site, pod: Object, pod_ip: str, host_ip: str) -> None:
        """Take a pod over; what its status records of earlier runs counts as restarts."""
        self.pod_ip = pod_ip
        self._site = site
        self._host_ip = host_ip
        self._address = to_loopback(pod_ip)
        self._directory = site.context.paths.pod(site.context.cloud, pod["metadata"]["uid"])
        self._runs: dict[str, tuple[Object, Run]] = {}
        self._initialized = self._failed = self._gone = False
        self._reported: Object | None = None
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        spec, status = pod["spec"], pod.get("status") or {}
        self._policy = spec.get("restartPolicy", "Always")
        self._init = _states(spec.get("initContainers") or [])
        self._containers = _states(spec["containers"])
        ran = [_resume(self._init, status.get("initContainerStatuses"))]
        ran += [_resume(self._containers, status.get("containerStatuses"))]
        self._may_run = not (any(ran) and self._policy == "Never")
        self.update(pod)

    def update(self, pod: Object) -> None:
        """Take note of a newer version of the pod; a deletion ends it with its grace period."""
        own = {"podIP": self.pod_ip, "hostIP": self._host_ip}
        self.pod = {**pod, "status": {**(pod.get("status") or {}), **own}}
        if pod["metadata"].get("deletionTimestamp"):
            self._stopping.set()

    def abandon(self) -> None:
        """Note that the pod is gone from the API; its processes end at once."""
        self._gone = True
        self._stopping.set()
        for _, run in self._runs.values():
            run.kill()

    async def run(self) -> None:
        """Run the pod until it is gone; on cancellation its processes end at once and its files stay."""
        tasks: list[asyncio.Task[None] | asyncio.Task[Literal[True]]] = [asyncio.create_task(self._publish())]
        if self._site.context.cloud == "gcp":
            tasks.append(asyncio.create_task(self._serve_metadata()))
        life = asyncio.create_task(self._live())
        stopping = asyncio.create_task(self._stopping.wait())
        tasks += [life, stopping]
        try:
            await asyncio.wait({life, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if life.done() and (problem := life.exception()):
                _LOG.error("pod %s failed", self._path, exc_info=problem)
                self._failed = True
            self._changed.set()
            await stopping
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)
            await self._end()
        finally:
            for _, run in self._runs.values():
                run.kill()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(shutil.rmtree, self._directory, True)

    @property
    def _path(self) -> str:
        metadata = self.pod["metadata"]
        return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"

    def _event(self, reason: str, message: str, container: Object | None = None, *, warning: bool = False) -> None:
        field = f"spec.containers{{{container['name']}}}" if container else ""
        self._site.events.record(self.pod, reason, message, warning=warning, field=field)

    async def _live(self) -> None:
        if not self._may_run:
            self._failed = True
            return
        pod = await self._as_the_cloud_runs_it()
        volumes = Volumes(self._site.api, pod, self._directory / "volumes")
        prepared = await self._insist(volumes.prepare)
        renewing = asyncio.create_task(_renew(volumes))
        try:
            for container in pod["spec"].get("initContainers") or []:
                if not await self._initialize(pod, container, prepared):
                    self._failed = True
                    return
            self._initialized = True
            self._changed.set()
            await asyncio.gather(*(self._supervise(pod, each, prepared) for each in pod["spec"]["containers"]))
        finally:
            renewing.cancel()

    async def _as_the_cloud_runs_it(self) -> Object:
        context, cluster, spec = self._site.context, self._site.cluster, self.pod["spec"]
        found = await asyncio.to_thread(ledger.identities, context.store, context.cloud)
        mine = [each for each in found if each.cluster_id == cluster.id]
        namespace, account = self.pod["metadata"]["namespace"], spec.get("serviceAccountName", "default")
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}"
        seen = await self._insist(lambda: self._site.api.find(path))
        return edge.with_edge(self.pod, context.cloud, cluster.region, self._address, mine, seen)

    async def _insist(self, attempt: Callable[[], Awaitable[_T]]) -> _T:
        """Try until it works: what a pod needs may come later, and the API server may be away."""
        while True:
            try:
                return await attempt()
            except (VolumeError, ConfigError, ApiError) as error:
                self._event("FailedMount", f"MountVolume.SetUp failed: {error}", warning=True)
            except UNREACHABLE as error:
                _LOG.info("pod %s waits for its API server: %s", self._path, error)
            await asyncio.sleep(_RETRY_S)

    async def _serve_metadata(self) -> None:
        namespace, account = self.pod["metadata"]["namespace"], self.pod["spec"].get("serviceAccountName", "default")
        while True:
            try:
                async with metadata_server(
                    self._site.context, self._site.cluster, self._address, edge.METADATA_PORT, namespace, account
                ):
                    await asyncio.Event().wait()
            except OSError as error:
                _LOG.warning("metadata server of pod %s: %s", self._path, error)
                await asyncio.sleep(_RETRY_S)

    async def _initialize(self, pod: Object, container: Object, volumes: _Prepared) -> bool:
        """Run an init container until it succeeds; return False when it fails and must not be repeated."""
        state = self._init[container["name"]]
        back_off_s = _FIRST_BACK_OFF_S
        while True:
            run = await self._start(pod, container, state, volumes)
            code = await asyncio.shield(run.ended)
            state.end(code)
            state.ready = code == 0
            self._changed.set()
            if code == 0:
                return True
            if self._policy == "Never":
                return False
            back_off_s = await self._back_off(container, state, back_off_s)

    async def _supervise(self, pod: Object, container: Object, volumes: _Prepared) -> None:
        """Run a container, again and again as the restart policy says."""
        state = self._containers[container["name"]]
        clock = asyncio.get_running_loop().time
        back_off_s = _FIRST_BACK_OFF_S
        while True:
            run = await self._start(pod, container, state, volumes)
            started = clock()
            code = await self._watch(container, state, run)
            state.end(code)
            self._changed.set()
            if self._policy == "Never" or (self._policy == "OnFailure" and code == 0):
                return
            if clock() - started > _LONG_RUN_S:
                back_off_s = _FIRST_BACK_OFF_S
            back_off_s = await self._back_off(container, state, back_off_s)

    async def _start(self, pod: Object, container: Object, state: ContainerState, volumes: _Prepared) -> Run:
        delay_s = _FIRST_BACK_OFF_S
        while True:
            try:
                run = await launch(
                    self._site, pod, container, volumes, f"{container['name']}-{state.restarts}-{state.runs}"
                )
            except CannotStart as problem:
                state.wait(problem.reason, str(problem))
                self._event("Failed", f"Error: {problem.reason}: {problem}", container, warning=True)
                self._changed.set()
                if problem.reason == IMAGE_REASON:
                    await asyncio.sleep(_IMAGE_ERROR_SHOWN_S)
                    self._back_off_image(container, state, problem)
                delay_s = min(2 * delay_s, _LONGEST_BACK_OFF_S)
            except (*UNREACHABLE, ApiError) as error:
                _LOG.info("pod %s: container %s cannot start yet: %s", self._path, container["name"], error)
            else:
                self._runs[container["name"]] = (container, run)
                state.run()
                self._event("Started", f"Started container {container['name']}", container)
                self._changed.set()
                return run
            await asyncio.sleep(delay_s)

    def _back_off_image(self, container: Object, state: ContainerState, problem: CannotStart) -> None:
        told = f'Back-off pulling image "{container["image"]}"'
        state.wait("ImagePullBackOff", f"{told}: {problem.reason}: {problem}")
        self._event("BackOff", told, container, warning=True)
        self._changed.set()

    async def _watch(self, container: Object, state: ContainerState, run: Run) -> int:
        """Probe a run until it ends; end it when its probes say so. Return its exit code."""
        watchdog = Watchdog(
            container, state, self._address, self._changed.set,
            lambda reason, message: self._event(reason, message, container, warning=True),
        )  # fmt: skip
        probing = asyncio.create_task(watchdog.run())
        try:
            ends: set[asyncio.Future[str] | asyncio.Future[int]] = {probing, run.ended}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not run.ended.done():
                self._event(
                    "Killing", f"Container {container['name']} {probing.result()}, will be restarted", container
                )
                grace_s = float(self.pod["spec"].get("terminationGracePeriodSeconds", 30))
                await run.end(grace_s, _pre_stop_s(container))
            return await asyncio.shield(run.ended)
        finally:
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)

    async def _back_off(self, container: Object, state: ContainerState, seconds: float) -> float:
        """Wait before the next run; return how long to wait before the one after it."""
        name = container["name"]
        message = f"back-off {seconds:g}s restarting failed container={name} pod={self.pod['metadata']['name']}"
        state.wait("CrashLoopBackOff", message)
        self._event("BackOff", f"Back-off restarting failed container {name}", container, warning=True)
        self._changed.set()
        await asyncio.sleep(seconds)
        state.restarts += 1
        return min(2 * seconds, _LONGEST_BACK_OFF_S)

    async def _end(self) -> None:
        grace_s = float(self.pod["metadata"].get("deletionGracePeriodSeconds") or 0)
        alive = [(container, run) for container, run in self._runs.values() if not run.ended.done()]
        for container, _ in alive:
            self._event("Killing", f"Stopping container {container['name']}", container)
        codes = await asyncio.gather(
            *(run.end(0 if self._gone else grace_s, _pre_stop_s(container)) for container, run in alive)
        )
        for (container, _), code in zip(alive, codes, strict=True):
            name = container["name"]
            (self._containers.get(name) or self._init[name]).end(code)
        while not self._gone:
            try:
                await self._report(final=True)
                await self._site.api.delete(self._path, grace_s=0, uid=self.pod["metadata"]["uid"])
                return
            except ApiError as error:
                if error.status == 404:
                    return
                _LOG.warning("deleting pod %s: %s", self._path, error)
            except UNREACHABLE:
                pass
            await asyncio.sleep(_RETRY_S)

    async def _publish(self) -> None:
        """Keep the pod's status in the API up to date until cancelled."""
        self._changed.set()
        annotated = False
        while True:
            await self._changed.wait()
            await asyncio.sleep(_COALESCE_S)
            self._changed.clear()
            try:
                if not annotated:
                    metadata = self.pod["metadata"]
                    logs = log_directory(
                        self._site.context, self._site.cluster.id, metadata["namespace"], metadata["name"]
                    )
                    await self._site.api.patch(
                        self._path, {"metadata": {"uid": metadata["uid"], "annotations": {LOGS_ANNOTATION: str(logs)}}}
                    )
                    annotated = True
                await self._report()
            except ApiError as error:
                if error.status != 404:
                    _LOG.warning("status of pod %s: %s", self._path, error)
                    await asyncio.sleep(_RETRY_S)
                    self._changed.set()
            except UNREACHABLE:
                await asyncio.sleep(_RETRY_S)
                self._changed.set()

    async def _report(self, *, final: bool = False) -> None:
        status = pod_status(
            self.pod,
            init=list(self._init.values()),
            containers=list(self._containers.values()),
            initialized=self._initialized,
            failed=self._failed,
            final=final,
        )
        if status == self._reported:
            return
        body = {"metadata": {"uid": self.pod["metadata"]["uid"]}, "status": status}
        answer = await self._site.api.patch(f"{self._path}/status", body, STRATEGIC)
        self._reported = status
        if answer["metadata"]["uid"] == self.pod["metadata"]["uid"]:
            self.update(answer)


def _states(containers: Sequence[Object]) -> dict[str, ContainerState]:
    return {each["name"]: ContainerState(each["name"], each["image"]) for each in containers}


def _resume(states: dict[str, ContainerState], recorded: Sequence[Object] | None) -> bool:
    """Take recorded statuses over; return whether any container had run."""
    ran = [states[each["name"]].resume(each) for each in recorded or [] if each["name"] in states]
    return any(ran)


async def _renew(volumes: Volumes) -> None:
    while True:
        await asyncio.sleep(_RENEW_PERIOD_S)
        try:
            await volumes.renew()
        except (*UNREACHABLE, ApiError, VolumeError) as error:
            _LOG.info("renewing tokens: %s", error)


def _pre_stop_s(container: Object) -> float:
    hook = (container.get("lifecycle") or {}).get("preStop") or {}
    return float((hook.get("sleep") or {}).get("seconds") or 0)
