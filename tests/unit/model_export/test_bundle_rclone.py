"""Publishing and pulling through the real rclone: to a folder by its alias, and to its own S3 server."""

import re
import subprocess

import pytest
from bundle_folders import make, names, quiet

import toolchain
from model_export.bundles.publish import publish
from model_export.bundles.pull import pull
from model_export.bundles.remotes import PROGRAM, remote_of
from model_export.errors import ExportError

pytestmark = pytest.mark.tools
KEY, SECRET = "AKEXAMPLE0001", "secretexample0001"


@pytest.fixture
def store(tmp_path):
    """The folder behind every remote, which is the bucket `models`."""
    (tmp_path / "store" / "models").mkdir(parents=True)
    return tmp_path / "store" / "models"


@pytest.fixture
def alias(store, monkeypatch):
    monkeypatch.setenv(PROGRAM, str(toolchain.find("rclone")))
    monkeypatch.setenv("RCLONE_CONFIG", "/dev/null")
    monkeypatch.setenv("RCLONE_CONFIG_STORE_TYPE", "alias")
    monkeypatch.setenv("RCLONE_CONFIG_STORE_REMOTE", str(store.parent))
    return store


@pytest.fixture
def s3(store, monkeypatch):
    program = str(toolchain.find("rclone"))
    monkeypatch.setenv(PROGRAM, program)
    monkeypatch.setenv("RCLONE_CONFIG", "/dev/null")
    server = subprocess.Popen(
        [program, "serve", "s3", "--addr", "127.0.0.1:0", "--auth-key", f"{KEY},{SECRET}", str(store.parent)],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        address = next(found for line in server.stderr if (found := re.search(r"http://[\d.]+:\d+", line)))
        for name, value in {
            "TYPE": "s3", "PROVIDER": "Rclone", "ENDPOINT": address.group(), "ACCESS_KEY_ID": KEY,
            "SECRET_ACCESS_KEY": SECRET,
        }.items():  # fmt: skip
            monkeypatch.setenv(f"RCLONE_CONFIG_STORE_{name}", value)
        yield store
    finally:
        server.kill()
        server.wait()
        server.stderr.close()


@pytest.fixture(params=["alias", "s3"])
def stored(request):
    return request.getfixturevalue(request.param)


def test_versions_travel_there_and_back_and_never_change(tmp_path, stored):
    folder = make(tmp_path / "scenes", 1, 2)
    remote = remote_of("store:models/bundles/scenes")
    assert [line.rpartition(": ")[2] for line in publish(folder, remote, [], quiet)] == ["published"] * 2
    assert names(stored / "bundles" / "scenes") == ["1.json", "2.json", "tar", "tar"]
    assert [line.rpartition(": ")[2] for line in publish(folder, remote, [], quiet)] == ["unchanged"] * 2
    pull(remote, tmp_path / "out", None, None, quiet)
    assert (tmp_path / "out" / "2.json").read_bytes() == (folder / "2.json").read_bytes()
    other = make(tmp_path / "other", 3)
    (other / "3.json").write_text((other / "3.json").read_text().replace('"version": 3', '"version": 1'))
    (other / "3.json").rename(other / "1.json")
    with pytest.raises(ExportError, match="version 1 is published with the digest"):
        publish(other, remote, [], quiet)


def test_a_cut_off_archive_is_uploaded_again_and_a_whole_one_is_not(tmp_path, stored):
    folder = make(tmp_path / "scenes", 1)
    remote = remote_of("store:models/scenes")
    publish(folder, remote, [], quiet)
    archive = next((stored / "scenes").glob("*.tar"))
    whole, written = archive.read_bytes(), archive.stat().st_mtime_ns
    publish(folder, remote, [], quiet)
    assert archive.stat().st_mtime_ns == written
    archive.write_bytes(whole[:-512])
    with pytest.raises(ExportError, match="its SHA-256 is"):
        pull(remote, tmp_path / "out", 1, None, quiet)
    publish(folder, remote, [], quiet)
    assert archive.read_bytes() == whole


def test_a_manifest_that_another_publisher_wrote_meanwhile_is_not_replaced(tmp_path, alias):
    folder = make(tmp_path / "scenes", 1)
    remote = remote_of("store:models/scenes")
    (alias / "scenes").mkdir()
    (alias / "scenes" / "1.json").write_text("{}")
    with pytest.raises(ExportError, match=r"store:models/scenes/1\.json: exists with other content"):
        remote.create(folder / "1.json", "1.json")
    assert (alias / "scenes" / "1.json").read_text() == "{}"


def test_a_store_that_refuses_is_named_with_its_reason(tmp_path, s3, monkeypatch):
    folder = make(tmp_path / "scenes", 1)
    with pytest.raises(ExportError, match=r"REMOTE: store:absent/scenes: rclone copyto failed: .*NoSuchBucket"):
        publish(folder, remote_of("store:absent/scenes"), [], quiet)
    monkeypatch.setenv("RCLONE_CONFIG_STORE_ACCESS_KEY_ID", "AKOTHER000001")
    with pytest.raises(ExportError, match=r"REMOTE: store:models: rclone lsjson failed: .*InvalidAccessKeyId"):
        publish(folder, remote_of("store:models"), [], quiet)
    with pytest.raises(ExportError, match="didn't find section in config file"):
        publish(folder, remote_of("elsewhere:models"), [], quiet)
