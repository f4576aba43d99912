"""Envoy Gateway's own translator on a cluster's objects: which Envoy resources they mean, and which status they get."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Object = dict[str, Any]
_TIMEOUT_S = 60
_STATUS_KEYS = {
    "gateways": "Gateway",
    "httpRoutes": "HTTPRoute",
    "grpcRoutes": "GRPCRoute",
    "clientTrafficPolicies": "ClientTrafficPolicy",
    "backendTrafficPolicies": "BackendTrafficPolicy",
    "securityPolicies": "SecurityPolicy",
    "backends": "Backend",
    "backendTLSPolicies": "BackendTLSPolicy",
}
_NEEDED = ("kind", "apiVersion", "metadata", "spec", "data", "type")
_METADATA = ("name", "namespace", "labels", "annotations", "generation", "creationTimestamp")


class TranslationError(Exception):
    """The translator refused the objects as a whole; the text is its reason."""


@dataclass
class GatewayResources:
    """Envoy's resources for one Gateway, as the translator gave them: addresses are simulated ones."""

    listeners: list[Object] = field(default_factory=list)
    routes: list[Object] = field(default_factory=list)
    clusters: list[Object] = field(default_factory=list)
    endpoints: list[Object] = field(default_factory=list)


@dataclass
class Translation:
    """Resources by (namespace, name) of the Gateway, and statuses by (kind, namespace, name)."""

    gateways: dict[tuple[str, str], GatewayResources] = field(default_factory=dict)
    statuses: dict[tuple[str, str, str], Object] = field(default_factory=dict)


def plain(found: Object) -> Object:
    """Return an object without its status and bookkeeping: what a person would have applied."""
    kept = {key: found[key] for key in _NEEDED if key in found}
    kept["metadata"] = {key: value for key, value in found["metadata"].items() if key in _METADATA}
    return kept


def translate(egctl: str, objects: Iterable[Object]) -> Translation:
    """Run the translator.

    Args:
        egctl: Path of the program.
        objects: GatewayClasses, Gateways, routes, policies, Backends, Namespaces, Services, Secrets and ConfigMaps.

    Raises:
        TranslationError: If it refuses them or prints something else than its result.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        # JSON is YAML; one document per object.
        file.write("\n---\n".join(json.dumps(plain(each)) for each in objects))
        file.flush()
        command = [egctl, "x", "translate", "--from", "gateway-api", "--to", "gateway-api,xds"]
        done = subprocess.run(
            [*command, "--file", str(Path(file.name)), "--output", "json"],
            capture_output=True, text=True, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    if done.returncode != 0:
        raise TranslationError((done.stderr or done.stdout).strip().splitlines()[0][:500])
    try:
        return read(json.loads(done.stdout))
    except (ValueError, KeyError) as error:
        raise TranslationError(f"unexpected output of the translator: {error!r}") from None


def read(document: Object) -> Translation:
    """Take the translator's JSON output apart."""
    result = Translation()
    for key, kind in _STATUS_KEYS.items():
        for each in document.get(key) or []:
            if status := each.get("status"):
                metadata = each["metadata"]
                result.statuses[(kind, metadata.get("namespace", ""), metadata["name"])] = status
    proxy = document.get("envoyProxyForGatewayClass") or {}
    if status := proxy.get("status"):
        metadata = proxy["metadata"]
        result.statuses[("EnvoyProxy", metadata.get("namespace", ""), metadata["name"])] = status
    for name, dump in (document.get("xds") or {}).items():
        namespace, _, gateway = name.partition("/")
        found = GatewayResources()
        for config in dump["configs"]:
            found.listeners += [each["activeState"]["listener"] for each in config.get("dynamicListeners") or []]
            found.routes += [each["routeConfig"] for each in config.get("dynamicRouteConfigs") or []]
            found.clusters += [each["cluster"] for each in config.get("dynamicActiveClusters") or []]
            found.endpoints += [each["endpointConfig"] for each in config.get("dynamicEndpointConfigs") or []]
        result.gateways[(namespace, gateway)] = found
    return result
