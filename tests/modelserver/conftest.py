import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.modelserver.running_server import RunningServer

BATCHING = """
max_batch_size { value: 8 } allowed_batch_sizes: 1 allowed_batch_sizes: 4 allowed_batch_sizes: 8
batch_timeout_micros { value: 100000 } max_enqueued_batches { value: 2 }
"""


@pytest.fixture(scope="session")
def saved_models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved_models")
    command = [sys.executable, str(Path(__file__).with_name("make_models.py")), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="session")
def start(saved_models, tmp_path_factory):
    """Return a context manager that serves a model folder made of the given versions."""

    @contextmanager
    def starter(*flags, model="toy", versions=("1",), policy="specific { versions: 1 }", prepare=None, **options):
        folder = tmp_path_factory.mktemp("server")
        base = folder / "models" / "toy"
        base.mkdir(parents=True)
        for version in versions:
            shutil.copytree(saved_models / model, base / version)
            (base / version / "batching_params.pbtxt").write_text(BATCHING)
        if prepare is not None:
            prepare(base)
        (folder / "models.config").write_text(
            f'model_config_list {{ config {{ name: "toy" base_path: "{base}" model_platform: "tensorflow" '
            f"model_version_policy {{ {policy} }} }} }}"
        )
        (folder / "batching.config").write_text("num_batch_threads { value: 1 }")
        (folder / "monitoring.config").write_text("prometheus_config { enable: true }")
        common = [
            f"--model_config_file={folder / 'models.config'}",
            f"--monitoring_config_file={folder / 'monitoring.config'}",
            f"--batching_parameters_file={folder / 'batching.config'}",
            "--enable_batching=true",
            "--enable_per_model_batching_parameters",
            "--file_system_poll_wait_seconds=0",
            "--enable_grpc_healthcheck_service=true",
            "--max_num_load_retries=1",
        ]
        server = RunningServer(folder / "log", [*common, *flags], **options)
        server.base = base
        try:
            yield server
        finally:
            server.stop()

    return starter


@pytest.fixture(scope="session")
def server(start):
    with start("--num_request_iterations_for_warmup=2") as running:
        yield running.wait_ready()
