import json
import os

import pytest
from bundle_files import write_bundle

from serving.bundles import BundleError, load_bundle

EXPORT = "python -m model_export export efficientnet-lite0 --name scenes --version"


def refusal(folder, version=1):
    with pytest.raises(BundleError) as caught:
        load_bundle(folder, version)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "scenes"


def test_a_bundle_is_read_with_its_archive_and_object_key(folder):
    document = write_bundle(folder)
    bundle = load_bundle(folder, 1)
    assert bundle.archive == folder / document["archive"]
    assert bundle.manifest.digest_hex == document["digest"].removeprefix("sha256:")
    assert bundle.key == f"bundles/scenes/{bundle.manifest.digest_hex}.tar"
    assert bundle.manifest.batching.allowed_batch_sizes == [1, 2, 4, 8, 16, 32]


def test_a_missing_manifest_names_the_file_and_the_command_that_makes_it(folder):
    text = refusal(folder, 7)
    assert str(folder / "7.json") in text
    assert f"{EXPORT} 7 --out {folder}" in text


def test_a_missing_archive_names_the_file_and_the_command_that_makes_it(folder):
    archive = folder / write_bundle(folder)["archive"]
    archive.unlink()
    text = refusal(folder)
    assert str(archive) in text
    assert "missing" in text
    assert f"{EXPORT} 1 --out {folder}" in text


@pytest.mark.parametrize("same_size", [True, False])
def test_an_altered_archive_is_refused_even_after_it_was_good_once(folder, same_size):
    archive = folder / write_bundle(folder)["archive"]
    load_bundle(folder, 1)
    data = bytearray(archive.read_bytes())
    data[600] ^= 1
    archive.write_bytes(data if same_size else data[:-512])
    os.utime(archive, ns=(1, 1))
    text = refusal(folder)
    assert str(archive) in text
    assert "SHA-256" in text
    assert EXPORT in text


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"size": "big"}, "size"),
        ({"unknown": 1}, "unknown"),
        ({"digest": "md5:1"}, "digest"),
        ({"batching": {"max_batch_size": 0, "allowed_batch_sizes": [1]}}, "batching.max_batch_size"),
        ({"files": {}}, "files"),
        ({"labels": {"file": "x", "count": "1"}}, "labels.count"),
    ],
)  # fmt: skip
def test_a_malformed_manifest_is_refused_with_file_path_value_and_fix(folder, change, path):
    write_bundle(folder, **change)
    text = refusal(folder)
    assert text.startswith(f"{folder / '1.json'}: {path}: ")
    assert "(got " in text
    assert "export it again" in text


def test_a_manifest_of_another_format_version_or_archive_name_is_refused(folder):
    write_bundle(folder, format=2)
    assert "format must be 1 (got 2)" in refusal(folder)
    write_bundle(folder, version=3)
    assert "states version 3, its name says 1" in refusal(folder)
    write_bundle(folder, archive=f"{'0' * 64}.tar")
    assert "not named by the digest" in refusal(folder)


@pytest.mark.parametrize("text", ["{", "[]", "null", '"x"', ""])
def test_a_file_that_is_no_manifest_is_refused_without_a_traceback(folder, text):
    write_bundle(folder)
    (folder / "1.json").write_text(text)
    assert str(folder / "1.json") in refusal(folder)


def test_a_manifest_that_is_no_text_is_refused(folder):
    write_bundle(folder)
    (folder / "1.json").write_bytes(b"\xff\xfe\x00")
    assert str(folder / "1.json") in refusal(folder)


def test_a_manifest_without_labels_is_fine(folder):
    document = write_bundle(folder)
    del document["labels"]
    (folder / "1.json").write_text(json.dumps(document))
    assert load_bundle(folder, 1).manifest.labels is None
