"""The export of a model: build, pack, verify what was packed, publish."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model_export import archive, children, verify
from model_export.errors import ExportError
from model_export.exportable import Exportable
from model_export.manifest import (
    FORMAT,
    Batching,
    FileEntry,
    Framework,
    Labels,
    Manifest,
    Measured,
    Options,
    Provenance,
    Source,
)
from model_export.publish import check_version, claimed, publish
from model_export.saved_model import VERSION_FOLDER

SERVER_VERSION = "2.20.0"
"""The TensorFlow Serving release the bundles are made for; TensorFlow must not be newer."""
LABELS_PATH = "assets/labels.txt"
_BUILD_TIMEOUT_S = 600.0
_GIT_TIMEOUT_S = 10.0
_MADE_WITH = (
    *("h5py", "keras", "ml-dtypes", "numpy", "pillow", "protobuf", "pydantic"),
    *("tensorflow", "tensorflow-cpu", "tensorflow-serving-api"),
)


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


def _git(*command: str) -> str:
    """Return what git says of the package's working tree, or nothing outside one."""
    try:
        return subprocess.run(
            ["git", *command], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=_GIT_TIMEOUT_S
        ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _provenance(model: Exportable) -> Provenance:
    revision = _git("rev-parse", "HEAD")
    return Provenance(
        revision=revision,
        dirty=bool(revision and _git("status", "--porcelain")),
        data=model.data,
        data_digest=model.data_digest,
        seed=model.seed,
    )


def _dependencies() -> dict[str, str]:
    """Return the versions of the packages that a bundle is made with."""
    found = {}
    for name in _MADE_WITH:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _manifest(
    model: Exportable,
    name: str,
    version: int,
    packed: Path,
    files: dict[str, FileEntry],
    facts: Any,
    found: Any,
    options: Options,
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
                latency_ms_by_batch=found["latency_ms_by_batch"],
                machine=_machine(),
            ),
            "task": model.family.task.value,
            "provenance": _provenance(model),
            "dependencies": _dependencies(),
            "options": options,
        }
    )


def export(
    source: str,
    model: Exportable,
    out: Path,
    name: str,
    version: int,
    say: Callable[[str], None],
    options: Options | None = None,
) -> str:
    """Export a model as a bundle version and return what was done, in words.

    Args:
        source: Name of a family or path of a training run, as `exportable` takes it.
        model: What it stands for.
        out: The bundle's folder; made if missing.
        name: Name of the served model.
        version: Version number, at least 1.
        say: Gets lines of progress.
        options: How the graph is written; by default with variables, in float32.

    Raises:
        ExportError: If the model fails a check, or the version exists with another digest. Nothing is left in `out`.
    """
    options = options or Options()
    with claimed(out) as scratch:
        check_version(out, name, version)
        arguments = [source, name, *(["--freeze"] if options.frozen else [])]
        arguments += ["--bfloat16"] if options.precision == "bfloat16" else []
        facts = children.run("model_export.saved_model", arguments, scratch, _BUILD_TIMEOUT_S, say)
        _check_framework(facts["tensorflow"])
        folder = scratch / VERSION_FOLDER
        files = archive.list_files(folder)
        verify.check_file_set(files)
        verify.check_size(files, facts["parameters"])
        say("packing")
        packed = scratch / "archive.tar"
        archive.pack(folder, packed)
        with verify.unpacked(packed, files) as unpacked:
            found = verify.probe(unpacked, options.precision, say)
        return publish(out, packed, _manifest(model, name, version, packed, files, facts, found, options))
