"""The kubelet's probes against real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent import futures
from typing import Any

import grpc
import pytest
from aiohttp import web

from localcloud.nodes.probes import ProbeFailed, Schedule, ask, port_of
from localcloud.nodes.status import ContainerState
from localcloud.nodes.watchdog import Watchdog

ADDRESS = "127.0.0.1"


async def with_http(status: int, use: Callable[[int], Awaitable[None]], delay_s: float = 0.0) -> None:
    async def answer(_: web.Request) -> web.Response:
        await asyncio.sleep(delay_s)
        return web.Response(status=status)

    application = web.Application()
    application.router.add_get("/ready", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, ADDRESS, 0)
    await site.start()
    try:
        await use(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def http_probe(port: int | str, **schedule: Any) -> dict[str, Any]:
    return {"httpGet": {"path": "/ready", "port": port}, **schedule}


def test_http_probes_take_any_status_below_400_for_good() -> None:
    asyncio.run(with_http(204, lambda port: ask(http_probe(port), {"name": "c"}, ADDRESS)))
    with pytest.raises(ProbeFailed, match="status 503"):
        asyncio.run(with_http(503, lambda port: ask(http_probe(port), {"name": "c"}, ADDRESS)))


def test_a_probe_without_an_answer_in_time_has_failed() -> None:
    with pytest.raises(ProbeFailed, match="no answer within"):
        asyncio.run(
            with_http(200, lambda port: ask(http_probe(port, timeoutSeconds=0.1), {"name": "c"}, ADDRESS), delay_s=2)
        )


def test_probes_of_closed_ports_have_failed() -> None:
    for probe in ({"tcpSocket": {"port": 1}}, http_probe(1), {"grpc": {"port": 1}}):
        with pytest.raises(ProbeFailed):
            asyncio.run(ask(probe, {"name": "c"}, ADDRESS))


def test_exec_probes_are_refused_by_name() -> None:
    with pytest.raises(ProbeFailed, match="exec"):
        asyncio.run(ask({"exec": {"command": ["true"]}}, {"name": "c"}, ADDRESS))


@pytest.mark.parametrize(("answer", "good"), [(b"\x08\x01", True), (b"\x08\x02", False), (b"", False)])
def test_grpc_probes_ask_the_health_service_by_name(answer: bytes, good: bool) -> None:
    asked = []

    def check(request: bytes, _: grpc.ServicerContext) -> bytes:
        asked.append(request)
        return answer

    handler = grpc.method_handlers_generic_handler(
        "grpc.health.v1.Health", {"Check": grpc.unary_unary_rpc_method_handler(check)}
    )
    server = grpc.server(futures.ThreadPoolExecutor(1), handlers=[handler])
    port = server.add_insecure_port(f"{ADDRESS}:0")
    server.start()
    try:
        probe = {"grpc": {"port": port, "service": "ModelService"}, "timeoutSeconds": 5}
        if good:
            asyncio.run(ask(probe, {"name": "c"}, ADDRESS))
        else:
            with pytest.raises(ProbeFailed, match="not SERVING"):
                asyncio.run(ask(probe, {"name": "c"}, ADDRESS))
    finally:
        server.stop(None).wait()
    assert asked == [b"\x0a\x0cModelService"]


def test_ports_are_found_by_name() -> None:
    container = {"name": "c", "ports": [{"name": "rest", "containerPort": 8501}]}
    assert port_of(container, "rest") == 8501
    with pytest.raises(ProbeFailed, match="no port named 'grpc'"):
        port_of(container, "grpc")


def test_schedules_have_kubernetes_defaults() -> None:
    assert Schedule.of({}) == Schedule(0.0, 10.0, 1.0, 1, 3)


def watched(container: dict[str, Any], seconds: float) -> tuple[ContainerState, str, list[str]]:
    state, problems = ContainerState("c", "i"), []

    async def run() -> str:
        watchdog = Watchdog(container, state, ADDRESS, lambda: None, lambda _, message: problems.append(message))
        try:
            return await asyncio.wait_for(watchdog.run(), seconds)
        except TimeoutError:
            return "still running"

    return state, asyncio.run(run()), problems


def test_a_container_without_probes_is_started_and_ready_at_once() -> None:
    state, outcome, _ = watched({"name": "c"}, 0.1)
    assert (state.started, state.ready, outcome) == (True, True, "still running")


def test_a_container_that_does_not_start_in_time_must_be_ended() -> None:
    probe = {"tcpSocket": {"port": 1}, "periodSeconds": 0.05, "failureThreshold": 2}
    state, outcome, problems = watched({"name": "c", "startupProbe": probe}, 5)
    assert outcome == "failed startup probe"
    assert not state.started
    assert len(problems) == 2


def test_a_container_that_fails_its_liveness_probe_must_be_ended() -> None:
    probe = {"tcpSocket": {"port": 1}, "periodSeconds": 0.05, "failureThreshold": 3}
    _, outcome, problems = watched({"name": "c", "livenessProbe": probe}, 5)
    assert outcome == "failed liveness probe"
    assert len(problems) == 3


def test_a_container_is_unready_until_its_readiness_probe_succeeds() -> None:
    state, _, _ = watched({"name": "c", "readinessProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 0.05}}, 0.2)
    assert (state.started, state.ready) == (True, False)
