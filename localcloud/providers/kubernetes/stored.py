"""Objects in a cluster: preview, create, update, read and delete them by server-side apply."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localcloud.providers.kubernetes.api import Api, ApiError, KindNotServed, ResourceInfo, Unreachable
from localcloud.providers.kubernetes.objects import (
    AUTONAMED,
    PROPAGATION,
    SKIP_AWAIT,
    TIMEOUT,
    annotation,
    is_custom,
    object_id,
    split_id,
)
from localcloud.providers.kubernetes.readiness import NotReady, Patience, wait_gone, wait_ready
from localcloud.providers.kubernetes.values import UNKNOWN, Properties, Secret, has_unknown, mark_like, reveal

_KIND_PATIENCE_S = 15.0
_SERVED_PATIENCE_S = 5.0
_RETRY_S = 0.25
_MORE_READS = 5
_OWNERS = {"CronJob", "DaemonSet", "Deployment", "Job", "ReplicaSet", "StatefulSet"}
_SERVER_SET = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")


class Incomplete(Exception):
    """An object exists but is not ready, so the engine must keep it in its state."""

    def __init__(self, id_: str, outputs: Properties, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.id = id_
        self.outputs = outputs
        self.reasons = reasons


class Refused(Exception):
    """An operation had no effect; the text says why."""


@dataclass(frozen=True)
class Request:
    """How one operation is done: the program's timeout in seconds (0 for none), cancellation, and progress."""

    timeout_s: float
    cancelled: threading.Event
    report: Callable[[str], None]

    def patience(self, manifest: Properties) -> Patience:
        """Return how long to wait for an object; an annotation of it counts where the program sets no timeout."""
        text = annotation(manifest, TIMEOUT)
        limit = self.timeout_s or (float(text) if text.isdigit() else 0.0)
        return Patience.of(limit, self.cancelled, self.report)


class Objects:
    """The objects of one cluster."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace

    def preview_create(self, inputs: Properties) -> Properties:
        """Return what creating would give, as far as it can be known now.

        Raises:
            Refused: If the API server would refuse the object.
        """
        echo = _with_unknowns(inputs, inputs)
        if has_unknown(inputs) or self._api.reachable():
            return echo
        try:
            live = self._apply(inputs, force=False, dry_run=True)
        except KindNotServed:
            return echo  # a resource before it may install the kind
        except ApiError as error:
            if _missing_namespace(error):
                return echo  # likewise the namespace
            raise
        return _with_unknowns(outputs_of(live, inputs), inputs)

    def create(self, inputs: Properties, request: Request) -> tuple[str, Properties]:
        """Create an object, or take over the equal one that an interrupted update has left, and wait for it.

        Returns:
            The id and the outputs.

        Raises:
            Incomplete: If the object is stored but does not get ready.
            Refused: If the API server refuses it.
        """
        patience_s = min(_KIND_PATIENCE_S, request.timeout_s or _KIND_PATIENCE_S)
        live = self._apply(inputs, force=False, kind_patience_s=patience_s)
        return object_id(live), self._await(live, inputs, request)

    def preview_update(self, olds: Properties, inputs: Properties) -> Properties:
        """Return what updating would give, as far as it can be known now.

        Raises:
            Refused: If the API server would refuse the object.
        """
        kept = {key: value for key, value in olds.items() if key not in inputs}
        echo = {**kept, **inputs, "metadata": _merged(olds.get("metadata"), inputs.get("metadata"))}
        if has_unknown(inputs) or self._api.reachable():
            return echo
        try:
            return outputs_of(self._apply(inputs, force=True, dry_run=True), inputs)
        except KindNotServed:
            return echo

    def update(self, id_: str, inputs: Properties, request: Request) -> Properties:
        """Change an object, also fields of ours that others have changed, wait for it and return the outputs.

        Raises:
            Incomplete: If the object is stored but does not get ready.
            Refused: If the API server refuses the change.
        """
        namespace, name = split_id(id_)
        metadata = {**inputs["metadata"], "name": name, **({"namespace": namespace} if namespace else {})}
        return self._await(self._apply({**inputs, "metadata": metadata}, force=True), inputs, request)

    def read(self, id_: str, inputs: Properties, state: Properties) -> tuple[Properties, Properties] | None:
        """Return an object's inputs and outputs as they are in the cluster, None if it is gone.

        The inputs stay as they were when applying them again would change nothing, whatever way the server writes
        them. Without inputs, as on import, they are the whole object.
        """
        known = inputs or state
        if "apiVersion" not in known or "kind" not in known:
            raise Refused("to read an object its apiVersion and kind must be known")
        try:
            info = self._api.kind(str(known["apiVersion"]), str(known["kind"]))
        except KindNotServed:
            return None
        live = self._api.get(info, *split_id(id_))
        if live is None or not inputs:
            return None if live is None else (_written(live), outputs_of(live, state))
        applied = self._would_be(inputs)
        for _ in range(_MORE_READS):
            if applied is None or applied["metadata"].get("resourceVersion") == live["metadata"].get("resourceVersion"):
                break
            # A controller has changed the object in between, so that the two cannot be compared.
            live = self._api.get(info, *split_id(id_))
            if live is None:
                return None
            applied = self._would_be(inputs)
        same = applied is not None and _written(applied) == _written(live)
        return inputs if same else mark_like(_seen(inputs, live), inputs), outputs_of(live, inputs)

    def delete(self, id_: str, state: Properties, request: Request) -> None:
        """Delete an object with all it owns and wait until it is gone; it may be gone already.

        Raises:
            Incomplete: If it is still there in time.
        """
        try:
            info = self._api.kind(str(state["apiVersion"]), str(state["kind"]))
        except KindNotServed:
            return
        namespace, name = split_id(id_)
        live = self._api.get(info, namespace, name)
        uid = (reveal(state.get("metadata")) or {}).get("uid")
        if live is None or (isinstance(uid, str) and live["metadata"]["uid"] != uid):
            return  # gone, or another object took its name
        # Foreground deletion costs a round of the garbage collector, so only what owns others pays for it.
        policy = annotation(live, PROPAGATION).capitalize() or (
            "Foreground" if live["kind"] in _OWNERS else "Background"
        )
        options = {"propagationPolicy": policy, "preconditions": {"uid": live["metadata"]["uid"]}}
        try:
            self._api.request("DELETE", info.path(namespace, name), body=options)
        except ApiError as error:
            if error.status in (404, 409):
                return
            raise
        if annotation(live, SKIP_AWAIT) == "true":
            return
        try:
            wait_gone(self._api, info, live, request.patience(live))
        except NotReady as error:
            raise Incomplete(id_, outputs_of(error.live, state), error.reasons) from None

    def _apply(
        self, inputs: Properties, *, force: bool, dry_run: bool = False, kind_patience_s: float = 0.0
    ) -> Properties:
        manifest = reveal(inputs)
        # The definition of a custom kind may be a moment old.
        wait_s = kind_patience_s if is_custom(manifest["apiVersion"]) else 0.0
        info = self._api.kind(manifest["apiVersion"], manifest["kind"], wait_s=wait_s)
        metadata = dict(manifest.get("metadata") or {})
        if info.namespaced:
            metadata.setdefault("namespace", self._namespace)
        else:
            metadata.pop("namespace", None)
        manifest = {**manifest, "metadata": metadata}
        manifest.pop("status", None)
        if "name" not in metadata:
            return self._generate(info, manifest, dry_run=dry_run)
        deadline = time.monotonic() + _SERVED_PATIENCE_S
        while True:
            try:
                return self._api.apply(info, manifest, force=force, dry_run=dry_run)
            except ApiError as error:
                # A kind that is a moment old is listed before every part of the server knows it.
                if error.status == 404 and not error.details.get("name") and time.monotonic() < deadline:
                    time.sleep(_RETRY_S)
                    continue
                raise

    def _generate(self, info: ResourceInfo, manifest: Properties, *, dry_run: bool) -> Properties:
        query = {
            "fieldManager": "pulumi-kubernetes",
            "fieldValidation": "Strict",
            **({"dryRun": "All"} if dry_run else {}),
        }
        return self._api.request("POST", info.path(manifest["metadata"].get("namespace")), query=query, body=manifest)

    def _await(self, live: Properties, inputs: Properties, request: Request) -> Properties:
        if annotation(live, SKIP_AWAIT) == "true":
            return outputs_of(live, inputs)
        info = self._api.kind(live["apiVersion"], live["kind"])
        try:
            return outputs_of(wait_ready(self._api, info, live, request.patience(live)), inputs)
        except NotReady as error:
            raise Incomplete(object_id(live), outputs_of(error.live, inputs), error.reasons) from None
        except (ApiError, Unreachable) as error:
            raise Incomplete(object_id(live), outputs_of(live, inputs), [str(error)]) from None

    def _would_be(self, inputs: Properties) -> Properties | None:
        """Return the object as it would be after applying the inputs again; None if that would be refused."""
        try:
            return self._apply(inputs, force=True, dry_run=True)
        except (ApiError, KindNotServed):
            return None


def _missing_namespace(error: ApiError) -> bool:
    return error.status == 404 and error.details.get("kind") == "namespaces"


def outputs_of(live: Properties, inputs: Properties) -> Properties:
    """Return an object as resource outputs: without field ownership, what is secret in `inputs` or by kind marked."""
    metadata = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
    outputs = mark_like({**live, "metadata": metadata}, inputs)
    if (live["apiVersion"], live["kind"]) == ("v1", "Secret"):
        outputs.update({key: Secret(reveal(outputs[key])) for key in ("data", "stringData") if key in outputs})
    return dict(outputs)


def _with_unknowns(outputs: Properties, inputs: Properties) -> Properties:
    """Return the outputs of a preview with what only a real creation decides marked unknown."""
    metadata = outputs.get("metadata")
    if isinstance(metadata, dict):
        unknown = dict.fromkeys(("creationTimestamp", "resourceVersion", "uid"), UNKNOWN)
        name = {} if "name" in metadata else {"name": UNKNOWN}
        metadata = {**metadata, **unknown, **name}
    result = {**outputs, "metadata": metadata, "status": UNKNOWN}
    if inputs.get("kind") == "Service" and isinstance(outputs.get("spec"), dict):
        spec = inputs.get("spec")
        given = spec if isinstance(spec, dict) else {}
        result["spec"] = {**outputs["spec"], **{k: UNKNOWN for k in ("clusterIP", "clusterIPs") if k not in given}}
    return result


def _merged(old: Any, new: Any) -> Any:
    return {**old, **new} if isinstance(old, dict) and isinstance(new, dict) else new


def _written(live: Properties) -> Properties:
    """Return an object without what the server sets, as somebody could have written it."""
    metadata = {key: value for key, value in live["metadata"].items() if key not in _SERVER_SET}
    return {**{key: value for key, value in live.items() if key != "status"}, "metadata": metadata}


def _seen(inputs: Properties, live: Properties) -> Properties:
    """Return the inputs with the values that their fields have in the cluster; what is missing there is left out."""
    seen = _project(reveal(inputs), live)
    texts = reveal(inputs).get("stringData")
    if isinstance(texts, dict):
        stored = live.get("data") or {}
        seen["stringData"] = {key: base64.b64decode(stored[key]).decode() for key in texts if key in stored}
    annotations = (reveal(inputs).get("metadata") or {}).get("annotations") or {}
    if annotations.get(AUTONAMED):
        seen["metadata"].setdefault("annotations", {})[AUTONAMED] = annotations[AUTONAMED]
    return dict(seen)


def _project(pattern: Any, live: Any) -> Any:
    if isinstance(pattern, dict) and isinstance(live, dict):
        return {key: _project(item, live[key]) for key, item in pattern.items() if key in live}
    if isinstance(pattern, list) and isinstance(live, list) and len(pattern) == len(live):
        return [_project(item, each) for item, each in zip(pattern, live, strict=True)]
    return live
