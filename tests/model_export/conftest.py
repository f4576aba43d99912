"""One export, and one training run of each family, for all tests of this folder."""

import subprocess

import pytest
from bundle_runner import unpack
from export_command import ROOT, export_command
from signature_runner import SignatureRunner
from trained_models import TrainedModels


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """Folder of a bundle with version 1 of the model `scenes`."""
    out = tmp_path_factory.mktemp("bundles") / "scenes"
    command = export_command(out, "--name", "scenes")
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert result.returncode == 0, result.stdout + result.stderr
    return out


@pytest.fixture(scope="session")
def version_folder(bundle, tmp_path_factory):
    """The unpacked archive of version 1."""
    folder = tmp_path_factory.mktemp("version")
    unpack(bundle, folder)
    return folder


@pytest.fixture(scope="session")
def run_signature(version_folder):
    """A function (signature, inputs) -> outputs that runs the model in a child process."""
    runner = SignatureRunner(version_folder)
    yield runner
    runner.close()


@pytest.fixture(scope="session")
def models(tmp_path_factory, worker_id):
    """The trained families, as `TrainedModels` makes them."""
    base = tmp_path_factory.getbasetemp()
    return TrainedModels((base if worker_id == "master" else base.parent) / "models")


@pytest.fixture(scope="session")
def digits_run(models):
    """Folder of a finished run of VGG16, small, on the digits."""
    return models.run("vgg16")
