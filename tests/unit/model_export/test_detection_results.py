"""Average precision, suppression and the targets of YOLO, against cases counted by hand."""

import numpy as np
import pytest

from model_export.evaluation import coco

TRUTH = (
    np.array([[[0.1, 0.1, 0.3, 0.3], [0.5, 0.5, 0.9, 0.9]], [[0.2, 0.2, 0.6, 0.6], [0, 0, 0, 0]]], np.float32),
    np.array([[0, 1], [0, -1]], np.int32),
)


def answers(boxes, scores, classes):
    return np.array(boxes, np.float32), np.array(scores, np.float32), np.array(classes, np.int32)


def test_the_truth_itself_has_a_precision_of_one():
    found = answers(TRUTH[0], [[0.9, 0.8], [0.7, 0.0]], [[0, 1], [0, 0]])
    assert coco.results(coco.average_precision(TRUTH, found, 2)) == {"map": 1.0, "map50": 1.0}


def test_an_object_that_is_missed_halves_the_class():
    found = answers(TRUTH[0], [[0.9, 0.8], [0.0, 0.0]], [[0, 1], [0, 0]])
    rows = coco.per_class(coco.average_precision(TRUTH, found, 2), ("a", "b"))
    assert rows[0]["class"] == "a"
    assert rows[0]["AP at 0.5"] == pytest.approx(51 / 101)  # recalls 0 to 0.5 of 101 points
    assert rows[1]["AP at 0.5"] == pytest.approx(1.0)


def test_the_right_place_with_the_wrong_class_counts_for_nothing():
    found = answers(TRUTH[0], [[0.9, 0.8], [0.7, 0.0]], [[1, 0], [1, 0]])
    assert coco.results(coco.average_precision(TRUTH, found, 2))["map50"] == 0.0


def test_loose_boxes_count_at_half_overlap_only():
    loose = TRUTH[0] + np.array([0, 0, 0.05, 0.05], np.float32)
    found = answers(loose, [[0.9, 0.8], [0.7, 0.0]], [[0, 1], [0, 0]])
    results = coco.results(coco.average_precision(TRUTH, found, 2))
    assert results["map50"] == 1.0
    assert results["map"] < 0.8


def test_no_answer_and_classes_without_a_truth_are_numbers_and_gaps():
    nothing = answers(np.zeros((2, 2, 4)), np.zeros((2, 2)), np.zeros((2, 2)))
    precision = coco.average_precision(TRUTH, nothing, 3)
    assert coco.results(precision) == {"map": 0.0, "map50": 0.0}
    assert [row["class"] for row in coco.per_class(precision, ("a", "b", "c"))] == ["a", "b"]


def test_shapes_are_the_same_every_time_and_their_boxes_hold_them():
    from model_export.datasets.shapes import KINDS, shapes

    one, again = shapes(3), shapes(3)
    assert one.digest == again.digest
    assert one.digest != shapes(4).digest
    boxes, labels = one.train.targets["boxes"], one.train.targets["labels"]
    known = labels >= 0
    assert set(labels[known]) == set(range(len(KINDS)))
    assert (boxes[known][:, 2:] > boxes[known][:, :2]).all()
    assert boxes.min() == 0
    assert boxes.max() <= 1
    assert not boxes[~known].any()


@pytest.fixture(scope="module")
def yolo():
    from model_export.families.yolo import YoloDetector

    return YoloDetector(2, (((0.2, 0.2), (0.4, 0.4)),))


def predicted(*objects):
    """Logits of a grid of 4 x 4 cells with two anchors; each object is (row, column, anchor, class)."""
    raw = np.zeros((1, 4, 4, 2, 7), np.float32)
    raw[..., 4:] = -12
    for row, column, anchor, kind in objects:
        raw[0, row, column, anchor, 4] = raw[0, row, column, anchor, 5 + kind] = 12
    return raw.reshape(1, 4, 4, 14)


def test_a_cell_answers_with_its_anchors_box(yolo):
    boxes, scores = yolo.candidates(predicted((1, 2, 0, 1)))
    best = int(np.asarray(scores).max(axis=-1).argmax())
    assert best == (1 * 4 + 2) * 2
    np.testing.assert_allclose(boxes[0, best, 0], [0.275, 0.525, 0.475, 0.725], atol=1e-5)
    assert int(np.asarray(scores)[0, best].argmax()) == 1


def test_suppression_keeps_the_best_of_a_class_and_other_classes(yolo):
    from model_export.detection import MOST, detections

    found = detections(yolo, predicted((1, 2, 0, 1), (1, 2, 1, 0), (3, 0, 0, 0)))
    assert found.boxes.shape == (1, MOST, 4)
    assert int(found.count[0]) == 3
    assert sorted(np.asarray(found.classes)[0, :3].tolist()) == [0, 0, 1]
    assert not np.asarray(found.scores)[0, 3:].any()


def test_the_right_answer_costs_less_than_a_shifted_missing_or_wrong_one(yolo):
    boxes = np.array([[[0.275, 0.525, 0.475, 0.725], [0, 0, 0, 0]]], np.float32)
    labels = np.array([[1, -1]], np.int32)
    # A centre at the middle of its cell has its nearest neighbours below and to the right.
    right = [(1, 2, 0, 1), (2, 2, 0, 1), (1, 3, 0, 1)]
    cost = float(yolo.loss(boxes, labels, predicted(*right)))
    assert np.isfinite(cost)
    for worse in ([], [(row, column, 0, 0) for row, column, _, _ in right], [*right, (3, 0, 0, 0)]):
        assert float(yolo.loss(boxes, labels, predicted(*worse))) > cost + 0.5


def test_a_picture_without_objects_has_a_loss(yolo):
    nothing = np.zeros((1, 2, 4), np.float32), np.full((1, 2), -1, np.int32)
    assert float(yolo.loss(*nothing, predicted())) == pytest.approx(0.0, abs=1e-3)
    assert float(yolo.loss(*nothing, predicted((1, 1, 0, 0)))) > 0.1
