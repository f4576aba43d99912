"""Tests of the segmentation data: the sample set, the loader of mask pairs, digests."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_export import datasets
from model_export.datasets.records import Dataset, Examples, objects
from model_export.datasets.shapes_masks import CLASSES, SIDE, png
from model_export.errors import ExportError
from model_export.registry import Task


def decoded(content):
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.fixture(scope="module")
def shapes():
    return datasets.load("shapes-masks", 0)


def test_the_sample_set_is_split_into_quarters(shapes):
    assert (len(shapes.train), len(shapes.test), shapes.task, shapes.classes) == (300, 100, Task.SEGMENT, CLASSES)


def test_the_sample_set_is_the_same_every_time(shapes):
    assert datasets.load("shapes-masks", 0).digest == shapes.digest
    assert datasets.load("shapes-masks", 1).digest != shapes.digest


def test_every_class_occurs_and_masks_fit_their_pictures(shapes):
    masks = np.stack([decoded(each) for each in shapes.test.targets["mask"]])
    assert masks.shape == (100, SIDE, SIDE)
    assert decoded(shapes.test.content(0)).shape == (SIDE, SIDE, 3)
    shares = np.bincount(masks.ravel(), minlength=4) / masks.size
    assert len(shares) == 4
    assert all(shares > 0.04)


def test_a_shape_differs_from_what_is_around_it(shapes):
    differences = []
    for row in range(20):
        mask, pixels = decoded(shapes.test.targets["mask"][row]), decoded(shapes.test.content(row)).astype(float)
        differences.append(np.linalg.norm(pixels[mask > 0].mean(axis=0) - pixels[mask == 0].mean(axis=0)))
    assert np.median(differences) > 60


def test_the_digest_changes_with_one_pixel_of_a_mask():
    def digest(value):
        mask = np.zeros((4, 4), np.uint8)
        mask[1, 2] = value
        part = Examples(inputs=objects([b"a"]), targets={"mask": objects([png(mask)])})
        return Dataset(
            name="d", task=Task.SEGMENT, classes=("a",), train=part, test=part, license="x", source="x"
        ).digest

    assert digest(0) == digest(0)
    assert digest(0) != digest(1)


@pytest.fixture
def pairs(tmp_path):
    """Twelve good pairs of 6 x 5 pixels with two classes."""
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    (tmp_path / "classes.txt").write_text("ground\nroad\n")
    for number in range(12):
        Image.new("RGB", (6, 5), (number, 0, 0)).save(tmp_path / "images" / f"{number}.jpg")
        Image.new("L", (6, 5), number % 2).save(tmp_path / "masks" / f"{number}.png")
    return tmp_path


def load(path):
    return datasets.load(f"masks:{path}", 0)


def reasons(path):
    return {each.file.removeprefix(f"{path}/"): each.reason for each in load(path).bad}


def test_pairs_keep_their_masks(pairs):
    found = load(pairs)
    assert (found.classes, found.bad, len(found.train), len(found.test)) == (("ground", "road"), (), 9, 3)
    for part in (found.train, found.test):
        for file, mask in zip(part.inputs, part.targets["mask"], strict=True):
            assert np.unique(decoded(mask)).tolist() == [int(Path(file).stem) % 2]


def test_indices_of_a_palette_are_the_ids(pairs):
    mask = Image.new("P", (6, 5), 1)
    mask.putpalette([0, 0, 0, 200, 100, 50])
    mask.save(pairs / "masks/0.png")
    found = load(pairs)
    every = [*zip(found.train.inputs, found.train.targets["mask"], strict=True)]
    every += zip(found.test.inputs, found.test.targets["mask"], strict=True)
    assert np.unique(decoded(next(mask for file, mask in every if file.endswith("/0.jpg")))).tolist() == [1]


def test_ignored_pixels_are_allowed(pairs):
    Image.new("L", (6, 5), 255).save(pairs / "masks/0.png")
    assert load(pairs).bad == ()


def test_bad_pairs_are_left_out_with_the_reason(pairs):
    (pairs / "masks/0.png").unlink()
    Image.new("L", (5, 6), 0).save(pairs / "masks/1.png")
    Image.new("L", (6, 5), 2).save(pairs / "masks/2.png")
    (pairs / "masks/3.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (pairs / "images/4.jpg").write_bytes(b"nothing")
    Image.new("RGB", (6, 5)).save(pairs / "masks/5.png")
    Image.new("L", (6, 5)).save(pairs / "masks/alone.png")
    found = reasons(pairs)
    assert len(found) == 7
    assert "has no mask 0.png" in found["images/0.jpg"]
    assert "5 x 6 pixels, its image 6 x 5" in found["masks/1.png"]
    assert "class id 2" in found["masks/2.png"]
    assert "not an image" in found["masks/3.png"]
    assert "not an image" in found["images/4.jpg"]
    assert "one channel" in found["masks/5.png"]
    assert found["masks/alone.png"] == "has no image"
    assert len(load(pairs).train) + len(load(pairs).test) == 6


@pytest.fixture
def parts(pairs):
    """The same pairs, the last three of them in a folder of their own."""
    for number in range(12):
        for kind, suffix in (("images", "jpg"), ("masks", "png")):
            part = pairs / ("test" if number > 8 else "train") / kind
            part.mkdir(parents=True, exist_ok=True)
            (pairs / kind / f"{number}.{suffix}").rename(part / f"{number}.{suffix}")
    for kind in ("images", "masks"):
        (pairs / kind).rmdir()
    return pairs


def test_pairs_may_be_split_by_folders(parts):
    Image.new("L", (6, 5), 2).save(parts / "test/masks/9.png")
    found = load(parts)
    assert [Path(file).stem for file in found.test.inputs] == ["10", "11"]
    assert len(found.train) == 9
    assert [each.file for each in found.bad] == [str(parts / "test/masks/9.png")]


@pytest.mark.parametrize("missing", ["test/images", "train/masks"])
def test_a_missing_folder_of_a_part_is_named(parts, missing):
    (parts / missing).rename(parts / "elsewhere")
    with pytest.raises(ExportError, match=f"{missing.split('/')[0]}: has no folder {missing.split('/')[1]}"):
        load(parts)


@pytest.mark.parametrize("missing", ["images", "masks", "classes.txt"])
def test_a_missing_part_is_named(pairs, missing):
    (pairs / missing).rename(pairs / "elsewhere")
    with pytest.raises(ExportError, match=missing):
        load(pairs)


def test_class_names_occur_once(pairs):
    (pairs / "classes.txt").write_text("road\nroad\n")
    with pytest.raises(ExportError, match="line 2"):
        load(pairs)
