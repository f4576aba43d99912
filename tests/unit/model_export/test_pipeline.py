"""The way of pixels into the network is the same in training and in the exported graph."""

import io

import numpy as np
import pytest
from PIL import Image

from model_export.datasets import pipeline
from model_export.datasets.pipeline import ImagePipeline
from model_export.datasets.records import Examples, objects
from model_export.images import decode_batch
from model_export.registry import Augmentation, ImageInput

IMAGE = ImageInput(size=16, crop=0.875)
COUNT = 10


def png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def examples():
    random = np.random.default_rng(0)
    files = [png(random.integers(0, 256, (20 + each, 30, 3), dtype=np.uint8)) for each in range(COUNT)]
    masks = [png((np.arange(64).reshape(8, 8) % 3).astype(np.uint8)) for _ in range(COUNT)]
    return Examples(inputs=objects(files), targets={"label": np.arange(COUNT, dtype=np.int32), "mask": objects(masks)})


@pytest.fixture(params=["cached", "read each time"])
def images(request, examples, monkeypatch):
    if request.param != "cached":
        monkeypatch.setattr(pipeline, "CACHE_BYTES", 0)
    return ImagePipeline(examples, IMAGE, 4)


def collected(batches):
    found = [(np.asarray(pixels), np.asarray(targets["label"])) for pixels, targets in batches]
    return np.concatenate([pixels for pixels, _ in found]), np.concatenate([labels for _, labels in found])


def test_training_and_the_exported_graph_see_the_same_values(images, examples):
    import tensorflow as tf

    graph = tf.function(lambda data: decode_batch(data, IMAGE), autograph=False)
    served = np.asarray(graph(tf.constant(examples.inputs.tolist())))
    evaluated = np.concatenate([np.asarray(batch) for batch in images.evaluation()])
    np.testing.assert_array_equal(evaluated, served)
    pixels, labels = collected(images.training(range(1), 0, Augmentation()))
    np.testing.assert_array_equal(pixels, served[labels])


def test_the_order_and_the_changes_depend_on_seed_and_epoch_alone(images):
    change = Augmentation(shift=0.2, flip=True, brightness=0.2)
    first, again = (collected(images.training(range(3, 4), 1, change)) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    for epoch, seed in ((4, 1), (3, 2)):
        assert collected(images.training(range(epoch, epoch + 1), seed, change))[1].tolist() != first[1].tolist()


def test_epochs_on_end_are_those_that_a_run_which_goes_on_sees(images):
    change = Augmentation(shift=0.2, flip=True, brightness=0.2)
    on_end = collected(images.training(range(2, 5), 1, change))
    single = [collected(images.training(range(epoch, epoch + 1), 1, change)) for epoch in range(2, 5)]
    for part in (0, 1):
        np.testing.assert_array_equal(on_end[part], np.concatenate([each[part] for each in single]))


def test_no_tuner_keeps_the_end_of_an_epoch_waiting(images):
    for batches in (images.training(range(1), 0, Augmentation()), images.evaluation()):
        assert batches.options().autotune.enabled is False


def test_batches_are_full_and_no_example_comes_twice(images):
    assert images.steps == 2
    labels = collected(images.training(range(1), 0, Augmentation()))[1]
    assert len(labels) == len(set(labels)) == 8
    shapes = [batch.shape[0] for batch in images.evaluation()]
    assert shapes == [4, 4, 2]


def test_masks_are_resized_without_new_classes(images):
    _, targets = next(iter(images.training(range(1), 0, Augmentation())))
    mask = np.asarray(targets["mask"])
    assert (mask.shape, mask.dtype) == ((4, 16, 16), np.uint8)
    assert set(np.unique(mask)) == {0, 1, 2}


def test_fewer_examples_than_a_batch_are_one_batch(examples):
    few = ImagePipeline(examples.pick([0, 1, 2]), IMAGE, 64)
    assert few.steps == 1
    assert len(collected(few.training(range(1), 0, Augmentation()))[1]) == 3
