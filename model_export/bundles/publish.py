"""Publishes a bundle's versions to a remote: archives first, manifests last, so that readers see whole versions only.

Run again after an interruption it goes on with what is missing. A version that is there never changes: the same
manifest is left alone, another one is refused. Of two publishers at once the first wins in a folder; rclone promises no
such thing, so there the manifest is read back, and only writes within the same second can go unnoticed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from model_export.bundles.folder import Version, manifest_names, versions
from model_export.bundles.remotes import Remote
from model_export.errors import ExportError
from model_export.verify import check_archive


def publish(folder: Path, remote: Remote, wanted: list[int], say: Callable[[str], None]) -> list[str]:
    """Publish versions, the oldest first; return a line about each.

    Args:
        folder: Folder of the bundle.
        remote: Where to.
        wanted: Version numbers; all when empty.
        say: Gets lines of progress.

    Raises:
        ExportError: If a version is not whole here, or is there with another digest; then nothing has been copied.
    """
    found = sorted(versions(folder), key=lambda each: each.manifest.version)
    missing = sorted(set(wanted) - {each.manifest.version for each in found})
    if missing or not found:
        there = ", ".join(str(each.manifest.version) for each in found) or "none"
        asked = f"version {missing[0]} is not" if missing else "no version is"
        raise ExportError(f"FOLDER: {asked} in {folder} (there are: {there}); export or pull it first")
    chosen = [each for each in found if not wanted or each.manifest.version in wanted]
    sizes = remote.sizes()
    _check_model(remote, sizes, chosen[0].manifest.name)
    for each in chosen:
        check_archive(each.archive, each.manifest.digest_hex, each.manifest.size)
        if each.file.name in sizes:
            _check_same(each, remote)
    return [_copy(each, remote, sizes, say) for each in chosen]


def _check_model(remote: Remote, sizes: dict[str, int], name: str) -> None:
    for file in manifest_names(list(sizes))[:1]:
        there = _facts(remote, file).get("name")
        if there != name:
            raise ExportError(
                f"REMOTE: {remote.name} holds bundles of the model {there!r}, these are of {name!r}; give another"
            )


def _facts(remote: Remote, file: str) -> dict[str, object]:
    try:
        content = json.loads(remote.read(file))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise ExportError(f"{remote.name}/{file}: is no manifest; look at it, and remove it there if it is a leftover")
    return content


def _check_same(each: Version, remote: Remote) -> None:
    if remote.read(each.file.name) == each.file.read_bytes():
        return
    there = _facts(remote, each.file.name).get("digest")
    how = f"the digest {there}" if there != each.manifest.digest else "the same digest and another manifest"
    raise ExportError(
        f"{remote.name}/{each.file.name}: version {each.manifest.version} is published with {how}, here it has "
        f"{each.manifest.digest}; a version never changes, so export with a new --version"
    )


def _copy(each: Version, remote: Remote, sizes: dict[str, int], say: Callable[[str], None]) -> str:
    known = each.file.name in sizes
    say(f"version {each.manifest.version}: archive, {each.manifest.size} bytes")
    remote.put(each.archive, each.archive.name)
    if each.signature.is_file():
        remote.put(each.signature, each.signature.name)
    if not known:
        remote.create(each.file, each.file.name)
    return f"{remote.name}/{each.file.name}: {'unchanged' if known else 'published'}"
