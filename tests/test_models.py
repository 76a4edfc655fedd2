import keras
import numpy as np
import pytest

from siamese_utils.training import encoders, losses, models
from siamese_utils.training.config import OPTIMIZERS
from siamese_utils.training.encoders import ENCODERS
from siamese_utils.training.pair_training import TrainingConfig

SHAPE = (28, 28, 1)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (9, *SHAPE), dtype=np.uint8)


@pytest.mark.parametrize("name", ENCODERS)
def test_parameters_by_hand(name):
    encoder = encoders.build_encoder(name, SHAPE)
    conv1 = 3 * 3 * 1 * 32 + 32  # 320
    conv2 = 3 * 3 * 32 * 64 + 64  # 18,496
    dense1 = 12 * 12 * 64 * 128 + 128  # 1,179,776
    dense2 = 128 * 128 + 128  # 16,512
    assert encoder.count_params() == conv1 + conv2 + dense1 + dense2 == 1_215_104


def test_only_the_complex_model_is_held_back(images):
    base, held_back = (encoders.build_encoder(name, SHAPE) for name in ("base", "complex"))
    assert base.losses == []
    kernel = next(layer for layer in held_back.layers if layer.name.startswith("dense")).kernel
    # L2 of the kernel; the biases start at 0, so their L1 is 0
    assert np.isclose(float(sum(held_back.losses)), 0.01 * np.sum(np.square(kernel)), rtol=1e-4)
    assert np.array_equal(base(images, training=True), base(images, training=False))
    assert not np.array_equal(held_back(images, training=True), held_back(images, training=False))


def test_pairs_by_index_are_two_towers(images):
    encoder = encoders.build_encoder("base", SHAPE)
    siamese = models.SiameseModel(encoder, images)
    chosen, pairs = np.int32([8, 3, 5, 0]), np.int32([[0, 1], [2, 3], [3, 0], [1, 1]])
    found = siamese({"images": chosen, "pairs": pairs})
    left, right = images[chosen[pairs[:, 0]]], images[chosen[pairs[:, 1]]]
    assert np.allclose(found, losses.euclidean_distance(encoder(left), encoder(right)), atol=1e-5)


def test_bfloat16_keeps_weights_and_embedding_in_float32(images):
    encoder = encoders.build_encoder("base", SHAPE, "mixed_bfloat16")
    assert {weight.dtype for weight in encoder.weights} == {"float32"}
    assert encoder(images).dtype == "float32"


def test_an_unknown_model_is_refused():
    with pytest.raises(ValueError, match="unknown model 'vgg'"):
        encoders.build_encoder("vgg", SHAPE)


def test_parameters_of_study_b_by_hand():
    encoder = encoders.digit_encoder()
    conv1 = 8 * 8 * 1 * 16 + 16  # 1,040; 25 x 25 remain
    conv2 = 4 * 4 * 16 * 32 + 32  # 8,224; 22 x 22 remain
    dense1 = 22 * 22 * 32 * 512 + 512  # 7,930,368
    dense2 = 512 * 256 + 256  # 131,328
    assert encoder.count_params() == conv1 + conv2 + dense1 + dense2 == 8_070_960
    assert encoder.output_shape == (None, 256)


def test_pairs_of_images_have_the_distance_of_their_embeddings():
    pairs = np.random.default_rng(0).random((3, 2, 32, 32, 1), dtype=np.float32)
    encoder = encoders.digit_encoder()
    found = models.PairModel(encoder)(pairs)
    expected = losses.euclidean_distance(encoder(pairs[:, 0]), encoder(pairs[:, 1]))
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_half_of_the_brakes_are_half_of_them(images):
    dropout, regularisers = (encoders.build_encoder(n, SHAPE) for n in ("dropout", "regularisers"))
    assert dropout.losses == []
    assert not np.array_equal(dropout(images, training=True), dropout(images, training=False))
    assert len(regularisers.losses) == 2
    assert np.array_equal(regularisers(images, training=True), regularisers(images, training=False))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_have_the_defaults_of_keras_but_for_what_is_named(name):
    built = models.build_optimizer(TrainingConfig(optimizer=name, learning_rate=0.25)).get_config()
    kind, changes = OPTIMIZERS[name]
    expected = getattr(keras.optimizers, kind)(0.25, **changes).get_config()
    assert built | {"name": ""} == expected | {"name": ""}
    assert built["learning_rate"] == 0.25
    assert {key: built[key] for key in changes} == changes


def test_images_by_index_have_their_embeddings_and_classes(images):
    encoder = encoders.build_encoder("base", SHAPE)
    chosen = np.int32([8, 3, 3])
    embeddings = models.Embedder(encoder, images)(chosen)
    assert np.allclose(embeddings, encoder(images[chosen]), atol=1e-5)
    shares = models.Classifier(encoder, images, num_classes=6)(chosen)
    assert shares.shape == (3, 6)
    assert np.allclose(np.sum(shares, axis=1), 1, atol=1e-5)
