"""Helm releases of the charts that the local clouds know; each is recorded as a ConfigMap in its namespace."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from localcloud.providers.kubernetes.addons import ADD_ONS, AddOnError, chart_name
from localcloud.providers.kubernetes.api import FIELD_MANAGER, Api, ApiError, ResourceInfo
from localcloud.providers.kubernetes.objects import split_id, suffix
from localcloud.providers.kubernetes.stored import Refused, Request
from localcloud.providers.kubernetes.values import UNKNOWN, Properties, has_unknown, mark_like, reveal

TOKEN = "kubernetes:helm.sh/v3:Release"  # noqa: S105 - a type token
CHART_LABEL = "localcloud.tricorn.dev/chart"
REPLACING = ("name", "namespace", "chart")
_NAMESPACES = ResourceInfo("/api/v1", "namespaces", False)
_CONFIG_MAPS = ResourceInfo("/api/v1", "configmaps", True)


def check(
    name: str, seed: bytes, urn: str, olds: Properties, news: Properties, namespace: str
) -> tuple[Properties, list[tuple[str, str]]]:
    """Complete a release's inputs with a name and a namespace, and check that its chart is known.

    Returns:
        The inputs, and what is wrong with them as pairs of property and reason.
    """
    inputs, known = dict(news), reveal(news)
    inputs.setdefault("name", reveal(olds.get("name")) or f"{name}-{suffix(seed, urn)}")
    inputs.setdefault("namespace", namespace)
    chart = known.get("chart")
    if not isinstance(chart, str):
        return inputs, [] if chart is UNKNOWN else [("chart", "names the chart to install and is required")]
    add_on = ADD_ONS.get(chart_name(chart))
    if add_on is None:
        charts = ", ".join(sorted(ADD_ONS))
        return inputs, [("chart", f"the local clouds know no chart {chart!r}; they know: {charts}")]
    version = known.get("version")
    if add_on.version and isinstance(version, str) and _minor(version) != _minor(add_on.version):
        reason = f"the local clouds have {chart_name(chart)} {add_on.version}, not {version}"
        return inputs, [("version", reason)]
    return inputs, []


def _minor(version: str) -> list[str]:
    return version.removeprefix("v").split(".")[:2]


class Releases:
    """The releases of one cluster."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def preview_create(self, inputs: Properties) -> Properties:
        """Return what installing would give."""
        return _outputs(inputs, None)

    def create(self, inputs: Properties, request: Request) -> tuple[str, Properties]:
        """Install a release and return its id and outputs.

        Raises:
            Refused: If its namespace is missing or the add-on cannot be installed.
        """
        known = reveal(inputs)
        namespace, name, chart = known["namespace"], known["name"], chart_name(known["chart"])
        self._ensure_namespace(namespace, create=known.get("createNamespace") in (True, "true"))
        try:
            ADD_ONS[chart].install(self._api, known.get("values") or {})
        except AddOnError as error:
            raise Refused(str(error)) from None
        marker = self._api.get(_CONFIG_MAPS, namespace, _marker_name(name))
        revision = int((marker or {}).get("data", {}).get("revision", 0)) + 1
        self._record(namespace, name, chart, revision, known)
        return f"{namespace}/{name}", _outputs(inputs, revision)

    def preview_update(self, olds: Properties, inputs: Properties) -> Properties:
        """Return what changing a release would give."""
        return _outputs(inputs, None)

    def update(self, id_: str, inputs: Properties, request: Request) -> Properties:
        """Install the next revision of a release and return its outputs.

        Raises:
            Refused: If the add-on cannot be installed.
        """
        return self.create(inputs, request)[1]

    def read(self, id_: str, inputs: Properties, state: Properties) -> tuple[Properties, Properties] | None:
        """Return a release's inputs and outputs, None if it is gone."""
        namespace, name = split_id(id_)
        marker = self._api.get(_CONFIG_MAPS, namespace, _marker_name(name))
        if marker is None:
            return None
        data = marker["data"]
        known = inputs or {"chart": data["chart"], "version": data["version"], "name": name, "namespace": namespace}
        return known, _outputs(known, int(data["revision"]))

    def delete(self, id_: str, state: Properties, request: Request) -> None:
        """Delete a release; like Helm, leave its namespace and custom resource definitions."""
        namespace, name = split_id(id_)
        try:
            self._api.request("DELETE", _CONFIG_MAPS.path(namespace, _marker_name(name)))
        except ApiError as error:
            if error.status != 404:
                raise

    def _ensure_namespace(self, namespace: str, *, create: bool) -> None:
        if self._api.get(_NAMESPACES, None, namespace) is not None:
            return
        if not create:
            raise Refused(f"namespace {namespace!r} does not exist; create it or set createNamespace")
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        try:
            self._api.request("POST", _NAMESPACES.path(None), body=body, query={"fieldManager": FIELD_MANAGER})
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise

    def _record(self, namespace: str, name: str, chart: str, revision: int, inputs: dict[str, Any]) -> None:
        values = json.dumps(inputs.get("values") or {}, sort_keys=True)
        marker = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": _marker_name(name),
                "namespace": namespace,
                "labels": {CHART_LABEL: chart, "app.kubernetes.io/managed-by": "Helm"},
            },
            "data": {
                "chart": chart,
                "version": str(inputs.get("version") or ADD_ONS[chart].version),
                "revision": str(revision),
                "note": ADD_ONS[chart].note,
                # Only a digest: values may hold secrets.
                "values-sha256": hashlib.sha256(values.encode()).hexdigest(),
            },
        }
        self._api.apply(_CONFIG_MAPS, marker, force=True)


def _marker_name(release: str) -> str:
    return f"helm-release-{release}"


def _outputs(inputs: Properties, revision: int | None) -> Properties:
    """Return a release's outputs; without revision those of a preview."""
    known = reveal(inputs)
    status: Any = UNKNOWN
    if revision is not None and not has_unknown(known):
        status = {
            "name": known["name"],
            "namespace": known["namespace"],
            "chart": chart_name(known["chart"]),
            "version": str(known.get("version") or ""),
            "revision": revision,
            "status": "deployed",
        }
    return {**mark_like(known, inputs), "status": status}
