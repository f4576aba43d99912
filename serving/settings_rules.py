"""Rules of the settings that span several sections."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from serving.settings_refused import REFUSED
from serving.settings_sites import CLOUDS, SYSTEM_POOL

_NO_AUTHORITY = ("azure", "kubernetes")
_TAKEN = ("endpoint", "ci")
"""What the resources of the public name and the pipeline's identities are called."""


def spanning_problems(raw: object) -> list[str]:
    """Mistakes that need several sections to see.

    Args:
        raw: The settings, with `REFUSED` for values that have a line of their own; no rule looks at those, so that
            all mistakes appear together and each of them once.
    """
    if not isinstance(raw, Mapping):
        return []
    sites, pools, models = (mapping(raw.get(key)) for key in ("sites", "pools", "models"))
    dns, ingress = mapping(raw.get("dns")), mapping(raw.get("ingress"))
    return [
        *_site_problems(sites),
        *_name_problems(sites),
        *_zone_problems(sites),
        *_network_problems(sites),
        *(_frozen_problems(raw.get("frozen"), sites) if raw.get("sites") is not REFUSED else ()),
        *_dns_problems(sites, dns),
        *_cluster_problems(mapping(raw.get("cluster"))),
        *_ingress_problems(ingress, raw.get("dns")),
        *_caller_problems(mapping(mapping(raw.get("access")).get("callers"))),
        *_bounds("systemPool", raw.get("systemPool"), 1, 3),
        *(line for name, pool in pools.items() for line in _pool_problems(str(name), pool, sites)),
        *(
            line
            for name, model in models.items()
            for line in _model_problems(str(name), model, sites, None if raw.get("pools") is REFUSED else pools)
        ),
    ]


def _site_problems(sites: Mapping[Any, Any]) -> Iterator[str]:
    weights = [mapping(site).get("weight") for site in sites.values()]
    if weights and all(type(weight) is int and weight == 0 for weight in weights):
        yield (
            "sites: at least one site must have a weight above 0 (got 0 for every site); "
            "give the site to serve from a weight"
        )


def _name_problems(sites: Mapping[Any, Any]) -> Iterator[str]:
    """Everything of a site is called by the site's name and a dash, which must tell it from all others."""
    for name in map(str, sites):
        taken = next((each for each in (*_TAKEN, *map(str, sites)) if name.startswith(f"{each}-")), None)
        if name in _TAKEN:
            yield f"sites.{name}: the name is taken by other resources (got {name!r}); choose another name"
        elif taken is not None:
            yield (
                f"sites.{name}: must not begin with {taken}-, as everything of {taken} does (got {name!r}); "
                "choose another name"
            )


def _dns_problems(sites: Mapping[Any, Any], dns: Mapping[Any, Any]) -> Iterator[str]:
    clouds = [mapping(site).get("cloud") for site in sites.values()]
    if (
        clouds
        and all(cloud in _NO_AUTHORITY for cloud in clouds)
        and dns.get("route53") is None
        and dns.get("cloudDns") is None
    ):
        yield (
            "dns: must name who answers for the domain when no site is on AWS or Google Cloud (got none); "
            "add route53: {} or cloudDns: {project: <id>}"
        )


def _zone_problems(sites: Mapping[Any, Any]) -> Iterator[str]:
    for name, site in sites.items():
        fields = mapping(site)
        region, zones = fields.get("region"), fields.get("zones")
        if not isinstance(region, str) or not isinstance(zones, list | tuple):
            continue
        for position, zone in enumerate(zones):
            if isinstance(zone, str) and not zone.startswith(region):
                yield (
                    f"sites.{name}.zones.{position}: must be a zone of {region} (got {zone!r}); "
                    "name a zone of the site's region, or leave zones out"
                )
        if len(set(map(str, zones))) < len(zones):
            yield f"sites.{name}.zones: must differ (got {list(zones)}); name each zone once"


def _network_problems(sites: Mapping[Any, Any]) -> Iterator[str]:
    known: dict[str, ipaddress.IPv4Network] = {}
    for name, site in sites.items():
        try:
            network = ipaddress.IPv4Network(mapping(site).get("cidr"))
        except (ValueError, TypeError):
            continue  # absent, or a mistake that has a line of its own
        for other, taken in known.items():
            if network.overlaps(taken):
                yield (
                    f"sites.{name}.cidr: must not overlap the network of another site (got {network}, and {taken} of "
                    f"{other}); choose a free range"
                )
        known[str(name)] = network


def _frozen_problems(frozen: object, sites: Mapping[Any, Any]) -> Iterator[str]:
    known = [*map(str, sites), "route53", "cloudDns"]
    for position, name in enumerate(frozen if isinstance(frozen, list | tuple) else ()):
        if isinstance(name, str) and name not in known:
            rule = f"must be a site, route53 or cloudDns (got {name!r})"
            yield f"frozen.{position}: {rule}; use one of {', '.join(known)}"


def _cluster_problems(cluster: Mapping[Any, Any]) -> Iterator[str]:
    ranges = cluster.get("authorizedRanges") or ()
    if ranges is REFUSED:
        return
    if cluster.get("endpoint") == "public" and not ranges:
        yield (
            "cluster.authorizedRanges: is required for a public endpoint (got nothing); "
            "name the IPv4 ranges of your offices and runners"
        )
    if cluster.get("endpoint", "private") == "private" and ranges:
        yield (
            "cluster.authorizedRanges: has no meaning for a private endpoint (got "
            f"{ranges!r}); remove it, or set endpoint to public"
        )


def _ingress_problems(ingress: Mapping[Any, Any], dns: object) -> Iterator[str]:
    if ingress.get("certificate") is None:
        return
    if ingress.get("tlsSecret") is not None:
        yield (
            f"ingress.tlsSecret: must not be given beside certificate (got {ingress['tlsSecret']!r}); "
            "keep the one you want"
        )
    zone = dns
    for key in ("route53", "zoneId"):
        zone = zone if zone is REFUSED else mapping(zone).get(key)
    if zone is None:
        yield (
            "ingress.certificate: needs dns.route53.zoneId (got none): an authority asks for the challenge in a zone "
            "that is delegated already; name the zone, or use tlsSecret"
        )


def _caller_problems(callers: Mapping[Any, Any]) -> Iterator[str]:
    jwt = mapping(callers.get("jwt"))
    if jwt and (jwt.get("jwks") is None) == (jwt.get("jwksUri") is None):
        got = "neither" if jwt.get("jwks") is None else "both"
        yield f"access.callers.jwt: must have one of jwksUri and jwks (got {got}); say where the public keys are"


def _pool_problems(name: str, pool: object, sites: Mapping[Any, Any]) -> Iterator[str]:
    fields = mapping(pool)
    accept = fields.get("accept")
    if isinstance(accept, list | tuple) and fields.get("gpu") in accept:
        yield f"pools.{name}.accept: must name other classes than gpu (got {fields['gpu']!r}); remove it"
    known = [*(cloud for cloud in CLOUDS if cloud != "kubernetes"), *map(str, sites)]
    for key, override in mapping(fields.get("overrides")).items():
        path = f"pools.{name}.overrides.{key}"
        if key not in known:
            yield f"{path}: must be a cloud or a site (got {key!r}); use one of {', '.join(known)}"
        merged = {each: mapping(override).get(each, fields.get(each)) for each in ("min", "max")}
        yield from _bounds(path, {each: value for each, value in merged.items() if value is not None}, 0, None)
    if name == SYSTEM_POOL:
        yield f"pools.{name}: the name is taken by the pool without GPUs (got {name!r}); choose another name"
    yield from _bounds(f"pools.{name}", pool, 0, None)


def _model_problems(
    name: str, model: object, sites: Mapping[Any, Any], pools: Mapping[Any, Any] | None
) -> Iterator[str]:
    path, fields = f"models.{name}", mapping(model)
    yield from _bounds(f"{path}.replicas", fields.get("replicas"), 1, 1)
    pool = fields.get("pool")
    if isinstance(pool, str) and pools is not None and pool not in pools:
        known = ", ".join(map(str, pools)) or "none"
        yield (
            f"{path}.pool: must be a name under pools (got {pool!r}; there are: {known}); "
            "define it there, or leave pool out to serve from CPUs"
        )
    canary = mapping(fields.get("canary"))
    if canary and canary.get("version") == fields.get("stable"):
        yield (
            f"{path}.canary.version: must differ from stable (got {canary['version']!r}); "
            "name the new version, or remove the canary"
        )
    wanted = canary.get("sites")
    for position, site in enumerate(wanted if isinstance(wanted, list | tuple) else ()):
        if sites and isinstance(site, str) and site not in sites:
            yield (
                f"{path}.canary.sites.{position}: must be a name under sites (got {site!r}); "
                f"use one of {', '.join(map(str, sites))}"
            )


def _bounds(path: str, section: object, default_min: int, default_max: int | None) -> Iterator[str]:
    fields = mapping(section)
    low, high = fields.get("min", default_min), fields.get("max", default_max)
    if type(low) is int and type(high) is int and low > high:
        yield f"{path}: min must not be above max (got min {low}, max {high}); lower min or raise max"


def mapping(value: object) -> Mapping[Any, Any]:
    """Return a mapping as it is, and an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}
