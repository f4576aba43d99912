"""The export of a model: build, pack, verify what was packed, publish."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model_export import archive, children, verify
from model_export.errors import ExportError
from model_export.exportable import Exportable
from model_export.manifest import FORMAT, Batching, FileEntry, Framework, Labels, Manifest, Measured, Source
from model_export.publish import check_version, claimed, publish
from model_export.saved_model import REFERENCE_FILE, VERSION_FOLDER

SERVER_VERSION = "2.20.0"
"""The TensorFlow Serving release the bundles are made for; TensorFlow must not be newer."""
LABELS_PATH = "assets/labels.txt"
_BUILD_TIMEOUT_S = 600.0
_SIZE_FACTOR = 1.05
_GRAPH_ALLOWANCE = 4 << 20


def _machine() -> str:
    cpu = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    return f"{cpu}, {os.cpu_count()} cores"


def _check_framework(tensorflow: str) -> None:
    """Refuse a TensorFlow that is newer than the server: it writes operations that the server does not know."""
    if [int(part) for part in tensorflow.split(".")[:2]] > [int(part) for part in SERVER_VERSION.split(".")[:2]]:
        raise ExportError(
            f"TensorFlow {tensorflow} is newer than the server {SERVER_VERSION}, which may not know its operations; "
            f"install tensorflow=={SERVER_VERSION}"
        )


def _check_size(files: dict[str, FileEntry], parameters: int) -> None:
    """Refuse a SavedModel that stores its weights more than once."""
    stored = sum(entry.size for name, entry in files.items() if name.startswith(("saved_model.pb", "variables/")))
    limit = int(parameters * 4 * _SIZE_FACTOR) + _GRAPH_ALLOWANCE
    if stored > limit:
        raise ExportError(
            f"the SavedModel has {stored} bytes for {parameters} float32 parameters, more than {limit}: "
            "its weights are stored twice; do not track the model in the ExportArchive"
        )


def _manifest(
    model: Exportable, name: str, version: int, packed: Path, files: dict[str, FileEntry], facts: Any, found: Any
) -> Manifest:
    digest, sizes = archive.sha256_of(packed), model.family.batch_sizes
    return Manifest.model_validate(
        {
            "format": FORMAT,
            "name": name,
            "version": version,
            "digest": f"sha256:{digest}",
            "archive": f"{digest}.tar",
            "size": packed.stat().st_size,
            "unpacked_size": sum(entry.size for entry in files.values()),
            "files": files,
            "signatures": found["signatures"],
            "batching": Batching(max_batch_size=sizes[-1], allowed_batch_sizes=list(sizes)),
            "labels": Labels(file=LABELS_PATH, count=facts["labels"]),
            "source": Source(family=model.family.name, weights=model.weights, url=model.url),
            "framework": Framework(tensorflow=facts["tensorflow"], keras=facts["keras"], server=SERVER_VERSION),
            "license": model.license,
            "metrics": dict(model.metrics),
            "parameters": facts["parameters"],
            "measured": Measured(
                peak_memory_mib=found["peak_memory_mib"],
                load_s=found["load_s"],
                latency_ms=found["latency_ms"],
                machine=_machine(),
            ),
        }
    )


def export(source: str, model: Exportable, out: Path, name: str, version: int, say: Callable[[str], None]) -> str:
    """Export a model as a bundle version and return what was done, in words.

    Args:
        source: Name of a family or path of a training run, as `exportable` takes it.
        model: What it stands for.
        out: The bundle's folder; made if missing.
        name: Name of the served model.
        version: Version number, at least 1.
        say: Gets lines of progress.

    Raises:
        ExportError: If the model fails a check, or the version exists with another digest. Nothing is left in `out`.
    """
    with claimed(out) as scratch:
        check_version(out, name, version)
        facts = children.run("model_export.saved_model", [source, name], scratch, _BUILD_TIMEOUT_S, say)
        _check_framework(facts["tensorflow"])
        folder = scratch / VERSION_FOLDER
        files = archive.list_files(folder)
        _check_size(files, facts["parameters"])
        say("packing")
        packed = scratch / "archive.tar"
        archive.pack(folder, packed)
        with verify.unpacked(packed, files) as unpacked:
            found = verify.probe(unpacked, scratch / REFERENCE_FILE, say)
        return publish(out, packed, _manifest(model, name, version, packed, files, facts, found))
