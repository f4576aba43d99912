"""A bundle's folder: its versions."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from model_export.bundles.signatures import SUFFIX, read_signature
from model_export.errors import ExportError
from model_export.manifest import Manifest, read_manifest

_MANIFEST = re.compile(r"^[1-9][0-9]*\.json$")


@dataclass(frozen=True)
class Version:
    """One version of a bundle."""

    file: Path
    """Its manifest."""
    manifest: Manifest

    @property
    def signature(self) -> Path:
        """The signature file, whether or not it is there."""
        return self.file.with_suffix(SUFFIX)

    @property
    def signer(self) -> str:
        """Id of the key that the signature names, unchecked; empty when the version is not signed."""
        return read_signature(self.signature)[0] if self.signature.is_file() else ""

    @property
    def archive(self) -> Path:
        """The archive, whether or not it is there."""
        return self.file.parent / self.manifest.archive


def manifest_names(names: list[str]) -> list[str]:
    """Return the names that are manifests' (`<version>.json`), the newest first."""
    found = [name for name in names if _MANIFEST.match(name)]
    return sorted(found, key=lambda name: int(name.removesuffix(".json")), reverse=True)


def versions(folder: Path, field: str = "FOLDER") -> list[Version]:
    """Return a folder's versions, the newest first.

    Raises:
        ExportError: If there is no such folder, or a manifest in it is not valid.
    """
    try:
        names = manifest_names(os.listdir(folder))
    except OSError as error:
        raise ExportError(
            f"{field}: {folder} cannot be read: {error.strerror}; give the folder of a bundle's manifests"
        ) from None
    return [Version(folder / name, read_manifest(folder / name)) for name in names]
