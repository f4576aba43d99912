"""What keeps pods from running, in words for the person who deploys them."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
_IMAGE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
_CONFIGURATION = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
# These do not get better by waiting.
_HOPELESS = {"InvalidImageName", "ErrImageNeverPull"}


def problems(pods: list[Object]) -> list[str]:
    """Return one line for each thing that is wrong with pods, without repetitions."""
    found: dict[str, None] = {}
    for pod in pods:
        if pod["metadata"].get("deletionTimestamp"):
            continue
        status = pod.get("status") or {}
        for condition in status.get("conditions") or []:
            if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
                found[f"no node takes the pod: {condition.get('message', '')}"] = None
        for container in _containers(status):
            if text := _container_problem(container):
                found[text] = None
        if status.get("phase") == "Failed" and not _containers(status):
            found[f"the pod failed: {status.get('reason', '')} {status.get('message', '')}".rstrip()] = None
    return list(found)


def hopeless(pods: list[Object]) -> bool:
    """Return whether a pod can never run as it is."""
    states = [
        (container.get("state") or {}).get("waiting") or {}
        for pod in pods
        if not pod["metadata"].get("deletionTimestamp")
        for container in _containers(pod.get("status") or {})
    ]
    return any(state.get("reason") in _HOPELESS for state in states)


def _containers(status: Object) -> list[Object]:
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _container_problem(container: Object) -> str:
    name = container.get("name", "")
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in _IMAGE:
        return f"container {name}: image {container.get('image', '')} cannot be had ({reason}): {message}".rstrip(": ")
    if reason in _CONFIGURATION:
        return f"container {name}: cannot be started ({reason}): {message}".rstrip(": ")
    if reason == "CrashLoopBackOff":
        ended = (container.get("lastState") or {}).get("terminated") or {}
        return f"container {name}: ends again and again, {container.get('restartCount', 0)} times so far{_end(ended)}"
    ended = state.get("terminated") or {}
    if ended.get("exitCode"):
        return f"container {name}: ended{_end(ended)}"
    return ""


def _end(ended: Object) -> str:
    if not ended:
        return ""
    text = f" with exit code {ended.get('exitCode')}"
    if ended.get("reason") not in (None, "", "Error"):
        text += f" ({ended['reason']})"
    last_lines = [line for line in str(ended.get("message") or "").splitlines() if line.strip()]
    return f"{text}: {last_lines[-1].strip()}" if last_lines else text
