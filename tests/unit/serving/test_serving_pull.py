"""The pull script, run for real with a fake rclone."""

import hashlib
import io
import os
import shutil
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
from bundle_files import CONTENT, archive_bytes

import toolchain
from serving.namespace import PULL_SCRIPT, namespace_objects, pull_script

RCLONE = """#!/bin/sh
echo "$@" >> {log}
[ "$1" = --config ] && [ "$2" = /dev/null ] && [ "$3" = copyto ] || exit 64
[ "$HOME" = /tmp ] || exit 65
{behaviour}
"""


class Pull:
    """A pod's volume, an object store with one object, and the script's surroundings."""

    def __init__(self, folder: Path) -> None:
        self.script = folder / PULL_SCRIPT
        self.script.write_text(pull_script())
        self.models = folder / "models" / "scenes"
        self.log = folder / "rclone.log"
        self.object = folder / "object"
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.digest = ""
        self.store(archive_bytes())
        self.rclone('cp {object} "$5"')

    def store(self, data: bytes, digest: str | None = None) -> None:
        self.object.write_bytes(data)
        self.digest = digest or hashlib.sha256(data).hexdigest()

    def rclone(self, behaviour: str) -> None:
        program = self.programs / "rclone"
        program.write_text(RCLONE.format(log=self.log, behaviour=behaviour.format(object=self.object)))
        program.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.programs}:{os.environ['PATH']}", "HOME": "/tmp", "STORE_BUCKET": "bucket",
            "BUNDLE_KEY": "bundles/scenes/x.tar", "BUNDLE_SHA256": self.digest, "MODEL_DIR": str(self.models),
            "MODEL_VERSION": "3",
        }  # fmt: skip

    def run(self, **changes: str | None) -> subprocess.CompletedProcess[str]:
        environment = {key: value for key, value in (self.environment | changes).items() if value is not None}
        return subprocess.run(
            ["sh", str(self.script)], env=environment, capture_output=True, text=True, timeout=20, check=False
        )

    def calls(self) -> int:
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0

    def is_clean(self) -> bool:
        """Whether nothing but finished versions lies in the volume."""
        return not self.models.exists() or all(each.name.isdigit() for each in self.models.iterdir())


@pytest.fixture
def pull(tmp_path: Path) -> Pull:
    return Pull(tmp_path)


def test_a_bundle_arrives_whole_in_one_step_and_every_step_is_told(pull: Pull):
    done = pull.run()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "downloading bundles/scenes/x.tar", "checking SHA-256", "unpacking", "version 3 is ready",
    ]  # fmt: skip
    found = {str(f.relative_to(pull.models / "3")): f.read_bytes() for f in pull.models.rglob("*") if f.is_file()}
    assert found == CONTENT
    assert pull.is_clean()
    assert "store:bucket/bundles/scenes/x.tar" in pull.log.read_text()


def test_a_second_run_downloads_nothing(pull: Pull):
    assert pull.run().returncode == 0
    again = pull.run()
    assert again.returncode == 0
    assert again.stdout == "version 3 is there already\n"
    assert pull.calls() == 1


def test_a_failed_download_is_an_error_that_names_object_and_bucket_and_leaves_nothing(pull: Pull):
    pull.rclone('echo partial > "$5"; echo "403 Forbidden" >&2; exit 3')
    done = pull.run()
    assert done.returncode == 1
    assert "bundles/scenes/x.tar could not be downloaded from the bucket bucket" in done.stderr
    assert "403 Forbidden" in done.stderr
    assert pull.is_clean()


def test_an_object_that_is_not_there_is_an_error(pull: Pull):
    pull.rclone("exit 0")
    done = pull.run()
    assert done.returncode == 1
    assert "is not in the bucket bucket" in done.stderr


@pytest.mark.parametrize("damage", [lambda d: d[:-512], lambda d: d[:600] + b"\1" + d[601:], lambda d: b""])
def test_an_altered_or_incomplete_archive_is_refused_and_never_seen_by_the_server(pull: Pull, damage):
    good = archive_bytes()
    pull.store(damage(good), hashlib.sha256(good).hexdigest())
    done = pull.run()
    assert done.returncode == 1
    assert "does not have the SHA-256" in done.stderr
    assert not (pull.models / "3").exists()
    assert pull.is_clean()


def test_an_object_that_is_no_archive_is_refused_though_its_digest_is_right(pull: Pull):
    pull.store(b"not a tar at all" * 100)
    done = pull.run()
    assert done.returncode == 1
    assert "the archive cannot be read" in done.stderr
    assert pull.is_clean()


def archive(*entries: tuple[str, bytes, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind, target in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode = kind, target, 0o644
            data = b"owned" if kind == tarfile.REGTYPE else b""
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([("../escaped", tarfile.REGTYPE, "")], "leads out of its folder"),
        ([("a/../../escaped", tarfile.REGTYPE, "")], "leads out of its folder"),
        ([("/escaped", tarfile.REGTYPE, "")], "leads out of its folder"),
        ([("..", tarfile.DIRTYPE, "")], "leads out of its folder"),
        ([("out", tarfile.SYMTYPE, ".."), ("out/escaped", tarfile.REGTYPE, "")], "neither a file nor a folder"),
        ([("out", tarfile.LNKTYPE, "../../escaped")], "neither a file nor a folder"),
        ([("pipe", tarfile.FIFOTYPE, "")], "neither a file nor a folder"),
    ],
)
def test_an_archive_that_could_write_elsewhere_is_refused(pull: Pull, entries, reason):
    pull.store(archive(*entries))
    done = pull.run()
    assert done.returncode == 1
    assert reason in done.stderr
    assert not (pull.models / "3").exists()
    assert pull.is_clean()
    assert not list(pull.models.parent.rglob("escaped"))


def test_names_that_only_look_dangerous_are_fine(pull: Pull):
    pull.store(archive(("a..b", tarfile.REGTYPE, ""), ("dir with space/..c", tarfile.REGTYPE, "")))
    assert pull.run().returncode == 0
    assert (pull.models / "3" / "dir with space" / "..c").read_text() == "owned"


def test_after_sigkill_in_the_middle_the_next_run_finishes_the_job(pull: Pull):
    pull.rclone('echo half > "$5"; sleep 30')
    process = subprocess.Popen(["sh", str(pull.script)], env=pull.environment, start_new_session=True)
    try:
        deadline = time.monotonic() + 10
        while not (pull.models / ".3.part" / "bundle.tar").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(5)
    assert (pull.models / ".3.part" / "bundle.tar").exists()
    assert not (pull.models / "3").exists()
    pull.rclone('cp {object} "$5"')
    assert pull.run().returncode == 0
    assert (pull.models / "3" / "saved_model.pb").read_bytes() == CONTENT["saved_model.pb"]
    assert pull.is_clean()


def test_sigterm_cleans_up_and_is_no_success(pull: Pull):
    pull.rclone('echo half > "$5"; sleep 1')
    process = subprocess.Popen(["sh", str(pull.script)], env=pull.environment)
    deadline = time.monotonic() + 10
    while not (pull.models / ".3.part" / "bundle.tar").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.terminate()
    assert process.wait(10) == 143
    assert pull.is_clean()


def test_other_versions_in_the_volume_are_left_alone(pull: Pull):
    (pull.models / "2").mkdir(parents=True)
    (pull.models / "2" / "saved_model.pb").write_text("old")
    assert pull.run().returncode == 0
    assert (pull.models / "2" / "saved_model.pb").read_text() == "old"


@pytest.mark.parametrize("name", ["STORE_BUCKET", "BUNDLE_KEY", "BUNDLE_SHA256", "MODEL_DIR", "MODEL_VERSION"])
def test_a_missing_variable_is_named(pull: Pull, name: str):
    done = pull.run(**{name: None})
    assert done.returncode != 0
    assert f"{name}: is not set" in done.stderr
    assert pull.calls() == 0


def test_a_volume_that_cannot_be_written_is_an_error(pull: Pull):
    pull.models.parent.write_text("a file where the volume should be")
    assert pull.run().returncode != 0
    assert pull.calls() == 0


@pytest.mark.tools
def test_the_real_rclone_takes_the_scripts_flags_and_writes_nothing_else(pull: Pull, tmp_path: Path):
    store = tmp_path / "store" / "bucket" / "bundles" / "scenes"
    store.mkdir(parents=True)
    shutil.copy(pull.object, store / "x.tar")
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    (pull.programs / "rclone").unlink()
    (pull.programs / "rclone").symlink_to(toolchain.find("rclone"))
    remote = {"RCLONE_CONFIG_STORE_TYPE": "alias", "RCLONE_CONFIG_STORE_REMOTE": str(tmp_path / "store")}
    done = pull.run(HOME=str(home), **remote)
    assert done.returncode == 0, done.stderr
    assert (pull.models / "3" / "saved_model.pb").read_bytes() == CONTENT["saved_model.pb"]
    assert not list(home.iterdir())
    missing = pull.run(HOME=str(home), MODEL_VERSION="4", BUNDLE_KEY="bundles/scenes/y.tar", **remote)
    assert missing.returncode == 1
    assert "bundles/scenes/y.tar could not be downloaded from the bucket bucket" in missing.stderr


def test_the_script_is_in_the_config_map_that_pods_mount():
    objects = namespace_objects("serving", "models", {})
    assert objects["puller"]["data"] == {PULL_SCRIPT: pull_script()}
    assert pull_script().startswith("#!/bin/sh\n")


def test_a_file_servers_remote_is_the_folder_itself(pull: Pull):
    assert pull.run(RCLONE_CONFIG_STORE_TYPE="http").returncode == 0
    assert " store:bundles/scenes/x.tar " in pull.log.read_text()
    shutil.rmtree(pull.models)
    pull.log.unlink()
    assert pull.run(RCLONE_CONFIG_STORE_TYPE="s3").returncode == 0
    assert " store:bucket/bundles/scenes/x.tar " in pull.log.read_text()
