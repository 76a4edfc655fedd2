import math

import numpy as np
import pytest
import tensorflow as tf

from siamese_utils import losses


def contrastive_by_plain_loop(different, distance, margin):
    total = []
    for y, d in zip(different, distance, strict=True):
        total.append(d * d if y == 0 else max(margin - d, 0.0) ** 2)
    return total


def test_distance_by_hand():
    a = np.float32([[0, 0], [1, 1], [2, 2]])
    b = np.float32([[3, 4], [1, 1], [2, 3]])
    # sqrt(9 + 16) = 5; equal rows: sqrt(1e-7); sqrt(0 + 1) = 1
    found = np.asarray(losses.euclidean_distance(a, b))
    assert found.shape == (3,)
    assert np.allclose(found, [5, math.sqrt(1e-7), 1])


def test_distance_is_symmetric():
    a, b = np.random.default_rng(0).normal(size=(2, 20, 8)).astype("float32")
    there, back = losses.euclidean_distance(a, b), losses.euclidean_distance(b, a)
    assert np.array_equal(there, back)


@pytest.mark.parametrize("margin", [0.5, 1.0, 5.0])
def test_loss_is_that_of_a_plain_loop(margin):
    rng = np.random.default_rng(0)
    different = rng.integers(0, 2, 50).astype("float32")
    distance = rng.uniform(0, 6, 50).astype("float32")
    found = losses.contrastive_loss(different, distance, margin)
    assert np.allclose(found, contrastive_by_plain_loop(different, distance, margin), rtol=1e-5)


def test_loss_by_hand():
    # same at 0.5: 0.25; different at 0.5: (1 - 0.5)^2 = 0.25; different at 2: beyond the margin
    found = losses.contrastive_loss(np.float32([0, 1, 1]), np.float32([0.5, 0.5, 2]))
    assert np.allclose(found, [0.25, 0.25, 0])


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match="shape"):
        losses.contrastive_loss(np.zeros(3), np.zeros((3, 1)))


def test_gradient_at_distance_0_is_0():
    point = tf.Variable([[1.0, 2.0]])
    with tf.GradientTape() as tape:
        distance = losses.euclidean_distance(point, tf.constant([[1.0, 2.0]]))
    assert np.array_equal(tape.gradient(distance, point), [[0, 0]])


def test_the_class_averages_and_comes_back_from_its_config():
    loss = losses.ContrastiveLoss(margin=2.0)
    again = losses.ContrastiveLoss.from_config(loss.get_config())
    y, d = np.float32([0, 1]), np.float32([1, 1])
    # (1^2 + (2 - 1)^2) / 2 = 1
    assert float(loss(y, d)) == float(again(y, d)) == 1.0
