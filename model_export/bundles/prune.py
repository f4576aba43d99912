"""Removes old versions from a bundle's folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path

from model_export.bundles.folder import versions
from model_export.bundles.signatures import SUFFIX
from model_export.errors import ExportError
from model_export.publish import claimed

_ARCHIVE = re.compile(r"^[0-9a-f]{64}\.tar$")
_SIGNATURE = re.compile(rf"^[1-9][0-9]*\{SUFFIX}$")


def prune(folder: Path, keep: int, kept: Collection[int], dry_run: bool, say: Callable[[str], None]) -> int:
    """Remove all but the newest versions, and archives that no manifest names; return the bytes that frees.

    Manifests go first and archives last, so that an interruption leaves whole versions and files without a manifest,
    which the next prune removes.

    Args:
        folder: Folder of the bundle.
        keep: How many of the newest versions stay, at least 1.
        kept: Further versions that stay.
        dry_run: Remove nothing, only say what would be.
        say: Gets a line per file.

    Raises:
        ExportError: If a version to keep is not there, or a manifest is not valid: it may name an archive.
    """
    if not folder.is_dir():
        raise ExportError(f"FOLDER: {folder} is no folder; give the folder of a bundle's manifests")
    with claimed(folder, "FOLDER"):
        found = versions(folder)
        unknown = sorted(set(kept) - {each.manifest.version for each in found})
        if unknown:
            there = ", ".join(str(each.manifest.version) for each in found) or "none"
            raise ExportError(f"--keep-version: {unknown[0]} is not in {folder} (there are: {there}); correct it")
        old = [each for each in found[keep:] if each.manifest.version not in kept]
        going = {each.file for each in old}
        staying = [each for each in found if each.file not in going]
        names = {each.archive.name for each in staying} | {each.signature.name for each in staying}
        loose = [path for path in sorted(folder.iterdir()) if path.is_file() and path.name not in names]
        doomed = [
            *(each.file for each in old),
            *(path for path in loose if _SIGNATURE.match(path.name)),
            *(path for path in loose if _ARCHIVE.match(path.name)),
        ]
        freed = 0
        for path in doomed:
            freed += path.stat().st_size
            if not dry_run:
                path.unlink()
            say(f"{'would remove' if dry_run else 'removed'} {path}")
    return freed
