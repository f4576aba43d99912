"""Records, their split and digest, and folders of images, good and bad."""

import io
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from model_export import datasets
from model_export.datasets.image_folder import image_folder, problem
from model_export.datasets.records import BadRecord, Dataset, Examples, objects, split
from model_export.errors import ExportError
from model_export.registry import Task


def examples(count, offset=0):
    labels = np.arange(count, dtype=np.int32) % 2
    return Examples(inputs=objects([b"%d" % (each + offset) for each in range(count)]), targets={"label": labels})


def dataset(train, test, classes=("a", "b")):
    return Dataset(
        name="n", task=Task.CLASSIFY, classes=classes, train=train, test=test, license="CC0-1.0", source="here"
    )


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.fixture
def folder(tmp_path):
    """Folder with eight images of each of two classes."""
    for color, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        for number in range(8):
            Image.new("RGB", (8, 6), (200 * color, number, 0)).save(tmp_path / name / f"{number}.png")
    return tmp_path


def test_targets_must_have_a_row_for_every_input():
    with pytest.raises(ValueError, match="label has 1 rows for 2 inputs"):
        Examples(inputs=objects([b"1", b"2"]), targets={"label": np.zeros(1, np.int32)})


def test_zero_bytes_at_the_end_of_an_input_stay():
    assert Examples(inputs=objects([b"a\0\0"]), targets={}).content(0) == b"a\0\0"


def test_the_split_takes_a_quarter_of_every_group_and_depends_on_the_seed_alone():
    whole = examples(80)
    groups = whole.targets["label"]
    train, test = split(whole, groups, 5)
    assert (len(train), len(test)) == (60, 20)
    assert np.bincount(test.targets["label"]).tolist() == [10, 10]
    assert not set(train.inputs) & set(test.inputs)
    assert set(train.inputs) | set(test.inputs) == set(whole.inputs)
    assert split(whole, groups, 5)[1].inputs.tolist() == test.inputs.tolist()
    assert split(whole, groups, 6)[1].inputs.tolist() != test.inputs.tolist()


def test_the_digest_tells_any_change():
    digests = {
        dataset(examples(4), examples(2)).digest,
        dataset(examples(4, 1), examples(2)).digest,
        dataset(examples(4), examples(2, 1)).digest,
        dataset(examples(4), examples(2), classes=("a", "c")).digest,
        dataset(examples(4).pick([1, 0, 2, 3]), examples(2)).digest,
    }
    assert len(digests) == 5
    assert dataset(examples(4), examples(2)).digest == dataset(examples(4), examples(2)).digest


def test_a_set_without_examples_says_what_was_left_out():
    with pytest.raises(ExportError) as error:
        Dataset(
            name="n", task=Task.CLASSIFY, classes=("a",), train=examples(0), test=examples(0), license="", source="x",
            bad=tuple(BadRecord("f", line, "is empty") for line in range(1, 8)),
        )  # fmt: skip
    assert "got 1 classes, 0 and 0 examples; left out: f:1: is empty; " in str(error.value)
    assert str(error.value).endswith("and 2 more")


def test_the_digits_are_whole():
    found = datasets.load("digits", 0)
    assert (len(found.train), len(found.test)) == (1347, 450)
    assert found.classes == tuple("0123456789")
    assert found.digest == datasets.load("digits", 0).digest
    assert found.digest != datasets.load("digits", 1).digest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", "--data: 'nothing' is not known; use one of: digits, "),
        ("zip:x", "--data: 'zip:x' is not known; use one of: digits, "),
        ("folder:missing", "--data: missing does not exist; check the path"),
    ],
)
def test_unknown_data_is_refused(text, message):
    with pytest.raises(ExportError) as error:
        datasets.load(text, 0)
    assert str(error.value).startswith(message)


def test_a_folder_of_images_is_split(folder):
    found = image_folder(folder, 0)
    assert found.classes == ("cat", "dog")
    assert (len(found.train), len(found.test)) == (12, 4)
    assert found.bad == ()
    for part in (found.train, found.test):
        assert all(
            ("dog" in file) == bool(label) for file, label in zip(part.inputs, part.targets["label"], strict=True)
        )


def test_a_given_split_is_kept(folder, tmp_path_factory):
    outer = tmp_path_factory.mktemp("outer")
    folder.rename(outer / "train")
    (outer / "test" / "cat").mkdir(parents=True)
    with pytest.raises(ExportError, match="train and test must have the same class folders"):
        image_folder(outer, 0)
    (outer / "test" / "dog").mkdir()
    Image.new("L", (4, 4)).save(outer / "test" / "dog" / "x.bmp")
    found = image_folder(outer, 0)
    assert (len(found.train), len(found.test)) == (16, 1)
    assert found.test.targets["label"].tolist() == [1]


def test_a_folder_without_classes_is_refused(tmp_path):
    with pytest.raises(ExportError, match="has no folders; put the images of each class into a folder"):
        image_folder(tmp_path, 0)


def test_bad_images_are_left_out_and_named(folder):
    stream = io.BytesIO()
    Image.effect_noise((60, 60), 90).save(stream, "PNG")
    whole = stream.getvalue()
    huge = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    bad = {
        "text.jpg": b"this is no image",
        "empty.png": b"",
        "cut.png": whole[: len(whole) // 2],
        "huge.png": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", huge) + chunk(b"IDAT", b"") + chunk(b"IEND", b""),
        "notes.txt": b"about the cats",
    }
    for name, content in bad.items():
        (folder / "cat" / name).write_bytes(content)
    Image.new("RGB", (4, 4)).save(folder / "cat" / "renamed.jpg", "TIFF")
    (folder / "cat" / ".hidden").write_bytes(b"")
    found = image_folder(folder, 0)
    reasons = {each.file.rsplit("/", 1)[1]: each.reason for each in found.bad}
    assert reasons.keys() == {*bad, "renamed.jpg"}
    assert reasons["text.jpg"] == reasons["empty.png"] == "is not an image"
    assert reasons["cut.png"].startswith("cannot be decoded: ")
    assert "pixels" in reasons["huge.png"]
    assert reasons["notes.txt"].startswith("is not one of .jpg, ")
    assert reasons["renamed.jpg"] == "is a TIFF file, whatever its name says"
    assert len(found.train) + len(found.test) == 16


def test_an_image_a_little_over_the_limit_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[problem.__module__], "MAX_PIXELS", 48)
    Image.new("RGB", (8, 6)).save(tmp_path / "fits.png")
    Image.new("RGB", (7, 7)).save(tmp_path / "large.png")
    assert problem(tmp_path / "fits.png") == ""
    assert problem(tmp_path / "large.png") == "has more than 48 pixels"
