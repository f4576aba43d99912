"""When an object is ready, and waiting for that.

Waited for are Deployments (all pods of the newest kind available), Services of type LoadBalancer (an address),
Namespaces (active), CustomResourceDefinitions (served), and what an object asks for itself by its annotation
`pulumi.com/waitFor`. Everything else is ready once it is stored.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from localcloud.providers.kubernetes import pods, waitfor
from localcloud.providers.kubernetes.api import Api, ResourceInfo, Unreachable
from localcloud.providers.kubernetes.objects import annotation

Object = dict[str, Any]
DEFAULT_TIMEOUT_S = 600.0
_SHORTEST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 1.0
_UNREACHABLE_PATIENCE_S = 60.0
# A quota may be raised and a policy relaxed by something in the same update; then the pods come after all.
_REFUSED_PATIENCE_S = 20.0
_PODS = ResourceInfo("/api/v1", "pods", True)


@dataclass(frozen=True)
class State:
    """How far an object is; `reasons` say what is missing."""

    ready: bool
    reasons: list[str] = field(default_factory=list)
    hopeless: bool = False
    """Whether it will never get ready as it is."""
    refused: bool = False
    """Whether the API server refuses something that the object needs."""


class NotReady(Exception):
    """An object exists but did not get ready; `live` is how it was seen last."""

    def __init__(self, live: Object, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.live = live
        self.reasons = reasons


@dataclass(frozen=True)
class Patience:
    """How long to wait: until `deadline` (monotonic seconds) or until `cancelled`; `report` gets the state as text."""

    deadline: float
    timeout_s: float
    cancelled: threading.Event
    report: Callable[[str], None]

    @classmethod
    def of(cls, timeout_s: float, cancelled: threading.Event, report: Callable[[str], None]) -> Patience:
        """Wait `timeout_s` seconds from now; 0 means the default of ten minutes."""
        limit = timeout_s or DEFAULT_TIMEOUT_S
        return cls(time.monotonic() + limit, limit, cancelled, report)

    def spent(self) -> str:
        """Return why waiting is over, empty while it is not."""
        if self.cancelled.is_set():
            return "waiting was cancelled"
        return f"timeout after {self.timeout_s:g} s" if time.monotonic() >= self.deadline else ""


def wait_ready(api: Api, info: ResourceInfo, live: Object, patience: Patience) -> Object:
    """Wait until an object is ready and return it.

    Raises:
        NotReady: If it does not get ready in time, never can, or waiting is cancelled.
        ApiError: If the API server refuses to show it.
    """
    probe = _wished(live) or _PROBES.get((live["apiVersion"].rpartition("/")[0], live["kind"]))
    if probe is None:
        return live
    metadata = live["metadata"]
    namespace, name = metadata.get("namespace"), metadata["name"]
    pause, last_reachable, refused_since, told = _SHORTEST_PAUSE_S, time.monotonic(), 0.0, ""
    while True:
        try:
            state = probe(api, live)
            last_reachable = time.monotonic()
        except Unreachable as error:
            gone = time.monotonic() - last_reachable > _UNREACHABLE_PATIENCE_S
            state = State(False, [str(error)], hopeless=gone)
        if state.ready:
            return live
        refused_since = (refused_since or time.monotonic()) if state.refused else 0.0
        over = patience.spent()
        if over or state.hopeless or (refused_since and time.monotonic() - refused_since > _REFUSED_PATIENCE_S):
            raise NotReady(live, [*([over] if over else []), *state.reasons])
        if (text := "; ".join(state.reasons)) != told:
            told = text
            patience.report(text)
        patience.cancelled.wait(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE_S)
        try:
            current = api.get(info, namespace, name)
        except Unreachable:
            continue
        if current is None:
            raise NotReady(live, ["it was deleted while waiting for it"])
        live = current


def _wished(live: Object) -> Callable[[Api, Object], State] | None:
    """Return the probe that an object's annotation asks for, in place of its kind's own."""
    text = annotation(live, waitfor.ANNOTATION)
    if not text:
        return None
    try:
        wishes = waitfor.wishes(text)
    except waitfor.WaitForError as error:
        raise NotReady(live, [str(error)]) from None

    def probe(api: Api, current: Object) -> State:
        reasons = [reason for each in wishes if (reason := each.missing(current))]
        return State(not reasons, reasons)

    return probe


def wait_gone(api: Api, info: ResourceInfo, live: Object, patience: Patience) -> None:
    """Wait until an object that is being deleted is gone.

    Raises:
        NotReady: If it is still there in time; the reasons name what holds it.
    """
    metadata, pause, told = live["metadata"], _SHORTEST_PAUSE_S, ""
    while True:
        current = api.get(info, metadata.get("namespace"), metadata["name"])
        if current is None or current["metadata"]["uid"] != metadata["uid"]:
            return
        reasons = _held_by(current)
        if over := patience.spent():
            raise NotReady(current, [f"{over} while waiting for it to be gone", *reasons])
        if (text := "; ".join(["waiting until it is gone", *reasons])) != told:
            told = text
            patience.report(text)
        patience.cancelled.wait(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE_S)


def _held_by(live: Object) -> list[str]:
    reasons = []
    if finalizers := live["metadata"].get("finalizers"):
        reasons.append(f"held by finalizers {', '.join(finalizers)}")
    for condition in (live.get("status") or {}).get("conditions") or []:
        if condition["type"].startswith("Namespace") and condition["status"] == "True":
            reasons.append(condition.get("message", ""))
    return reasons


def _conditions(live: Object) -> dict[str, Object]:
    return {each["type"]: each for each in (live.get("status") or {}).get("conditions") or []}


def _deployment(api: Api, live: Object) -> State:
    status, spec = live.get("status") or {}, live["spec"]
    wanted = spec.get("replicas", 1)
    observed = status.get("observedGeneration", 0) >= live["metadata"].get("generation", 0)
    updated, available, total = (status.get(k, 0) for k in ("updatedReplicas", "availableReplicas", "replicas"))
    if observed and updated >= wanted and total <= updated and available >= wanted:
        return State(True)
    reasons = [f"{min(available, updated)} of {wanted} pods of the newest version are available"]
    if observed and updated >= wanted and total > updated:
        reasons = [f"{total - updated} pods of an older version are still there"]
    conditions = _conditions(live) if observed else {}
    failure = conditions.get("ReplicaFailure") or {}
    refused = failure.get("status") == "True"
    if refused:
        reasons.append(f"pods are refused: {failure.get('message', '')}")
    labels = (spec.get("selector") or {}).get("matchLabels") or {}
    found = api.items(
        _PODS.path(live["metadata"]["namespace"]), labelSelector=",".join(f"{k}={v}" for k, v in labels.items())
    )
    reasons += pods.problems(found)
    progress = conditions.get("Progressing") or {}
    stuck = progress.get("status") == "False" and progress.get("reason") == "ProgressDeadlineExceeded"
    if stuck:
        reasons.append(progress.get("message", "the rollout makes no progress"))
    return State(False, reasons, hopeless=stuck or pods.hopeless(found), refused=refused)


def _service(api: Api, live: Object) -> State:
    if live["spec"].get("type") != "LoadBalancer":
        return State(True)
    ingress = ((live.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    if any(each.get("ip") or each.get("hostname") for each in ingress):
        return State(True)
    return State(False, ["the load balancer has no address yet"])


def _namespace(api: Api, live: Object) -> State:
    phase = (live.get("status") or {}).get("phase")
    if phase == "Active":
        return State(True)
    return State(False, [f"the namespace is {phase or 'not there yet'}"], hopeless=phase == "Terminating")


def _definition(api: Api, live: Object) -> State:
    conditions = _conditions(live)
    if (conditions.get("Established") or {}).get("status") == "True":
        return State(True)
    refusal = conditions.get("NamesAccepted") or {}
    if refusal.get("status") == "False":
        return State(False, [f"its names are not accepted: {refusal.get('message', '')}"], hopeless=True)
    return State(False, ["the kind is not served yet"])


_PROBES: dict[tuple[str, str], Callable[[Api, Object], State]] = {
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("apps", "Deployment"): _deployment,
    ("", "Namespace"): _namespace,
    ("", "Service"): _service,
}
