"""From a pod's specification to what its containers see: user, environment, command line, mounts. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from localcloud.nodes.sandbox import Mount

Object = dict[str, Any]
_REFERENCE = re.compile(r"\$(\$|\(([-._a-zA-Z0-9]+)\))")


class ConfigError(Exception):
    """A container cannot be made as its pod asks; the text names what and why."""


def user(pod: Object, container: Object) -> tuple[int, int]:
    """Return the user and group id of a container; images run as user 0 unless told otherwise.

    Raises:
        ConfigError: If `runAsNonRoot` forbids that.
    """
    contexts = [container.get("securityContext") or {}, pod["spec"].get("securityContext") or {}]

    def setting(name: str, default: Any) -> Any:
        return next((context[name] for context in contexts if context.get(name) is not None), default)

    uid, gid = int(setting("runAsUser", 0)), int(setting("runAsGroup", 0))
    if uid == 0 and setting("runAsNonRoot", False):
        raise ConfigError(
            f"container {container['name']}: has runAsNonRoot and its image runs as root; set runAsUser to another user"
        )
    return uid, gid


def read_only_root(container: Object) -> bool:
    """Return whether the container's own file system is read-only."""
    return bool((container.get("securityContext") or {}).get("readOnlyRootFilesystem", False))


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by the variable's value; unknown names stay, `$$` is one dollar sign."""

    def replace(found: re.Match[str]) -> str:
        if found[1] == "$":
            return "$"
        return environment.get(found[2], found[0])

    return _REFERENCE.sub(replace, text)


def references(containers: Sequence[Object]) -> set[tuple[str, str]]:
    """Return ("configmaps" or "secrets", name) of everything that the containers' environments are taken from."""
    found = set()
    for container in containers:
        for source in container.get("envFrom") or []:
            for field, plural in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
                if field in source:
                    found.add((plural, source[field]["name"]))
        for entry in container.get("env") or []:
            for field, plural in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
                if field in (entry.get("valueFrom") or {}):
                    found.add((plural, entry["valueFrom"][field]["name"]))
    return found


def environment(
    pod: Object, container: Object, base: Mapping[str, str], data: Mapping[tuple[str, str], Mapping[str, str]]
) -> dict[str, str]:
    """Return a container's variables.

    Args:
        pod: The pod, with its addresses in `status`.
        container: The container.
        base: Variables of the image and of the node; the manifest's win.
        data: Values of the ConfigMaps and Secrets of `references`, as text.

    Raises:
        ConfigError: If a referenced object or key is missing and not optional.
    """
    result = dict(base)
    for source in container.get("envFrom") or []:
        for field, plural in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
            if field in source:
                values = data.get((plural, source[field]["name"]))
                if values is None and not source[field].get("optional"):
                    raise ConfigError(f"{plural.rstrip('s')} {source[field]['name']!r} not found")
                result.update({source.get("prefix", "") + key: value for key, value in (values or {}).items()})
    for entry in container.get("env") or []:
        value = _value(pod, container, entry, data)
        if value is not None:
            result[entry["name"]] = expand(value, result) if "valueFrom" not in entry else value
    return result


def _value(
    pod: Object, container: Object, entry: Object, data: Mapping[tuple[str, str], Mapping[str, str]]
) -> str | None:
    source = entry.get("valueFrom")
    if not source:
        return str(entry.get("value", ""))
    if "fieldRef" in source:
        return field_value(pod, source["fieldRef"]["fieldPath"])
    for field, plural in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
        if field in source:
            reference = source[field]
            found = data.get((plural, reference["name"]), {}).get(reference["key"])
            if found is None and not reference.get("optional"):
                raise ConfigError(
                    f"container {container['name']}: variable {entry['name']} needs key {reference['key']!r} of "
                    f"{plural.rstrip('s')} {reference['name']!r}, which does not exist"
                )
            return found
    if "resourceFieldRef" in source:
        return _resource_value(container, source["resourceFieldRef"])
    raise ConfigError(f"container {container['name']}: source of variable {entry['name']} is not supported here")


def field_value(pod: Object, path: str) -> str:
    """Return what the downward API gives for a field path.

    Raises:
        ConfigError: If the path is none it knows.
    """
    simple = {
        "metadata.name": pod["metadata"]["name"],
        "metadata.namespace": pod["metadata"]["namespace"],
        "metadata.uid": pod["metadata"]["uid"],
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", "default"),
        "status.podIP": (pod.get("status") or {}).get("podIP", ""),
        "status.podIPs": (pod.get("status") or {}).get("podIP", ""),
        "status.hostIP": (pod.get("status") or {}).get("hostIP", ""),
    }
    if path in simple:
        return str(simple[path])
    for name in ("labels", "annotations"):
        values = pod["metadata"].get(name) or {}
        if path == f"metadata.{name}":
            return "\n".join(f'{key}="{value}"' for key, value in sorted(values.items()))
        if path.startswith(f"metadata.{name}['") and path.endswith("']"):
            return str(values.get(path.removeprefix(f"metadata.{name}['").removesuffix("']"), ""))
    raise ConfigError(f"field path {path!r} is not supported here")


def _resource_value(container: Object, reference: Object) -> str:
    kind, _, name = reference["resource"].partition(".")
    found = ((container.get("resources") or {}).get(kind) or {}).get(name, "0")
    divisor = quantity(str(reference.get("divisor") or "1")) or 1.0
    return str(-int(-quantity(str(found)) // divisor))


_SUFFIXES = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def quantity(text: str) -> float:
    """Return a Kubernetes quantity such as `500m` or `2Gi` as a number of units or bytes."""
    number = text.rstrip("kmMGTKi")
    return float(number) * _SUFFIXES.get(text[len(number) :], 1.0)


def mounts(container: Object, volumes: Mapping[str, tuple[Path, bool]]) -> list[Mount]:
    """Return a container's mounts.

    Args:
        container: The container.
        volumes: Path of every volume of the pod by name, and whether its kind is read-only.

    Raises:
        ConfigError: If a mount names no volume of the pod, or leaves it.
    """
    result = []
    for mount in container.get("volumeMounts") or []:
        if mount["name"] not in volumes:
            raise ConfigError(f"container {container['name']}: mounts volume {mount['name']!r}, which the pod lacks")
        source, fixed = volumes[mount["name"]]
        if below := mount.get("subPath"):
            if ".." in Path(below).parts:
                raise ConfigError(f"container {container['name']}: subPath {below!r} must not contain '..'")
            if not (source / below).exists():
                (source / below).mkdir(parents=True)
            source = source / below
        result.append(Mount(source, mount["mountPath"], fixed or bool(mount.get("readOnly"))))
    return result
