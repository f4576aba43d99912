"""Tests of the segmentation losses and results, on cases worked out by hand."""

import numpy as np
import pytest

from model_export.evaluation.segmentation import confusion, overlaps, overlay, sections
from model_export.tasks.segment import SegmentTraining, results
from model_export.training.losses import dice

TRUTH = np.array([[0, 0, 1, 1], [0, 1, 1, 255]], np.uint8)[None]
ANSWER = np.array([[0, 1, 1, 1], [0, 1, 0, 0]], np.uint8)[None]


def test_confusion_counts_true_class_by_answer_without_the_ignored():
    assert confusion(ANSWER, TRUTH, 3).tolist() == [[2, 1, 0], [1, 3, 0], [0, 0, 0]]


def test_overlap_is_shared_by_union_and_nan_for_what_is_nowhere():
    found = overlaps(confusion(ANSWER, TRUTH, 3))
    assert found[:2] == pytest.approx([2 / 4, 3 / 5])
    assert np.isnan(found[2])


def test_results_leave_out_a_class_that_is_nowhere():
    found = results(confusion(ANSWER, TRUTH, 3), ("ground", "road", "water"))
    assert found == pytest.approx({"mean_iou": 0.55, "pixel_accuracy": 5 / 7, "iou_ground": 0.5, "iou_road": 0.6})


def test_an_answer_where_the_truth_has_nothing_counts_against_its_class():
    truth, answer = np.zeros((1, 1, 4), np.uint8), np.array([[[0, 0, 0, 2]]], np.uint8)
    assert results(confusion(answer, truth, 3), ("a", "b", "c"))["mean_iou"] == pytest.approx((3 / 4 + 0) / 2)


def logits(ids, classes=2, certainty=20.0):
    return (np.eye(classes)[np.minimum(ids, classes - 1)] * certainty).astype(np.float32)


def test_dice_of_a_known_answer():
    truth, answer = np.array([[[0, 0, 1, 1]]]), np.array([[[0, 1, 1, 1]]])
    # Class 0 shares 1 of 1 + 2, class 1 shares 2 of 3 + 2; 1 is added above and below.
    expected = 1 - ((2 * 1 + 1) / (3 + 1) + (2 * 2 + 1) / (5 + 1)) / 2
    assert float(dice(logits(answer), truth, classes=2)) == pytest.approx(expected, abs=1e-5)


def test_dice_leaves_out_pixels_without_weight():
    truth, answer = np.array([[[0, 0, 1, 1]]]), np.array([[[0, 1, 1, 1]]])
    weights = np.array([[[1.0, 0.0, 1.0, 1.0]]])
    assert float(dice(logits(answer), truth, classes=2, weights=weights)) == pytest.approx(0, abs=1e-5)


@pytest.fixture
def loss():
    """The loss of a task with two classes, which needs no data."""
    from model_export.registry import Recipe

    task = object.__new__(SegmentTraining)
    task._names, task._recipe = ("ground", "road"), Recipe(epochs=1, batch_size=1, learning_rate=1e-3)
    return task.loss(None)


def test_ignored_pixels_change_nothing(loss):
    right = logits(np.where(TRUTH == 255, 0, TRUTH))
    other = right.copy()
    other[TRUTH == 255] = [-30.0, 30.0]
    assert float(loss(TRUTH.astype(np.float32), right)) == pytest.approx(0, abs=1e-4)
    assert float(loss(TRUTH, other)) == pytest.approx(float(loss(TRUTH, right)), abs=1e-7)


def test_a_wrong_pixel_costs(loss):
    wrong = logits(np.where(TRUTH == 255, 0, TRUTH))
    wrong[0, 0, 0] = [0.0, 20.0]
    assert float(loss(TRUTH, wrong)) > 2


def test_a_picture_of_ignored_pixels_gives_a_finite_loss(loss):
    assert np.isfinite(float(loss(np.full_like(TRUTH, 255), logits(ANSWER))))


def test_an_overlay_colours_classes_on_grey():
    picture = np.full((1, 3, 3), (0, 200, 100), np.uint8)
    found = overlay(picture, np.array([[0, 1, 255]], np.uint8), np.array([[0, 0, 1], [1, 0, 0]], float))
    assert found[0, 0].tolist() == [100, 100, 100]
    assert found[0, 1].tolist() == [201, 35, 35]
    assert found[0, 2].tolist() == [201, 201, 201]


def test_the_report_has_classes_worst_first_and_pictures():
    pictures = np.zeros((1, 2, 4, 3), np.uint8)
    classes, crossed, worst = sections(pictures, ANSWER, TRUTH, ("ground", "road", "water"))
    assert [row["class"] for row in classes.table] == ["ground", "road"]
    assert classes.table[0]["precision"] == pytest.approx(2 / 3)
    assert classes.table[1]["recall"] == pytest.approx(3 / 4)
    assert crossed.figure is not None
    assert len(worst.figure.axes) == 3
