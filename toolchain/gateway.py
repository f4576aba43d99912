"""The CRDs of Gateway API and Envoy Gateway as plain YAML, taken from the templates of Envoy Gateway's chart."""

from __future__ import annotations

import re
import shutil
import tempfile
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


def sources(module: Path) -> list[Path]:
    """Return the chart's CRD files: Gateway API's experimental channel, which Envoy Gateway needs, and its own."""
    templates = module / "charts" / "gateway-crds-helm" / "templates"
    experimental = sorted(p for p in templates.rglob("*.yaml") if "experimental" in p.name)
    own = sorted((templates / "generated").glob("*.yaml"))
    return experimental + own


def extract(module: Path, target: Path) -> int:
    """Write the CRDs of the module into the directory `target`, all or none; return how many files."""
    files = sources(module)
    if not files:
        raise ValueError(f"no CRDs in {module.name}: the chart's layout has changed")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        directory = Path(scratch) / target.name
        directory.mkdir()
        for file in files:
            (directory / file.name).write_text(plain(file.read_text()))
        shutil.rmtree(target, ignore_errors=True)
        directory.rename(target)
    return len(files)
