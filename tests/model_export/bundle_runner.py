"""Runs a bundle: unpacked and loaded in a child process."""

import contextlib

from signature_runner import SignatureRunner

from model_export import archive
from model_export.manifest import read_manifest


def unpack(bundle, folder):
    """Unpack version 1 of a bundle into an empty folder and return its manifest."""
    manifest = read_manifest(bundle / "1.json")
    archive.unpack(bundle / manifest.archive, manifest.files, folder)
    return manifest


@contextlib.contextmanager
def loaded(bundle, folder):
    """Yield a function (signature, inputs) -> outputs of version 1 of a bundle, unpacked into an empty folder."""
    unpack(bundle, folder)
    with contextlib.closing(SignatureRunner(folder)) as runner:
        yield runner
