import json

import pytest
from fake_bundle import fill, manifest_of

from model_export.errors import ExportError
from model_export.manifest import read_manifest


@pytest.fixture
def content(tmp_path):
    return json.loads(manifest_of(fill(tmp_path / "version"), tmp_path / "a.tar").to_json())


def test_a_manifest_reads_back_as_written(tmp_path, content):
    (tmp_path / "1.json").write_text(json.dumps(content))
    assert json.loads(read_manifest(tmp_path / "1.json").to_json()) == content


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"extra": 1}, "extra: Extra inputs are not permitted"),
        ({"format": 2}, "format: Input should be 1"),
        ({"version": "1"}, "version: Input should be a valid integer"),
        ({"version": 2}, r"version: is 2, so the file must be named 2\.json"),
        ({"name": "Bad Name"}, "name: String should match"),
        ({"digest": "sha256:12"}, "digest: String should match"),
        ({"archive": "0" * 64 + ".tar"}, "archive: must be <digest>.tar"),
        ({"unpacked_size": 1 << 40}, "cannot come from an uncompressed archive"),
        ({"options": {"precision": "int8"}}, "options.precision: Input should be"),
        ({"provenance": {"host": "x"}}, "provenance.host: Extra inputs"),
        ({"unpacked_size": 1}, "unpacked_size: is 1, but the files sum up to"),
        ({"files": {"../x": {"sha256": "0" * 64, "size": 1}}}, "must be a plain relative path"),
        ({"files": {"/x": {"sha256": "0" * 64, "size": 1}}}, "must be a plain relative path"),
        ({"batching": {"max_batch_size": 4, "allowed_batch_sizes": [1, 2]}}, "must ascend to max_batch_size 4"),
        ({"batching": {"max_batch_size": 2, "allowed_batch_sizes": []}}, "must ascend to max_batch_size 2"),
        ({"labels": {"file": "assets/none.txt", "count": 2}}, "labels.file: assets/none.txt is not among the files"),
    ],
)
def test_a_broken_rule_is_named_with_its_field(tmp_path, content, change, reason):
    (tmp_path / "1.json").write_text(json.dumps(content | change))
    with pytest.raises(ExportError, match=reason) as caught:
        read_manifest(tmp_path / "1.json")
    assert str(tmp_path / "1.json") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"), [("{", "not a manifest"), ('{"a": 1, "a": 2}', "a occur twice"), ("[]", "the file: Input")]
)
def test_a_file_that_is_no_manifest_is_refused(tmp_path, text, reason):
    (tmp_path / "1.json").write_text(text)
    with pytest.raises(ExportError, match=reason):
        read_manifest(tmp_path / "1.json")


def test_a_missing_manifest_says_what_to_give(tmp_path):
    with pytest.raises(ExportError, match="there is no such manifest; give the path"):
        read_manifest(tmp_path / "1.json")
