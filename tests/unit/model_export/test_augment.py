"""Boxes and masks move with their image."""

import numpy as np
import pytest

from model_export.datasets.augment import IGNORED, augment
from model_export.registry import Augmentation

SIZE = 40


def example(top=8, left=12, bottom=20, right=30):
    """A bright rectangle with its box and mask, and a place without an object."""
    pixels = np.zeros((SIZE, SIZE, 3), np.float32)
    pixels[top:bottom, left:right] = 200
    mask = (pixels[..., 0] > 0).astype(np.uint8)
    boxes = np.array([[top, left, bottom, right], [0, 0, 0, 0]], np.float32) / SIZE
    return pixels, {"boxes": boxes, "labels": np.array([3, -1], np.int32), "mask": mask}


def batch_of(augmentation, seeds, **where):
    """The example once for every seed, changed in one batch."""
    import tensorflow as tf

    pixels, targets = example(**where)
    pixels, targets = augment(
        tf.stack([pixels] * len(seeds)), {name: tf.stack([value] * len(seeds)) for name, value in targets.items()},
        augmentation, tf.constant([[7, seed] for seed in seeds]),
    )  # fmt: skip
    return np.asarray(pixels), {name: np.asarray(value) for name, value in targets.items()}


def augmented(augmentation, seed, **where):
    pixels, targets = batch_of(augmentation, [seed], **where)
    return pixels[0], {name: value[0] for name, value in targets.items()}


def bounds(pixels):
    rows, columns = np.nonzero(pixels[..., 0] > 100)
    return np.array([rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]) / SIZE


@pytest.mark.parametrize(
    "augmentation", [Augmentation(shift=0.1), Augmentation(flip=True), Augmentation(shift=0.1, flip=True)]
)
def test_boxes_and_masks_move_with_the_image(augmentation):
    original, _ = example()
    moved = 0
    for seed in range(12):
        pixels, targets = augmented(augmentation, seed)
        np.testing.assert_allclose(targets["boxes"][0], bounds(pixels), atol=1e-6)
        assert targets["boxes"][1].tolist() == [0, 0, 0, 0]
        assert targets["labels"].tolist() == [3, -1]
        known = targets["mask"] != IGNORED
        np.testing.assert_array_equal(targets["mask"][known], (pixels[..., 0] > 100)[known])
        assert known.mean() > 0.75
        moved += not np.array_equal(pixels, original)
    assert moved > 3


def test_a_box_that_leaves_the_image_is_cut_or_dropped():
    labels, heights = set(), set()
    for seed in range(30):
        _, targets = augmented(Augmentation(shift=0.1), seed, top=0, left=0, bottom=4, right=4)
        assert (targets["boxes"] >= 0).all()
        assert (targets["boxes"] <= 1).all()
        labels.add(int(targets["labels"][0]))
        if targets["labels"][0] == -1:
            assert targets["boxes"][0].tolist() == [0, 0, 0, 0]
        heights.add(round(float(targets["boxes"][0, 2] - targets["boxes"][0, 0]) * SIZE))
    assert labels == {3, -1}
    assert {4, 2} <= heights


def test_what_comes_in_at_the_edge_is_ignored_in_the_mask():
    found = [augmented(Augmentation(shift=0.1), seed)[1]["mask"] for seed in range(8)]
    assert any((mask == IGNORED).any() for mask in found)


def test_brightness_changes_all_values_alike_and_stays_in_range():
    changes = set()
    for seed in range(8):
        pixels, targets = augmented(Augmentation(brightness=0.5), seed)
        assert 0 <= pixels.min() <= pixels.max() <= 255
        assert len(np.unique(pixels[8:20, 12:30])) == 1
        changes.add(float(pixels[10, 15, 0]))
        np.testing.assert_array_equal(targets["mask"], example()[1]["mask"])
    assert len(changes) > 4


def test_the_same_seed_changes_alike_and_nothing_changes_without_augmentation():
    everything = Augmentation(shift=0.1, flip=True, brightness=0.3)
    np.testing.assert_array_equal(augmented(everything, 3)[0], augmented(everything, 3)[0])
    assert not np.array_equal(augmented(everything, 3)[0], augmented(everything, 4)[0])
    np.testing.assert_array_equal(augmented(Augmentation(), 3)[0], example()[0])


def test_an_example_changes_alike_in_whatever_batch_it_is():
    everything = Augmentation(shift=0.1, flip=True, brightness=0.3)
    pixels, targets = batch_of(everything, range(6))
    for seed in range(6):
        alone_pixels, alone = augmented(everything, seed)
        np.testing.assert_array_equal(pixels[seed], alone_pixels)
        for name, value in alone.items():
            np.testing.assert_array_equal(targets[name][seed], value)


def test_the_edges_are_mirrored_in():
    """A shift is a window of the image with its edge rows and columns mirrored around it."""
    import tensorflow as tf

    margin = 8
    original = np.random.default_rng(0).uniform(0, 255, (1, SIZE, SIZE, 3)).astype(np.float32)
    wide = np.pad(original[0], [(margin, margin), (margin, margin), (0, 0)], mode="symmetric")
    seen = set()
    for seed in range(12):
        pixels, _ = augment(tf.constant(original), {}, Augmentation(shift=margin / SIZE), tf.constant([[7, seed]]))
        offset = tuple(int(each) for each in tf.random.stateless_uniform([2], [7, seed], 0, 2 * margin + 1, tf.int32))
        window = wide[offset[0] : offset[0] + SIZE, offset[1] : offset[1] + SIZE]
        np.testing.assert_array_equal(np.asarray(pixels)[0], window)
        seen.add(offset)
    assert len(seen) > 6
