"""Listing, comparing and pruning the versions of a folder."""

import json

import pytest
from bundle_folders import make, names, quiet

from model_export.bundles.diff import as_json, as_text, diff
from model_export.bundles.folder import versions
from model_export.bundles.prune import prune
from model_export.errors import ExportError


@pytest.fixture
def folder(tmp_path):
    return make(tmp_path / "scenes", 1, 2, 9, 10)


def change(file, **values):
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | values))


def test_versions_are_numbers_with_the_newest_first(folder):
    (folder / "notes.json").write_text("no manifest")
    (folder / "01.json").write_text("no manifest")
    assert [each.manifest.version for each in versions(folder)] == [10, 9, 2, 1]
    with pytest.raises(ExportError, match=r"FOLDER: .* cannot be read: No such file"):
        versions(folder / "none")


def test_the_newest_and_the_kept_versions_stay_with_their_archives_and_signatures(folder):
    for version in (1, 2, 10):
        (folder / f"{version}.sig").write_text("{}")
    (folder / "notes.txt").write_text("mine")
    kept = {each.archive for each in versions(folder) if each.manifest.version in (2, 10)}
    said = []
    prune(folder, 1, {2}, False, said.append)
    assert names(folder) == ["10.json", "10.sig", "2.json", "2.sig", "notes.txt", "tar", "tar"]
    assert set(folder.glob("*.tar")) == kept
    order = [line.rpartition(".")[2] for line in said]
    assert order == ["json", "json", "sig", "tar", "tar"]


def test_a_dry_run_says_the_same_and_removes_nothing(folder):
    before, said, done = names(folder), [], []
    freed = prune(folder, 2, (), True, said.append)
    assert names(folder) == before
    assert prune(folder, 2, (), False, done.append) == freed > 0
    assert [line.removeprefix("would remove ") for line in said] == [line.removeprefix("removed ") for line in done]


def test_an_archive_that_two_versions_share_stays_until_both_are_gone(folder):
    content = json.loads((folder / "1.json").read_text())
    (folder / "11.json").write_text(json.dumps(content | {"version": 11}))
    archive = folder / content["archive"]
    prune(folder, 1, (), False, quiet)
    assert names(folder) == ["11.json", "tar"]
    assert archive.is_file()


def test_what_an_interrupted_prune_left_is_removed_by_the_next(folder):
    (folder / "1.json").unlink()
    (folder / "1.sig").write_text("{}")
    prune(folder, 9, (), False, quiet)
    assert names(folder) == ["10.json", "2.json", "9.json", "tar", "tar", "tar"]


def test_nothing_is_removed_when_a_manifest_cannot_be_read_or_a_kept_version_is_missing(folder, tmp_path):
    before = names(folder)
    with pytest.raises(ExportError, match=r"--keep-version: 7 is not in .* \(there are: 10, 9, 2, 1\)"):
        prune(folder, 1, {7}, False, quiet)
    text = (folder / "2.json").read_text()
    (folder / "2.json").write_text("{")
    with pytest.raises(ExportError, match=r"2\.json: not a manifest"):
        prune(folder, 1, (), False, quiet)
    (folder / "2.json").write_text(text)
    assert names(folder) == before
    with pytest.raises(ExportError, match=r"FOLDER: .* is no folder"):
        prune(tmp_path / "none", 1, (), False, quiet)
    assert not (tmp_path / "none").exists()


def test_a_version_equals_itself(folder):
    assert diff(folder / "1.json", folder / "1.json") == []
    assert as_text([]) == "no difference"


def test_every_kind_of_difference_is_shown_with_its_size(folder):
    tensor = {"dtype": "float32", "shape": [None, 5]}
    signature = {"method": "predict", "inputs": {"x": tensor}, "outputs": {"z": tensor}}
    old = json.loads((folder / "1.json").read_text())
    change(folder / "1.json", metrics={"accuracy": 0.5, "top5": 0.9})
    change(
        folder / "2.json",
        metrics={"accuracy": 0.75},
        signatures={"serving_default": signature},
        batching={"max_batch_size": 4, "allowed_batch_sizes": [1, 4]},
        measured=old["measured"] | {"latency_ms": 0.5, "latency_ms_by_batch": {"1": 0.5}, "machine": "two cores"},
        license="MIT",
    )
    found = {each.field: each for each in diff(folder / "1.json", folder / "2.json")}
    assert (found["metrics.accuracy"].before, found["metrics.accuracy"].after) == (0.5, 0.75)
    assert found["metrics.accuracy"].relative == 0.5
    assert found["metrics.top5"].after is None
    assert found["signatures.serving_default.inputs.x"].after == "float32 [any, 5]"
    assert found["signatures.serving_default.outputs.z"].before is None
    assert found["batching.allowed_batch_sizes"].after == [1, 4]
    assert found["measured.latency_ms"].relative == -0.5
    assert (found["measured.latency_ms_by_batch.1"].before, found["measured.latency_ms_by_batch.1"].after) == (
        None,
        0.5,
    )
    assert found["version"].relative is None
    assert found.keys() >= {"digest", "license", "files.saved_model.pb", "measured.machine"}
    assert not found.keys() & {"name", "archive", "format", "source.family", "labels.count"}
    table = as_text(list(found.values())).splitlines()
    assert [line.split() for line in table if line.startswith("metrics.accuracy")] == [
        ["metrics.accuracy", "0.5", "0.75", "+50.0%"]
    ]
    assert {"field": "metrics.top5", "before": 0.9, "after": None, "relative": None} in as_json(list(found.values()))
