"""Puts a verified bundle version under its final names, whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from model_export import archive
from model_export.errors import ExportError
from model_export.files import sync
from model_export.manifest import Manifest, read_manifest

_SCRATCH = ".export.part"


@contextlib.contextmanager
def claimed(out: Path, field: str = "--out") -> Iterator[Path]:
    """Hold an output folder alone and yield an empty scratch folder inside it, which is removed at the end.

    What a killed export left in the scratch folder is removed at the next start: only the holder of the lock uses it.

    Args:
        out: The folder, made if missing.
        field: What the folder was given as, for the error.

    Raises:
        ExportError: If the folder cannot be made, or another command holds it.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        handle = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ExportError(f"{field}: cannot use {out}: {error.strerror}; give a folder that can be written") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ExportError(f"{field}: another command is writing to {out}; wait until it has ended") from None
        scratch = out / _SCRATCH
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            scratch.mkdir()
        except OSError as error:
            raise ExportError(f"{field}: cannot write to {out}: {error.strerror}") from None
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    finally:
        os.close(handle)


def check_version(out: Path, name: str, version: int) -> Manifest | None:
    """Return the manifest that already holds a version, if any.

    Raises:
        ExportError: If it belongs to another model or cannot be read.
    """
    file = out / f"{version}.json"
    if not file.exists():
        return None
    existing = read_manifest(file)
    if existing.name != name:
        raise ExportError(f"{file}: holds the model {existing.name!r}, not {name!r}; give another --out or --name")
    return existing


def publish(out: Path, packed: Path, manifest: Manifest) -> str:
    """Move an archive to its final name, then write the manifest; return what was done, in words.

    Args:
        out: The bundle's folder, held by `claimed`.
        packed: The archive, in the scratch folder.
        manifest: Its manifest.

    Raises:
        ExportError: If the version exists with another digest: a version never changes.
    """
    file = out / f"{manifest.version}.json"
    existing = check_version(out, manifest.name, manifest.version)
    if existing is not None and existing.digest != manifest.digest:
        raise ExportError(
            f"{file}: version {manifest.version} exists with digest {existing.digest}, this export has "
            f"{manifest.digest}; a version never changes, so export with --version {manifest.version + 1}"
        )
    target = out / manifest.archive
    restored = not target.is_file() or archive.sha256_of(target) != manifest.digest_hex
    if restored:
        sync(packed)
        packed.replace(target)
        sync(out)
    if existing is not None:
        return f"{file}: unchanged, its archive was restored" if restored else f"{file}: unchanged"
    draft = packed.parent / "manifest.json"
    draft.write_text(manifest.to_json(), encoding="utf-8")
    sync(draft)
    draft.replace(file)
    sync(out)
    return f"{file}: written"
