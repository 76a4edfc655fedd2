"""The article's system as it is printed, faults included, in Keras 3.

The faults are marked `Fault`. Where the listing has lost lines, or a package no longer loads, the
replacement is marked `Inferred`. `training.transfer` is the repaired system.

Source: "Understanding Siamese Network with example and codes", an article on one-shot learning with a
Siamese network trained with contrastive loss, by transfer learning. There a pair has label 1 if it
is positive and 0 if it is negative, the opposite of the rest of this report.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from siamese_utils.data import textures

POOL_IMAGES, TRAINING_PAIRS, TEST_PAIRS = 200, 50, 200
# Inferred for the pretraining: the listing uses the batch size there before it defines it.
EPOCHS, BATCH_SIZE = 10, 8
LOG = ("accuracy", "loss", "val_accuracy", "val_loss")  # what `fit` prints after each epoch
PATIENCE = 3  # Inferred, epochs; the listing has lost most arguments of both callbacks.
Tensor = Any


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Load scikit-learn's digits, (1797, 32, 32, 1), and their labels.

    Fault: the digits range over 0..16 and become about 0.5..8.5 (interpolation widens this to
    -2.5..10.7), while the textures range over 0..1.
    """
    from scipy import ndimage
    from sklearn.datasets import load_digits as load_sklearn_digits

    digits = load_sklearn_digits()
    resized = ndimage.zoom(digits.images, (1, 4, 4), order=3)  # instead of OpenCV's INTER_CUBIC
    return np.float32((resized + 1) / 2)[..., np.newaxis], digits.target


def build_base_network(input_shape: tuple[int, ...] = (32, 32, 1)) -> keras.Sequential:
    """Build the classifier of digits. Inferred: Flatten and the softmax layer."""
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Conv2D(16, (8, 8), activation="relu"),
            layers.Conv2D(32, (4, 4), activation="relu"),
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.Dense(256, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def euclidean_distance(vectors: Sequence[Tensor]) -> Tensor:
    """Compute the distance (batch,) of two batches of embeddings.

    The article keeps the last axis and declares it in `eucl_dist_output_shape`; Keras 3 infers it.

    Fault: without an epsilon the gradient at distance 0 is not a number. In the loss below this
    reaches the weights only if a negative pair has two equal embeddings: for a positive pair
    TensorFlow multiplies it by 0 before that.
    """
    a, b = vectors
    return ops.sqrt(ops.sum(ops.square(a - b), axis=1))


def contrastive_loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Compute the mean contrastive loss at margin 1; label 1 means a positive pair."""
    push = ops.square(ops.maximum(1.0 - y_pred, 0.0))
    return ops.mean(y_true * ops.square(y_pred) + (1.0 - y_true) * push)


def accuracy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Compute the share of pairs (batch,) on the right side of distance 0.5."""
    is_right = (y_pred < 0.5) == (y_true > 0.5)
    return ops.mean(ops.cast(is_right, "float32"))


def compute_accuracy(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Compute the share of positive pairs among those with a distance below 0.5.

    Fault: this is the precision, not the accuracy. The article defines this function and never
    calls it.

    Args:
        predictions: (pairs,), distances.
        labels: (pairs,), 1 for a positive pair.
    """
    accepted = np.ravel(predictions) < 0.5
    return float(np.sum(labels[accepted]) / np.sum(accepted))


def create_pool(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Sample the article's 200 images: with a rectangle (`one`) and without (`zero`)."""
    labels = rng.integers(0, 2, POOL_IMAGES)
    images = textures.sample_textures(labels, rng)
    return images[labels == 1], images[labels == 0]


def create_pairs(
    one: np.ndarray, zero: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[list[np.ndarray], np.ndarray]:
    """Sample pairs from a pool of images.

    Faults: positive pairs are of the class `one` only, and may be one image twice.

    Args:
        one: Images with a rectangle.
        zero: Images without.
        count: Number of pairs.
        rng: Random generator.

    Returns:
        Both images of each pair, and the labels (count,): 1 for a positive pair.
    """
    label = rng.integers(0, 2, count)
    first = one[rng.integers(len(one), size=count)]
    positive = one[rng.integers(len(one), size=count)]
    negative = zero[rng.integers(len(zero), size=count)]
    second = np.where((label == 1)[:, None, None, None], positive, negative)
    return [first, second], np.float32(label)


def create_siamese_network(encoder: keras.Model) -> keras.Model:
    """Build the Siamese network: two images, one encoder, their distance."""
    inputs = keras.Input(encoder.input_shape[1:]), keras.Input(encoder.input_shape[1:])
    embeddings = encoder(inputs[0]), encoder(inputs[1])
    return keras.Model(inputs, layers.Lambda(euclidean_distance, output_shape=())(embeddings))


def run(
    seed: int, epochs: int = EPOCHS, pretrained: bool = True
) -> tuple[keras.Model, dict[str, np.ndarray]]:
    """Pretrain on digits, transfer to 50 pairs of textures, and test on 200 pairs.

    Fault: training and test pairs come from one pool of images, and both callbacks watch the loss on
    the test pairs.

    Args:
        seed: Of everything random.
        epochs: Epochs of both training runs.
        pretrained: Whether the encoder is pretrained, as in the article; otherwise it starts with
            random weights.

    Returns:
        The trained encoder, which maps images (batch, 32, 32, 1) to embeddings (batch, 256), and
        arrays: `classifier` (the classifier's validation accuracy, NaN without), `training` and `test` (the
        accuracies of the article, 0..1), `same` (labels of the test pairs), `distance` (their
        distances, NaN if the weights are), and `pretraining log` and `training log`: (epochs, 4)
        values of LOG.
    """
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    classifier, validation_accuracy = build_base_network(), np.nan
    pretraining_log = np.empty((0, len(LOG)))
    if pretrained:
        digits, target = load_digits()
        classifier.compile(
            "rmsprop", "categorical_crossentropy", metrics=["accuracy"], jit_compile=False
        )
        pretraining = classifier.fit(
            digits,
            keras.utils.to_categorical(target, 10),
            validation_split=0.2,
            batch_size=BATCH_SIZE,
            epochs=epochs,
            callbacks=_callbacks(),
            verbose=0,
        )
        pretraining_log = np.transpose([pretraining.history[name] for name in LOG])
        validation_accuracy = pretraining.history["val_accuracy"][-1]
    encoder = keras.Model(classifier.inputs, classifier.layers[-2].output)

    one, zero = create_pool(rng)
    training_pairs, training_label = create_pairs(one, zero, TRAINING_PAIRS, rng)
    test_pairs, test_label = create_pairs(one, zero, TEST_PAIRS, rng)
    model = create_siamese_network(encoder)
    model.compile(
        keras.optimizers.Adam(1e-4), contrastive_loss, metrics=[accuracy], jit_compile=False
    )
    training = model.fit(
        training_pairs,
        training_label,
        validation_data=(test_pairs, test_label),
        batch_size=BATCH_SIZE,
        epochs=epochs,
        callbacks=_callbacks(),
        verbose=0,
    )
    distance = model.predict(test_pairs, verbose=0)
    of_training = model.predict(training_pairs, verbose=0)
    arrays = {
        "classifier": np.array(validation_accuracy),
        "training": np.array(accuracy(training_label, of_training)),
        "test": np.array(accuracy(test_label, distance)),
        "same": test_label,
        "distance": distance,
        "pretraining log": pretraining_log,
        "training log": np.transpose([training.history[name] for name in LOG]),
    }
    return encoder, arrays


def _callbacks() -> list[keras.callbacks.Callback]:
    return [
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=PATIENCE),
        keras.callbacks.ReduceLROnPlateau(monitor="val_loss", patience=PATIENCE - 1),
    ]
