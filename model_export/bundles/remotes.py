"""Where bundles are published: a folder of this machine, or anything that rclone reaches, such as an object store.

A remote's name is what rclone takes, `s3:bucket/bundles/scenes`; a path without a colon in its first part is a folder,
for which no rclone is needed. How to reach a store is rclone's configuration: its file, or RCLONE_CONFIG_<NAME>_*.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Protocol

from model_export.archive import sha256_of
from model_export.errors import ExportError
from model_export.files import sync

PROGRAM = "TRICORN_RCLONE"
"""Environment variable with the path of rclone; PATH is searched without it."""
_REMOTE = re.compile(r"^(:[^/]+|[\w][\w.+@ -]*):")
_LOG_PREFIX = re.compile(r"^\d{4}/\d\d/\d\d [\d:]{8} \w+ *: ")
_NOT_THERE = (3, 4)
"""rclone's exit codes for a folder and a file that do not exist."""
_FLAGS = (
    "--retries", "5", "--low-level-retries", "5", "--retries-sleep", "2s", "--contimeout", "10s", "--timeout", "60s",
    "--s3-no-check-bucket", "--stats", "0",
)  # fmt: skip


class Remote(Protocol):
    """A place with files by name. Every method raises ExportError when it cannot do what it says."""

    name: str

    def sizes(self) -> dict[str, int]:
        """Return the size of every file in bytes; nothing for a place that does not exist yet."""
        ...

    def read(self, name: str) -> bytes:
        """Return the content of a small file."""
        ...

    def get(self, name: str, file: Path) -> None:
        """Copy a file to this machine."""
        ...

    def put(self, file: Path, name: str) -> None:
        """Copy a file there, whole or not at all, unless the same content is there already."""
        ...

    def create(self, file: Path, name: str) -> None:
        """Copy a file there, whole or not at all; never replaces other content."""
        ...


def remote_of(name: str) -> Remote:
    """Return the remote of a name.

    Raises:
        ExportError: If it needs rclone and there is none.
    """
    return RcloneRemote(name) if _REMOTE.match(name) else FolderRemote(Path(name))


def _taken(name: str) -> ExportError:
    return ExportError(f"{name}: exists with other content and is never replaced; export with a new --version")


class FolderRemote:
    """A folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = str(folder)

    def sizes(self) -> dict[str, int]:
        """See `Remote`."""
        if not self.folder.exists():
            return {}
        with os.scandir(self.folder) as entries:
            return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}

    def read(self, name: str) -> bytes:
        """See `Remote`."""
        return self._there(name).read_bytes()

    def get(self, name: str, file: Path) -> None:
        """See `Remote`."""
        shutil.copyfile(self._there(name), file)

    def put(self, file: Path, name: str) -> None:
        """See `Remote`."""
        target = self.folder / name
        if target.is_file() and target.stat().st_size == file.stat().st_size and sha256_of(target) == sha256_of(file):
            return
        part = self._part(file, name)
        part.replace(target)
        sync(self.folder)

    def create(self, file: Path, name: str) -> None:
        """See `Remote`."""
        part = self._part(file, name)
        try:
            os.link(part, self.folder / name)  # unlike a rename it fails when the name is taken
        except FileExistsError:
            if (self.folder / name).read_bytes() != file.read_bytes():
                raise _taken(str(self.folder / name)) from None
        finally:
            part.unlink()
        sync(self.folder)

    def _there(self, name: str) -> Path:
        file = self.folder / name
        if not file.is_file():
            raise ExportError(f"{file}: is not there; publish the version again")
        return file

    def _part(self, file: Path, name: str) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f".{name}.{os.getpid()}.part"
        try:
            shutil.copyfile(file, part)
            sync(part)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return part


class RcloneRemote:
    """Anything rclone reaches."""

    def __init__(self, name: str) -> None:
        self.name = name
        program = os.environ.get(PROGRAM) or shutil.which("rclone")
        if program is None:
            raise ExportError(
                f"REMOTE: {name} needs rclone, which is not on PATH; install it, or set {PROGRAM} to its path "
                "(`python -m toolchain --path` prints where `make tools` puts one)"
            )
        self._program = program

    def sizes(self) -> dict[str, int]:
        """See `Remote`."""
        output = self._run("lsjson", "--files-only", "--no-mimetype", "--no-modtime", self.name, absent_ok=True)
        return {} if output is None else {entry["Name"]: entry["Size"] for entry in json.loads(output)}

    def read(self, name: str) -> bytes:
        """See `Remote`."""
        return self._run("cat", self._path(name)) or b""

    def get(self, name: str, file: Path) -> None:
        """See `Remote`."""
        self._run("copyto", self._path(name), str(file))

    def put(self, file: Path, name: str) -> None:
        """See `Remote`."""
        # By content: an upload that was cut off and one with another modification time are told apart.
        self._run("copyto", "--checksum", str(file), self._path(name))

    def create(self, file: Path, name: str) -> None:
        """See `Remote`."""
        # --immutable does not hold for single files (rclone 1.75.1), so what is there afterwards is compared.
        self._run("copyto", "--ignore-existing", str(file), self._path(name))
        if self.read(name) != file.read_bytes():
            raise _taken(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self.name}{'' if self.name.endswith((':', '/')) else '/'}{name}"

    def _run(self, *arguments: str, absent_ok: bool = False) -> bytes | None:
        """Run rclone; return its output, or None for a place that does not exist, where that is all right."""
        try:
            done = subprocess.run([self._program, *arguments, *_FLAGS], stdin=subprocess.DEVNULL, capture_output=True)
        except OSError as error:
            raise ExportError(f"{PROGRAM}: {self._program} cannot be run: {error.strerror}") from None
        if absent_ok and done.returncode in _NOT_THERE:
            return None
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["it gave no reason"]
            reason = _LOG_PREFIX.sub("", said[-1])
            raise ExportError(f"REMOTE: {self.name}: rclone {arguments[0]} failed: {reason}; check its configuration")
        return done.stdout
