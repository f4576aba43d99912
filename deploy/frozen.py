"""Which resources belong to the sites and authorities that a stack leaves as they are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.errors import DeployError
from serving.settings import Settings

_STACK = "pulumi:pulumi:Stack"
_PROVIDER = "pulumi:providers:"
_ENDPOINT = "tricorn:index:GlobalEndpoint"
_SERVING_CLUSTER = "ServingCluster"
_CI = "ci"
"""Name of the component with the pipeline's identities; the part on each cloud is called by the cloud, too."""
_AUTHORITIES = {
    "route53": ("tricorn:index:AwsDnsZone", f"{_PROVIDER}aws"),
    "cloudDns": ("tricorn:index:GcpDnsZone", f"{_PROVIDER}gcp"),
}
"""Name in the settings to the types of the authority's component and of the endpoint's own provider for it."""


@dataclass(frozen=True)
class _Entry:
    urn: str
    type: str
    name: str
    parent: str


def exclusions(state: Mapping[str, Any], settings: Settings) -> dict[str, list[str]]:
    """Find everything of the frozen sites and authorities.

    URNs and no patterns: what begins like one site's names may belong to another site.

    Args:
        state: What `pulumi stack export` prints.
        settings: The stack's settings.

    Returns:
        URNs by frozen name, as the state orders them; and by `ci-<cloud>` where all sites of a cloud are frozen.

    Raises:
        DeployError: If the state holds nothing of a frozen name.
    """
    entries = _entries(state)
    found = {
        name: [
            each.urn for each in (_authority(entries, name) if name in _AUTHORITIES else _site(entries, name, settings))
        ]
        for name in settings.frozen
    }
    if absent := [name for name, urns in found.items() if not urns]:
        raise DeployError(
            f"frozen: {', '.join(absent)} must be deployed already (got no resource of it in the stack's state); "
            "remove it from frozen, or the site from sites until its cloud answers"
        )
    found |= {name: urns for name in _lost_identities(settings) if (urns := _named(entries, name))}
    taken = {urn for urns in found.values() for urn in urns}
    # A component is as frozen as what it is made of.
    for entry in entries:
        children = [each.urn for each in entries if each.parent == entry.urn]
        if entry.urn not in taken and entry.type == _ENDPOINT and children and taken.issuperset(children):
            next(iter(found.values())).append(entry.urn)
    return found


def _lost_identities(settings: Settings) -> list[str]:
    """Names of the pipeline's identities on clouds of which every site is frozen."""
    clouds = {site.cloud for site in settings.sites.values()}
    alive = {site.cloud for name, site in settings.sites.items() if name not in settings.frozen}
    return [f"{_CI}-{cloud}" for cloud in sorted(clouds - alive)]


def _named(entries: list[_Entry], name: str) -> list[str]:
    return [each.urn for each in entries if each.name == name or each.name.startswith(f"{name}-")]


def _entries(state: Mapping[str, Any]) -> list[_Entry]:
    deployment = state.get("deployment") or {}
    unique = {
        each["urn"]: _Entry(each["urn"], each["type"], each["urn"].rpartition("::")[2], each.get("parent", ""))
        for each in deployment.get("resources") or []
    }
    return list(unique.values())


def _site(entries: list[_Entry], site: str, settings: Settings) -> Iterator[_Entry]:
    """Yield the site's own components and providers at the top, and everything below them."""
    by_urn = {each.urn: each for each in entries}
    top = {each.urn: _top(each, by_urn) for each in entries}
    others = {*settings.sites, *(each.name for each in top.values() if each.type.endswith(_SERVING_CLUSTER))} - {site}

    def belongs(name: str) -> bool:
        if name != site and not name.startswith(f"{site}-"):
            return False
        # The longest name wins: `gcp-iowa-2-ingress` is of `gcp-iowa-2`, not of `gcp-iowa`.
        return not any(len(other) > len(site) and (name == other or name.startswith(f"{other}-")) for other in others)

    for entry in entries:
        if entry.type != _STACK and belongs(top[entry.urn].name):
            yield entry


def _authority(entries: list[_Entry], authority: str) -> Iterator[_Entry]:
    component, provider = _AUTHORITIES[authority]
    by_urn = {each.urn: each for each in entries}
    endpoints = {each.name for each in entries if each.type == _ENDPOINT}
    for entry in entries:
        line = list(_line(entry, by_urn))
        inside = any(each.type == component for each in line) and any(each.type == _ENDPOINT for each in line)
        own_provider = entry.type == provider and any(
            entry.name == f"{name}-{provider.removeprefix(_PROVIDER)}" for name in endpoints
        )
        if inside or own_provider:
            yield entry


def _top(entry: _Entry, by_urn: Mapping[str, _Entry]) -> _Entry:
    """The ancestor right below the stack, which may be the resource itself."""
    return [each for each in _line(entry, by_urn) if each.type != _STACK or each is entry][-1]


def _line(entry: _Entry, by_urn: Mapping[str, _Entry]) -> Iterator[_Entry]:
    """Yield the resource, its parent, and so on up to the stack."""
    here: _Entry | None = entry
    while here is not None:
        yield here
        here = by_urn.get(here.parent)
