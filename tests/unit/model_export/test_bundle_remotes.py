"""Publishing to a folder and pulling from it."""

import json

import pytest
from bundle_folders import make, names, quiet

from model_export.bundles.keys import key_of_file, keygen
from model_export.bundles.publish import publish
from model_export.bundles.pull import pull
from model_export.bundles.remotes import PROGRAM, FolderRemote, RcloneRemote, remote_of
from model_export.bundles.sign import sign
from model_export.bundles.signatures import read_public_key
from model_export.errors import ExportError


@pytest.fixture
def folder(tmp_path):
    return make(tmp_path / "scenes", 1, 2)


@pytest.fixture
def remote(tmp_path):
    return FolderRemote(tmp_path / "remote" / "scenes")


class Recording(FolderRemote):
    """Notes what is written, and breaks off before the `limit`-th write."""

    def __init__(self, folder, limit=99):
        super().__init__(folder)
        self.written, self.limit = [], limit

    def put(self, file, name):
        self._note(name)
        super().put(file, name)

    def create(self, file, name):
        self._note(name)
        super().create(file, name)

    def _note(self, name):
        if len(self.written) == self.limit:
            raise KeyboardInterrupt
        self.written.append("tar" if name.endswith(".tar") else name)


def signed(tmp_path, folder):
    key = tmp_path / "key"
    if not key.exists():
        (tmp_path / "key.pem").write_text(keygen(key))
    sign(folder / "1.json", *key_of_file(key))
    return read_public_key(tmp_path / "key.pem", "--signed-by")


def test_an_archive_is_there_before_its_manifest_and_old_versions_before_new_ones(tmp_path, folder):
    signed(tmp_path, folder)
    remote = Recording(tmp_path / "remote")
    lines = publish(folder, remote, [], quiet)
    assert remote.written == ["tar", "1.sig", "1.json", "tar", "2.json"]
    assert [line.rpartition("/")[2] for line in lines] == ["1.json: published", "2.json: published"]
    assert names(tmp_path / "remote") == ["1.json", "1.sig", "2.json", "tar", "tar"]


@pytest.mark.parametrize("limit", range(5))
def test_an_interrupted_publish_leaves_no_manifest_without_its_archive_and_goes_on(tmp_path, folder, limit):
    signed(tmp_path, folder)
    with pytest.raises(KeyboardInterrupt):
        publish(folder, Recording(tmp_path / "remote", limit), [], quiet)
    remote = FolderRemote(tmp_path / "remote")
    for file in (tmp_path / "remote").glob("*.json"):
        assert (tmp_path / "remote" / json.loads(file.read_text())["archive"]).is_file()
    assert not list((tmp_path / "remote").glob(".*"))
    publish(folder, remote, [], quiet)
    assert names(tmp_path / "remote") == ["1.json", "1.sig", "2.json", "tar", "tar"]


def test_what_is_there_is_not_written_again_and_a_cut_off_archive_is(folder, remote):
    publish(folder, remote, [], quiet)
    before = {path: path.stat().st_mtime_ns for path in remote.folder.iterdir()}
    assert publish(folder, remote, [], quiet)[0].endswith("1.json: unchanged")
    assert {path: path.stat().st_mtime_ns for path in remote.folder.iterdir()} == before
    cut = next(remote.folder.glob("*.tar"))
    whole = cut.read_bytes()
    for content in (whole[:100], b"?" * len(whole)):
        cut.write_bytes(content)
        publish(folder, remote, [], quiet)
        assert cut.read_bytes() == whole


def test_another_digest_under_a_published_version_is_refused_before_anything_is_copied(tmp_path, folder, remote):
    publish(folder, remote, [2], quiet)
    before = names(remote.folder)
    other = make(tmp_path / "other", 1)
    manifest = json.loads((other / "1.json").read_text()) | {"version": 2}
    (other / "2.json").write_text(json.dumps(manifest))
    with pytest.raises(ExportError, match=r"version 2 is published with the digest sha256:.* a version never changes"):
        publish(other, remote, [], quiet)
    assert names(remote.folder) == before


def test_another_manifest_of_the_same_digest_is_refused(folder, remote):
    publish(folder, remote, [], quiet)
    file = folder / "1.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"license": "MIT"}))
    with pytest.raises(ExportError, match="with the same digest and another manifest"):
        publish(folder, remote, [], quiet)


def test_of_two_publishers_at_once_the_first_wins(tmp_path, folder):
    class Late(FolderRemote):
        def sizes(self):
            return {}

    remote = FolderRemote(tmp_path / "remote")
    publish(folder, remote, [1], quiet)
    file = folder / "1.json"
    mine = file.read_bytes()
    file.write_text(json.dumps(json.loads(mine) | {"license": "MIT"}))
    with pytest.raises(ExportError, match="exists with other content and is never replaced"):
        publish(folder, Late(tmp_path / "remote"), [1], quiet)
    assert remote.read("1.json") == mine


def test_another_models_place_and_missing_versions_are_refused(tmp_path, folder, remote):
    publish(folder, remote, [], quiet)
    faces = make(tmp_path / "faces", 3, name="faces")
    with pytest.raises(ExportError, match="holds bundles of the model 'scenes', these are of 'faces'"):
        publish(faces, remote, [], quiet)
    with pytest.raises(ExportError, match=r"version 7 is not in .* \(there are: 1, 2\)"):
        publish(folder, remote, [1, 7], quiet)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ExportError, match="no version is in"):
        publish(tmp_path / "empty", remote, [], quiet)


def test_the_newest_or_the_named_version_is_pulled_with_its_signature(tmp_path, folder, remote):
    key = signed(tmp_path, folder)
    publish(folder, remote, [], quiet)
    out = tmp_path / "out"
    assert pull(remote, out, None, None, quiet).endswith("2.json: pulled")
    assert names(out) == ["2.json", "tar"]
    assert pull(remote, out, 1, key, quiet).endswith("1.json: pulled")
    assert pull(remote, out, 1, key, quiet).endswith("1.json: unchanged")
    assert names(out) == ["1.json", "1.sig", "2.json", "tar", "tar"]
    assert (out / "1.json").read_bytes() == (folder / "1.json").read_bytes()


def test_an_unsigned_or_altered_version_leaves_nothing_behind(tmp_path, folder, remote):
    key = signed(tmp_path, folder)
    publish(folder, remote, [], quiet)
    out = tmp_path / "out"
    with pytest.raises(ExportError, match=r"remote/scenes/2\.sig: there is no such signature"):
        pull(remote, out, 2, key, quiet)
    for archive in remote.folder.glob("*.tar"):
        archive.write_bytes(b"?" * archive.stat().st_size)
    with pytest.raises(ExportError, match=r"its SHA-256 is .* it was altered or is incomplete"):
        pull(remote, out, 1, key, quiet)
    (remote.folder / "1.json").write_text("{}")
    with pytest.raises(ExportError, match=r"remote/scenes/1\.json: not a valid manifest"):
        pull(remote, out, 1, None, quiet)
    assert names(out) == []


def test_what_is_in_the_folder_is_never_replaced_by_another_version_of_the_number(tmp_path, folder, remote):
    publish(folder, remote, [], quiet)
    out = make(tmp_path / "out", 3)
    manifest = json.loads((out / "3.json").read_text()) | {"version": 1}
    (out / "1.json").write_text(json.dumps(manifest))
    before = (out / "1.json").read_bytes()
    with pytest.raises(ExportError, match="version 1 is here already with another manifest"):
        pull(remote, out, 1, None, quiet)
    assert (out / "1.json").read_bytes() == before
    faces = make(tmp_path / "faces", 1, name="faces")
    with pytest.raises(ExportError, match="holds bundles of the model 'faces', this is 'scenes'"):
        pull(remote, faces, 2, None, quiet)


def test_a_place_without_the_version_says_what_there_is(tmp_path, folder, remote):
    with pytest.raises(ExportError, match=r"does not have a version \(there are: none\)"):
        pull(remote, tmp_path / "out", None, None, quiet)
    publish(folder, remote, [], quiet)
    with pytest.raises(ExportError, match=r"does not have version 5 \(there are: 2, 1\)"):
        pull(remote, tmp_path / "out", 5, None, quiet)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("build/remote", FolderRemote), ("/a/b:c", FolderRemote), ("./a:b", FolderRemote), ("scenes", FolderRemote),
        ("s3:bucket/scenes", RcloneRemote), ("my-store_1:x", RcloneRemote), (":s3,env_auth:bucket/x", RcloneRemote),
    ],
)  # fmt: skip
def test_a_name_with_a_colon_in_front_is_a_remote_of_rclone(monkeypatch, name, kind):
    monkeypatch.setenv(PROGRAM, "/bin/true")
    assert isinstance(remote_of(name), kind)


def test_a_missing_rclone_is_named_with_what_to_do(monkeypatch, tmp_path):
    monkeypatch.delenv(PROGRAM, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExportError, match="needs rclone, which is not on PATH; install it, or set TRICORN_RCLONE"):
        remote_of("s3:bucket")
    monkeypatch.setenv(PROGRAM, str(tmp_path / "none"))
    with pytest.raises(ExportError, match=r"TRICORN_RCLONE: .* cannot be run: No such file"):
        remote_of("s3:bucket").sizes()
