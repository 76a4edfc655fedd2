"""The 2019 study's own system, beside the parts of the package that do the same faster."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from siamese_utils.data import datasets
from siamese_utils.training import losses
from siamese_utils.training import study_2019 as study
from siamese_utils.training.encoders import build_encoder


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits", 30)


def test_data_preparation_divides_the_classes_as_table_1_does(digits):
    x_train, y_train, x_test1, y_test1, x_unseen, y_unseen, x_all, y_all = study.data_preparation(
        digits, seed=1
    )
    assert (len(x_train), len(x_test1), len(x_unseen), len(x_all)) == (144, 36, 120, 156)
    assert set(y_train) == set(y_test1) == set(digits.seen)
    assert set(y_unseen) == set(digits.unseen)
    np.testing.assert_array_equal(x_all, np.concatenate([x_test1, x_unseen]))
    np.testing.assert_array_equal(y_all, np.concatenate([y_test1, y_unseen]))
    assert x_train.dtype == np.float32
    assert x_train.min() == 0
    assert x_train.max() == 1
    everything = np.concatenate([x_train, x_test1, x_unseen]).reshape(300, -1)
    original = digits.images.reshape(300, -1) / np.float32(255)
    assert sorted(map(tuple, everything)) == sorted(map(tuple, original))


def test_pairs_are_neighbours_in_a_class_and_images_of_two_classes():
    y = np.array([7, 7, 7, 7, 3, 3, 3, 9, 9, 9, 9])
    x = np.arange(11, dtype=np.float32).reshape(11, 1, 1, 1)
    (first, second), target = study.create_pairs(x, y, (3, 7, 9), seed=0)
    first, second = first.ravel().astype(int), second.ravel().astype(int)
    assert len(target) == 3 * 2 * 2  # three classes, two positions of the smallest, two kinds
    np.testing.assert_array_equal(target, y[first] != y[second])
    positive = target == 0
    np.testing.assert_array_equal(second[positive], first[positive] + 1)
    start = {3: 4, 7: 0, 9: 7}
    position = [i - start[y[i]] for i in first]
    negative_position = [i - start[y[i]] for i in second[~positive]]
    assert negative_position == [position[i] for i in np.flatnonzero(~positive)]


@pytest.mark.parametrize(("margin", "loss"), [(1, study.contrastive_loss), (5, study.testing_loss)])
def test_the_losses_are_those_of_the_package(margin, loss):
    rng = np.random.default_rng(0)
    y, d = rng.integers(0, 2, 50).astype("float32"), rng.uniform(0, 6, 50).astype("float32")
    expected = np.mean(losses.contrastive_loss(y, d, margin))
    assert float(loss(y, d)) == pytest.approx(float(expected), rel=1e-6)


def test_the_distance_is_that_of_the_package():
    a, b = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")
    np.testing.assert_allclose(
        study.euclidean_distance((a, b)), losses.euclidean_distance(a, b), rtol=1e-6
    )
    assert float(study.euclidean_distance((a, a))[0]) == pytest.approx(1e-7**0.5)


@pytest.mark.parametrize(
    ("name", "create"),
    [("base", study.create_base_network), ("complex", study.create_siamese_network)],
)
def test_the_networks_are_those_of_the_package(name, create):
    """With the same weights they compute the same embeddings, and the same penalty."""
    ours, theirs = build_encoder(name, (28, 28, 1)), create((28, 28, 1))
    theirs.set_weights(ours.get_weights())
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1)).astype(np.uint8)
    np.testing.assert_allclose(ours(images), theirs(np.float32(images) / 255), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(sum(ours.losses, 0.0), sum(theirs.losses, 0.0), rtol=1e-5)
    dropout = [layer.rate for layer in theirs.layers if isinstance(layer, keras.layers.Dropout)]
    assert dropout == ([0.1] if name == "complex" else [])


@pytest.mark.slow
def test_a_run_prints_the_lines_of_the_study_and_learns(digits, capsys):
    information = study.display_base_network(digits, epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("---")] == [
        "-----Base model-----",
        "-----Test1-----",
        "-----only_Test2-----",
        "-----Test3-----",
    ]
    results = [line for line in lines if line.startswith("* ")]
    kinds = ["* Accuracy on training set:", "* Accuracy on test set:", "* Evaluation test loss:"]
    assert [line.rpartition(" ")[0] for line in results] == kinds * 3
    assert all(line.endswith("%") for line in results if "Accuracy" in line)
    assert set(information) == {"accuracy", "loss", "val_accuracy", "val_loss"}
    assert information["loss"][1] < information["loss"][0]
    axes = study.plot_result(information, "Base network").axes
    assert [line.get_label() for line in axes[1].lines] == ["training", "validation"]
    np.testing.assert_allclose(axes[1].lines[1].get_ydata(), information["val_loss"])


def test_the_accuracies_are_of_the_trained_network(digits):
    """The training accuracy is measured after the training, on the training pairs."""
    x_train, y_train, x_test, y_test, *_ = study.data_preparation(digits)
    kept = []
    keep = keras.callbacks.LambdaCallback(on_train_end=lambda logs: kept.append(keep.model))
    train_accuracy, test_accuracy, _, score = study.run_siamese_network(
        x_train, y_train, x_test, y_test, 1, digits.seen, digits.seen, x_test, y_test,
        keras.optimizers.RMSprop(), loss=study.testing_loss, seed=4, callbacks=[keep],
    )  # fmt: skip
    for x, y, measured in ((x_train, y_train, train_accuracy), (x_test, y_test, test_accuracy)):
        pairs, target = study.create_pairs(x, y, digits.seen, 4)
        distance = kept[0].predict(pairs, verbose=0)
        assert measured == pytest.approx(np.mean((distance > 0.5) == (target == 1)))
    assert score[1] == pytest.approx(test_accuracy)
    pulls, pushes = distance[target == 0] ** 2, np.maximum(5 - distance[target == 1], 0) ** 2
    penalties = float(sum(kept[0].losses))
    expected = (pulls.sum() + pushes.sum()) / len(target) + penalties
    assert score[0] == pytest.approx(expected, rel=1e-4)


def test_classes_in_the_study_order(digits):
    assert study.dataset_class(digits) == (digits.seen, digits.unseen, digits.classes)
    other = replace(digits, seen=(0, 1), unseen=(2, 3, 4, 5, 6, 7, 8, 9))
    assert study.dataset_class(other)[0] == (0, 1)
