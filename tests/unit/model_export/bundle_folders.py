"""Folders with several fake bundle versions, for tests of the commands about bundles."""

import tempfile
from pathlib import Path

from fake_bundle import fill, manifest_of

from model_export.publish import claimed, publish


def make(out: Path, *versions: int, name: str = "scenes") -> Path:
    """Write versions with different content."""
    for version in versions:
        with tempfile.TemporaryDirectory() as scratch, claimed(out) as work:
            folder = fill(Path(scratch) / "version", f"graph of {version}".encode())
            manifest = manifest_of(folder, work / "archive.tar", name=name, version=version)
            publish(out, work / "archive.tar", manifest)
    return out


def names(folder: Path) -> list[str]:
    """Names of the files, archives as `tar`."""
    return sorted("tar" if path.suffix == ".tar" else path.name for path in folder.iterdir())


def quiet(_: str) -> None:
    """Take a line of progress."""
