"""Where nodes get container images from: public registries, and the caches that a cloud's own registry has for them.

A public registry answers unless it has been cut off. A cloud's own registry answers for what one of its cache rules
covers: from the cache what has been pulled through it before, and else from the public registry behind the rule. Like
a kubelet, a node asks nobody for an image that it has, unless the pod's pull policy says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from localcloud.store import JsonDict, Resource, Store

_HUB = "docker.io"
_HUB_HOSTS = ("registry-1.docker.io", "index.docker.io", "registry.hub.docker.com")
_ECR = re.compile(r"^(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com$")
_ARTIFACT_REGISTRY = re.compile(r"^(?P<location>[a-z0-9-]+)-docker\.pkg\.dev$")
_ACR = re.compile(r"^(?P<registry>[a-z0-9]+)\.azurecr\.io$")
_PUBLIC_REPOSITORIES = {"DOCKER_HUB": _HUB}
_OPERATION, _CUT = "pull", "down"
_FOR_EVER = 1 << 31


class PullError(Exception):
    """An image cannot be had now; the text says from whom and why, `reason` what a kubelet calls it."""

    def __init__(self, message: str, reason: str = "ErrImagePull") -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Reference:
    """A container image: registry, path in it, and what decides its content."""

    host: str
    path: str
    tag: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Take a reference apart as a kubelet does: without a registry it is one of Docker Hub's."""
        name, _, digest = text.partition("@")
        head, _, last = name.rpartition("/")
        last, _, tag = last.partition(":")
        path = f"{head}/{last}" if head else last
        host, slash, rest = path.partition("/")
        if not slash or not ("." in host or ":" in host or host == "localhost"):
            host, rest = _HUB, path if slash else f"library/{path}"
        return cls(_HUB if host in _HUB_HOSTS else host, rest, tag or ("" if digest else "latest"), digest)

    @property
    def repository(self) -> str:
        """Registry and path."""
        return f"{self.host}/{self.path}"

    @property
    def content(self) -> str:
        """What decides the content: the digest, else the tag."""
        return self.digest or self.tag

    def at(self, host: str, path: str) -> Reference:
        """Return the same content in another place."""
        return Reference(host, path, self.tag, self.digest)


def pull(store: Store, cloud: str, node: str, image: str, policy: str) -> bool:
    """Have an image on a node; return whether it had to be pulled.

    Args:
        store: State of the clouds.
        cloud: Cloud of the node.
        node: The node's name, unique in the cloud.
        image: Reference as the pod names it.
        policy: The container's imagePullPolicy.

    Raises:
        PullError: If it is not there and nobody gives it.
    """
    wanted = Reference.parse(image)
    place = f"node/{node}"
    if policy != "Always" and _has(store, cloud, place, wanted):
        return False
    if policy == "Never":
        raise PullError(f'image "{image}" is not on the node and its pull policy is Never', "ErrImageNeverPull")
    _fetch(store, cloud, wanted)
    _keep(store, cloud, place, wanted)
    return True


def cut_off(store: Store, host: str) -> None:
    """Have a registry, such as docker.io, answer nobody until it is `reconnect`ed."""
    reconnect(store, host)
    store.add_fault("*", _OPERATION, host, _CUT, times=_FOR_EVER)


def reconnect(store: Store, host: str) -> None:
    """Have a registry answer again."""
    with store.connect() as db:
        db.execute("delete from faults where cloud='*' and operation=? and type_glob=?", (_OPERATION, host))


def _fetch(store: Store, cloud: str, wanted: Reference) -> None:
    _require_up(store, wanted.host)
    owner = _owner(wanted.host)
    if not owner:
        return
    source = next(_sources(store, owner, wanted), None)
    if source is None:
        raise PullError(
            f"{wanted.repository}: not found: no image was pushed there and no cache rule of the registry covers it"
        )
    if _has(store, owner, f"registry/{wanted.host}", wanted):
        return
    try:
        _require_up(store, source.host)
    except PullError as error:
        raise PullError(f"{wanted.repository}:{wanted.content} is not cached yet, and {error}") from None
    _keep(store, owner, f"registry/{wanted.host}", wanted)


def _require_up(store: Store, host: str) -> None:
    with store.connect() as db:
        cut = db.execute(
            "select 1 from faults where cloud='*' and operation=? and kind=? and ? glob type_glob limit 1",
            (_OPERATION, _CUT, host),
        ).fetchone()
    if cut is not None:
        raise PullError(f"{host}: connection timed out")


def _owner(host: str) -> str:
    """Return the cloud whose registry has a host name, empty for a public one."""
    for cloud, pattern in (("aws", _ECR), ("gcp", _ARTIFACT_REGISTRY), ("azure", _ACR)):
        if pattern.match(host):
            return cloud
    return ""


def _sources(store: Store, owner: str, wanted: Reference) -> Iterator[Reference]:
    """Yield the public images that a cloud's registry stands for when asked for one, the most exact rule first."""
    found = {"aws": _ecr_sources, "gcp": _artifact_registry_sources, "azure": _acr_sources}[owner](store, wanted)
    yield from (each for _, each in sorted(found, key=lambda pair: -pair[0]))


def _ecr_sources(store: Store, wanted: Reference) -> Iterator[tuple[int, Reference]]:
    match = _ECR.match(wanted.host)
    assert match is not None  # noqa: S101 - the owner was found by it
    for rule in _active(store, "aws", "aws:ecr/pullThroughCacheRule:PullThroughCacheRule"):
        if str(_value(rule, "registryId") or match["account"]) != match["account"]:
            continue
        if str(_value(rule, "region") or match["region"]) != match["region"]:
            continue
        prefix = str(rule.inputs["ecrRepositoryPrefix"])
        if prefix == "ROOT":
            path = wanted.path
        elif wanted.path.startswith(f"{prefix}/"):
            path = wanted.path.removeprefix(f"{prefix}/")
        else:
            continue
        upstream = Reference.parse(f"{rule.inputs['upstreamRegistryUrl']}/{path}:x")
        yield len(prefix), wanted.at(upstream.host, upstream.path)


def _artifact_registry_sources(store: Store, wanted: Reference) -> Iterator[tuple[int, Reference]]:
    match = _ARTIFACT_REGISTRY.match(wanted.host)
    assert match is not None  # noqa: S101 - the owner was found by it
    project, _, rest = wanted.path.partition("/")
    repository, _, path = rest.partition("/")
    for row in _active(store, "gcp", "gcp:artifactregistry/repository:Repository"):
        place = (_value(row, "project"), _value(row, "location"), _value(row, "repositoryId"))
        if place != (project, match["location"], repository) or row.inputs.get("mode") != "REMOTE_REPOSITORY":
            continue
        yield 0, wanted.at(_remote_host(row.inputs.get("remoteRepositoryConfig") or {}), path)


def _remote_host(config: JsonDict) -> str:
    docker = config.get("dockerRepository") or {}
    if name := docker.get("publicRepository"):
        return _PUBLIC_REPOSITORIES.get(str(name), str(name).lower())
    uri = (config.get("commonRepository") or docker.get("customRepository") or {}).get("uri") or ""
    host = str(uri).removeprefix("https://").partition("/")[0]
    return _HUB if host in _HUB_HOSTS else host


def _acr_sources(store: Store, wanted: Reference) -> Iterator[tuple[int, Reference]]:
    match = _ACR.match(wanted.host)
    assert match is not None  # noqa: S101 - the owner was found by it
    for rule in _active(store, "azure", "azure-native:containerregistry:CacheRule"):
        if str(rule.inputs.get("registryName", "")).lower() != match["registry"]:
            continue
        source, target = str(rule.inputs["sourceRepository"]), str(rule.inputs["targetRepository"])
        if target.endswith("/*") and source.endswith("/*"):
            if not wanted.path.startswith(target[:-1]):
                continue
            upstream = source[:-1] + wanted.path.removeprefix(target[:-1])
        elif wanted.path == target:
            upstream = source
        else:
            continue
        found = Reference.parse(f"{upstream}:x")
        yield len(target), wanted.at(found.host, found.path)


def _active(store: Store, cloud: str, kind: str) -> list[Resource]:
    return [each for each in store.resources(cloud, kind) if each.state == "active"]


def _value(row: Resource, key: str) -> object:
    return row.inputs.get(key) or row.outputs.get(key)


def _has(store: Store, cloud: str, place: str, wanted: Reference) -> bool:
    with store.connect() as db:
        row = db.execute(
            "select 1 from images where cloud=? and place=? and repository=? and content=?",
            (cloud, place, wanted.repository, wanted.content),
        ).fetchone()
    return row is not None


def _keep(store: Store, cloud: str, place: str, wanted: Reference) -> None:
    with store.connect() as db:
        for content in {wanted.digest, wanted.tag} - {""}:
            db.execute("insert or replace into images values(?,?,?,?)", (cloud, place, wanted.repository, content))
