import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from siamese_utils.training import losses


def contrastive_by_plain_loop(different, distance, margin):
    total = []
    for y, d in zip(different, distance, strict=True):
        total.append(d * d if y == 0 else max(margin - d, 0.0) ** 2)
    return total


def test_the_euclidean_distance_by_hand():
    a = np.float32([[0, 0], [1, 1], [2, 2]])
    b = np.float32([[3, 4], [1, 1], [2, 3]])
    # sqrt(9 + 16) = 5; equal rows: sqrt(1e-7); sqrt(0 + 1) = 1
    distance = np.asarray(losses.euclidean_distance(a, b))
    assert distance.shape == (3,)
    assert np.allclose(distance, [5, math.sqrt(1e-7), 1])


def test_the_euclidean_distance_is_symmetric():
    a, b = np.random.default_rng(0).normal(size=(2, 20, 8)).astype("float32")
    assert np.array_equal(losses.euclidean_distance(a, b), losses.euclidean_distance(b, a))


@pytest.mark.parametrize("margin", [0.5, 1.0, 5.0])
def test_the_contrastive_loss_agrees_with_a_plain_loop(margin):
    rng = np.random.default_rng(0)
    different = rng.integers(0, 2, 50).astype("float32")
    distance = rng.uniform(0, 6, 50).astype("float32")
    loss = losses.contrastive_loss(different, distance, margin)
    assert np.allclose(loss, contrastive_by_plain_loop(different, distance, margin), rtol=1e-5)


def test_the_contrastive_loss_by_hand():
    # same at 0.5: 0.25; different at 0.5: (1 - 0.5)^2 = 0.25; different at 2: beyond the margin
    loss = losses.contrastive_loss(np.float32([0, 1, 1]), np.float32([0.5, 0.5, 2]))
    assert np.allclose(loss, [0.25, 0.25, 0])


def triplet_by_plain_loop(labels, embeddings, margin):
    """Every anchor with every positive, and the semi-hard negative looked for one by one."""
    costs = []
    for a, anchor in enumerate(embeddings):
        distance = [math.dist(anchor, other) for other in embeddings]
        negatives = [distance[n] for n in range(len(labels)) if labels[n] != labels[a]]
        for p in range(len(labels)):
            if p != a and labels[p] == labels[a] and negatives:
                semi_hard = [d for d in negatives if d > distance[p]]
                chosen = min(semi_hard) if semi_hard else max(negatives)
                costs.append(max(0.0, distance[p] - chosen + margin))
    return sum(costs) / len(costs) if costs else 0.0


@pytest.mark.parametrize("margin", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("num_classes", [2, 3, 6])
def test_the_triplet_loss_agrees_with_a_plain_loop(margin, num_classes):
    rng = np.random.default_rng(num_classes)
    labels = rng.integers(0, num_classes, 18)
    embeddings = rng.normal(size=(18, 4)).astype("float32")
    loss = float(losses.triplet_loss(labels, embeddings, margin))
    assert loss == pytest.approx(triplet_by_plain_loop(labels, embeddings, margin), rel=1e-4)


def test_the_triplet_loss_by_hand():
    # on a line: two of class 0 at 0 and 1, one of class 1 at 3, margin 1.5
    # anchor 0: D+ = 1, D- = 3, cost 0; anchor 1: D+ = 1, D- = 2, cost 1 - 2 + 1.5 = 0.5
    loss = losses.triplet_loss(np.array([0, 0, 1]), np.float32([[0], [1], [3]]), 1.5)
    assert float(loss) == pytest.approx(0.25)


def test_a_negative_at_the_distance_of_the_positive_is_not_semi_hard():
    # on a line: class 0 at 0 and 1, class 1 at -1 and 3, margin 1.5
    # anchor 0: D+ = 1, D- = 1 and 3, of which 3 is farther: cost 0; anchor 1: D- = 2: 0.5
    # anchor -1: D+ = 4, D- = 1 and 2, neither farther: 4 - 2 + 1.5; anchor 3: 4 - 3 + 1.5
    points = np.float32([[0], [1], [-1], [3]])
    loss = losses.triplet_loss(np.array([0, 0, 1, 1]), points, 1.5)
    assert float(loss) == pytest.approx((0 + 0.5 + 3.5 + 2.5) / 4)


def test_without_a_semi_hard_negative_the_farthest_is_taken():
    # on a line: class 0 at 0 and 1, class 1 at 0.25, margin 1.5: D+ = 1, D- = 0.25 and 0.75
    loss = losses.triplet_loss(np.array([0, 0, 1]), np.float32([[0], [1], [0.25]]), 1.5)
    assert float(loss) == pytest.approx((2.25 + 1.75) / 2)


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_a_batch_without_triplets_costs_nothing(labels):
    points = tf.Variable([[0.0], [1.0], [3.0]])
    with tf.GradientTape() as tape:
        loss = losses.triplet_loss(np.array(labels), points)
    assert float(loss) == 0
    assert np.isfinite(tape.gradient(loss, points)).all()


def saved_and_loaded(loss):
    """The loss as Keras restores it from a saved model."""
    return keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))


def test_a_triplet_loss_object_survives_saving_and_loading():
    loss = losses.TripletLoss(margin=1.5)
    loaded = saved_and_loaded(loss)
    labels, points = np.array([0, 0, 1]), np.float32([[0], [1], [3]])
    assert float(loss(labels, points)) == pytest.approx(float(loaded(labels, points)))
    assert float(loss(labels, points)) == pytest.approx(0.25)


@pytest.mark.parametrize("other", [(3, 1), ()])
def test_the_contrastive_loss_refuses_shapes_that_would_broadcast(other):
    for shapes in ((3, other), (other, 3)):
        with pytest.raises(ValueError, match="shape"):
            losses.contrastive_loss(*map(np.zeros, shapes))


def test_the_gradient_of_the_distance_is_0_at_distance_0():
    point = tf.Variable([[1.0, 2.0]])
    with tf.GradientTape() as tape:
        distance = losses.euclidean_distance(point, tf.constant([[1.0, 2.0]]))
    assert np.array_equal(tape.gradient(distance, point), [[0, 0]])


def test_a_contrastive_loss_object_averages_and_survives_saving_and_loading():
    loss = losses.ContrastiveLoss(margin=2.0)
    loaded = saved_and_loaded(loss)
    y, d = np.float32([0, 1]), np.float32([1, 1])
    # (1^2 + (2 - 1)^2) / 2 = 1
    assert float(loss(y, d)) == float(loaded(y, d)) == 1.0


def test_a_pair_loss_object_averages_any_function_of_labels_and_distances():
    def absolute_difference(different, distance, margin):
        return abs(distance - margin * different)

    loss = losses.PairLoss(absolute_difference, margin=2.0)
    # |1 - 0| = 1, |1 - 2| = 1, |5 - 2| = 3
    assert float(loss(np.float32([0, 1, 1]), np.float32([1, 1, 5]))) == pytest.approx(5 / 3)


def supervised_contrastive_by_plain_loop(labels, embeddings, temperature):
    """Every anchor looks for each of its class among all others."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    costs = []
    for a in range(len(labels)):
        others = [i for i in range(len(labels)) if i != a]
        scores = {i: math.exp(unit[a] @ unit[i] / temperature) for i in others}
        positives = [i for i in others if labels[i] == labels[a]]
        if positives:
            shares = [scores[i] / sum(scores.values()) for i in positives]
            costs.append(-sum(map(math.log, shares)) / len(positives))
    return sum(costs) / len(costs)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
@pytest.mark.parametrize("num_classes", [2, 5])
def test_the_supervised_contrastive_loss_agrees_with_a_plain_loop(temperature, num_classes):
    rng = np.random.default_rng(num_classes)
    labels = np.append(rng.integers(0, num_classes, 14), 99)  # the last is alone in its class
    embeddings = rng.normal(size=(15, 4)).astype("float32")
    loss = losses.supervised_contrastive_loss(labels, embeddings, temperature)
    expected = supervised_contrastive_by_plain_loop(labels, embeddings, temperature)
    assert float(loss) == pytest.approx(expected, rel=1e-4)


def test_the_supervised_contrastive_loss_by_hand():
    # two of one class in one direction, one of another at a right angle, temperature 1:
    # either anchor finds the other with e^1 / (e^1 + e^0); the third is alone
    loss = losses.supervised_contrastive_loss(
        np.array([0, 0, 1]), np.float32([[1, 0], [3, 0], [0, 2]]), 1.0
    )
    assert float(loss) == pytest.approx(-math.log(math.e / (math.e + 1)), rel=1e-5)
    # each is alone in its class
    assert float(losses.supervised_contrastive_loss(np.arange(2), np.eye(2))) == 0


def test_the_batch_contrastive_loss_is_that_of_all_its_pairs():
    rng = np.random.default_rng(0)
    labels, embeddings = rng.integers(0, 3, 12), rng.normal(size=(12, 3)).astype("float32")
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    costs = {True: [], False: []}
    for i, j in itertools.combinations(range(12), 2):
        distance = math.dist(unit[i], unit[j])
        same = labels[i] == labels[j]
        costs[bool(same)].append(distance**2 if same else max(0, 1.5 - distance) ** 2)
    expected = (np.mean(costs[True]) + np.mean(costs[False])) / 2
    loss = losses.batch_contrastive_loss(labels, embeddings, margin=1.5)
    assert float(loss) == pytest.approx(expected, rel=1e-4)
    alone = losses.batch_contrastive_loss(np.array([0, 0]), np.float32([[1, 0], [0, 1]]))
    assert float(alone) == pytest.approx(2 / 2)  # one same pair at distance sqrt(2), counted twice


def test_the_default_temperature_is_a_fifth():
    labels, embeddings = np.array([0, 0, 1]), np.float32([[1, 0], [3, 1], [0, 2]])
    loss = losses.supervised_contrastive_loss(labels, embeddings, 0.2)
    assert float(losses.supervised_contrastive_loss(labels, embeddings)) == float(loss)


def test_the_default_margin_is_1():
    labels, points = np.array([0, 0, 1]), np.float32([[0, 1], [1, 1], [2.5, 1]])
    for loss in (losses.triplet_loss, losses.batch_contrastive_loss):
        assert float(loss(labels, points)) == float(loss(labels, points, 1.0))
        assert float(loss(labels, points)) != float(loss(labels, points, 1.5))
    assert losses.TripletLoss().margin == losses.ContrastiveLoss().margin == 1
