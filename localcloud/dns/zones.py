"""What the simulated Route 53 and Cloud DNS hold, read from their vendors' resources in the store."""

from __future__ import annotations

from dataclasses import dataclass, field

from localcloud.store import JsonDict, Resource, Store

_ROUTE53_DEFAULT_INTERVAL_S = 30
_ROUTE53_DEFAULT_THRESHOLD = 3


@dataclass(frozen=True)
class HealthCheck:
    """One prober: an HTTP or TCP request to an address; `search` must occur in the first 5,120 bytes of the body."""

    key: str
    address: str
    port: int
    path: str
    host: str
    search: str
    https: bool
    tcp_only: bool
    interval_s: float
    timeout_s: float
    unhealthy_after: int
    healthy_after: int


@dataclass(frozen=True)
class Calculated:
    """A check over others: healthy while at least `threshold` of `children` are."""

    children: tuple[str, ...]
    threshold: int


@dataclass(frozen=True)
class Answer:
    """Values answered together: addresses, or the text of SRV and NS records.

    `check` is the health check of them all, empty for none. `checks` are those of each address by itself, in order;
    where there are any, addresses that are down are left out.
    """

    addresses: tuple[str, ...]
    weight: int
    check: str = ""
    checks: tuple[str, ...] = ()


@dataclass
class RecordSet:
    """All answers to one name and type; `weighted` picks one answer by weight, else all are given."""

    name: str
    kind: str
    ttl: int
    weighted: bool
    answers: list[Answer] = field(default_factory=list)


@dataclass(frozen=True)
class Zones:
    """A DNS authority's content: zone names (with a final dot), record sets by (name, type), health checks by key."""

    names: frozenset[str]
    records: dict[tuple[str, str], RecordSet]
    checks: dict[str, HealthCheck]
    calculated: dict[str, Calculated] = field(default_factory=dict)

    def covers(self, name: str) -> bool:
        """Return whether this authority answers for `name` (lower case, with a final dot)."""
        return any(name == zone or name.endswith("." + zone) for zone in self.names)


def _dotted(name: str) -> str:
    return name.lower().rstrip(".") + "."


def _route53_check(resource: Resource) -> HealthCheck:
    inputs = resource.inputs
    kind = str(inputs.get("type", "HTTP"))
    https = kind.startswith("HTTPS")
    return HealthCheck(
        key=resource.id,
        address=str(inputs.get("ipAddress", "")),
        port=int(inputs.get("port") or (443 if https else 80)),
        path=str(inputs.get("resourcePath") or "/"),
        host=str(inputs.get("fqdn") or ""),
        search=str(inputs.get("searchString") or "") if kind.endswith("STR_MATCH") else "",
        https=https,
        tcp_only=kind == "TCP",
        interval_s=float(inputs.get("requestInterval") or _ROUTE53_DEFAULT_INTERVAL_S),
        timeout_s=4.0,
        unhealthy_after=int(inputs.get("failureThreshold") or _ROUTE53_DEFAULT_THRESHOLD),
        healthy_after=int(inputs.get("failureThreshold") or _ROUTE53_DEFAULT_THRESHOLD),
    )


def _calculated(resource: Resource) -> Calculated:
    children = tuple(map(str, resource.inputs.get("childHealthchecks") or ()))
    return Calculated(children, int(resource.inputs.get("childHealthThreshold") or 0))


def route53(store: Store) -> Zones:
    """Read the zones, records and health checks of the simulated Route 53."""
    zones = {r.id: _dotted(str(r.inputs["name"])) for r in store.resources("aws", "aws:route53/zone:Zone")}
    found = store.resources("aws", "aws:route53/healthCheck:HealthCheck")
    checks = {each.id: _route53_check(each) for each in found if each.inputs.get("type") != "CALCULATED"}
    calculated = {each.id: _calculated(each) for each in found if each.inputs.get("type") == "CALCULATED"}
    records: dict[tuple[str, str], RecordSet] = {}
    for resource in store.resources("aws", "aws:route53/record:Record"):
        inputs = resource.inputs
        zone = zones.get(str(inputs.get("zoneId")))
        if zone is None:
            continue
        name, kind = _dotted(str(inputs["name"])), str(inputs["type"])
        # Route 53 accepts names relative to the zone as well as complete ones.
        if name != zone and not name.endswith("." + zone):
            name = f"{name}{zone}"
        policies = inputs.get("weightedRoutingPolicies") or []
        record = records.setdefault(
            (name, kind), RecordSet(name, kind, int(inputs.get("ttl") or 300), weighted=bool(policies))
        )
        weight = int(policies[0]["weight"]) if policies else 1
        addresses = tuple(str(each) for each in inputs.get("records") or [])
        record.answers.append(Answer(addresses, weight, str(inputs.get("healthCheckId") or "")))
    return Zones(frozenset(zones.values()), records, checks, calculated)


def _cloud_dns_probe(resource: Resource) -> JsonDict:
    """Return the probe settings of a `compute.HealthCheck`, without the address, which the record set supplies."""
    inputs = resource.inputs
    https = inputs.get("httpsHealthCheck")
    http = https or inputs.get("httpHealthCheck") or {}
    tcp = inputs.get("tcpHealthCheck")
    return {
        "port": int((tcp or http).get("port") or (443 if https else 80)),
        "path": str(http.get("requestPath") or "/"),
        "host": str(http.get("host") or ""),
        "search": str(http.get("response") or ""),
        "https": bool(https),
        "tcp_only": bool(tcp),
        "interval_s": float(inputs.get("checkIntervalSec") or 5),
        "timeout_s": float(inputs.get("timeoutSec") or 5),
        "unhealthy_after": int(inputs.get("unhealthyThreshold") or 2),
        "healthy_after": int(inputs.get("healthyThreshold") or 2),
    }


def cloud_dns(store: Store) -> Zones:
    """Read the zones, record sets and health checks of the simulated Cloud DNS."""
    zones: dict[str, str] = {}
    for resource in store.resources("gcp", "gcp:dns/managedZone:ManagedZone"):
        dns_name = _dotted(str(resource.inputs["dnsName"]))
        for handle in (resource.id, resource.id.rsplit("/", 1)[-1], str(resource.inputs.get("name") or resource.id)):
            zones[handle] = dns_name
    probes: dict[str, JsonDict] = {}
    for resource in store.resources("gcp", "gcp:compute/healthCheck:HealthCheck"):
        for handle in (resource.id, str(resource.outputs.get("selfLink") or resource.id)):
            probes[handle] = _cloud_dns_probe(resource)
    records: dict[tuple[str, str], RecordSet] = {}
    checks: dict[str, HealthCheck] = {}
    for resource in store.resources("gcp", "gcp:dns/recordSet:RecordSet"):
        inputs = resource.inputs
        if str(inputs.get("managedZone")) not in zones:
            continue
        name, kind = _dotted(str(inputs["name"])), str(inputs["type"])
        policy = inputs.get("routingPolicy") or {}
        record = RecordSet(name, kind, int(inputs.get("ttl") or 300), weighted=bool(policy.get("wrrs")))
        if not record.weighted:
            record.answers.append(Answer(tuple(str(each) for each in inputs.get("rrdatas") or []), 1))
        for entry in policy.get("wrrs") or []:
            probed = [str(a) for a in (entry.get("healthCheckedTargets") or {}).get("externalEndpoints") or []]
            addresses = tuple(probed or [str(each) for each in entry.get("rrdatas") or []])
            probe = probes.get(str(policy.get("healthCheck") or ""))
            keys = tuple(f"{resource.id}/{address}" for address in probed) if probe is not None else ()
            for key, address in zip(keys, probed, strict=False):
                checks[key] = HealthCheck(key=key, address=address, **(probe or {}))
            record.answers.append(Answer(addresses, int(entry.get("weight") or 0), checks=keys))
        records[(name, kind)] = record
    return Zones(frozenset(zones.values()), records, checks)
