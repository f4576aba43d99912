import io
import os
import tarfile
from pathlib import Path

import pytest
from fake_bundle import fill

from model_export import archive
from model_export.errors import ExportError


def packed_with(folder: Path, file: Path, *extra: tuple[tarfile.TarInfo, bytes]) -> Path:
    archive.pack(folder, file)
    with tarfile.open(file, "a", format=tarfile.USTAR_FORMAT) as tar:
        for member, content in extra:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file


def link(name: str, target: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def test_the_bytes_depend_on_names_and_contents_only(tmp_path):
    one, other = fill(tmp_path / "one"), tmp_path / "other"
    other.mkdir()
    (other / "saved_model.pb").write_bytes(b"graph")
    fill_order = ["batching_params.pbtxt", "assets/labels.txt"]
    (other / "assets").mkdir(mode=0o700)
    for name in fill_order:
        (other / name).write_bytes((one / name).read_bytes())
        (other / name).chmod(0o600)
        os.utime(other / name, (1, 1))
    archive.pack(one, tmp_path / "one.tar")
    archive.pack(other, tmp_path / "other.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "other.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as tar:
        members = tar.getmembers()
    assert [member.name for member in members] == sorted(member.name for member in members)
    assert {(m.mtime, m.uid, m.gid, m.uname) for m in members} == {(0, 0, 0, "")}
    assert {m.mode for m in members if m.isfile()} == {0o644}
    assert {m.mode for m in members if m.isdir()} == {0o755}


def test_packing_and_unpacking_gives_the_same_files(tmp_path):
    folder = fill(tmp_path / "version")
    archive.pack(folder, tmp_path / "a.tar")
    (tmp_path / "out").mkdir()
    archive.unpack(tmp_path / "a.tar", archive.list_files(folder), tmp_path / "out")
    assert archive.list_files(tmp_path / "out") == archive.list_files(folder)


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ((tarfile.TarInfo("stray.txt"), b"x"), r"stray\.txt: packed, but not in the manifest"),
        ((tarfile.TarInfo("../outside"), b"x"), r"\.\./outside: an absolute path or one with '\.\.'"),
        ((tarfile.TarInfo("/absolute"), b"x"), r"/absolute: an absolute path"),
        ((tarfile.TarInfo("saved_model.pb"), b"graph"), r"saved_model\.pb: packed twice"),
        (link("assets/labels.txt", "/etc/hostname", tarfile.SYMTYPE), r"assets/labels\.txt: a link"),
        (link("assets/labels.txt", "saved_model.pb", tarfile.LNKTYPE), r"assets/labels\.txt: a link"),
        (link("device", "", tarfile.BLKTYPE), r"device: a link, device"),
        (link("sparse", "", tarfile.GNUTYPE_SPARSE), r"sparse: a link, device, sparse file"),
        (link("fifo", "", tarfile.FIFOTYPE), r"fifo: a link, device"),
        (link("folder", "", tarfile.DIRTYPE), r"folder: a link, device, sparse file or unlisted folder"),
    ],
)
def test_an_entry_that_may_not_be_there_is_refused_by_name(tmp_path, extra, reason):
    folder = fill(tmp_path / "version")
    file = packed_with(folder, tmp_path / "a.tar", extra)
    (tmp_path / "out").mkdir()
    with pytest.raises(ExportError, match=reason):
        archive.unpack(file, archive.list_files(folder), tmp_path / "out")
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"graPh", r"saved_model\.pb: its SHA-256"), (b"graph!", r"saved_model\.pb: 6 bytes, the manifest says 5")],
)
def test_a_changed_file_is_refused_by_name(tmp_path, content, reason):
    files = archive.list_files(fill(tmp_path / "version"))
    archive.pack(fill(tmp_path / "changed", content), tmp_path / "a.tar")
    (tmp_path / "out").mkdir()
    with pytest.raises(ExportError, match=reason):
        archive.unpack(tmp_path / "a.tar", files, tmp_path / "out")


def test_a_missing_file_is_refused_by_name(tmp_path):
    folder = fill(tmp_path / "version")
    files = archive.list_files(folder)
    (folder / "assets" / "labels.txt").unlink()
    archive.pack(folder, tmp_path / "a.tar")
    (tmp_path / "out").mkdir()
    with pytest.raises(ExportError, match=r"assets/labels\.txt: in the manifest, but not packed"):
        archive.unpack(tmp_path / "a.tar", files, tmp_path / "out")


def test_a_truncated_archive_is_refused(tmp_path):
    folder = fill(tmp_path / "version")
    archive.pack(folder, tmp_path / "a.tar")
    (tmp_path / "a.tar").write_bytes((tmp_path / "a.tar").read_bytes()[:2000])
    (tmp_path / "out").mkdir()
    with pytest.raises(ExportError, match=r"not a readable tar|not packed"):
        archive.unpack(tmp_path / "a.tar", archive.list_files(folder), tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"name": "a"}, "entries must be sorted"), ({"mtime": 1}, "an owner, time"), ({"mode": 0o777}, "other mode")],
)
def test_an_archive_that_packing_would_not_write_is_refused(tmp_path, change, reason):
    member = tarfile.TarInfo("z")
    for field, value in change.items():
        setattr(member, field, value)
    folder = fill(tmp_path / "version")
    file = packed_with(folder, tmp_path / "a.tar", (member, b"x"))
    (folder / member.name).write_bytes(b"x")
    (tmp_path / "out").mkdir()
    with pytest.raises(ExportError, match=reason):
        archive.unpack(file, archive.list_files(folder), tmp_path / "out")


def test_something_that_is_no_tar_is_refused(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"not a tar" * 1000)
    with pytest.raises(ExportError, match="not a readable tar"):
        archive.unpack(tmp_path / "a.tar", {}, tmp_path)


def test_a_link_in_a_version_folder_is_not_packed(tmp_path):
    folder = fill(tmp_path / "version")
    (folder / "assets" / "link").symlink_to("/etc/hostname")
    with pytest.raises(ExportError, match="assets/link: only plain files"):
        archive.list_files(folder)
