"""The page about the components, from their source: classes, arguments, outputs and what stands under each."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docs.tables import cell, code, table

COMPONENTS = Path(__file__).resolve().parent.parent / "components"
_CLOUDS = {"pulumi_aws": "AWS", "pulumi_gcp": "Google Cloud", "pulumi_azure_native": "Azure"}
_ANY = "Any cluster"
_GROUPS = (*_CLOUDS.values(), _ANY)
_INTRODUCTION = """# Components

Each works alone in any Pulumi program: `from components import EksCluster, EksClusterArgs`. Signatures are
`Class(name, args, opts)`; type tokens are `tricorn:index:<Class>`. A wrong argument is refused before anything is
declared, with every problem at once. Arguments are named as in Python; other languages spell them in camelCase.
"""
_PERMISSION = re.compile(r"^Needs\b|\bpermissions?\b")


@dataclass(frozen=True)
class Field:
    """One argument or output."""

    name: str
    type: str
    required: bool
    meaning: str


@dataclass(frozen=True)
class Class:
    """One class of the package."""

    name: str
    module: str
    group: str
    text: str
    fields: tuple[Field, ...]


def components_page() -> str:
    """Return the page."""
    public = public_names()
    classes = {name: _class(name, module) for name, module in public.items()}
    parts = [_INTRODUCTION]
    own = [each for name, each in classes.items() if f"{name}Args" in public]
    for group in _GROUPS:
        members = sorted((each for each in own if each.group == group), key=lambda each: each.name)
        if members:
            parts.append(f"## {group}\n")
            parts += [_component(each, classes[f"{each.name}Args"]) for each in members]
    shared = [each for name, each in classes.items() if f"{name}Args" not in public and not name.endswith("Args")]
    parts.append("## Shared arguments\n")
    parts += [f"### {each.name}\n\n{each.text}\n\n{_arguments(each)}" for each in sorted(shared, key=lambda c: c.name)]
    return "\n".join(parts)


def public_names() -> dict[str, str]:
    """Public names of the package with their modules, as the package itself lists them."""
    import components

    return dict(components._VALUES)


def _component(component: Class, arguments: Class) -> str:
    outputs = table(
        ("output", "type", "meaning"), [(code(f.name), code(f.type), cell(f.meaning)) for f in component.fields]
    )
    needs = " ".join(each for each in _sentences(component.text) if _PERMISSION.search(each))
    permissions = f"\nPermissions: {cell(needs)}\n" if needs else ""
    return "\n".join(
        (
            f"### {component.name}\n",
            f"{component.text}\n{permissions}",
            _arguments(arguments),
            outputs if component.fields else "No outputs.\n",
        )
    )


def _arguments(arguments: Class) -> str:
    rows = [(code(f.name), code(f.type), "yes" if f.required else "", cell(f.meaning)) for f in arguments.fields]
    return table(("argument", "type", "required", "meaning"), rows) if rows else "No arguments.\n"


def _sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.!?])\s+", " ".join(text.split()))


def _class(name: str, module: str) -> Class:
    tree = ast.parse((COMPONENTS / f"{module}.py").read_text())
    node = next(each for each in tree.body if isinstance(each, ast.ClassDef) and each.name == name)
    imported = {a.name.split(".")[0] for i in tree.body if isinstance(i, ast.Import) for a in i.names}
    imported |= {i.module.split(".")[0] for i in tree.body if isinstance(i, ast.ImportFrom) and i.module}
    group = next((cloud for sdk, cloud in _CLOUDS.items() if sdk in imported), _ANY)
    return Class(name, module, group, ast.get_docstring(node) or "", tuple(_fields(node)))


def _fields(node: ast.ClassDef) -> Iterator[Field]:
    """Yield annotated fields with the text that stands under them."""
    for position, statement in enumerate(node.body):
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        below = node.body[position + 1] if position + 1 < len(node.body) else None
        value = below.value if isinstance(below, ast.Expr) else None
        meaning = value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""
        yield Field(statement.target.id, _type(statement.annotation), statement.value is None, meaning)


def _type(annotation: ast.expr) -> str:
    """Type without what every argument may be anyhow: absent, or an output of another resource."""
    text = ast.unparse(annotation)
    while (
        plain := re.sub(
            r"\b(?:Optional|pulumi\.Input|pulumi\.Output)\[([^\[\]]*(?:\[[^\[\]]*\])*[^\[\]]*)\]", r"\1", text
        )
    ) != text:
        text = plain
    return text.replace("pulumi.", "")
