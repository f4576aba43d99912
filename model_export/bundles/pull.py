"""Pulls a published version into a folder: the archive is checked before the manifest names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from model_export.archive import sha256_of
from model_export.bundles.folder import manifest_names, versions
from model_export.bundles.remotes import Remote
from model_export.bundles.signatures import SUFFIX, check_signature
from model_export.errors import ExportError
from model_export.files import sync
from model_export.manifest import Manifest, read_manifest
from model_export.publish import claimed


def pull(
    remote: Remote, folder: Path, version: int | None, signed_by: Ed25519PublicKey | None, say: Callable[[str], None]
) -> str:
    """Pull a version; return what was done, in words.

    Args:
        remote: Where from.
        folder: Folder of the bundle, made if missing.
        version: Version number; the newest if absent.
        signed_by: A key that must have signed the manifest.
        say: Gets lines of progress.

    Raises:
        ExportError: If the version is not there, not what its manifest says, not signed as asked, or another one of the
            same number is in the folder.
    """
    sizes = remote.sizes()
    names = manifest_names(list(sizes))
    name = names[0] if version is None and names else f"{version}.json"
    if name not in names:
        there = ", ".join(each.removesuffix(".json") for each in names) or "none"
        asked = "a version" if version is None else f"version {version}"
        raise ExportError(
            f"REMOTE: {remote.name} does not have {asked} (there are: {there}); publish it, or give another"
        )
    with claimed(folder, "FOLDER") as scratch:
        draft = scratch / name
        remote.get(name, draft)
        signature = draft.with_suffix(SUFFIX)
        if signature.name in sizes:
            remote.get(signature.name, signature)
        try:
            if signed_by is not None:
                check_signature(draft, draft.read_bytes(), signed_by)
            manifest = read_manifest(draft)
        except ExportError as error:
            # The scratch folder is gone by the time a person reads this; what is wrong lies in the remote.
            raise ExportError(str(error).replace(str(scratch), remote.name)) from None
        known = _check_folder(folder, draft, manifest)
        _get_archive(remote, folder, scratch, manifest, say)
        for part in (signature, draft):
            if part.is_file():
                sync(part)
                part.replace(folder / part.name)
        sync(folder)
    return f"{folder / name}: {'unchanged' if known else 'pulled'}"


def _check_folder(folder: Path, draft: Path, manifest: Manifest) -> bool:
    """Return whether the folder has the version already."""
    for each in versions(folder):
        if each.manifest.name != manifest.name:
            raise ExportError(
                f"FOLDER: {folder} holds bundles of the model {each.manifest.name!r}, this is {manifest.name!r}; "
                "give another folder"
            )
    file = folder / draft.name
    if file.exists() and file.read_bytes() != draft.read_bytes():
        raise ExportError(
            f"{file}: version {manifest.version} is here already with another manifest; a version never changes, so "
            "remove the one here, or pull into another folder"
        )
    return file.exists()


def _get_archive(remote: Remote, folder: Path, scratch: Path, manifest: Manifest, say: Callable[[str], None]) -> None:
    target = folder / manifest.archive
    if target.is_file() and sha256_of(target) == manifest.digest_hex:
        return
    say(f"version {manifest.version}: archive, {manifest.size} bytes")
    part = scratch / "archive.tar"
    remote.get(manifest.archive, part)
    found = sha256_of(part)
    if found != manifest.digest_hex:
        raise ExportError(
            f"{remote.name}/{manifest.archive}: its SHA-256 is {found}, the manifest says {manifest.digest_hex}; it "
            "was altered or is incomplete, publish the version again"
        )
    sync(part)
    part.replace(target)
    sync(folder)
