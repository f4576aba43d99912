"""The presets are the networks they say they are."""

import numpy as np
import pytest

from model_export import registry
from model_export.registry import FULL, SMALL

pytestmark = pytest.mark.model
CLASSIFIERS = ["efficientnet-b0", "vgg16"]


@pytest.mark.parametrize(("name", "parameters"), [("efficientnet-b0", 5_330_571), ("vgg16", 138_357_544)])
def test_the_full_preset_has_the_papers_parameters(name, parameters):
    """VGG16: Simonyan and Zisserman's table 2, configuration D; EfficientNet-B0: Tan and Le's table 2, 5.3 million."""
    preset = registry.find(name).preset(FULL)
    assert preset.parameters == parameters
    network = preset.network(preset.classes)
    assert network.count_params() == parameters
    assert network.input_shape == (None, 224, 224, 3)
    assert network.output_shape == (None, 1000)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_small_preset_gives_logits_of_any_number_of_classes(name):
    import keras

    keras.utils.set_random_seed(0)
    preset = registry.find(name).preset(SMALL)
    network = preset.network(7)
    assert network.input_shape == (None, 32, 32, 3)
    assert network.count_params() < 1_000_000
    answers = np.asarray(network(np.full((2, 32, 32, 3), 255, np.float32), training=False))
    assert (answers.shape, answers.dtype) == ((2, 7), np.float32)
    assert not np.allclose(answers.sum(axis=1), 1)
