import numpy as np
import pytest

from model_export import agreement, golden
from model_export.errors import ExportError

TOLERANCE = 0.01


def classified(*entries):
    """A classifier's answer to one input: (class id, score) best first."""
    return {
        "class_ids": np.array([[each[0] for each in entries]], np.int32),
        "labels": np.array([[b"class %d" % each[0] for each in entries]], object),
        "scores": np.array([[each[1] for each in entries]], np.float32),
    }


def detected(*entries, places=10):
    """A detector's answer to one input: (class id, score, box), and empty places."""
    answer = {
        "boxes": np.zeros((1, places, 4), np.float32),
        "class_ids": np.full((1, places), -1, np.int32),
        "count": np.array([len(entries)], np.int32),
        "scores": np.zeros((1, places), np.float32),
    }
    for place, (kind, score, box) in enumerate(entries):
        answer["class_ids"][0, place], answer["scores"][0, place], answer["boxes"][0, place] = kind, score, box
    return answer


BOX, MOVED, ELSEWHERE = (0.1, 0.1, 0.5, 0.5), (0.12, 0.1, 0.52, 0.5), (0.3, 0.3, 0.7, 0.7)


def test_classes_that_change_places_within_the_tolerance_agree():
    expected = classified((3, 0.6), (1, 0.2), (2, 0.195))
    assert agreement.compare(expected, classified((3, 0.595), (2, 0.201), (1, 0.199)), TOLERANCE) == (
        0.0,
        pytest.approx(0.006, abs=1e-6),
    )


@pytest.mark.parametrize(
    ("answers", "share"),
    [
        (classified((3, 0.55), (1, 0.25), (2, 0.195)), 4 / 6),
        (classified((4, 0.6), (1, 0.2), (2, 0.195)), 2 / 6),
        (classified((3, float("nan")), (1, 0.2), (2, 0.195)), 2 / 6),
    ],
    ids=["scores", "another class", "no number"],
)
def test_another_class_or_score_is_counted_on_both_sides(answers, share):
    assert agreement.compare(classified((3, 0.6), (1, 0.2), (2, 0.195)), answers, TOLERANCE)[0] == pytest.approx(share)


def test_another_name_of_the_same_class_disagrees():
    expected, answers = classified((3, 0.6)), classified((3, 0.6))
    answers["labels"][0, 0] = b"cat"
    assert agreement.compare(expected, answers, TOLERANCE)[0] == 1.0


def test_the_last_class_may_be_one_that_just_missed_the_list():
    expected, answers = classified((3, 0.6), (1, 0.2)), classified((3, 0.6), (9, 0.205))
    assert agreement.compare(expected, answers, TOLERANCE)[0] == 0.0
    assert agreement.compare(expected, classified((3, 0.6), (9, 0.25)), TOLERANCE)[0] > 0


def test_a_box_agrees_with_one_of_its_class_that_overlaps_by_more_than_half():
    expected = detected((0, 0.9, BOX), (1, 0.8, ELSEWHERE))
    assert agreement.compare(expected, detected((0, 0.895, MOVED), (1, 0.8, ELSEWHERE)), TOLERANCE)[0] == 0.0
    assert agreement.compare(expected, detected((0, 0.9, ELSEWHERE), (1, 0.8, ELSEWHERE)), TOLERANCE)[0] == 0.5
    assert agreement.compare(expected, detected((1, 0.9, BOX), (1, 0.8, ELSEWHERE)), TOLERANCE)[0] == 0.5


def test_only_a_box_of_the_smallest_score_may_be_missing():
    expected = detected((0, 0.9, BOX))
    assert agreement.compare(expected, detected((0, 0.9, BOX), (1, 0.055, ELSEWHERE)), TOLERANCE)[0] == 0.0
    assert agreement.compare(expected, detected((0, 0.9, BOX), (1, 0.07, ELSEWHERE)), TOLERANCE)[0] == pytest.approx(
        1 / 3
    )
    assert agreement.compare(expected, detected(), TOLERANCE)[0] == 1.0


def test_a_full_answer_may_lack_what_its_last_box_displaced():
    expected = detected((0, 0.9, BOX), (1, 0.5, ELSEWHERE), places=2)
    answers = detected((0, 0.9, BOX), (2, 0.505, ELSEWHERE), places=2)
    assert agreement.compare(expected, answers, TOLERANCE)[0] == 0.0


def test_nothing_found_agrees_with_nothing_found():
    assert agreement.compare(detected(), detected(), TOLERANCE) == (0.0, 0.0)


def test_float32_answers_are_compared_place_by_place_and_bfloat16_ones_as_sets():
    expected, answers = classified((3, 0.6), (1, 0.2), (2, 0.195)), classified((3, 0.6), (2, 0.201), (1, 0.199))
    assert golden.compare("s", expected, answers, "bfloat16") < TOLERANCE
    with pytest.raises(ExportError, match=r"66\.7% of class_ids differ"):
        golden.compare("s", expected, answers, "float32")


def test_a_bfloat16_model_whose_entries_disagree_is_refused():
    with pytest.raises(
        ExportError, match=r"signature s: 100\.0% of the entries disagree .*export this model in float32"
    ):
        golden.compare("s", classified((3, 0.6)), classified((3, 0.5)), "bfloat16")


@pytest.mark.parametrize(("pixels", "precision"), [(10, "float32"), (100, "bfloat16")])
def test_a_mask_may_differ_in_the_share_of_its_precision(pixels, precision):
    expected = {"mask": np.zeros((1, 100, 100), np.uint8), "scores": np.array([[1.0, 0.0]], np.float32)}
    mask = expected["mask"].copy()
    mask.reshape(-1)[:pixels] = 1
    assert golden.compare("s", expected, expected | {"mask": mask}, precision) == 0
    mask.reshape(-1)[pixels] = 1
    with pytest.raises(ExportError, match="of mask differ"):
        golden.compare("s", expected, expected | {"mask": mask}, precision)
