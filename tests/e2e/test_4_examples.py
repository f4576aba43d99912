"""`examples/tasks/run.sh` as a model team runs it: one model of each task on one pool."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.e2e.conftest import ROOT

ROOT_RUNS = ROOT / "build" / "runs"
SITES = ("aws", "gcp", "azure")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def example(local_run):
    """What the script printed."""
    done = local_run.run("examples/tasks/run.sh", timeout=1700)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def answer(local_run, model, file, site):
    done = local_run.python("serving", "predict", model, file, "--site", site, "--json", timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["site"] == site
    return found["predictions"][0]


def test_the_script_draws_what_was_found(example):
    assert "drawn: build/runs/drawn/shapes-0.png" in example
    drawn = Image.open(ROOT_RUNS / "drawn/shapes-0.png")
    plain = Image.open(ROOT_RUNS / "samples/shapes-0.png").resize(drawn.size, Image.Resampling.NEAREST)
    changed = np.any(np.asarray(drawn) != np.asarray(plain.convert("RGB")), axis=-1)
    assert 0.005 < changed.mean() < 0.6
    assert min(Image.open(ROOT_RUNS / "drawn/shapes-masks-0.png").size) >= 480


def test_texts_get_their_language(example):
    assert "German" in example
    assert "Spanish" in example


@pytest.mark.parametrize("site", SITES)
def test_every_cloud_finds_the_same_shapes(example, local_run, site):
    found = answer(local_run, "shapes", str(ROOT_RUNS / "samples/shapes-0.png"), site)["objects"]
    everywhere = answer(local_run, "shapes", str(ROOT_RUNS / "samples/shapes-0.png"), SITES[0])["objects"]
    assert found
    assert {each["label"] for each in found} <= {"circle", "rectangle", "triangle"}
    assert [each["label"] for each in found] == [each["label"] for each in everywhere]
    for one, other in zip(found, everywhere, strict=True):
        assert one["box"] == pytest.approx(other["box"], abs=1e-3)


@pytest.mark.parametrize("site", SITES)
def test_every_cloud_segments(example, local_run, site):
    found = answer(local_run, "regions", str(ROOT_RUNS / "samples/shapes-masks-0.png"), site)
    assert {each["label"] for each in found["labels"]} == {"background", "circle", "rectangle", "triangle"}
    assert sum(each["score"] for each in found["labels"]) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("site", SITES)
def test_the_classifier_goes_on_answering(example, local_run, site):
    assert local_run.predict("--site", site)["predictions"][0]["labels"][0]["label"] == "Egyptian cat"


def test_a_second_preview_with_the_examples_settings_changes_nothing(example, local_run):
    done = local_run.run(
        "pulumi", "preview", "-s", "local", "--config-file", "examples/tasks/Pulumi.local.yaml",
        "--expect-no-changes", "--non-interactive", timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
