"""The page about the settings: every key of a stack file, from the schema itself."""

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from docs.tables import cell, code, table
from serving.settings import Settings

EXAMPLE = Path(__file__).with_name("Pulumi.example.yaml")
_KEYS = {"sites": "<site>", "pools": "<pool>", "models": "<model>", "overrides": "<cloud or site>"}
_INTRODUCTION = """# Settings

Everything about a stack is in `tricorn:settings` of its file, `Pulumi.<stack>.yaml`. Unknown keys and wrong values are
refused, all together, each with its path, before anything is declared. [Pulumi.example.yaml](Pulumi.example.yaml) shows
every section filled in; `Pulumi.dev.yaml` and `Pulumi.prod.yaml` are real stacks.

Editors complete and check keys with [settings.schema.json](settings.schema.json); the first line of a stack file names
it:

    # yaml-language-server: $schema=docs/settings.schema.json

Text that looks like a number wants quotes in YAML, as in `kubernetesVersion: "1.36"`.
"""


@dataclass(frozen=True)
class Section:
    """One class of the settings and where it stands."""

    model: type[BaseModel]
    path: str
    example: Any
    condition: str = ""
    """What the section holds for, where others may stand in its place."""

    @property
    def title(self) -> str:
        """Heading of the section."""
        return f"`{self.path}`{self.condition}" if self.path else "Top level"


def settings_page() -> str:
    """Return the page."""
    example = yaml.safe_load(EXAMPLE.read_text())["config"]["tricorn:settings"]
    parts = [_INTRODUCTION]
    for section in sections(Settings, "", example):
        summary = " ".join((section.model.__doc__ or "").split())
        rows = [_row(section, name, field) for name, field in section.model.model_fields.items()]
        head = ("path", "type", "default", "rule", "meaning", "example")
        parts.append(f"## {section.title}\n\n{summary}\n\n{table(head, rows)}")
    return "\n".join(parts)


def sections(model: type[BaseModel], path: str, example: Any, condition: str = "") -> Iterator[Section]:
    """Yield a section and those inside it, in the order of the schema."""
    yield Section(model, path, example, condition)
    for name, field in model.model_fields.items():
        key = field.alias or name
        inner = models_of(field.annotation)
        given = example.get(key) if isinstance(example, dict) else None
        here = f"{path}.{key}" if path else key
        if not inner:
            continue
        if _dict_of(field.annotation) is None:
            yield from sections(inner[0], here, given)
            continue
        entries = list(given.values()) if isinstance(given, dict) else []
        for each in inner:
            tag = _tag(each)
            fitting = [entry for entry in entries if tag is None or entry.get("cloud") == tag]
            condition = f", cloud `{tag}`" if tag else ""
            yield from sections(each, f"{here}.{_KEYS[key]}", fitting[0] if fitting else None, condition)


def models_of(annotation: Any) -> list[type[BaseModel]]:
    """Every section that a value may be, or may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in typing.get_args(annotation) for found in models_of(inner)]


def rules_of(annotation: Any, metadata: list[Any]) -> list[str]:
    """What a value must keep, in words."""
    limits: dict[str, Any] = {}
    found: list[str] = []
    for rule in metadata:
        if isinstance(rule, AfterValidator | BeforeValidator):
            words = (getattr(rule.func, "__doc__", None) or "").split("\n")[0]
            found.append(words.replace("Refuse what is not ", "").rstrip("."))
        for name in ("ge", "le", "min_length", "max_length", "pattern"):
            if getattr(rule, name, None) is not None:
                limits[name] = getattr(rule, name)
    if "ge" in limits or "le" in limits:
        found.append(f"{limits.get('ge', '')} to {limits['le']}" if "le" in limits else f"{limits['ge']} or more")
    if "pattern" in limits:
        found.append(code(limits["pattern"]))
    if limits.get("min_length"):
        found.append(f"at least {limits['min_length']}")
    if "max_length" in limits:
        found.append(f"at most {limits['max_length']}")
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        inner, *notes = typing.get_args(annotation)
        return rules_of(inner, [r for n in notes for r in (n.metadata if isinstance(n, FieldInfo) else [n])]) + found
    if origin in (typing.Union, types.UnionType, tuple):
        found += [rule for part in typing.get_args(annotation) if part is not Ellipsis for rule in rules_of(part, [])]
    elif origin is dict:
        key, value = typing.get_args(annotation)
        found += [f"key {rule}" for rule in rules_of(key, [])]
        found += [] if models_of(value) else [f"value {rule}" for rule in rules_of(value, [])]
    return found


def type_of(annotation: Any) -> str:
    """Kind of value, in words."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return type_of(parts[0])
    if origin in (typing.Union, types.UnionType):
        kinds = dict.fromkeys(type_of(part) for part in parts if part is not type(None))
        return " or ".join(kinds)
    if origin is tuple:
        return f"list of {type_of(parts[0])}"
    if origin is dict:
        return f"mapping of names to {type_of(parts[1])}"
    if origin is typing.Literal:
        return "one of " + ", ".join(code(str(part)) for part in parts) if len(parts) > 1 else code(str(parts[0]))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    return {str: "text", int: "whole number", bool: "true or false"}[annotation]


def _row(section: Section, name: str, field: FieldInfo) -> tuple[str, ...]:
    key = field.alias or name
    example = section.example.get(key) if isinstance(section.example, dict) else None
    return (
        code(f"{section.path}.{key}" if section.path else key),
        type_of(field.annotation),
        "required" if field.is_required() else _default(field),
        "; ".join(dict.fromkeys(each for each in rules_of(field.annotation, list(field.metadata)) if each)),
        cell(field.description or ""),
        code(_inline(example)) if example is not None and not models_of(field.annotation) else "",
    )


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None or isinstance(value, BaseModel) or value in ((), {}):
        return "none" if value is None else "its own defaults" if isinstance(value, BaseModel) else "empty"
    return code(_inline(value))


def _inline(value: Any) -> str:
    plain = list(value) if isinstance(value, tuple) else value
    return " ".join(yaml.safe_dump(plain, default_flow_style=True, width=10_000).removesuffix("\n...\n").split())


def _dict_of(annotation: Any) -> Any:
    parts = [annotation, *typing.get_args(annotation)]
    return next((part for part in parts if typing.get_origin(part) is dict), None)


def _tag(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("cloud")
    options = typing.get_args(field.annotation) if field is not None else ()
    return options[0] if len(options) == 1 else None
