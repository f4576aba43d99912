"""What `python -m serving predict` shows of detectors and segmenters."""

import io

import numpy as np
import pytest
from PIL import Image

from serving import answers, drawing
from serving.client import Prediction

DETECTED = {
    "boxes": np.array([[[0.25, 0.5, 0.75, 1.0], [0, 0, 0.1, 0.1], [0, 0, 0, 0]]], np.float32),
    "scores": np.array([[0.9, 0.2, 0.0]], np.float32),
    "class_ids": np.array([[2, 1, 0]], np.int32),
    "labels": np.array([[b"car", b"dog", b""]], object),
    "count": np.array([2], np.int32),
}
SEGMENTED = {
    "mask": np.repeat(np.array([[[0, 1], [0, 2]]], np.uint8), 1, axis=0),
    "scores": np.array([[0.5, 0.25, 0.25]], np.float32),
    "labels": np.array([[b"ground", b"road", b"roof"]], object),
}


def prediction(outputs):
    return Prediction(outputs=outputs, site="aws", address="192.0.2.1", latency_s=0.01, attempts=1)


def grey(width, height):
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (100, 100, 100)).save(stream, "PNG")
    return stream.getvalue()


def test_only_certain_objects_are_told_with_their_boxes():
    found = answers.document("street.png", prediction(DETECTED))["objects"]
    assert found == [{"label": "car", "score": 0.9, "box": [0.25, 0.5, 0.75, 1.0]}]


def test_an_answer_without_objects_says_so(capsys):
    empty = {name: value[:, 2:] if value.ndim > 1 else value for name, value in DETECTED.items()}
    answers.show([answers.document("street.png", prediction(empty))], "gRPC")
    assert "nothing with a score of 30% or more" in capsys.readouterr().out


def test_boxes_are_drawn_where_they_are_and_the_rest_stays(tmp_path):
    file = tmp_path / "drawn" / "street.png"
    drawing.draw(grey(600, 500), DETECTED, file)
    image = np.asarray(Image.open(file))
    assert image.shape == (500, 600, 3)
    outline = image[250, 300]  # the left side of the car's box, half-way down
    assert tuple(outline) != (100, 100, 100)
    assert tuple(image[250, 450]) == (100, 100, 100)  # inside it
    assert tuple(image[30, 30]) == (100, 100, 100)  # the uncertain dog
    assert [each.name for each in file.parent.iterdir()] == ["street.png"]


def test_a_mask_colours_each_class_and_leaves_the_background(tmp_path):
    file = tmp_path / "field.png"
    drawing.draw(grey(480, 480), SEGMENTED, file)
    image = np.asarray(Image.open(file)).astype(int)
    assert tuple(image[400, 100]) == (100, 100, 100)
    road, roof = image[120, 360], image[360, 360]
    assert tuple(road) != (100, 100, 100)
    assert tuple(roof) != (100, 100, 100)
    assert tuple(road) != tuple(roof)


def test_small_pictures_are_enlarged_so_that_labels_can_be_read(tmp_path):
    drawing.draw(grey(48, 24), DETECTED, tmp_path / "small.png")
    assert Image.open(tmp_path / "small.png").size == (960, 480)


def test_a_file_that_is_no_picture_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="cannot identify"):
        drawing.draw(b"text", DETECTED, tmp_path / "out" / "x.png")
    assert not (tmp_path / "out").exists()


def test_only_boxes_and_masks_can_be_drawn():
    assert drawing.can_draw(DETECTED)
    assert drawing.can_draw(SEGMENTED)
    assert not drawing.can_draw({"scores": np.zeros((1, 5))})
