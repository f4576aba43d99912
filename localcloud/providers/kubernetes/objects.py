"""Which Kubernetes object a Pulumi resource stands for: names, ids, and what cannot change in place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from localcloud.providers.kubernetes.values import UNKNOWN, Properties, Unknown, reveal

AUTONAMED = "pulumi.com/autonamed"
SKIP_AWAIT = "pulumi.com/skipAwait"
PROPAGATION = "pulumi.com/deletionPropagationPolicy"
TIMEOUT = "pulumi.com/timeoutSeconds"
_SUFFIX_DIGITS = 7
_LONGEST_NAME = 63

_CLUSTER_SCOPED = {
    "APIService", "CSIDriver", "CSINode", "CertificateSigningRequest", "ClusterRole", "ClusterRoleBinding",
    "CustomResourceDefinition", "FlowSchema", "GatewayClass", "IngressClass", "MutatingWebhookConfiguration",
    "Namespace", "Node", "PersistentVolume", "PriorityClass", "PriorityLevelConfiguration", "RuntimeClass",
    "StorageClass", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration", "VolumeAttachment",
}  # fmt: skip

_SELECTOR = ("spec.selector",)
_IMMUTABLE: dict[str, tuple[str, ...]] = {
    "ClusterRoleBinding": ("roleRef",),
    "ControllerRevision": ("data",),
    "DaemonSet": _SELECTOR,
    "Deployment": _SELECTOR,
    "Job": ("spec.completions", "spec.selector", "spec.template"),
    "PersistentVolumeClaim": ("spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName"),
    "Pod": ("spec",),
    "PriorityClass": ("value", "preemptionPolicy"),
    "ReplicaSet": _SELECTOR,
    "RoleBinding": ("roleRef",),
    "Secret": ("type",),
    "Service": ("spec.clusterIP",),
    "StatefulSet": ("spec.podManagementPolicy", "spec.selector", "spec.serviceName", "spec.volumeClaimTemplates"),
    "StorageClass": ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"),
}
_ALWAYS_IMMUTABLE = ("apiVersion", "kind", "metadata.name", "metadata.namespace")
_CONTENT = ("binaryData", "data", "stringData")


def is_custom(api_version: str) -> bool:
    """Return whether an API group comes from a CustomResourceDefinition rather than from Kubernetes itself."""
    group = api_version.rpartition("/")[0]
    return "." in group and (not group.endswith(".k8s.io") or group.startswith(("gateway.", "snapshot.", "metrics.")))


def cluster_scoped(kind: str) -> bool:
    """Return whether objects of a well-known kind have no namespace."""
    return kind in _CLUSTER_SCOPED


def object_id(live: Properties) -> str:
    """Return the Pulumi id of an object: `namespace/name`, or `name` where there is no namespace."""
    metadata = live["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else str(metadata["name"])


def split_id(id_: str) -> tuple[str | None, str]:
    """Return namespace and name of an id."""
    namespace, _, name = id_.rpartition("/")
    return namespace or None, name


def kind_of_token(token: str) -> Properties:
    """Return apiVersion and kind that a type token names, such as `kubernetes:core/v1:ConfigMap`."""
    _, api_version, kind = token.split(":")
    return {"apiVersion": api_version.removeprefix("core/"), "kind": kind}


def describe(id_: str, token: str, properties: Properties) -> str:
    """Return how messages name an object: `kind namespace/name`."""
    metadata = reveal(properties).get("metadata")
    if not id_ and isinstance(metadata, dict) and isinstance(metadata.get("name"), str):
        id_ = object_id({"metadata": {key: each for key, each in metadata.items() if isinstance(each, str)}})
    if not id_ and isinstance(properties.get("name"), str):
        id_ = str(properties["name"])
    return f"{token.rpartition(':')[2]} {id_}".rstrip()


def same_name(old: Properties, new: Properties) -> bool:
    """Return whether a replacement would have the name of what it replaces, so that this must go first."""
    if "metadata" not in new:
        return bool(old.get("name") == new.get("name"))
    if annotation(new, AUTONAMED) == "true":
        return False  # the replacement gets a name of its own
    before, after = old.get("metadata") or {}, new["metadata"]
    if not isinstance(before, dict) or not isinstance(after, dict):
        return True
    return all(before.get(key) == after.get(key) for key in ("name", "namespace"))


def annotation(manifest: Properties, key: str) -> str:
    """Return an annotation of an object, empty when it has none."""
    annotations = (manifest.get("metadata") or {}).get("annotations") or {}
    value = reveal(annotations).get(key) if isinstance(annotations, dict) else None
    return value if isinstance(value, str) else ""


def suffix(seed: bytes, urn: str) -> str:
    """Return the random part of an automatic name: seven hexadecimal digits."""
    return hashlib.sha256(seed + urn.encode()).hexdigest()[:_SUFFIX_DIGITS]


def check(
    token: str, name: str, seed: bytes, urn: str, olds: Properties, news: Properties, namespace: str
) -> tuple[Properties, list[tuple[str, str]]]:
    """Complete an object's inputs with a name and a namespace.

    Args:
        token: Type token of the resource.
        name: Logical name of the resource.
        seed: Random bytes that stay the same when the engine asks again.
        urn: The resource's URN.
        olds: The inputs of the last update, empty for a new resource; an automatic name is kept.
        news: The program's inputs.
        namespace: Namespace of objects that name none.

    Returns:
        The inputs, and what is wrong with them as pairs of property and reason.
    """
    kind = reveal(news.get("kind"))
    if not isinstance(kind, str) or not isinstance(reveal(news.get("apiVersion")), str):
        return news, [("kind", "a Kubernetes object needs `apiVersion` and `kind`")]
    if token.rpartition(":")[2] == f"{kind}Patch":
        return news, [("kind", "the local clouds support no Patch resources; declare the object itself")]
    metadata = reveal(news.get("metadata") or {})
    if metadata is UNKNOWN:
        return news, []
    if not isinstance(metadata, dict):
        return news, [("metadata", f"must be an object, got {type(metadata).__name__}")]
    metadata = dict(metadata)
    if "name" not in metadata and "generateName" not in metadata:
        if annotation(olds, AUTONAMED) == "true":
            metadata["name"] = reveal(olds["metadata"])["name"]
        else:
            base = name.lower()[: _LONGEST_NAME - _SUFFIX_DIGITS - 1]
            metadata["name"] = f"{base}-{suffix(seed, urn)}"
        annotations = metadata.get("annotations")
        if annotations is None or isinstance(annotations, dict):
            metadata["annotations"] = {**(annotations or {}), AUTONAMED: "true"}
    # Of a custom kind only the server knows whether its objects have a namespace.
    if "namespace" not in metadata and not is_custom(news["apiVersion"]) and not cluster_scoped(kind):
        metadata["namespace"] = namespace
    return {**news, "metadata": metadata}, []


def immutable(api_version: str, kind: str, *, mutable_config_maps: bool, mutable_secrets: bool) -> tuple[str, ...]:
    """Return the paths whose change replaces an object of this kind.

    Like the real provider it replaces ConfigMaps and Secrets with other content unless told that they are mutable.
    """
    if is_custom(api_version):
        return _ALWAYS_IMMUTABLE
    paths = _ALWAYS_IMMUTABLE + _IMMUTABLE.get(kind, ())
    if (kind == "ConfigMap" and not mutable_config_maps) or (kind == "Secret" and not mutable_secrets):
        paths += _CONTENT
    return paths


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, bool, bool]]:
    """Yield what differs as (path, was there before, is there now); paths are written as Pulumi writes them."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({**old, **new}):
            step = _step(path, key)
            if key in old and key in new:
                yield from differences(old[key], new[key], step)
            else:
                yield step, key in old, key in new
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            step = f"{path}[{index}]"
            if index < len(old) and index < len(new):
                yield from differences(old[index], new[index], step)
            else:
                yield step, index < len(old), index < len(new)
    elif isinstance(new, Unknown) or old != new or isinstance(old, bool) != isinstance(new, bool):
        yield path, True, True


def _step(path: str, key: str) -> str:
    if not key.replace("_", "").replace("-", "").isalnum():
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key


def touches(path: str, immutable_path: str) -> bool:
    """Return whether a changed path lies in, or contains, an immutable one."""
    inside = path == immutable_path or path.startswith((f"{immutable_path}.", f"{immutable_path}["))
    return inside or immutable_path.startswith((f"{path}.", f"{path}["))
