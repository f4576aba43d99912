"""Detectors from training to the exported bundle."""

import numpy as np
import pytest
from bundle_runner import loaded

from model_export.registry import FULL, find

pytestmark = pytest.mark.model

ENOUGH = 0.85


def test_the_full_network_has_the_parameters_of_yolov3():
    preset = find("yolo").preset(FULL)
    network = preset.network(preset.classes)
    trained = sum(int(np.prod(each.shape)) for each in network.trainable_variables)
    assert network.count_params() == preset.parameters == 62_001_757
    assert trained == 61_949_149
    # 52 x 52, 26 x 26 and 13 x 13 cells with three anchors each.
    assert [each.shape[1:] for each in network.outputs] == [(52, 52, 255), (26, 26, 255), (13, 13, 255)]


def test_the_full_network_has_the_parameters_of_faster_rcnn():
    """torchvision's 41,755,286, the convolutions' biases before normalisation, and the normalisation it folds."""
    preset = find("faster-rcnn").preset(FULL)
    network = preset.network(preset.classes)
    biases = sum(each.bias.shape[0] for each in network.layers if each.name.endswith("_conv"))
    normalisation = sum(each.count_params() for each in network.layers if type(each).__name__ == "BatchNormalization")
    assert network.count_params() == preset.parameters == 41_755_286 + biases + normalisation == 41_888_086
    # 200, 100, 50, 25 and 13 places along a side with three anchors each, 300 regions, 90 classes and none.
    shapes = {name: tuple(each.shape[1:]) for name, each in network.output.items()}
    assert shapes["anchor_changes"] == (159_882, 4)
    assert shapes["box_changes"] == (300, 91, 4)


@pytest.fixture(scope="module", params=["yolo", "faster-rcnn"])
def family(request):
    return request.param


@pytest.fixture(scope="module")
def trained(models, family):
    """A run's folder, its evaluation as printed."""
    return models.run(family), models.evaluation(family)


@pytest.fixture(scope="module")
def run_detector(models, family, tmp_path_factory):
    """A function (signature, inputs) -> outputs of the exported and verified bundle."""
    with loaded(models.bundle(family), tmp_path_factory.mktemp("version")) as runner:
        yield runner


def test_the_small_preset_finds_shapes(trained):
    folder, printed = trained
    found = dict(line.split(": ", 1) for line in printed.splitlines())
    assert float(found["map50"]) >= ENOUGH
    page = (folder / "report/report.md").read_text()
    assert "| triangle |" in page
    assert "| objects in the picture: 2 to 4 |" in page
    assert "| size of the objects: large (3% and more) |" in page
    for picture in ("pictures", "precision", "training", "slices"):
        assert f"]({picture}.png)" in page
        assert (folder / f"report/{picture}.png").stat().st_size > 10_000


def test_the_served_graph_finds_the_boxes_that_are_there(run_detector):
    from model_export.datasets import load

    test = load("shapes", 0).test.pick(range(8))
    found = run_detector("serving_default", image_bytes=test.inputs)
    assert (found["boxes"].shape, found["boxes"].dtype) == ((8, 100, 4), np.float32)
    assert found["boxes"].min() >= 0
    assert found["boxes"].max() <= 1
    hits = known = 0
    for row in range(8):
        there = np.arange(100) < found["count"][row]
        assert (found["class_ids"][row][~there] == -1).all()
        assert set(found["labels"][row][~there]) <= {b""}
        names = [each.decode() for each in found["labels"][row]]
        for box, label in zip(test.targets["boxes"][row], test.targets["labels"][row], strict=True):
            if label >= 0:
                known += 1
                same = [names[each] == ("circle", "rectangle", "triangle")[label] for each in range(100)]
                hits += bool((np.abs(found["boxes"][row] - box).max(axis=1) < 0.08)[same].any())
    assert known > 8
    assert hits >= 0.85 * known


def test_both_signatures_answer_alike(run_detector):
    from model_export.datasets import load
    from model_export.datasets.pipeline import ImagePipeline
    from model_export.registry import ImageInput

    test = load("shapes", 0).test.pick(range(4))
    pixels = np.concatenate([np.asarray(each) for each in ImagePipeline(test, ImageInput(size=96), 4).evaluation()])
    found = run_detector("serving_default", image_bytes=test.inputs)
    again = run_detector("image_uint8", image=pixels.astype(np.uint8))
    assert found["scores"] == pytest.approx(again["scores"], abs=1e-4)
    assert (found["labels"][:, 0] == again["labels"][:, 0]).all()
