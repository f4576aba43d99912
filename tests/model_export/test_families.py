"""The presets are the networks they say they are."""

import numpy as np
import pytest

from model_export import bfloat16, graph_rules, registry
from model_export.exportable import Exportable
from model_export.protos import meta_graph_pb2
from model_export.registry import FULL, SMALL

pytestmark = pytest.mark.model
TRAINABLE = [name for name, family in registry.all_families().items() if SMALL in family.presets]
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


@pytest.mark.parametrize("name", TRAINABLE)
def test_every_family_multiplies_in_bfloat16_and_answers_in_float32(name):
    import tensorflow as tf

    family = registry.find(name)
    preset = family.preset(SMALL)
    network = bfloat16.network(
        Exportable(
            family=family, input=preset.input, labels=["a", "b", "c"], network=lambda: preset.network(3),
            weights="", url="", license="",
        )
    )  # fmt: skip
    assert {variable.dtype for variable in network.variables} <= {"float32", "int32", "uint32", "int64"}
    assert {output.dtype for output in tf.nest.flatten(network.output)} <= {"float32", "int32"}
    spec = tf.TensorSpec(network.input.shape, network.input.dtype)
    traced = tf.function(lambda given: network(given, training=False), input_signature=[spec], autograph=False)
    meta_graph = meta_graph_pb2.MetaGraphDef(graph_def=traced.get_concrete_function().graph.as_graph_def())
    found = graph_rules.products(meta_graph)
    # What makes the logits, and no more, stays in float32.
    assert found["float32"] <= found["bfloat16"] / 2
