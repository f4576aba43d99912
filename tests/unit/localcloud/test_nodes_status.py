"""What a pod's status says, from the states of its containers."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from localcloud.nodes.agent import PodAddresses
from localcloud.nodes.status import ContainerState, phase, pod_status


def state(*, running: bool = False, code: int | None = None, ready: bool = False) -> ContainerState:
    found = ContainerState("c", "image")
    if running or code is not None:
        found.run()
    if code is not None:
        found.end(code)
    found.ready = ready
    return found


def status(container: ContainerState, **options: Any) -> dict[str, Any]:
    pod = {
        "metadata": {"uid": "u"},
        "spec": options.pop("spec", {}),
        "status": {"podIP": "10.111.0.2", "hostIP": "10.111.248.1", **options.pop("old", {})},
    }
    return pod_status(pod, init=[], containers=[container], initialized=True, **options)


def condition(found: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(each for each in found["conditions"] if each["type"] == kind)


@pytest.mark.parametrize(
    ("policy", "container", "initialized", "expected"),
    [
        ("Always", state(), True, "Pending"),
        ("Always", state(running=True), False, "Pending"),
        ("Always", state(running=True), True, "Running"),
        ("Always", state(code=0), True, "Running"),
        ("OnFailure", state(code=0), True, "Succeeded"),
        ("OnFailure", state(code=1), True, "Running"),
        ("Never", state(code=1), True, "Failed"),
        ("Never", state(code=0), True, "Succeeded"),
    ],
)
def test_phase_follows_containers_and_restart_policy(
    policy: str, container: ContainerState, initialized: bool, expected: str
) -> None:
    assert phase(policy, [container], initialized, failed=False) == expected


def test_a_pod_is_ready_when_all_its_containers_are() -> None:
    assert condition(status(state(running=True, ready=True)), "Ready")["status"] == "True"
    unready = condition(status(state(running=True)), "Ready")
    assert (unready["status"], unready["reason"]) == ("False", "ContainersNotReady")


def test_a_readiness_gate_keeps_a_pod_unready_until_its_condition_is_true() -> None:
    spec = {"readinessGates": [{"conditionType": "lb"}]}
    assert condition(status(state(running=True, ready=True), spec=spec), "Ready")["status"] == "False"
    old = {"conditions": [{"type": "lb", "status": "True"}]}
    assert condition(status(state(running=True, ready=True), spec=spec, old=old), "Ready")["status"] == "True"


def test_transition_times_change_only_with_the_condition() -> None:
    old = {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}]}
    same = condition(status(state(running=True, ready=True), old=old), "Ready")
    changed = condition(status(state(running=True), old=old), "Ready")
    assert same["lastTransitionTime"] == "2020-01-01T00:00:00Z"
    assert changed["lastTransitionTime"] != "2020-01-01T00:00:00Z"


def test_an_ended_pod_is_never_left_running() -> None:
    assert status(state(code=137), final=True)["phase"] == "Failed"
    assert status(state(code=0), final=True)["phase"] == "Succeeded"


def test_a_container_that_was_running_when_its_node_died_counts_as_restarted() -> None:
    resumed = ContainerState("c", "image")
    assert resumed.resume({"restartCount": 2, "state": {"running": {"startedAt": "2020-01-01T00:00:00Z"}}})
    found = resumed.status("u")
    assert found["restartCount"] == 3
    assert found["lastState"]["terminated"]["exitCode"] == 137


def test_a_container_that_never_ran_is_not_counted_as_restarted() -> None:
    resumed = ContainerState("c", "image")
    assert not resumed.resume({"restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}}})
    assert resumed.restarts == 0


def test_the_last_end_stays_visible_while_the_container_waits_and_runs_again() -> None:
    container = state(code=3)
    container.wait("CrashLoopBackOff", "back-off")
    found = container.status("u")
    assert found["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    assert found["lastState"]["terminated"]["exitCode"] == 3
    container.run()
    assert container.status("u")["lastState"]["terminated"]["exitCode"] == 3


def test_pod_addresses_are_stable_unique_and_not_reused_at_once() -> None:
    addresses = PodAddresses(ipaddress.IPv4Network("10.111.0.0/16"))
    first, second = addresses.take("a"), addresses.take("b")
    assert first == addresses.take("a")
    assert first != second
    addresses.keep({"b": second})
    assert addresses.take("c") not in (first, second)


def test_pod_addresses_recorded_before_a_restart_are_kept_free() -> None:
    addresses = PodAddresses(ipaddress.IPv4Network("10.111.0.0/16"))
    addresses.keep({"old": "10.111.0.2"})
    assert addresses.take("new") != "10.111.0.2"
    assert addresses.take("old") == "10.111.0.2"
