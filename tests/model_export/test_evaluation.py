"""From a run to a report and to a bundle that is verified."""

import json

import pytest
from PIL import Image
from training_command import history, reported, run

from model_export.manifest import read_manifest

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def evaluated(models):
    """What `evaluate` printed."""
    return models.evaluation("vgg16")


def test_the_results_are_those_of_the_best_epoch(digits_run, evaluated):
    best = max(line["accuracy"] for line in history(digits_run))
    assert reported(evaluated, "accuracy") == pytest.approx(best, abs=1e-4)
    stored = json.loads((digits_run / "results.json").read_text())
    assert stored["accuracy"] == pytest.approx(best, abs=1e-9)
    assert stored["data"] == "digits"
    thirds = [each["examples"] for each in stored["slices"] if each["group"] == "brightness"]
    assert (len(thirds), sum(thirds)) == (3, 450)


def test_the_report_is_a_page_with_pictures(digits_run, evaluated):
    page = (digits_run / "report" / "report.md").read_text()
    for title in ("Results", "Training", "Classes", "Confusion", "Certainty", "ROC", "Slices"):
        assert f"## {title}\n" in page
    for name in ("training", "confusion", "certainty", "roc", "slices"):
        assert f"({name}.png)" in page
        with Image.open(digits_run / "report" / f"{name}.png") as picture:
            assert min(picture.size) > 200


def test_other_data_must_have_the_same_classes(digits_run, tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(4):
            Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / name / f"{number}.png")
    result = run("evaluate", digits_run, "--data", f"folder:{tmp_path}")
    assert result.returncode == 1
    assert "has the classes cat, dog, the run was trained for 0, 1, 2" in result.stderr


def test_a_run_becomes_a_verified_bundle_with_its_results(models, evaluated):
    manifest = read_manifest(models.bundle("vgg16") / "1.json")
    assert manifest.metrics["accuracy"] == pytest.approx(reported(evaluated, "accuracy"), abs=1e-4)
    assert manifest.license == "CC-BY-4.0"
    assert manifest.labels.count == 10
    assert "digits" in manifest.source.weights
