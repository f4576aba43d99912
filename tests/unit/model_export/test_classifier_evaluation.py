"""Results of a classifier and the page about them."""

import numpy as np
import pytest
from PIL import Image

from model_export.evaluation.classification import sections, worst
from model_export.evaluation.report import Report, Section, figure
from model_export.tasks.classify import calibration_error, macro_f1, results

SCORES = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.65, 0.35]], np.float32)
LABELS = np.array([0, 1, 1, 0], np.int32)


def test_the_results_by_hand():
    found = results(SCORES, LABELS)
    assert found["accuracy"] == 0.75
    # Class 0: 2 of 3 answers right, both found; class 1: the one answer right, 1 of 2 found.
    assert found["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert "top5_accuracy" not in found


def test_top_five_counts_the_five_best():
    scores = np.tile(np.arange(8, dtype=np.float32), (8, 1)) / 28
    assert results(scores, np.arange(8, dtype=np.int32))["top5_accuracy"] == 5 / 8


def test_calibration_error_by_hand():
    # Certainties 0.9, 0.8, 0.7 (wrong) and 0.65, each in a bin of its own.
    assert calibration_error(SCORES, LABELS) == pytest.approx((0.1 + 0.2 + 0.7 + 0.35) / 4, abs=1e-6)
    sure = np.array([[1.0, 0.0]] * 4, np.float32)
    assert calibration_error(sure, np.zeros(4, np.int32)) == 0
    assert calibration_error(sure, np.array([0, 0, 1, 1], np.int32)) == 0.5


def test_a_class_that_never_occurs_does_not_count():
    assert macro_f1(np.array([0, 1]), np.array([0, 1])) == 1


def test_the_worst_mistakes_come_first():
    pictures = []
    found = worst(SCORES, LABELS, ["cat", "dog"], lambda row: pictures.append(row) or np.zeros((4, 4, 3), np.uint8))
    assert pictures == [2]
    assert found.text == "1 of 4 are wrong; the most certain ones:"
    assert worst(SCORES, np.array([0, 1, 0, 0]), ["cat", "dog"], None) is None


def test_the_classes_are_listed_worst_first():
    table = sections(SCORES, LABELS, ["cat", "dog"])[0].table
    assert [row["class"] for row in table] == ["dog", "cat"]
    assert (table[0]["precision"], table[0]["recall"], table[0]["examples"]) == (1.0, 0.5, 2)


@pytest.mark.parametrize("classes", [2, 40, 200])
def test_the_sections_are_pages_for_any_number_of_classes(tmp_path, classes):
    random = np.random.default_rng(0)
    scores = random.dirichlet(np.ones(classes), 60).astype(np.float32)
    made = sections(scores, random.integers(0, classes, 60), [f"class {each}" for each in range(classes)])
    page = Report("A model", list(made)).write(tmp_path / "report")
    assert len(made[0].table) <= 30
    assert page.read_text().startswith("# A model\n\n## Classes\n")
    for name in ("confusion", "certainty", "roc"):
        with Image.open(tmp_path / "report" / f"{name}.png") as picture:
            assert max(picture.size) < 3000


def test_a_report_replaces_the_one_before_and_escapes_its_tables(tmp_path):
    made, axes = figure()
    axes.plot([0, 1])
    Report("First", [Section("One", picture="old", figure=made)]).write(tmp_path / "report")
    page = Report("Second", [Section("Two", "Words.", [{"a|b": "x|y", "value": 0.123456}])]).write(tmp_path / "report")
    assert [file.name for file in tmp_path.iterdir()] == ["report"]
    assert [file.name for file in page.parent.iterdir()] == ["report.md"]
    assert "| x\\|y | 0.1235 |" in page.read_text()
