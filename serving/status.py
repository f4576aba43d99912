"""What the outside world sees of a deployment: sites, weights, health, model versions, who answers for the name."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from serving.resolver import ResolutionError, Resolver, Site
from serving.routes import health_path
from serving.transports import RequestError, RestTransport

_ASK_S = 3.0


@dataclass(frozen=True)
class ModelState:
    """A version of a model at a site; `state` as TensorFlow Serving reports it, such as AVAILABLE."""

    model: str
    version: str
    state: str


@dataclass(frozen=True)
class SiteState:
    """One site; `answered` tells whether the public name leads to it right now."""

    site: str
    weight: int
    addresses: list[str]
    healthy: bool
    problem: str
    answered: bool
    models: list[ModelState] = field(default_factory=list)


def inspect(resolver: Resolver, port: int, models: list[str], tls: bool) -> list[SiteState]:
    """Ask every site for the models' states.

    Args:
        resolver: Resolver of the public name.
        port: Public port.
        models: Names of the models to ask for.
        tls: Whether the sites speak TLS.

    Raises:
        ResolutionError: If the sites cannot be found.
    """
    sites = resolver.sites()
    transport = RestTransport(resolver.domain, tls)
    try:
        answers = resolver.addresses()
    except ResolutionError:
        answers = []  # the sites below say more than this name would
    with ThreadPoolExecutor(max_workers=len(sites)) as pool:
        return list(pool.map(lambda site: _ask(site, resolver, transport, port, models, answers), sites))


def _ask(
    site: Site, resolver: Resolver, transport: RestTransport, port: int, models: list[str], answers: list[str]
) -> SiteState:
    addresses: list[str] = []
    states: list[ModelState] = []
    problem = ""
    try:
        addresses = resolver.addresses(site.target)
        for model in models:
            body, _ = transport.exchange(addresses[0], port, "GET", health_path(model), None, _ASK_S)
            states += _states(model, json.loads(body))
    except (ResolutionError, RequestError) as error:
        problem = str(error)
    healthy = not problem and bool(states) and all(each.state == "AVAILABLE" for each in states)
    answered = any(address in answers for address in addresses)
    return SiteState(site.name, site.weight, addresses, healthy, problem, answered, states)


def _states(model: str, body: dict[str, Any]) -> list[ModelState]:
    return [
        ModelState(model, str(each["version"]), str(each["state"])) for each in body.get("model_version_status") or []
    ]
