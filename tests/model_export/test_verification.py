"""What `verify` refuses, and that an export is whole, repeatable and interruptible."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from export_command import ROOT, export_command
from training_command import run, successful

from model_export import archive, golden, graph_rules, model_config
from model_export.errors import ExportError
from model_export.loader import read_meta_graph
from model_export.manifest import read_manifest
from model_export.verify import probe

pytestmark = pytest.mark.model
HERE = Path(__file__).parent


def verify(manifest):
    command = [sys.executable, "-m", "model_export", "verify", str(manifest)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def assert_refused(result, *reasons):
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    for reason in reasons:
        assert reason in result.stderr


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def repack(bundle, version_folder, tmp_path):
    """Return a function that changes the version folder, packs it anew and writes a manifest that fits the archive."""

    def make(change, *, keep_files=False, **fields):
        folder = tmp_path / "version"
        shutil.copytree(version_folder, folder)
        change(folder)
        packed = tmp_path / "archive.tar"
        archive.pack(folder, packed)
        digest = archive.sha256_of(packed)
        packed.replace(tmp_path / f"{digest}.tar")
        content = json.loads((bundle / "1.json").read_text())
        if not keep_files:
            entries = archive.list_files(folder)
            content["files"] = {name: entry.model_dump() for name, entry in entries.items()}
            content["unpacked_size"] = sum(entry.size for entry in entries.values())
        content |= {"digest": f"sha256:{digest}", "archive": f"{digest}.tar", **fields}
        content["size"] = (tmp_path / f"{digest}.tar").stat().st_size
        (tmp_path / "1.json").write_text(json.dumps(content))
        return tmp_path / "1.json"

    return make


def test_a_fresh_bundle_is_verified_and_says_what_was_measured(bundle):
    result = verify(bundle / "1.json")
    assert result.returncode == 0, result.stderr
    assert "verified: scenes version 1, 8 files, 15 warm-up requests" in result.stdout
    measured = read_manifest(bundle / "1.json").measured
    assert 100 < measured.peak_memory_mib < 3000
    assert 0 < measured.load_s < 60
    assert 1 < measured.latency_ms < 2000
    assert list(measured.latency_ms_by_batch) == ["1", "2", "4", "8", "16"]
    assert measured.latency_ms_by_batch["1"] == measured.latency_ms < measured.latency_ms_by_batch["16"]
    assert "cores" in measured.machine


def test_the_bundle_is_one_manifest_and_one_archive_of_single_weights(bundle):
    manifest = read_manifest(bundle / "1.json")
    assert names(bundle) == sorted(["1.json", manifest.archive])
    assert sorted(manifest.files) == [
        "assets.extra/golden.bin",
        "assets.extra/saved_model_config.pb",
        "assets.extra/tf_serving_warmup_requests",
        "assets/labels.txt",
        "batching_params.pbtxt",
        "saved_model.pb",
        "variables/variables.data-00000-of-00001",
        "variables/variables.index",
    ]
    assert manifest.parameters * 4 <= manifest.unpacked_size <= manifest.parameters * 4 * 1.05 + (4 << 20)
    assert b"".join(str(ROOT).encode().split()) not in (bundle / manifest.archive).read_bytes()


def test_a_byte_altered_in_the_archive_is_refused(bundle, tmp_path):
    manifest = read_manifest(bundle / "1.json")
    shutil.copytree(bundle, tmp_path / "copy")
    file = tmp_path / "copy" / manifest.archive
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert_refused(verify(tmp_path / "copy" / "1.json"), manifest.archive, "SHA-256")


def test_a_byte_altered_in_a_file_is_refused_naming_the_file(repack):
    def change(folder):
        file = folder / "variables" / "variables.data-00000-of-00001"
        data = bytearray(file.read_bytes())
        data[1000] ^= 1
        file.write_bytes(data)

    assert_refused(verify(repack(change, keep_files=True)), "variables/variables.data-00000-of-00001: its SHA-256")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda f: (f / "saved_model.pb").write_bytes(b"\xff\xff"), "saved_model.pb: not a SavedModel"),
        (lambda f: (f / "saved_model.pb").write_bytes(b""), "saved_model.pb: no graph with the tag 'serve'"),
        (lambda f: (f / "saved_model.pb").unlink(), "saved_model.pb: missing"),
        (lambda f: (f / "variables" / "variables.index").unlink(), "Could not find variable"),
        (lambda f: (f / "assets.extra" / "tf_serving_warmup_requests").unlink(), "tf_serving_warmup_requests: missing"),
        (lambda f: (f / "batching_params.pbtxt").unlink(), "batching_params.pbtxt: missing"),
        (lambda f: (f / model_config.FILE).write_bytes(b"\x0a\x02\x18\x01"), "saved_model_config.pb: must be"),
        (lambda f: (f / "assets" / "labels.txt").write_text("cat\n"), "assets/labels.txt: 1 labels"),
    ],
    ids=["no proto", "empty graph", "no graph", "no weights", "no warm-up", "no batching", "model config", "labels"],
)
def test_a_bundle_that_cannot_be_served_is_refused_though_its_digests_fit(repack, change, reason):
    assert_refused(verify(repack(change)), reason)


def test_signatures_that_differ_from_the_manifest_are_refused(repack, bundle):
    signatures = json.loads((bundle / "1.json").read_text())["signatures"]
    signatures["image_uint8"]["inputs"]["image"]["shape"][1] = 225
    result = verify(repack(lambda folder: None, signatures=signatures))
    assert_refused(result, "signatures: image_uint8: the manifest says", "225")


def test_a_batch_size_without_warm_up_is_refused(repack):
    def change(folder):
        file = folder / "batching_params.pbtxt"
        file.write_text(
            file.read_text().replace("allowed_batch_sizes: 8\n", "allowed_batch_sizes: 8\nallowed_batch_sizes: 12\n")
        )

    batching = {"max_batch_size": 16, "allowed_batch_sizes": [1, 2, 4, 8, 12, 16]}
    assert_refused(verify(repack(change, batching=batching)), "no request of signature", "[12]")


BAD_MODELS = {
    "tracked": "warm-up record 1: .*FAILED_PRECONDITION: .*Could not find variable",
    "reads files": "the graph holds ReadFile",
    "writes files": "the graph holds WriteFile",
    "absolute path": "holds the path '/etc/hostname'",
    "python": "the graph holds EagerPyFunc",
    "no batch": r"output y has shape \[\] for a batch of 1; its first dimension must be the batch",
    "half": "signature serving_default: y: DT_HALF is not served",
    "cold": "tf_serving_warmup_requests: missing",
}
"""Why each kind that `bad_models.py` writes is refused."""


@pytest.fixture(scope="module")
def bad_models(tmp_path_factory):
    """Folder with a version folder of each kind."""
    folder = tmp_path_factory.mktemp("bad")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(HERE / "bad_models.py"), str(folder), *BAD_MODELS]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)
    return folder


@pytest.mark.parametrize(("kind", "reason"), BAD_MODELS.items())
def test_a_model_that_the_server_would_not_run_is_refused_with_the_reason(bad_models, kind, reason):
    with pytest.raises(ExportError, match=reason):
        probe(bad_models / kind, "float32", lambda _: None)


def test_golden_answers_that_the_model_does_not_give_are_refused(repack):
    def change(folder):
        answers = golden.read(folder)
        scores = answers["image_uint8"][1]["scores"]
        answers["image_uint8"][1]["scores"] = scores + 0.01
        golden.write(folder, answers)

    assert_refused(verify(repack(change)), "signature image_uint8: scores differ from Keras by 0.01")


def test_a_bundle_without_golden_answers_is_refused(repack):
    assert_refused(verify(repack(lambda folder: (folder / golden.FILE).unlink())), "golden.bin: missing")


def test_an_asset_that_the_graph_does_not_use_is_refused(repack):
    result = verify(repack(lambda folder: (folder / "assets" / "stray.txt").write_text("x")))
    assert_refused(result, "assets/stray.txt: not an asset of the graph")


def test_a_frozen_export_is_one_graph_that_answers_like_keras(tmp_path):
    command = export_command(tmp_path, "--name", "scenes", "--freeze")
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert result.returncode == 0, result.stderr
    manifest = read_manifest(tmp_path / "1.json")
    assert manifest.options.frozen
    assert manifest.files["variables/variables.data-00000-of-00001"].size < 100_000
    assert manifest.parameters * 4 <= manifest.files["saved_model.pb"].size


def test_a_bfloat16_export_multiplies_in_bfloat16_and_keeps_float32_outside(digits_run, tmp_path):
    successful(run("export", digits_run, "--out", tmp_path, "--name", "digits", "--precision", "bfloat16"))
    successful(run("verify", tmp_path / "1.json"))
    manifest = read_manifest(tmp_path / "1.json")
    assert manifest.options.precision == "bfloat16"
    assert manifest.files["variables/variables.data-00000-of-00001"].size >= 4 * manifest.parameters
    assert manifest.signatures["image_uint8"].outputs["scores"].dtype == "float32"
    archive.unpack(tmp_path / manifest.archive, manifest.files, tmp_path / "version")
    # Thirteen convolutions and two of three dense layers, once for all signatures.
    assert graph_rules.products(read_meta_graph(tmp_path / "version")) == {"float32": 1, "bfloat16": 15}


def test_another_process_and_folder_give_the_same_digest(bundle, tmp_path):
    out = tmp_path / "elsewhere" / "deep"
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    result = subprocess.run(
        export_command(out, "--name", "scenes"), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200
    )
    assert result.returncode == 0, result.stderr
    assert read_manifest(out / "1.json").digest == read_manifest(bundle / "1.json").digest


def test_another_model_under_an_existing_version_is_refused(bundle):
    before = {path: path.stat().st_mtime_ns for path in bundle.iterdir()}
    result = subprocess.run(export_command(bundle), cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert_refused(result, "holds the model 'scenes', not 'efficientnet-lite0'; give another --out or --name")
    assert {path: path.stat().st_mtime_ns for path in bundle.iterdir()} == before


@pytest.mark.parametrize(
    ("kind", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_an_export_that_is_interrupted_leaves_nothing_under_a_final_name(tmp_path, kind, code):
    out = tmp_path / "out"
    export = subprocess.Popen(
        export_command(out),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job ignores SIGINT and hands that down.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with export:
        while "tracing" not in (line := export.stdout.readline()):
            assert line, export.stderr.read()
        time.sleep(0.3)
        export.send_signal(kind)
        errors = export.stderr.read()
    assert export.returncode == code
    assert "Traceback" not in errors
    left = [".export.part"] if kind is signal.SIGKILL else []
    assert names(out) == left


def test_the_archive_unpacks_with_tar_alone(bundle, tmp_path):
    manifest = read_manifest(bundle / "1.json")
    subprocess.run(["tar", "-xf", str(bundle / manifest.archive), "-C", str(tmp_path)], check=True)
    assert archive.list_files(tmp_path) == manifest.files
    with tarfile.open(bundle / manifest.archive) as tar:
        assert {member.mode for member in tar} == {0o644, 0o755}
