"""Runs a bundle: unpacked and loaded in a child process."""

import contextlib

from signature_runner import SignatureRunner
from training_command import run, successful

from model_export import archive
from model_export.manifest import read_manifest


@contextlib.contextmanager
def loaded(bundle, folder):
    """Yield a function (signature, inputs) -> outputs of version 1 of a bundle, unpacked into an empty folder."""
    manifest = read_manifest(bundle / "1.json")
    archive.unpack(bundle / manifest.archive, manifest.files, folder)
    with contextlib.closing(SignatureRunner(folder)) as runner:
        yield runner


@contextlib.contextmanager
def exported(training, tmp_path_factory):
    """Yield the same of a training run, which is exported and verified first."""
    bundle = tmp_path_factory.mktemp("bundle") / "shapes"
    successful(run("export", training, "--out", bundle, "--name", "shapes"))
    successful(run("verify", bundle / "1.json"))
    with loaded(bundle, tmp_path_factory.mktemp("version")) as runner:
        yield runner
