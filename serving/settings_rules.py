"""Rules of the settings that span several sections, and readable lines for the ones pydantic checks."""

import difflib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from serving.settings_sections import SYSTEM_POOL

_CLOUDS = ("aws", "gcp", "azure")
_KEY_RULES = {
    "sites": "a site's name must be a lower-case letter, then at most 19 of a-z, 0-9 and '-'",
    "pools": "a pool's name must be a lower-case letter, then at most 7 of a-z and 0-9",
    "models": "a model's name must be a lower-case letter, then at most 39 of a-z, 0-9 and '-', not ending in '-'",
    "labels": "a label's key must be a lower-case letter, then at most 62 of a-z, 0-9, '_' and '-'",
}


def explain(root: type[BaseModel], error: ValidationError) -> list[str]:
    """One line per mistake that pydantic found: path, rule, value, and what the field means."""
    return [_line(root, details) for details in error.errors(include_url=False)]


def spanning_problems(raw: object) -> list[str]:
    """Mistakes that need several sections to see; tolerant of all others, so that all appear together."""
    if not isinstance(raw, Mapping):
        return []
    sites, pools, models = (_mapping(raw.get(key)) for key in ("sites", "pools", "models"))
    return [
        *_site_problems(sites),
        *_dns_problems(sites, _mapping(raw.get("dns"))),
        *_bounds("systemPool", raw.get("systemPool"), 1, 3),
        *(line for name, pool in pools.items() for line in _pool_problems(str(name), pool)),
        *(line for name, model in models.items() for line in _model_problems(str(name), model, sites, pools)),
    ]


def _site_problems(sites: Mapping[Any, Any]) -> Iterator[str]:
    weights = [_mapping(site).get("weight") for site in sites.values()]
    if weights and all(type(weight) is int and weight == 0 for weight in weights):
        yield (
            "sites: at least one site must have a weight above 0 (got 0 for every site); "
            "give the site to serve from a weight"
        )


def _dns_problems(sites: Mapping[Any, Any], dns: Mapping[Any, Any]) -> Iterator[str]:
    clouds = [_mapping(site).get("cloud") for site in sites.values()]
    if (
        clouds
        and all(cloud == "azure" for cloud in clouds)
        and dns.get("route53") is None
        and dns.get("cloudDns") is None
    ):
        yield (
            "dns: must name who answers for the domain when no site is on AWS or Google Cloud (got none); "
            "add route53: {} or cloudDns: {project: <id>}"
        )


def _pool_problems(name: str, pool: object) -> Iterator[str]:
    if name == SYSTEM_POOL:
        yield f"pools.{name}: the name is taken by the pool without GPUs (got {name!r}); choose another name"
    yield from _bounds(f"pools.{name}", pool, 0, None)


def _model_problems(name: str, model: object, sites: Mapping[Any, Any], pools: Mapping[Any, Any]) -> Iterator[str]:
    path, fields = f"models.{name}", _mapping(model)
    yield from _bounds(f"{path}.replicas", fields.get("replicas"), 1, 1)
    pool = fields.get("pool")
    if isinstance(pool, str) and pool not in pools:
        known = ", ".join(map(str, pools)) or "none"
        yield (
            f"{path}.pool: must be a name under pools (got {pool!r}; there are: {known}); "
            "define it there, or leave pool out to serve from CPUs"
        )
    canary = _mapping(fields.get("canary"))
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
    fields = _mapping(section)
    low, high = fields.get("min", default_min), fields.get("max", default_max)
    # Values out of their own range have a line of their own.
    if type(low) is int and type(high) is int and low > high >= 1:
        yield f"{path}: min must not be above max (got min {low}, max {high}); lower min or raise max"


def _mapping(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _line(root: type[BaseModel], details: ErrorDetails) -> str:
    location = list(details["loc"])
    if len(location) > 2 and location[0] == "sites" and location[2] in _CLOUDS:
        del location[2]  # the union's tag, which is not in the file
    kind, value = details["type"], details["input"]
    if location and location[-1] == "[key]":
        return f"{_path(location[:-1])}: {_KEY_RULES[str(location[0])]} (got {value!r}); rename it"
    if kind == "extra_forbidden":
        return _unknown_key(root, details, location)
    field = _field_at(root, details["loc"])
    meaning = f"; {field.description}" if field is not None and field.description else ""
    if kind == "missing":
        return f"{_path(location)}: is required (got nothing){meaning}"
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        cloud = _mapping(value).get("cloud")
        got = "nothing" if cloud is None else repr(cloud)
        path = _path([*location, "cloud"])
        return f"{path}: must be aws, gcp or azure (got {got}); it decides the site's other keys"
    return f"{_path(location)}: {_rule(details)} (got {_shown(value)}){meaning}"


def _rule(details: ErrorDetails) -> str:
    context: dict[str, Any] = details.get("ctx", {})
    rules = {
        "greater_than_equal": "must be at least {ge}",
        "less_than_equal": "must be at most {le}",
        "string_pattern_mismatch": "must match {pattern}",
        "string_too_long": "must have at most {max_length} characters",
        "string_too_short": "must not be empty",
        "too_short": "must not be empty",
        "literal_error": "must be {expected}",
        "string_type": "must be text; put it in quotes",
        "int_type": "must be a whole number without quotes",
        "bool_type": "must be true or false without quotes",
        "dict_type": "must be a mapping of names to values",
        "model_type": "must be a mapping of keys to values",
        "model_attributes_type": "must be a mapping of keys to values",
        "tuple_type": "must be a list",
        "value_error": "{error}",
    }
    rule = rules.get(details["type"])
    return details["msg"] if rule is None else rule.format(**context)


def _unknown_key(root: type[BaseModel], details: ErrorDetails, location: Sequence[int | str]) -> str:
    key = str(location[-1])
    allowed = _aliases(_model_at(root, details["loc"][:-1]))
    close = difflib.get_close_matches(key, allowed, n=1, cutoff=0.6)
    camel = key.replace("_", "").lower()
    close = [name for name in allowed if name.lower() == camel] or close
    hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(allowed)}"
    return f"{_path(location)}: unknown key (got {key!r}); {hint}"


def _aliases(model: type[BaseModel] | None) -> list[str]:
    return [] if model is None else [field.alias or name for name, field in model.model_fields.items()]


def _field_at(root: type[BaseModel], location: Sequence[int | str]) -> FieldInfo | None:
    for end in range(len(location), 0, -1):
        model = _model_at(root, location[: end - 1])
        for name, field in (model.model_fields if model else {}).items():
            if (field.alias or name) == location[end - 1]:
                return field
    return None


def _model_at(root: type[BaseModel], location: Sequence[int | str]) -> type[BaseModel] | None:
    """Class of the section at a path, following the aliases, the keys of mappings and the tags of unions."""
    here: Any = root
    for step in location:
        models = _models(here)
        if len(models) > 1:
            tags = {tag: m for m in models for tag in typing.get_args(m.model_fields["cloud"].annotation)}
            here = tags.get(step)
            continue
        mapping = next((kind for kind in _parts(here) if typing.get_origin(kind) is dict), None)
        if models:
            found = [f for name, f in models[0].model_fields.items() if (f.alias or name) == step]
            here = found[0].annotation if found else None
        elif mapping is not None:
            here = typing.get_args(mapping)[1]
        else:
            return None
    return next(iter(_models(here)), None)


def _models(annotation: Any) -> list[type[BaseModel]]:
    return [kind for kind in _parts(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _parts(annotation: Any) -> list[Any]:
    """Members of a union, without the wrappings of `Annotated`."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _parts(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [part for member in typing.get_args(annotation) for part in _parts(member)]
    return [annotation]


def _path(location: Sequence[int | str]) -> str:
    return ".".join(map(str, location)) or "(top)"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
