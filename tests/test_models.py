import keras
import numpy as np
import pytest

from siamese_utils.training import encoders, losses, models, tasks
from siamese_utils.training.config import OPTIMIZERS
from siamese_utils.training.pair_training import TrainingConfig

SHAPE = (28, 28, 1)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (9, *SHAPE), dtype=np.uint8)


def test_the_siamese_model_embeds_both_images_of_a_pair_by_the_same_encoder(images):
    encoder = encoders.build_encoder("base", SHAPE)
    siamese = models.SiameseModel(encoder, images)
    chosen, pairs = np.int32([8, 3, 5, 0]), np.int32([[0, 1], [2, 3], [3, 0], [1, 1]])
    distances = siamese({"images": chosen, "pairs": pairs})
    left, right = images[chosen[pairs[:, 0]]], images[chosen[pairs[:, 1]]]
    expected = losses.euclidean_distance(encoder(left), encoder(right))
    assert np.allclose(distances, expected, atol=1e-5)


def test_the_pair_model_returns_the_distance_of_the_two_embeddings():
    pairs = np.random.default_rng(0).random((3, 2, 32, 32, 1), dtype=np.float32)
    encoder = encoders.digit_encoder()
    distances = models.PairModel(encoder)(pairs)
    expected = losses.euclidean_distance(encoder(pairs[:, 0]), encoder(pairs[:, 1]))
    assert np.allclose(distances, expected, rtol=1e-4, atol=1e-5)


def test_the_embedder_and_the_classifier_take_images_by_index(images):
    encoder = encoders.build_encoder("base", SHAPE)
    chosen = np.int32([8, 3, 3])
    embeddings = models.Embedder(encoder, images)(chosen)
    assert np.allclose(embeddings, encoder(images[chosen]), atol=1e-5)
    probabilities = models.Classifier(encoder, images, num_classes=6)(chosen)
    assert probabilities.shape == (3, 6)
    assert np.allclose(np.sum(probabilities, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_have_the_defaults_of_keras_except_for_the_named_arguments(name):
    config = TrainingConfig(optimizer=name, learning_rate=0.25)
    built = tasks.build_optimizer(config).get_config()
    kind, changes = OPTIMIZERS[name]
    expected = getattr(keras.optimizers, kind)(0.25, **changes).get_config()
    assert built | {"name": ""} == expected | {"name": ""}
    assert built["learning_rate"] == 0.25
    assert {key: built[key] for key in changes} == changes
