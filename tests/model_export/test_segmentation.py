"""Segmenters from training to the exported bundle."""

import itertools

import numpy as np
import pytest
from bundle_runner import loaded

from model_export.registry import FULL, find

pytestmark = pytest.mark.model

ENOUGH = 0.85


def unet_parameters(channels, classes):
    """The sum over the layers of figure 1 of the paper."""
    widths = [64, 128, 256, 512, 1024]
    total, before = 0, channels
    for width in widths:
        total += 9 * before * width + width + 9 * width * width + width
        before = width
    for width in reversed(widths[:-1]):
        total += 4 * (2 * width) * width + width
        total += 9 * (2 * width) * width + width + 9 * width * width + width
    return total + 64 * classes + classes


def fcn_parameters(classes):
    """The sum over the layers of the reference code's FCN-8s; its upsamplings have no bias."""
    body = 0
    channels = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    for before, after in itertools.pairwise(channels):
        body += 9 * before * after + after
    dense = 7 * 7 * 512 * 4096 + 4096 + 4096 * 4096 + 4096
    scores = sum(width * classes + classes for width in (256, 512, 4096))
    upsampling = sum(side * side * classes * classes for side in (4, 4, 16))
    return body + dense + scores + upsampling


@pytest.mark.parametrize(("name", "expected"), [("unet", unet_parameters(3, 2)), ("fcn", fcn_parameters(21))])
def test_full_networks_have_the_papers_parameters(name, expected):
    preset = find(name).preset(FULL)
    network = preset.network(preset.classes)
    assert network.count_params() == expected == preset.parameters
    assert network.output_shape == (None, preset.image.size, preset.image.size, preset.classes)


def test_upsampling_starts_as_bilinear_interpolation():
    import keras

    from model_export.families.fcn import _upsampled

    values = keras.Input((4, 4, 2))
    upsampled = keras.Model(values, _upsampled(values, 2, 2))
    ramp = np.broadcast_to(np.arange(4.0)[None, None, :, None], (1, 4, 4, 2)).copy()
    ramp[..., 1] = 7
    found = np.asarray(upsampled(ramp))
    assert found.shape == (1, 8, 8, 2)
    assert found[0, 3, 1:7, 0] == pytest.approx([0.25, 0.75, 1.25, 1.75, 2.25, 2.75])
    assert found[0, 3, 1:7, 1] == pytest.approx([7] * 6)


@pytest.fixture(scope="module", params=["unet", "fcn"])
def family(request):
    return request.param


@pytest.fixture(scope="module")
def trained(models, family):
    """A run's folder, its evaluation as printed."""
    return models.run(family), models.evaluation(family)


@pytest.fixture(scope="module")
def run_segmenter(models, family, tmp_path_factory):
    """A function (signature, inputs) -> outputs of the exported and verified bundle."""
    with loaded(models.bundle(family), tmp_path_factory.mktemp("version")) as runner:
        yield runner


def test_small_presets_segment_shapes(trained):
    folder, printed = trained
    found = dict(line.split(": ", 1) for line in printed.splitlines())
    assert float(found["mean_iou"]) >= ENOUGH
    for name in ("classes", "confusion", "worst", "| foreground: little"):
        assert name in (folder / "report/report.md").read_text().lower()
    assert (folder / "report/worst.png").stat().st_size > 10_000


def test_both_signatures_segment_the_same_picture(run_segmenter):
    from model_export.datasets import load
    from model_export.datasets.pipeline import ImagePipeline
    from model_export.registry import ImageInput

    test = load("shapes-masks", 0).test.pick(range(8))
    pipeline = ImagePipeline(test, ImageInput(size=64), 8)
    pixels = np.concatenate([np.asarray(each) for each in pipeline.evaluation()]).astype(np.uint8)
    found = run_segmenter("serving_default", image_bytes=test.inputs)
    again = run_segmenter("image_uint8", image=pixels)
    assert (found["mask"].shape, found["mask"].dtype) == ((8, 64, 64), np.uint8)
    assert np.mean(found["mask"] == again["mask"]) > 0.999
    assert np.mean(found["mask"] == pipeline.targets["mask"]) > 0.9
    shares = np.stack([np.mean(found["mask"] == each, axis=(1, 2)) for each in range(4)], axis=1)
    assert found["scores"] == pytest.approx(shares, abs=1e-6)
    assert found["labels"].shape == (8, 4)
    assert [each.decode() for each in found["labels"][7]] == ["background", "circle", "rectangle", "triangle"]
