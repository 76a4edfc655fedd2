"""The article's system as printed: what it computes, and that its faults are there and named."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.metrics import precision_score

from siamese_utils.data import textures
from siamese_utils.training import one_shot_article as article
from siamese_utils.training.code_digest import source_of


def has_rectangle(image):
    return bool(np.isclose(image[7:16, 7:16], 231 / 255).all())


def numbered(*numbers):
    """Images that show a number each."""
    return np.float32(numbers)[:, None, None, None] * np.ones((1, 2, 2, 1), dtype=np.float32)


def test_digits_are_enlarged_beyond_the_range_of_textures():
    images, labels = article.load_digits()
    assert images.shape == (1797, 32, 32, 1)
    assert images.dtype == np.float32
    original = load_digits()
    assert np.array_equal(labels, original.target)
    # A cubic spline keeps the corners; elsewhere it goes beyond 0 and 16, which become 0.5 and 8.5.
    corners = images[:, ::31, ::31, 0]
    assert np.allclose(corners, (original.images[:, ::7, ::7] + 1) / 2, atol=1e-4)
    assert images.min() < 0.5
    assert images.max() > 8.5
    assert images.mean() == pytest.approx((original.images.mean() + 1) / 2, rel=0.15)
    sampled = textures.sample_textures(np.arange(20) % 2, np.random.default_rng(0))
    assert sampled.max() <= 1 < images.mean()


def test_layers_and_parameters_of_the_network_by_hand():
    network = article.build_base_network()
    conv1 = 8 * 8 * 1 * 16 + 16  # 25 x 25 remain
    conv2 = 4 * 4 * 16 * 32 + 32  # 22 x 22 remain
    dense1 = 22 * 22 * 32 * 512 + 512
    dense2 = 512 * 256 + 256
    softmax = 256 * 10 + 10
    parts = [conv1, conv2, 0, dense1, dense2, softmax]
    assert [layer.count_params() for layer in network.layers] == parts
    assert [tuple(layer.output.shape[1:]) for layer in network.layers] == [
        *((25, 25, 16), (22, 22, 32), (22 * 22 * 32,), (512,), (256,), (10,))
    ]
    outputs = network(np.random.default_rng(0).random((3, 32, 32, 1), dtype=np.float32))
    assert np.allclose(np.sum(outputs, axis=1), 1, atol=1e-5)


def test_the_distance_by_hand_and_without_an_epsilon():
    a, b = np.float32([[0, 0], [1, 2], [1, 1]]), np.float32([[3, 4], [1, 2], [1, 3]])
    assert np.array_equal(article.euclidean_distance((a, b)), [5, 0, 2])


def test_the_loss_by_hand_where_label_1_is_a_positive_pair():
    same, distance = np.float32([1, 1, 0, 0, 0]), np.float32([0.5, 2, 0.25, 1, 3])
    # 0.25 and 4 of the positive pairs; (1 - 0.25)^2 = 0.5625 of the nearest negative one
    expected = (0.25 + 4 + 0.5625 + 0 + 0) / 5
    assert float(article.contrastive_loss(same, distance)) == pytest.approx(expected)
    assert float(article.contrastive_loss(1 - same, distance)) == pytest.approx(
        (0.25 + 0 + 0.0625 + 1 + 9) / 5
    )


def test_the_accuracy_by_hand_where_label_1_is_a_positive_pair():
    distance = np.float32([0.1, 0.49, 0.5, 2, np.nan])
    # below 0.5 is a positive pair, and what is no number is none
    for same, right in (([1, 1, 0, 0, 0], 5), ([0, 0, 1, 1, 1], 0), ([1, 0, 1, 0, 0], 3)):
        assert float(article.accuracy(np.float32(same), distance)) == pytest.approx(right / 5)


def gradients(compute):
    """The gradient with respect to two embeddings, the first of which equals its partner."""
    embeddings, partners = tf.Variable([[1.0, 2.0], [1.0, 2.0]]), tf.constant([[1.0, 2], [4, 6]])
    with tf.GradientTape() as tape:
        value = compute(article.euclidean_distance((embeddings, partners)))
    return tape.gradient(value, embeddings).numpy()


def test_the_gradient_of_the_distance_of_equal_embeddings_is_not_a_number():
    of_distance = gradients(lambda distance: distance)
    assert np.isnan(of_distance[0]).all()
    assert np.allclose(of_distance[1], [-3 / 5, -4 / 5])


def test_equal_embeddings_spoil_the_gradient_of_a_negative_pair_alone():
    of_negative = gradients(lambda d: article.contrastive_loss(tf.constant([0.0, 0.0]), d))
    assert np.isnan(of_negative[0]).all()
    assert np.array_equal(of_negative[1], [0, 0])  # beyond the margin
    # a positive pair's D^2 has the outer derivative 2 D = 0, and TensorFlow's root takes 0 as 0
    of_positive = gradients(lambda d: article.contrastive_loss(tf.constant([1.0, 1.0]), d))
    assert np.array_equal(of_positive[0], [0, 0])
    assert np.allclose(of_positive[1], [-3, -4])  # (2 D / 2 pairs) (-3 / D)


def test_the_pool_is_divided_by_whether_there_is_a_rectangle():
    one, zero = article.create_pool(np.random.default_rng(0))
    assert len(one) + len(zero) == 200
    assert abs(len(one) - 100) < 30  # four standard deviations of a fair coin
    assert one.shape[1:] == zero.shape[1:] == (32, 32, 1)
    assert all(map(has_rectangle, one))
    assert not any(map(has_rectangle, zero))


def test_positive_pairs_are_of_one_class_and_may_be_one_image_twice():
    one, zero = numbered(1, 2, 3), numbered(-1, -2)
    (first, second), label = article.create_pairs(one, zero, 400, np.random.default_rng(0))
    assert first.shape == second.shape == (400, 2, 2, 1)
    assert (label.shape, label.dtype) == ((400,), np.float32)
    a, b = first[:, 0, 0, 0], second[:, 0, 0, 0]
    assert np.array_equal(first, numbered(*a))  # an image stays whole
    assert np.array_equal(second, numbered(*b))
    assert set(label) == {0, 1}
    assert abs(label.sum() - 200) < 40
    for x, y, same in zip(a, b, label, strict=True):
        assert x > 0  # never two images without a rectangle
        assert (y > 0) == (same == 1)
    positive = {(x, y) for x, y, same in zip(a, b, label, strict=True) if same}
    negative = {(x, y) for x, y, same in zip(a, b, label, strict=True) if not same}
    assert positive == {(x, y) for x in (1, 2, 3) for y in (1, 2, 3)}  # x = y among them
    assert negative == {(x, y) for x in (1, 2, 3) for y in (-1, -2)}


def test_pairs_are_drawn_at_random_from_the_generator():
    pool = numbered(*range(1, 9)), numbered(*range(-8, 0))
    drawn = [article.create_pairs(*pool, 30, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    flat = [np.concatenate([*pair, label], axis=None) for pair, label in drawn]
    assert np.array_equal(flat[0], flat[1])
    assert not np.array_equal(flat[0], flat[2])


def test_the_siamese_network_returns_the_distance_by_one_encoder():
    encoder = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten()])
    network = article.create_siamese_network(encoder)
    assert network.output_shape == (None,)
    distance = network.predict([numbered(0, 1, 5), numbered(2, 1, 2)], verbose=0)
    # of four pixels with one difference: sqrt(4 d^2) = 2 |d|
    assert distance.tolist() == [4, 0, 6]
    trained = article.create_siamese_network(article.build_base_network())
    assert trained.count_params() == article.build_base_network().count_params()


def test_keras_computes_the_loss_and_the_accuracy_of_the_pairs():
    """Labels and distances have one shape, so that Keras compares them pair by pair."""
    encoder = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten()])
    network = article.create_siamese_network(encoder)
    network.compile("sgd", article.contrastive_loss, metrics=[article.accuracy])
    pairs = [numbered(0, 0, 0, 0), numbered(0.1, 0.2, 0.3, 0.4)]  # distances 0.2, 0.4, 0.6, 0.8
    loss, accuracy = network.evaluate(pairs, np.float32([1, 0, 0, 1]), verbose=0)
    assert loss == pytest.approx((0.04 + 0.36 + 0.16 + 0.64) / 4, rel=1e-5)
    assert accuracy == pytest.approx(2 / 4)


def test_compute_accuracy_is_the_precision():
    rng = np.random.default_rng(0)
    distance, label = rng.uniform(size=50), rng.integers(0, 2, 50)
    expected = precision_score(label, distance < 0.5)
    assert article.compute_accuracy(distance, label) == pytest.approx(expected)


@pytest.mark.parametrize("function", ["load_digits", "euclidean_distance", "create_pairs", "run"])
def test_a_function_with_a_fault_names_it(function):
    assert "Fault" in source_of(f"training.one_shot_article.{function}")


@pytest.fixture
def run(monkeypatch):
    """A function that runs the system for one epoch on a few digits, and returns what it did."""
    digits, target = article.load_digits()
    monkeypatch.setattr(article, "load_digits", lambda: (digits[:160], target[:160]))
    fits, pools = [], []
    fit, create_pairs = keras.Model.fit, article.create_pairs

    def record_fit(model, *arguments, **options):
        fits.append((arguments, options))
        return fit(model, *arguments, **options)

    def record_pairs(one, zero, count, rng):
        pools.append((one, zero, count))
        return create_pairs(one, zero, count, rng)

    monkeypatch.setattr(keras.Model, "fit", record_fit)
    monkeypatch.setattr(article, "create_pairs", record_pairs)
    encoder, arrays = article.run(0, epochs=1)
    return encoder, arrays, fits, pools


@pytest.mark.slow
def test_a_run_measures_what_it_trained_on_pairs_of_the_same_pool(run):
    encoder, arrays, (pretraining, training), (of_training, of_test) = run
    measured = {"classifier", "training", "test", "same", "distance"}
    assert set(arrays) == {*measured, "pretraining log", "training log"}
    assert arrays["pretraining log"].shape == arrays["training log"].shape == (1, 4)
    assert arrays["pretraining log"][0, 2] == arrays["classifier"]  # its validation accuracy
    assert 0 <= arrays["classifier"] <= 1
    # training and test pairs come from one pool
    assert of_training[0] is of_test[0]
    assert of_training[1] is of_test[1]
    assert (of_training[2], of_test[2]) == (50, 200)
    # and the callbacks of either training watch the loss; that of the second is on the test pairs
    assert pretraining[1]["validation_split"] == 0.2
    (test_pairs, test_label) = training[1]["validation_data"]
    assert np.array_equal(test_label, arrays["same"])
    for _, options in (pretraining, training):
        assert [callback.monitor for callback in options["callbacks"]] == ["val_loss"] * 2
    # the distances are those of the encoder that is returned
    a, b = (encoder.predict(images, verbose=0) for images in test_pairs)
    assert a.shape == (200, 256)
    assert np.allclose(np.sqrt(np.sum((a - b) ** 2, axis=1)), arrays["distance"], atol=1e-4)
    right = [(d < 0.5) == s for d, s in zip(arrays["distance"], arrays["same"], strict=True)]
    assert float(arrays["test"]) == pytest.approx(np.mean(right))
    images, label = training[0]
    a, b = (encoder.predict(of_pair, verbose=0) for of_pair in images)
    near = np.linalg.norm(a - b, axis=1) < 0.5
    assert float(arrays["training"]) == pytest.approx(np.mean(near == (label == 1)))
