import shutil

import pytest
from fake_bundle import fill, manifest_of

from model_export.errors import ExportError
from model_export.manifest import read_manifest
from model_export.publish import claimed, publish


def publish_model(out, tmp_path, model=b"graph", **names):
    folder = tmp_path / "version"
    shutil.rmtree(folder, ignore_errors=True)
    fill(folder, model)
    with claimed(out) as scratch:
        packed = scratch / "archive.tar"
        return publish(out, packed, manifest_of(folder, packed, **names))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_version_is_a_manifest_and_an_archive_and_nothing_else(tmp_path):
    out = tmp_path / "new" / "bundle"
    assert publish_model(out, tmp_path).endswith("1.json: written")
    assert names(out) == sorted(["1.json", read_manifest(out / "1.json").archive])


def test_the_same_content_again_changes_nothing(tmp_path):
    publish_model(tmp_path / "out", tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert publish_model(tmp_path / "out", tmp_path).endswith("unchanged")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before


@pytest.mark.parametrize("without_archive", [False, True])
def test_other_content_under_the_same_version_is_refused_with_the_fix(tmp_path, without_archive):
    out = tmp_path / "out"
    publish_model(out, tmp_path)
    if without_archive:
        (out / read_manifest(out / "1.json").archive).unlink()
    before = names(out)
    with pytest.raises(ExportError, match="a version never changes, so export with --version 2"):
        publish_model(out, tmp_path, b"other")
    assert names(out) == before


@pytest.mark.parametrize("damage", [b"", None])
def test_a_lost_or_damaged_archive_is_restored_by_the_same_content(tmp_path, damage):
    out = tmp_path / "out"
    publish_model(out, tmp_path)
    archive = out / read_manifest(out / "1.json").archive
    content = archive.read_bytes()
    archive.unlink() if damage is None else archive.write_bytes(damage)
    assert "its archive was restored" in publish_model(out, tmp_path)
    assert archive.read_bytes() == content


def test_versions_of_two_models_cannot_share_a_folder(tmp_path):
    publish_model(tmp_path / "out", tmp_path)
    with pytest.raises(ExportError, match="holds the model 'scenes', not 'cats'"):
        publish_model(tmp_path / "out", tmp_path, name="cats")


def test_a_second_version_stands_beside_the_first(tmp_path):
    publish_model(tmp_path / "out", tmp_path)
    publish_model(tmp_path / "out", tmp_path, b"better", version=2)
    assert [name for name in names(tmp_path / "out") if name.endswith(".json")] == ["1.json", "2.json"]
    assert len(names(tmp_path / "out")) == 4


def test_a_failure_leaves_nothing_and_gives_the_folder_back(tmp_path):
    out = tmp_path / "out"

    def fail_half_way():
        with claimed(out) as scratch:
            (scratch / "half").write_bytes(b"x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert names(out) == []
    with claimed(out):
        pass


def test_what_a_killed_export_left_is_removed_at_the_next_start(tmp_path):
    out = tmp_path / "out"
    with claimed(out) as scratch:
        place = scratch
    place.mkdir()
    (place / "half").write_bytes(b"x")
    with claimed(out) as scratch:
        assert names(scratch) == []


def test_two_exports_into_one_folder_do_not_meet(tmp_path):
    with claimed(tmp_path), pytest.raises(ExportError, match="another command is writing"), claimed(tmp_path):
        pytest.fail("entered twice")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="--out: cannot use"), claimed(tmp_path / "file" / "out"):
        pytest.fail("entered")
