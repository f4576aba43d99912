"""What a pod's status says, from the states of its containers. Pure functions."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
KILLED = 137
"""Exit code of a container that was ended with SIGKILL."""


def timestamp(seconds: float | None = None) -> str:
    """Return a time as the API writes it; by default now."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


@dataclass
class ContainerState:
    """What is known of one container; at most one of `running_since` and `exit_code` decides its state."""

    name: str
    image: str
    waiting: str = "PodInitializing"
    message: str = ""
    running_since: str = ""
    started_at: str = ""
    finished_at: str = ""
    exit_code: int | None = None
    end_reason: str = ""
    restarts: int = 0
    started: bool = False
    ready: bool = False
    last: Object | None = None
    runs: int = 0

    def wait(self, reason: str, message: str = "") -> None:
        """Note that the container does not run and why; an earlier end becomes its last state."""
        if self.exit_code is not None:
            self.last = {"terminated": self._terminated()}
        self.waiting, self.message = reason, message
        self.running_since, self.exit_code = "", None
        self.started = self.ready = False

    def run(self) -> None:
        """Note that the container runs."""
        if self.exit_code is not None:
            self.last = {"terminated": self._terminated()}
        self.waiting, self.message, self.exit_code = "", "", None
        self.running_since = self.started_at = timestamp()
        self.runs += 1

    def end(self, exit_code: int, reason: str = "") -> None:
        """Note that the container has ended."""
        self.running_since, self.waiting, self.exit_code = "", "", exit_code
        self.finished_at = timestamp()
        self.end_reason = reason or ("Completed" if exit_code == 0 else "Error")
        self.started = self.ready = False

    def resume(self, recorded: Object) -> bool:
        """Take over what an earlier agent recorded; return whether the container had run then.

        Containers end with their agent, so one that is recorded as running is one that was killed.
        """
        self.restarts = int(recorded.get("restartCount") or 0)
        state = recorded.get("state") or {}
        ran = "running" in state or "terminated" in state
        if "running" in state:
            started = state["running"].get("startedAt") or timestamp()
            self.last = {
                "terminated": {
                    "exitCode": KILLED, "reason": "Error", "startedAt": started, "finishedAt": timestamp(),
                    "message": "the node restarted",
                }
            }  # fmt: skip
        elif "terminated" in state:
            self.last = {"terminated": state["terminated"]}
        else:
            self.last = recorded.get("lastState") or None
        self.restarts += ran
        return ran

    def _terminated(self) -> Object:
        return {
            "exitCode": self.exit_code,
            "reason": self.end_reason,
            "startedAt": self.started_at or None,
            "finishedAt": self.finished_at,
        }

    def status(self, pod_uid: str) -> Object:
        """Return the container's entry in the pod's status."""
        state: Object
        if self.running_since:
            state = {"running": {"startedAt": self.running_since}}
        elif self.exit_code is not None:
            state = {"terminated": self._terminated()}
        else:
            state = {"waiting": {"reason": self.waiting, **({"message": self.message} if self.message else {})}}
        identifier = hashlib.sha256(f"{pod_uid}/{self.name}/{self.restarts}/{self.runs}".encode()).hexdigest()
        return {
            "name": self.name,
            "image": self.image,
            "imageID": image_id(self.image) if self.runs else "",
            "containerID": f"localcloud://{identifier}" if self.runs else "",
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restarts,
            "state": state,
            "lastState": self.last or {},
        }


def image_id(image: str) -> str:
    """Return how a kubelet names an image that it has: repository and digest; empty when the pod names no digest."""
    name, at, digest = image.partition("@")
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}{at}{digest}" if digest else ""


def phase(restart_policy: str, containers: list[ContainerState], initialized: bool, failed: bool) -> str:
    """Return the pod's phase."""
    if failed:
        return "Failed"
    if not initialized or not any(each.running_since or each.exit_code is not None or each.last for each in containers):
        return "Pending"
    codes = [each.exit_code for each in containers]
    if None not in codes and restart_policy != "Always":
        if not any(codes):
            return "Succeeded"
        if restart_policy == "Never":
            return "Failed"
    return "Running"


def pod_status(
    pod: Object,
    *,
    init: list[ContainerState],
    containers: list[ContainerState],
    initialized: bool,
    failed: bool = False,
    final: bool = False,
) -> Object:
    """Return the status to merge into a pod's; `final` makes the phase one of an ended pod."""
    spec, old, uid = pod["spec"], pod.get("status") or {}, pod["metadata"]["uid"]
    found = phase(spec.get("restartPolicy", "Always"), containers, initialized, failed)
    if final and found not in ("Succeeded", "Failed"):
        found = "Failed" if any(each.exit_code for each in containers) else "Succeeded"
    all_ready = found == "Running" and all(each.ready for each in containers)
    unready = [each.name for each in containers if not each.ready]
    reason: Object = {}
    if not all_ready:
        reason = {"reason": "PodCompleted"} if found == "Succeeded" else {"reason": "ContainersNotReady"}
        reason["message"] = f"containers with unready status: [{' '.join(unready)}]"
    gates = {each["conditionType"] for each in spec.get("readinessGates") or []}
    others = {each["type"]: each["status"] for each in old.get("conditions") or []}
    gates_open = all(others.get(gate) == "True" for gate in gates)
    conditions = [
        _condition(old, "PodReadyToStartContainers", not final, {}),
        _condition(old, "Initialized", initialized, {} if initialized else {"reason": "ContainersNotInitialized"}),
        _condition(old, "ContainersReady", all_ready, reason),
        _condition(
            old,
            "Ready",
            all_ready and gates_open,
            reason or ({} if gates_open else {"reason": "ReadinessGatesNotReady"}),
        ),
    ]
    return {
        "phase": found,
        "startTime": old.get("startTime") or timestamp(),
        "hostIP": old.get("hostIP"),
        "hostIPs": [{"ip": old.get("hostIP")}],
        "podIP": old.get("podIP"),
        "podIPs": [{"ip": old.get("podIP")}],
        "qosClass": old.get("qosClass"),
        "conditions": conditions,
        "initContainerStatuses": [each.status(uid) for each in init],
        "containerStatuses": [each.status(uid) for each in containers],
    }


def _condition(old: Object, kind: str, value: bool, extra: Object) -> Object:
    status = "True" if value else "False"
    before: Object = next((each for each in old.get("conditions") or [] if each["type"] == kind), {})
    changed = before.get("lastTransitionTime") if before.get("status") == status else None
    return {
        "type": kind,
        "status": status,
        "reason": extra.get("reason"),
        "message": extra.get("message"),
        "lastTransitionTime": changed or timestamp(),
    }
