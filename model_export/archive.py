"""The archive of a bundle version: an uncompressed tar whose bytes depend on the files' names and contents only."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Mapping, Sequence, Set
from pathlib import Path

from model_export.errors import ExportError
from model_export.manifest import FileEntry

_FILE_MODE = 0o644
_FOLDER_MODE = 0o755
_CHUNK = 1 << 20


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def list_files(folder: Path) -> dict[str, FileEntry]:
    """Return every file below a folder by its relative path, sorted.

    Raises:
        ExportError: If there is anything but files and folders.
    """
    entries = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ExportError(f"{name}: only plain files can be in a bundle")
        if path.is_file():
            entries[name] = FileEntry(sha256=sha256_of(path), size=path.stat().st_size)
    return dict(sorted(entries.items()))


def pack(folder: Path, archive: Path) -> None:
    """Write the files and folders below a folder as a tar: sorted, owner 0, time 0, modes 0644 and 0755."""
    with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as tar:
        names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
        for name in names:
            path = folder / name
            member = tarfile.TarInfo(name)
            if path.is_dir():
                member.type, member.mode = tarfile.DIRTYPE, _FOLDER_MODE
                tar.addfile(member)
                continue
            member.size, member.mode = path.stat().st_size, _FILE_MODE
            with path.open("rb") as stream:
                tar.addfile(member, stream)


def _write_member(tar: tarfile.TarFile, member: tarfile.TarInfo, expected: FileEntry, target: Path) -> None:
    stream = tar.extractfile(member)
    if stream is None:
        raise ExportError(f"{member.name}: has no content")
    digest = hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as output:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            output.write(chunk)
    if digest.hexdigest() != expected.sha256:
        raise ExportError(f"{member.name}: its SHA-256 is {digest.hexdigest()}, the manifest says {expected.sha256}")


def _check_member(
    member: tarfile.TarInfo, files: Mapping[str, FileEntry], folders: Set[str], seen: Sequence[str]
) -> None:
    """Refuse an entry that `pack` would not have written for these files, before anything of it is unpacked."""
    if member.name.startswith("/") or ".." in member.name.split("/"):
        raise ExportError(
            f"{member.name}: an absolute path or one with '..'; only paths inside the folder may be packed"
        )
    is_folder = member.isdir() and member.name in folders
    if not is_folder and (member.type != tarfile.REGTYPE or member.issparse()):
        raise ExportError(
            f"{member.name}: a link, device, sparse file or unlisted folder; only plain files may be packed"
        )
    if member.name in seen:
        raise ExportError(f"{member.name}: packed twice")
    if not is_folder:
        expected = files.get(member.name)
        if expected is None:
            raise ExportError(f"{member.name}: packed, but not in the manifest")
        if member.size != expected.size:
            raise ExportError(f"{member.name}: {member.size} bytes, the manifest says {expected.size}")
    if seen and member.name < seen[-1]:
        raise ExportError(f"{member.name}: packed after {seen[-1]}; entries must be sorted, export the model again")
    mode = _FOLDER_MODE if is_folder else _FILE_MODE
    if (member.mode, member.mtime, member.uid, member.gid, member.uname) != (mode, 0, 0, 0, "") or member.pax_headers:
        raise ExportError(f"{member.name}: packed with an owner, time or other mode; export the model again")


def unpack(archive: Path, files: Mapping[str, FileEntry], folder: Path) -> None:
    """Unpack an archive into an empty folder, accepting exactly the listed files as `pack` writes them.

    Raises:
        ExportError: Naming the entry that is missing, extra, doubled, changed, out of order, or not a plain file with
            a plain path.
    """
    folders = {parent.as_posix() for name in files for parent in Path(name).parents}
    seen: list[str] = []
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                _check_member(member, files, folders, seen)
                seen.append(member.name)
                if member.isfile():
                    _write_member(tar, member, files[member.name], folder / member.name)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ExportError(f"{archive.name}: not a readable tar: {error}") from None
    missing = sorted(set(files) - set(seen))
    if missing:
        raise ExportError(f"{missing[0]}: in the manifest, but not packed")
