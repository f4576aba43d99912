"""Every loss against NumPy, worked out by hand."""

import numpy as np
import pytest

from model_export.training import losses

RANDOM = np.random.default_rng(0)


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_cross_entropy_is_the_log_of_the_true_class():
    logits, labels = RANDOM.normal(size=(6, 4)), RANDOM.integers(0, 4, 6)
    expected = -np.log(softmax(logits)[np.arange(6), labels]).mean()
    assert float(losses.cross_entropy(logits, labels)) == pytest.approx(expected, rel=1e-5)


def test_smoothing_spreads_a_part_over_all_classes():
    logits, labels = RANDOM.normal(size=(6, 4)), RANDOM.integers(0, 4, 6)
    truth = np.eye(4)[labels] * 0.9 + 0.1 / 4
    expected = -(truth * np.log(softmax(logits))).sum(axis=1).mean()
    assert float(losses.cross_entropy(logits, labels, smoothing=0.1)) == pytest.approx(expected, rel=1e-5)


def test_weights_leave_places_out_of_the_mean():
    logits, labels = RANDOM.normal(size=(3, 4)), np.array([0, 1, 2])
    weighed = losses.cross_entropy(logits, labels, weights=[1, 0, 2])
    each = -np.log(softmax(logits)[np.arange(3), labels])
    assert float(weighed) == pytest.approx((each[0] + 2 * each[2]) / 3, rel=1e-5)
    assert float(losses.cross_entropy(logits, labels, weights=[0, 0, 0])) == 0


def test_focal_makes_light_of_what_is_easy():
    logits, targets = np.array([2.0, -1.0, 0.5]), np.array([1.0, 0.0, 1.0])
    p = 1 / (1 + np.exp(-logits))
    certainty = np.where(targets == 1, p, 1 - p)
    alpha = np.where(targets == 1, 0.25, 0.75)
    expected = (alpha * (1 - certainty) ** 2 * -np.log(certainty)).mean()
    assert float(losses.focal(logits, targets)) == pytest.approx(expected, rel=1e-5)
    plain = losses.focal(logits, targets, alpha=0.5, gamma=0.0)
    assert float(plain) == pytest.approx(0.5 * -np.log(certainty).mean(), rel=1e-5)


def test_huber_is_square_near_zero_and_straight_beyond():
    assert float(losses.huber([0.5], [0.0])) == pytest.approx(0.125)
    assert float(losses.huber([3.0], [0.0])) == pytest.approx(2.5)
    assert float(losses.huber([3.0], [0.0], delta=2.0)) == pytest.approx(4.0)
    assert float(losses.huber([3.0, 0.5], [0.0, 0.0], weights=[0, 1])) == pytest.approx(0.125)


def test_squared():
    assert float(losses.squared([1.0, 3.0], [0.0, 0.0])) == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("box", "target", "expected"),
    [
        ([0, 0, 1, 1], [0, 0, 1, 1], 0.0),
        ([0, 0, 2, 2], [1, 1, 3, 3], 1 - (1 / 7 - 2 / 9)),
        # Disjoint boxes: no overlap, 2 of the hull's 3 belong to one of them.
        ([0, 0, 1, 1], [0, 2, 1, 3], 1 + 1 / 3),
        # Nothing has no area, and no direction either.
        ([0, 0, 0, 0], [0, 0, 0, 0], 1.0),
    ],
)
def test_giou(box, target, expected):
    assert float(losses.giou([box], [target])) == pytest.approx(expected, abs=1e-6)


def test_giou_pulls_disjoint_boxes_together():
    import tensorflow as tf

    box = tf.Variable([[0.0, 0.0, 0.1, 0.1]])
    with tf.GradientTape() as tape:
        loss = losses.giou(box, [[0.5, 0.5, 0.6, 0.6]])
    gradient = tape.gradient(loss, box).numpy()[0]
    assert np.isfinite(gradient).all()
    assert gradient[2] < 0
    assert gradient[3] < 0


def test_dice():
    labels = np.array([[[0, 1], [1, 1]]])
    sure = np.eye(3)[labels] * 50
    assert float(losses.dice(sure, labels, classes=3)) == pytest.approx(0, abs=1e-5)
    undecided = np.zeros((1, 2, 2, 3))
    # Each class has 4/3 of the answer; the truth has 1, 3 and 0 pixels.
    shared, total = np.array([1 / 3, 1, 0]), np.array([7 / 3, 13 / 3, 4 / 3])
    expected = 1 - ((2 * shared + 1) / (total + 1)).mean()
    assert float(losses.dice(undecided, labels, classes=3)) == pytest.approx(expected, rel=1e-5)
