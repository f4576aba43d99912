"""Which resources belong to the sites and authorities that a stack leaves as they are.

The deploy command names them to the engine; the program stops where something of them was not named.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from serving.settings import Settings

EXCLUDE_VARIABLE = "PULUMI_OPTION_EXCLUDE"
"""The engine's `--exclude` as a variable, which the program sees, too: URNs or patterns, separated by commas."""
CI = "ci"
"""Name of the component with the pipeline's identities; the part on each cloud is called `ci-<cloud>`."""
_AUTHORITIES = {
    "route53": ("endpoint-route53", "endpoint-aws"),
    "cloudDns": ("endpoint-cloud-dns", "endpoint-gcp"),
}
"""Name in the settings to the names of the authority's component and of the endpoint's own provider for it."""
_SHARED = ("tricorn:index:GlobalEndpoint", "tricorn:index:CiIdentity")
"""Components with parts on several clouds."""
_SERVING_CLUSTER = "ServingCluster"
_PROVIDER = "pulumi:providers:"


@dataclass(frozen=True)
class _Entry:
    urn: str
    types: tuple[str, ...]
    """Its own type, last, after those of the components it is part of."""
    name: str


def frozen_resources(urns: Iterable[str], settings: Settings) -> dict[str, list[str]]:
    """Find everything of the frozen sites and authorities.

    URNs and no patterns: what begins like one site's names may belong to another site.

    Args:
        urns: Of everything in the stack's state.
        settings: The stack's settings.

    Returns:
        URNs by frozen name, in the order given; and by `ci-<cloud>` where every site of a cloud is frozen. The list
        is empty for a name of which the state holds nothing.
    """
    entries = [_entry(urn) for urn in dict.fromkeys(urns)]
    clusters = {each.name for each in entries if each.types[-1].endswith(_SERVING_CLUSTER)}
    sites = {*settings.sites, *clusters}
    found: dict[str, list[str]] = {}
    for name in settings.frozen:
        own = [each for each in entries if _of_authority(each, name) or _of_site(each, name, sites)]
        found[name] = [each.urn for each in own]
    for name in _lost_identities(settings):
        if urns_of_it := [each.urn for each in entries if _called(each.name, name)]:
            found[name] = urns_of_it
    taken = {urn for each in found.values() for urn in each}
    # A component is as frozen as what it is made of.
    for entry in (each for each in entries if each.types[-1] in _SHARED):
        parts = {each.urn for each in entries if entry.types[-1] in each.types[:-1]}
        if parts and parts <= taken:
            found[next(name for name, each in found.items() if not parts.isdisjoint(each))].append(entry.urn)
    return found


def _lost_identities(settings: Settings) -> list[str]:
    """Names of the pipeline's identities on clouds of which every site is frozen."""
    clouds = {site.cloud for site in settings.sites.values()}
    alive = {site.cloud for name, site in settings.sites.items() if name not in settings.frozen}
    return [f"{CI}-{cloud}" for cloud in sorted(clouds - alive)]


def _entry(urn: str) -> _Entry:
    _, _, types, name = urn.split("::", 3)
    return _Entry(urn, tuple(types.split("$")), name)


def _called(name: str, owner: str) -> bool:
    return name == owner or name.startswith(f"{owner}-")


def _of_authority(entry: _Entry, authority: str) -> bool:
    if authority not in _AUTHORITIES:
        return False
    component, provider = _AUTHORITIES[authority]
    return _called(entry.name, component) or (entry.name == provider and entry.types[-1].startswith(_PROVIDER))


def _of_site(entry: _Entry, site: str, sites: Collection[str]) -> bool:
    # The longest name wins: `gcp-iowa-2-ingress` is of `gcp-iowa-2`, not of `gcp-iowa`; the settings forbid such a
    # pair, but a site that is being taken away may still be in the state.
    return _called(entry.name, site) and not any(
        len(other) > len(site) and _called(entry.name, other) for other in sites
    )
