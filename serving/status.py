"""What the outside world sees of a deployment: sites, weights, health, model versions, who answers for the name."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving.protocol import AVAILABLE, health_path, status_path
from serving.resolver import ResolutionError, Resolver, Site
from serving.rest import RestTransport
from serving.transports import RequestError

ASK_S = 3.0
"""Longest wait for one answer of a site."""
QUERIES = 20
"""How often the public name is resolved to see who answers for it."""


@dataclass(frozen=True)
class ModelState:
    """A version of a model at a site; `state` as TensorFlow Serving reports it, such as AVAILABLE."""

    model: str
    version: str
    state: str


@dataclass(frozen=True)
class SiteState:
    """One site as seen from here.

    Attributes:
        site: Its name.
        weight: Its weight in the SRV records; 0 means drained.
        addresses: Its public addresses.
        healthy: Whether the health path of every model answers.
        problem: Why not; empty if it does.
        dns_share: Part of the answers for the public name that led to it, 0 to 1; a caching resolver repeats itself.
        models: Versions of the models it serves.
    """

    site: str
    weight: int
    addresses: list[str]
    healthy: bool
    problem: str
    dns_share: float
    models: list[ModelState] = field(default_factory=list)


def inspect(resolver: Resolver, port: int, models: list[str], transport: RestTransport) -> list[SiteState]:
    """Ask every site for the models' states.

    Args:
        resolver: Resolver of the public name.
        port: Public port.
        models: Names of the models to ask for.
        transport: How the sites are asked.

    Raises:
        ResolutionError: If the sites cannot be found.
    """
    sites = resolver.sites()
    shares = _shares(resolver)
    with ThreadPoolExecutor(max_workers=len(sites)) as pool:
        return list(pool.map(lambda site: _ask(site, resolver, transport, port, models, shares), sites))


def models_of_stack(domain: str, folder: Path) -> list[str]:
    """Return the models of the stack whose file in `folder` has this domain; none when there is no such file."""
    import yaml

    for file in sorted(folder.glob("Pulumi.*.yaml")):
        try:
            settings = yaml.safe_load(file.read_text(encoding="utf-8"))["config"]["tricorn:settings"]
            if settings["domain"] == domain:
                return sorted(map(str, settings["models"]))
        except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
            continue
    return []


def _shares(resolver: Resolver) -> dict[str, float]:
    """Return the part of the answers for the public name that named each address first."""
    found: Counter[str] = Counter()
    for _ in range(QUERIES):
        try:
            found[resolver.ask()[0]] += 1
        except ResolutionError:
            break  # the sites below say more than this name would
    return {address: count / found.total() for address, count in found.items()}


def _ask(
    site: Site, resolver: Resolver, transport: RestTransport, port: int, models: list[str], shares: dict[str, float]
) -> SiteState:
    addresses: list[str] = []
    states: list[ModelState] = []
    problem = ""
    try:
        addresses = resolver.addresses(site.target)
        for model in models:
            transport.exchange(addresses[0], port, "GET", health_path(model), None, ASK_S)
            body, _ = transport.exchange(addresses[0], port, "GET", status_path(model), None, ASK_S)
            states += _states(model, body)
        if not any(each.state == AVAILABLE for each in states):
            problem = "no version is available"
    except ResolutionError as error:
        problem = str(error)
    except RequestError as error:
        problem = f"{addresses[0]}:{port}: {error}"
    share = sum(shares.get(address, 0.0) for address in addresses)
    return SiteState(site.name, site.weight, addresses, not problem, problem, share, states)


def _states(model: str, body: bytes) -> list[ModelState]:
    try:
        versions: list[dict[str, Any]] = json.loads(body).get("model_version_status") or []
        return [ModelState(model, str(each["version"]), str(each["state"])) for each in versions]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RequestError(
            "INTERNAL", "the answer is not what TensorFlow Serving sends; check domain and port"
        ) from None
