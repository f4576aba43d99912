"""What the known Helm charts stand for on a local cluster."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import toolchain
from localcloud.providers.kubernetes.api import Api, ApiError
from toolchain.pins import CERT_MANAGER, GATEWAY

_APPLY = "application/apply-patch+yaml"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_MANAGER = "helm"
_PARALLEL = 4
_SERVED_WITHIN_S = 60.0
_NAME = re.compile(r"^  name: ([a-z0-9-]+)\.([a-z0-9.-]+)$", re.MULTILINE)
_POLL_S = 0.1


class AddOnError(Exception):
    """An add-on cannot be installed; the text says why."""


@dataclass(frozen=True)
class AddOn:
    """A chart that the provider knows.

    Attributes:
        note: What stands for it.
        install: Installs it with the release's values.
        version: The only one there is, if so.
    """

    note: str
    install: Callable[[Api, Mapping[str, Any]], None]
    version: str = ""


@dataclass(frozen=True)
class Definition:
    """One CustomResourceDefinition as YAML text."""

    plural: str
    group: str
    text: str


def definitions(directory: Path) -> list[Definition]:
    """Return the CustomResourceDefinitions in a directory of YAML files.

    Megabytes of YAML are only cut apart: parsing them is left to the API server, which is far quicker at it.

    Raises:
        AddOnError: If there is none.
    """
    found = []
    for file in sorted(directory.glob("*.yaml")):
        for text in re.split(r"^---$", file.read_text(), flags=re.MULTILINE):
            name = _NAME.search(text)
            if name and re.search(r"^kind: CustomResourceDefinition$", text, re.MULTILINE):
                found.append(Definition(name[1], name[2], text))
    if not found:
        raise AddOnError(f"{directory} holds no CustomResourceDefinition; `make tools` fetches them")
    return found


def _served(api: Api, group: str) -> set[str]:
    """Return the plural names of the kinds that are served in an API group."""
    try:
        versions = api.request("GET", f"/apis/{group}")["versions"]
        lists = [api.request("GET", f"/apis/{each['groupVersion']}")["resources"] for each in versions]
    except ApiError as error:
        if error.status == 404:
            return set()
        raise
    return {each["name"] for resources in lists for each in resources}


def _install_definitions(api: Api, wanted: list[Definition]) -> None:
    """Apply definitions and wait until their kinds are served."""

    def apply(each: Definition) -> None:
        path, query = f"{_DEFINITIONS}/{each.plural}.{each.group}", {"fieldManager": _MANAGER, "force": "true"}
        api.request("PATCH", path, query=query, body=each.text.encode(), content_type=_APPLY)

    with ThreadPoolExecutor(_PARALLEL) as pool:
        list(pool.map(apply, sorted(wanted, key=lambda each: -len(each.text))))
    deadline = time.monotonic() + _SERVED_WITHIN_S
    for group in sorted({each.group for each in wanted}):
        plurals = {each.plural for each in wanted if each.group == group}
        while missing := plurals - _served(api, group):
            if time.monotonic() > deadline:
                names = ", ".join(sorted(missing))
                raise AddOnError(f"kinds of {group} are not served after {_SERVED_WITHIN_S:.0f} s: {names}")
            time.sleep(_POLL_S)


def _install_gateway(api: Api, values: Mapping[str, Any]) -> None:
    _install_definitions(api, definitions(toolchain.gateway_crds()))


def _install_cert_manager(api: Api, values: Mapping[str, Any]) -> None:
    if (values.get("crds") or {}).get("enabled") is not True and values.get("installCRDs") is not True:
        # The chart says the same by leaving a controller behind that finds no kinds.
        raise AddOnError("cert-manager installs its kinds only with the value crds.enabled: true")
    _install_definitions(api, definitions(toolchain.cert_manager_crds()))


def _install_nothing(api: Api, values: Mapping[str, Any]) -> None:
    """Nothing is needed: the local cloud does itself what the add-on is for."""


ADD_ONS = {
    "aws-load-balancer-controller": AddOn(
        "local add-on: the cloud itself gives Services of type LoadBalancer their addresses", _install_nothing
    ),
    "cluster-autoscaler": AddOn(
        "local add-on: the cloud itself starts and ends nodes for pods that find no room", _install_nothing
    ),
    "gateway-helm": AddOn(
        "local add-on: the custom resources of Gateway API and Envoy Gateway; the cloud itself translates them",
        _install_gateway,
        GATEWAY.version,
    ),
    "cert-manager": AddOn(
        "local add-on: cert-manager's custom resources; the cloud itself issues the certificates",
        _install_cert_manager,
        CERT_MANAGER.version,
    ),
    "nvidia-device-plugin": AddOn(
        "local add-on: nodes with simulated GPUs, computing on the CPU, advertise nvidia.com/gpu themselves",
        _install_nothing,
    ),
}


def chart_name(chart: str) -> str:
    """Return the name of a chart given as name, path or `oci://` address."""
    return chart.rstrip("/").rpartition("/")[2]
