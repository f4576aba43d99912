"""COCO and Pascal VOC annotations: what is read, and what is left out and why."""

import json

import numpy as np
import pytest
from PIL import Image

from model_export.datasets import load
from model_export.errors import ExportError

SIZE = "<size><width>40</width><height>20</height></size>"
VOC = "<annotation><filename>{name}.png</filename>" + SIZE + "{objects}</annotation>"
OBJECT = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"


def picture(file, size=(40, 20)):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (90, 90, 90)).save(file)


@pytest.fixture
def annotations(tmp_path):
    content = {
        "categories": [{"id": 7, "name": "cat"}, {"id": 3, "name": "ant"}],
        "images": [{"id": n, "file_name": f"{n}.png", "width": 40, "height": 20} for n in range(8)],
        "annotations": [{"image_id": n, "category_id": 7, "bbox": [10, 5, 20, 10]} for n in range(8)],
    }
    for number in range(8):
        picture(tmp_path / "images" / f"{number}.png")

    def write():
        (tmp_path / "a.json").write_text(json.dumps(content))
        return load(f"coco:{tmp_path / 'a.json'}", 0)

    return content, write


def test_coco_boxes_become_parts_of_the_sides(annotations):
    dataset = annotations[1]()
    assert dataset.classes == ("ant", "cat")
    assert (len(dataset.train), len(dataset.test), dataset.bad) == (6, 2, ())
    np.testing.assert_allclose(dataset.train.targets["boxes"][0, 0], [0.25, 0.25, 0.75, 0.75])
    assert dataset.train.targets["labels"][0].tolist() == [1]
    assert dataset.train.content(0).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"image_id": 0, "category_id": 9, "bbox": [1, 1, 2, 2]}, "the category 9 is not among"),
        ({"image_id": 99, "category_id": 7, "bbox": [1, 1, 2, 2]}, "the image 99 is not among"),
        ({"image_id": 0, "category_id": 7, "bbox": [1, 1, 0, 2]}, "is empty or outside 40 x 20"),
        ({"image_id": 0, "category_id": 7, "bbox": [30, 1, 20, 2]}, "is empty or outside 40 x 20"),
        ({"image_id": 0, "category_id": 7, "bbox": [float("nan"), 1, 2, 2]}, "is empty or outside"),
        ({"image_id": 0, "category_id": 7, "bbox": [40, 5, 1, 5]}, "is empty or outside"),
        ({"image_id": 0, "category_id": 7, "bbox": [1, 1, float("inf"), 2]}, "is empty or outside"),
        ({"image_id": 0, "category_id": 7}, "KeyError: 'bbox'"),
        ({"image_id": 0, "category_id": 7, "bbox": "wide"}, "ValueError"),
        ({"image_id": 0, "category_id": [], "bbox": [1, 1, 2, 2]}, "TypeError"),
        ([], "AttributeError"),
    ],
)
def test_a_bad_annotation_is_told_by_its_number_and_does_not_train(annotations, wrong, reason):
    content, write = annotations
    content["annotations"].append(wrong)
    dataset = write()
    assert [str(each).split(": ", 1)[1][:15] for each in dataset.bad] == ["annotations[8]:"]
    assert reason in dataset.bad[0].reason
    assert max((dataset.train.targets["labels"] >= 0).sum(), 6) == 6


def test_missing_and_broken_pictures_are_left_out(annotations, tmp_path):
    (tmp_path / "images" / "0.png").unlink()
    (tmp_path / "images" / "1.png").write_text("no picture")
    dataset = annotations[1]()
    assert sorted(each.reason for each in dataset.bad) == ["is not an image", "the picture is missing"]
    assert len(dataset.train) + len(dataset.test) == 6


def test_a_picture_of_another_size_than_annotated_is_left_out(annotations, tmp_path):
    picture(tmp_path / "images" / "3.png", (20, 40))
    (bad,) = annotations[1]().bad
    assert bad.file.endswith("3.png")
    assert "has 20 x 40 pixels, its annotation says 40 x 20" in bad.reason


def test_a_pixel_beyond_the_picture_is_cut_off_and_more_is_refused(annotations):
    content, write = annotations
    for each in content["annotations"]:
        each["bbox"] = [-1, -0.5, 42, 21]
    dataset = write()
    assert dataset.bad == ()
    np.testing.assert_array_equal(dataset.train.targets["boxes"][:, 0], [[0, 0, 1, 1]] * 6)
    content["annotations"] += [
        {"image_id": 0, "category_id": 7, "bbox": bbox}
        for bbox in ([-1.5, 5, 9, 5], [5, -1.5, 9, 5], [30, 5, 11.5, 5], [5, 10, 9, 11.5], [-1, 5, 1, 5])
    ]
    assert ["is empty or outside 40 x 20" in each.reason for each in write().bad] == [True] * 5


def test_crowds_are_left_out_and_empty_pictures_stay(annotations):
    content, write = annotations
    for each in content["annotations"]:
        each["iscrowd"] = 1
    dataset = write()
    assert (dataset.train.targets["labels"] == -1).all()
    assert len(dataset.train) == 6


def test_a_name_no_file_can_have_is_a_missing_picture(annotations):
    content, write = annotations
    content["images"][0]["file_name"] = "a" * 300
    assert [each.reason for each in write().bad] == ["the picture is missing"]


NO_LISTS = '{"images": 3, "annotations": [], "categories": []}'
NO_CATEGORIES = '{"images": [], "annotations": [], "categories": 3}'


@pytest.mark.parametrize("text", [NO_LISTS, NO_CATEGORIES, "[" * 100_000, "{", "[]", "{}"])
def test_a_file_that_is_no_coco_is_one_error(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ExportError, match=r"a\.json: is not a COCO annotation file"):
        load(f"coco:{tmp_path / 'a.json'}", 0)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "Annotations").mkdir()
    for number in range(8):
        picture(tmp_path / "JPEGImages" / f"{number}.png")
        text = VOC.format(name=number, objects=OBJECT.format("dog", 11, 6, 30, 15))
        (tmp_path / "Annotations" / f"{number}.xml").write_text(text)
    return tmp_path


def test_voc_boxes_count_pixels_from_one(folder):
    dataset = load(f"voc:{folder}", 0)
    assert dataset.classes == ("dog",)
    np.testing.assert_allclose(dataset.train.targets["boxes"][0, 0], [0.25, 0.25, 0.75, 0.75])
    assert (len(dataset.train), len(dataset.test)) == (6, 2)


def test_a_tool_that_counts_from_zero_is_read(folder):
    (folder / "Annotations" / "0.xml").write_text(VOC.format(name=0, objects=OBJECT.format("dog", 0, 0, 39, 19)))
    dataset = load(f"voc:{folder}", 0)
    assert dataset.bad == ()
    every = np.concatenate([dataset.train.targets["boxes"], dataset.test.targets["boxes"]])[:, 0]
    np.testing.assert_allclose(every[every[:, 0] == 0], [[0, 0, 0.95, 0.975]])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<annotation>\n<size>\n", "is not XML"),
        ('<!DOCTYPE a [<!ENTITY a "aaaa">]><annotation/>', "declares entities"),
        ("<annotation><filename>0.png</filename></annotation>", "cannot be used"),
        (
            '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY a "a">]><a/>'.encode("utf-16"),
            "cannot be used",
        ),
        ('<?xml version="1.0" encoding="klingon"?><annotation/>', "cannot be used"),
        (VOC.format(name="gone", objects=""), "the picture is missing"),
        (VOC.format(name=0, objects=OBJECT.format("", 1, 1, 2, 2)), "object 1: has no name"),
        (VOC.format(name=0, objects=OBJECT.format("dog", 1, 1, "x", 2)), "object 1: has no whole box"),
        (VOC.format(name=0, objects=OBJECT.format("dog", 30, 1, 20, 2)), "object 1: the box"),
    ],
)
def test_a_bad_voc_file_is_named_with_its_reason(folder, text, reason):
    (folder / "Annotations" / "0.xml").write_bytes(text if isinstance(text, bytes) else text.encode())
    dataset = load(f"voc:{folder}", 0)
    assert reason in str(dataset.bad[0])
    assert len(dataset.bad) == 1


def test_an_xml_error_has_its_line(folder):
    (folder / "Annotations" / "0.xml").write_text("<annotation>\n<size>\n")
    assert "0.xml:3: is not XML" in str(load(f"voc:{folder}", 0).bad[0])


def test_a_folder_without_annotations_is_one_error(tmp_path):
    with pytest.raises(ExportError, match=r"has no Annotations/\*\.xml"):
        load(f"voc:{tmp_path}", 0)
