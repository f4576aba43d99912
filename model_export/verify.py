"""Verification of a bundle: its archive, its files, its model and what the manifest says about them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from model_export import archive, batching, children, golden, model_config, warmup
from model_export.errors import ExportError
from model_export.manifest import FileEntry, Manifest, read_manifest

_PROBE_TIMEOUT_S = 300.0
_SIZE_FACTOR = 1.05
_GRAPH_ALLOWANCE = 4 << 20
_FILES = frozenset(
    {
        "saved_model.pb",
        "variables/variables.index",
        "variables/variables.data-00000-of-00001",
        batching.FILE,
        golden.FILE,
        model_config.FILE,
        warmup.FILE,
    }
)


def check_archive(file: Path, digest_hex: str, size: int) -> None:
    """Check an archive's existence, size and SHA-256.

    Raises:
        ExportError: With what was expected, what was found and the fix.
    """
    if not file.is_file():
        raise ExportError(f"{file}: the archive is missing; pull it from the bundle remote or export the model again")
    found_size = file.stat().st_size
    if found_size != size:
        raise ExportError(f"{file}: {found_size} bytes, the manifest says {size}; remove it and export again")
    found = archive.sha256_of(file)
    if found != digest_hex:
        raise ExportError(f"{file}: its SHA-256 is {found}, the manifest says {digest_hex}; remove it and export again")


@contextmanager
def unpacked(file: Path, files: Mapping[str, FileEntry]) -> Iterator[Path]:
    """Unpack an archive into a temporary folder, checking every entry.

    Raises:
        ExportError: Naming the entry that is not what it must be.
    """
    with tempfile.TemporaryDirectory(prefix="model-export-") as scratch:
        folder = Path(scratch) / "version"
        folder.mkdir()
        archive.unpack(file, files, folder)
        yield folder


def probe(folder: Path, precision: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Load a version folder through the C++ loader in a child process and return what `model_export.probe` found.

    Raises:
        ExportError: If the model is not what it must be, or crashes the loader.
    """
    arguments = [str(folder), precision]
    found: dict[str, Any] = children.run("model_export.probe", arguments, folder.parent, _PROBE_TIMEOUT_S, say)
    return found


def check_size(files: Mapping[str, FileEntry], parameters: int) -> None:
    """Refuse a SavedModel that stores its weights more than once."""
    stored = sum(entry.size for name, entry in files.items() if name.startswith(("saved_model.pb", "variables/")))
    limit = int(parameters * 4 * _SIZE_FACTOR) + _GRAPH_ALLOWANCE
    if stored > limit:
        raise ExportError(
            f"the SavedModel has {stored} bytes for {parameters} float32 parameters, more than {limit}: "
            "its weights are stored twice; do not track the model in the ExportArchive"
        )


def check_file_set(files: Iterable[str]) -> None:
    """Refuse files that no export writes, such as `fingerprint.pb`, which is another one every time."""
    for name in sorted(files):
        if name not in _FILES and not name.startswith("assets/"):
            raise ExportError(f"{name}: not a file of a bundle; remove it and export again")


def _check_stated(folder: Path, manifest: Manifest) -> None:
    """Compare what the manifest says of the labels and the batching with the files."""
    labels = len((folder / manifest.labels.file).read_text(encoding="utf-8").splitlines())
    if labels != manifest.labels.count:
        raise ExportError(f"{manifest.labels.file}: {labels} labels, the manifest says {manifest.labels.count}")
    if batching.FILE not in manifest.files:
        raise ExportError(f"{batching.FILE}: missing; without it the server does not batch this model")
    sizes = batching.allowed_sizes((folder / batching.FILE).read_text(encoding="utf-8"))
    if sizes != manifest.batching.allowed_batch_sizes:
        stated = manifest.batching.allowed_batch_sizes
        raise ExportError(f"{batching.FILE}: allowed_batch_sizes {sizes}, the manifest says {stated}")


def _check_found(manifest: Manifest, found: dict[str, Any]) -> None:
    """Compare what the manifest says of the model with what the loaded model has."""
    stated = manifest.model_dump(mode="json")["signatures"]
    if difference := _difference(stated, found["signatures"]):
        raise ExportError(f"signatures: {difference}")
    for signature, batches in found["warmed"].items():
        cold = sorted(set(manifest.batching.allowed_batch_sizes) - set(batches))
        if cold:
            raise ExportError(f"{warmup.FILE}: no request of signature {signature} for the batch sizes {cold}")


def _difference(stated: dict[str, Any], found: dict[str, Any]) -> str:
    for name in sorted(stated.keys() | found.keys()):
        if stated.get(name) != found.get(name):
            return f"{name}: the manifest says {stated.get(name)}, the model has {found.get(name)}"
    return ""


def verify(manifest_file: Path, say: Callable[[str], None]) -> tuple[Manifest, dict[str, Any]]:
    """Verify a bundle version and return its manifest and what was measured now.

    Args:
        manifest_file: Path of `<folder>/<version>.json`.
        say: Gets lines of progress.

    Raises:
        ExportError: Naming the first thing that is wrong.
    """
    manifest = read_manifest(manifest_file)
    file = manifest_file.parent / manifest.archive
    say(f"checking {file.name}")
    check_archive(file, manifest.digest_hex, manifest.size)
    check_file_set(manifest.files)
    check_size(manifest.files, manifest.parameters)
    if manifest.options and golden.FILE not in manifest.files:
        raise ExportError(f"{golden.FILE}: missing; without it the model's answers cannot be checked; export it again")
    precision = manifest.options.precision if manifest.options else "float32"
    with unpacked(file, manifest.files) as folder:
        model_config.check(folder)
        _check_stated(folder, manifest)
        found = probe(folder, precision, say)
    _check_found(manifest, found)
    return manifest, found
