"""Anchors, regions and what a two-stage detector learns from, on numbers that can be worked out by hand."""

import itertools

import numpy as np
import pytest

from model_export.regions.anchors import Pyramid

PYRAMID = Pyramid(size=64, strides=(16, 32), sides=(16, 32), ratios=(1.0,))
"""16 anchors of a quarter of the side, one per place of 4 x 4, and 4 of half the side."""


@pytest.fixture(scope="module")
def detector():
    from model_export.regions.detector import TwoStageDetector

    return TwoStageDetector(2, PYRAMID)


def test_anchors_stand_at_the_middle_of_their_places_fine_level_first():
    anchors = PYRAMID.anchors()
    assert (anchors.shape, anchors.dtype) == ((20, 4), np.float32)
    assert anchors[1].tolist() == [0, 0.25, 0.25, 0.5]
    assert anchors[4].tolist() == [0.25, 0, 0.5, 0.25]
    assert anchors[16].tolist() == [0, 0, 0.5, 0.5]


def test_anchors_of_a_place_have_one_area_and_the_ratios_of_height_to_width():
    pyramid = Pyramid(size=100, strides=(50,), sides=(20,))
    sides = (pyramid.anchors()[:, 2:] - pyramid.anchors()[:, :2])[:3]
    np.testing.assert_allclose(sides[:, 0] / sides[:, 1], [0.5, 1, 2], rtol=1e-5)
    np.testing.assert_allclose(sides.prod(axis=1), 0.04, rtol=1e-5)


def test_the_anchors_of_the_full_preset_are_those_of_five_levels():
    """800 pixels: 200, 100, 50, 25 and 13 places along a side, three anchors each."""
    from model_export.registry import FULL, find

    assert len(find("faster-rcnn").preset(FULL).detecting(90).pyramid.anchors()) == 159_882


def test_boxes_survive_being_written_as_changes():
    from model_export.regions.anchors import decode, encode

    boxes = np.array([[0.1, 0.2, 0.3, 0.6], [0.5, 0.5, 0.9, 0.7]], np.float32)
    references = np.array([[0.0, 0.2, 0.5, 0.4], [0.4, 0.4, 0.8, 0.8]], np.float32)
    changes = encode(boxes, references, (10.0, 5.0))
    # The first centre lies 0.05 above of a height of 0.5, and the height shrinks from 0.5 to 0.2.
    np.testing.assert_allclose(np.asarray(changes)[0, [0, 2]], [-1.0, 5 * np.log(0.4)], rtol=1e-4)
    np.testing.assert_allclose(decode(changes, references, (10.0, 5.0)), boxes, atol=1e-6)


def test_a_wild_change_gives_a_box_within_the_picture():
    from model_export.regions.anchors import decode

    boxes = np.asarray(decode(np.full((1, 4), 1e4, np.float32), np.array([[0.4, 0.4, 0.6, 0.6]], np.float32)))
    assert np.isfinite(boxes).all()
    assert boxes.min() >= 0
    assert boxes.max() <= 1


def pooled_slowly(features, box, bins, samples):
    """RoIAlign of one map, point by point."""
    grid = len(features)
    found = np.zeros((bins, bins, features.shape[-1]))
    for row, column, down, across in itertools.product(range(bins), range(bins), range(samples), range(samples)):
        y = box[0] + (row + (down + 0.5) / samples) * (box[2] - box[0]) / bins
        x = box[1] + (column + (across + 0.5) / samples) * (box[3] - box[1]) / bins
        y, x = (min(max(each * grid - 0.5, 0), grid - 1) for each in (y, x))
        top, left = int(y), int(x)
        bottom, right = min(top + 1, grid - 1), min(left + 1, grid - 1)
        upper = features[top, left] * (1 - x + left) + features[top, right] * (x - left)
        lower = features[bottom, left] * (1 - x + left) + features[bottom, right] * (x - left)
        found[row, column] += upper * (1 - y + top) + lower * (y - top)
    return found / samples**2


def test_roi_align_reads_each_region_from_the_level_of_its_size():
    from model_export.regions.layers import roi_align

    random = np.random.default_rng(0)
    fine, coarse = (random.normal(size=(2, grid, grid, 3)).astype(np.float32) for grid in (8, 4))
    boxes = np.array([[[0.1, 0.3, 0.25, 0.42], [0.0, 0.05, 0.9, 1.0]], [[0.6, 0.6, 1.0, 0.8], [0, 0, 0.2, 0.2]]])
    found = np.asarray(roi_align([fine, coarse], boxes.astype(np.float32), bins=3, samples=2, finest=0.25))
    assert found.shape == (2, 2, 3, 3, 3)
    for row, place in itertools.product(range(2), range(2)):
        level = coarse if (row, place) == (0, 1) else fine
        np.testing.assert_allclose(found[row, place], pooled_slowly(level[row], boxes[row, place], 3, 2), atol=1e-5)


def test_regions_are_the_best_anchors_as_they_change_without_those_that_overlap():
    from model_export.regions.layers import propose

    anchors = PYRAMID.anchors()
    logits = np.full((1, 20), -9, np.float32)
    logits[0, [0, 5, 6]] = 3, 5, 4
    changes = np.zeros((1, 20, 4), np.float32)
    # The place to the right of the best one sees the same object.
    changes[0, 6] = [0, -0.95, 0, 0]
    regions = np.asarray(propose(logits, changes, anchors, before=3, count=4))
    np.testing.assert_allclose(regions[0], [[0.25, 0.25, 0.5, 0.5], [0, 0, 0.25, 0.25], [0] * 4, [0] * 4], atol=1e-6)


def outputs(**changed):
    """What a network returns that finds nothing, with three regions, the first of which lies on an object."""
    regions = np.array([[[0.25, 0.25, 0.5, 0.5], [0.5, 0, 1, 0.5], [0, 0, 0, 0]]], np.float32)
    logits = np.full((1, 3, 3), -10, np.float32)
    logits[..., 0] = 10
    return {
        "anchor_logits": np.full((1, 20), -10, np.float32), "anchor_changes": np.zeros((1, 20, 4), np.float32),
        "regions": regions, "class_logits": logits, "box_changes": np.zeros((1, 3, 3, 4), np.float32),
    } | changed  # fmt: skip


def right():
    """The same of a network that finds the object, of the second class, in the region that lies on it."""
    found = outputs()
    found["anchor_logits"][0, 5] = 10
    found["class_logits"][0, 0] = -10, -10, 10
    return found


OBJECT = np.array([[[0.25, 0.25, 0.5, 0.5], [0, 0, 0, 0]]], np.float32), np.array([[1, -1]], np.int32)


def wrong_class(found):
    found["class_logits"][0, 0] = -10, 10, -10


def missed_by_the_second_stage(found):
    found["class_logits"][0, 0] = 10, -10, -10


def missed_by_the_first_stage(found):
    found["anchor_logits"][0, 5] = -10


def found_where_nothing_is(found):
    found["anchor_logits"][0, 3] = 10


def named_where_nothing_is(found):
    found["class_logits"][0, 1] = -10, 10, -10


def moved(found):
    found["box_changes"][0, 0, 2] = 5


def moved_as_the_first_stage_sees_it(found):
    found["anchor_changes"][0, 5] = 0.5


@pytest.mark.parametrize(
    "spoil",
    [
        wrong_class, missed_by_the_second_stage, missed_by_the_first_stage, found_where_nothing_is,
        named_where_nothing_is, moved, moved_as_the_first_stage_sees_it,
    ],
)  # fmt: skip
def test_what_is_right_costs_less_than_anything_wrong(detector, spoil):
    cost = float(detector.loss(*OBJECT, right()))
    assert cost == pytest.approx(0, abs=1e-3)
    worse = right()
    spoil(worse)
    assert float(detector.loss(*OBJECT, worse)) > cost + 0.1


def test_an_empty_region_and_the_boxes_of_other_classes_cost_nothing(detector):
    found = right()
    found["class_logits"][0, 2] = 10, 0, 0
    found["box_changes"][0, 0, :2] = 5
    found["box_changes"][0, 1:] = 5
    assert float(detector.loss(*OBJECT, found)) == pytest.approx(float(detector.loss(*OBJECT, right())), abs=1e-6)


def test_the_best_anchor_of_an_object_answers_and_one_that_half_overlaps_it_is_not_judged(detector):
    """The object overlaps an anchor of the coarse level by 0.64 and one of the fine level by 0.39."""
    large = np.array([[[0.1, 0.1, 0.5, 0.5]]], np.float32), np.array([[0]], np.int32)

    def cost(**logits):
        found = outputs(regions=np.zeros((1, 3, 4), np.float32))
        for anchor, value in logits.items():
            found["anchor_logits"][0, int(anchor[1:])] = value
        return float(detector.loss(*large, found))

    assert cost(a16=10) < cost() - 0.5
    assert cost(a16=10, a5=10) == pytest.approx(cost(a16=10), abs=1e-6)
    assert cost(a16=10, a0=10) > cost(a16=10) + 0.3


def test_a_picture_without_objects_has_a_loss(detector):
    nothing = np.zeros((1, 2, 4), np.float32), np.full((1, 2), -1, np.int32)
    assert float(detector.loss(*nothing, outputs())) == pytest.approx(0, abs=1e-3)
    assert float(detector.loss(*nothing, right())) > 0.1


def test_each_class_has_its_own_box(detector):
    from model_export.detection import detections

    found = outputs()
    found["class_logits"][0, 0] = 0, 1, 2
    found["class_logits"][0, 2] = -10, 10, 10
    found["box_changes"][0, 0, 2] = 10, 0, 0, 0
    boxes, scores = detector.candidates(found)
    assert (boxes.shape, scores.shape) == ((1, 3, 2, 4), (1, 3, 2))
    answer = detections(detector, found)
    assert int(answer.count[0]) == 2
    assert np.asarray(answer.classes)[0, :2].tolist() == [1, 0]
    # The changes of moves are a tenth of the region's side.
    np.testing.assert_allclose(answer.boxes[0, 0], [0.5, 0.25, 0.75, 0.5], atol=1e-5)
    np.testing.assert_allclose(answer.boxes[0, 1], [0.25, 0.25, 0.5, 0.5], atol=1e-5)
