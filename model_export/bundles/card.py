"""The model card of a bundle version: one Markdown page for whoever decides whether to use the model.

`<name>-<version>.md`, with the pictures of the run's report in a folder of the same name without `.md`.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model_export import registry
from model_export.bundles import card_sections as sections
from model_export.errors import ExportError
from model_export.evaluation.report import PAGE
from model_export.files import write_whole
from model_export.manifest import Manifest, read_manifest
from model_export.training import run as runs

_REPORT = Path(runs.REPORT) / PAGE
_PICTURE = re.compile(r"^!\[([^\]]*)\]\(([\w.-]+\.png)\)$", re.MULTILINE)


def card(manifest_file: Path, run: Path | None, out: Path) -> Path:
    """Write a version's card and return the page.

    Args:
        manifest_file: Path of `<version>.json`; the class names come from the archive beside it, where it is there.
        run: Folder of the training run that was exported: its data and its report's pictures get into the card.
        out: Folder of the card, made if missing; another card of the same version in it is replaced.

    Raises:
        ExportError: If the manifest is not valid, or the run is of another model.
    """
    manifest = read_manifest(manifest_file)
    content = manifest.model_dump(mode="json")
    order = None if run is None else _order(run, manifest)
    classes = order.classes if order is not None else sections.class_names(manifest_file.parent, manifest)
    name = f"{manifest.name}-{manifest.version}"
    out.mkdir(parents=True, exist_ok=True)
    lines = [
        f"# {manifest.name}, version {manifest.version}",
        "",
        *sections.about(content, _task(content)),
        *sections.class_list(classes, manifest.labels.count),
        *sections.metrics(content),
        *sections.training(order, None if run is None else _results(run)),
        *sections.use(_task(content)),
        *sections.signatures(content),
        *sections.measured(content),
        *(() if run is None else _pictures(run, out / name)),
        *sections.origin(content),
    ]
    page = out / f"{name}.md"
    write_whole(page, ("\n".join(lines).rstrip() + "\n").encode())
    return page


def _task(content: Mapping[str, Any]) -> str:
    """Return the task: what the manifest states, else that of its family; empty for an unknown family."""
    family = registry.all_families().get(content["source"]["family"])
    return str(content.get("task") or (family.task if family is not None else ""))


def _order(run: Path, manifest: Manifest) -> runs.Order:
    order = runs.read_order(run)
    if (order.family, len(order.classes)) != (manifest.source.family, manifest.labels.count):
        raise ExportError(
            f"--run: {run} trained {order.family} for {len(order.classes)} classes, the bundle holds "
            f"{manifest.source.family} with {manifest.labels.count}; give the run that was exported"
        )
    return order


def _results(run: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((run / runs.RESULTS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ExportError(f"{run / 'results.json'}: cannot be read: {error}; evaluate the run again") from None
    return found


def _pictures(run: Path, folder: Path) -> list[str]:
    """Copy the report's pictures into a folder and return the section that shows them."""
    report = run / _REPORT
    if not report.is_file():
        return []
    found = _PICTURE.findall(report.read_text(encoding="utf-8"))
    shown = [(title, file) for title, file in found if (report.parent / file).is_file()]
    if not shown:
        return []
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    lines = ["## Pictures", "", "From the evaluation, on examples that were not trained on.", ""]
    for title, file in shown:
        shutil.copyfile(report.parent / file, folder / file)
        lines += [f"### {title}", "", f"![{title}]({folder.name}/{file})", ""]
    return lines
