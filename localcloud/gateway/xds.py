"""Envoy configuration files for a translated Gateway, with simulated addresses mapped to loopback.

Envoy reads its resources from files and watches their directory, so that weights and endpoints change without a restart
or a lost connection, as they do when Envoy Gateway sends them over the network.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from localcloud.addresses import to_loopback
from localcloud.certificates import write_private
from localcloud.gateway.secrets import SecretName, references
from localcloud.gateway.translate import GatewayResources

Object = dict[str, Any]
Backends = Mapping[tuple[str, int], Sequence[tuple[str, int]]]
"""(simulated service address, port) to the (simulated pod address, port) pairs that are ready."""
_LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"


def file_name(kind: str, name: str) -> str:
    """Return the file of one resource; names hold slashes, and a hash keeps them apart."""
    return f"{kind}-{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"


def source(directory: Path, file: str) -> Object:
    """Return an Envoy config source that watches a file."""
    path = {"path": str(directory / file), "watchedDirectory": {"path": str(directory)}}
    return {"pathConfigSource": path, "resourceApiVersion": "V3"}


def bootstrap(directory: Path, admin: tuple[str, int], node: str) -> Object:
    """Return Envoy's bootstrap configuration."""
    return {
        "node": {"id": node, "cluster": node},
        "admin": {"address": {"socketAddress": {"address": admin[0], "portValue": admin[1]}}},
        "dynamicResources": {
            "ldsConfig": source(directory, "listeners.json"),
            "cdsConfig": source(directory, "clusters.json"),
        },
    }


def files(
    resources: GatewayResources,
    directory: Path,
    ports: Mapping[int, int],
    addresses: Sequence[str],
    backends: Backends,
    secrets: Mapping[SecretName, Object] = MappingProxyType({}),
) -> dict[str, list[Object]]:
    """Return the resources of every file, in the order in which they must be written.

    Args:
        resources: What the translator gave.
        directory: Where the files will lie.
        ports: Container port of a listener to the port of the load balancer; other listeners are left out.
        addresses: Public addresses of the load balancer.
        backends: Ready pods behind each service address.
        secrets: Content of the certificates and authorities that the resources name.
    """
    found: dict[str, list[Object]] = {_secret_file(name): [content] for name, content in sorted(secrets.items())}
    for endpoint in resources.endpoints:
        name = file_name("endpoints", endpoint["clusterName"])
        found[name] = [_mapped_endpoints(endpoint, backends)]
    found["clusters.json"] = [_cluster(each, directory) for each in resources.clusters]
    for route in resources.routes:
        found[file_name("routes", route["name"])] = [route]
    found["listeners.json"] = [
        placed for each in resources.listeners for placed in _listener(each, directory, ports, addresses)
    ]
    return found


def write(directory: Path, contents: Mapping[str, list[Object]]) -> bool:
    """Write the files that differ, each in one step and for their owner only; return whether any did.

    Private keys are among them, and callers' keys among the listeners.
    """
    directory.mkdir(parents=True, exist_ok=True)
    changed = False
    for name, resources in contents.items():
        body = json.dumps(resources, sort_keys=True)
        text = json.dumps(
            {"versionInfo": hashlib.sha256(body.encode()).hexdigest()[:16], "resources": resources}, sort_keys=True
        )
        target = directory / name
        if target.exists() and target.read_text() == text:
            continue
        write_private(target, text)
        changed = True
    return changed


def _mapped_endpoints(assignment: Object, backends: Backends) -> Object:
    mapped = copy.deepcopy(assignment)
    for locality in mapped.get("endpoints") or []:
        placed = []
        for entry in locality.get("lbEndpoints") or []:
            socket = entry["endpoint"]["address"]["socketAddress"]
            target = (socket["address"], int(socket["portValue"]))
            for address, port in backends.get(target, () if _is_service(target[0]) else (target,)):
                one = copy.deepcopy(entry)
                one["endpoint"]["address"]["socketAddress"].update(address=to_loopback(address), portValue=port)
                placed.append(one)
        locality["lbEndpoints"] = placed
    return mapped


def _secret_file(name: SecretName) -> str:
    return file_name(f"secret-{name.role}", name.name)


def _place_secrets(resource: Object, directory: Path) -> None:
    for name, reference in references(resource):
        reference["sdsConfig"] = source(directory, _secret_file(name))


def _is_service(address: str) -> bool:
    return address.startswith("10.")


def _cluster(cluster: Object, directory: Path) -> Object:
    mapped = copy.deepcopy(cluster)
    if (eds := mapped.get("edsClusterConfig")) is not None:
        eds["edsConfig"] = source(directory, file_name("endpoints", eds.get("serviceName") or mapped["name"]))
    _place_secrets(mapped, directory)
    return mapped


def _listener(
    listener: Object, directory: Path, ports: Mapping[int, int], addresses: Sequence[str]
) -> Iterator[Object]:
    port = ports.get(int(listener["address"]["socketAddress"]["portValue"]))
    if port is None or not addresses:
        return
    mapped = copy.deepcopy(listener)
    sockets = [{"socketAddress": {"address": to_loopback(each), "portValue": port}} for each in addresses]
    mapped["address"] = sockets[0]
    mapped["additionalAddresses"] = [{"address": each} for each in sockets[1:]]
    mapped.setdefault("@type", _LISTENER)
    for rds in _find(mapped, "rds"):
        rds["configSource"] = source(directory, file_name("routes", rds["routeConfigName"]))
    _place_secrets(mapped, directory)
    yield mapped


def _find(value: object, key: str) -> Iterator[Object]:
    if isinstance(value, dict):
        for name, member in value.items():
            if name == key and isinstance(member, dict):
                yield member
            else:
                yield from _find(member, key)
    elif isinstance(value, list):
        for member in value:
            yield from _find(member, key)
