"""Custom resource definitions as plain YAML files, taken from the sources of the programs that serve them."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

_DIRECTIVE = re.compile(r"^\s*\{\{-?.*?-?\}\}\s*$")
_INLINE = re.compile(r"\{\{")


def plain(text: str) -> str:
    """Return a chart template without the lines that only hold directives.

    Raises:
        ValueError: If a directive stands inside a line of YAML: then the chart has changed and this must too.
    """
    kept = [line for line in text.splitlines() if not _DIRECTIVE.match(line)]
    for line in kept:
        # Descriptions of fields quote Go templates; only a directive that would decide YAML matters.
        if _INLINE.search(line) and not re.search(r"['\"`].*\{\{|^\s+[A-Za-z`].*\{\{.*", line):
            raise ValueError(f"the chart holds a directive that is not understood: {line.strip()[:80]}")
    return "\n".join(kept).strip() + "\n"


def gateway_sources(module: Path) -> list[Path]:
    """Return the CRD files in Envoy Gateway's chart: Gateway API's experimental channel and its own."""
    templates = module / "charts" / "gateway-crds-helm" / "templates"
    experimental = sorted(p for p in templates.rglob("*.yaml") if "experimental" in p.name)
    own = sorted((templates / "generated").glob("*.yaml"))
    return experimental + own


def cert_manager_sources(module: Path) -> list[Path]:
    """Return cert-manager's CRD files."""
    return sorted((module / "deploy" / "crds").glob("*.yaml"))


def extract(files: Sequence[Path], target: Path) -> int:
    """Write CRD files as plain YAML into the directory `target`, all or none; return how many.

    Raises:
        ValueError: If there is none, or one holds a directive that is not understood.
    """
    if not files:
        raise ValueError("the module holds no definitions: its layout has changed")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        directory = Path(scratch) / target.name
        directory.mkdir()
        for file in files:
            (directory / file.name).write_text(plain(file.read_text()))
        shutil.rmtree(target, ignore_errors=True)
        directory.rename(target)
    return len(files)
