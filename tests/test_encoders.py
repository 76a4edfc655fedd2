import numpy as np
import pytest

from siamese_utils.training import encoders
from siamese_utils.training.encoders import ENCODERS

SHAPE = (28, 28, 1)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (9, *SHAPE), dtype=np.uint8)


@pytest.mark.parametrize("name", ENCODERS)
def test_parameters_of_the_study_encoder_by_hand(name):
    encoder = encoders.build_encoder(name, SHAPE)
    conv1 = 3 * 3 * 1 * 32 + 32  # 320
    conv2 = 3 * 3 * 32 * 64 + 64  # 18,496
    dense1 = 12 * 12 * 64 * 128 + 128  # 1,179,776
    dense2 = 128 * 128 + 128  # 16,512
    assert encoder.count_params() == conv1 + conv2 + dense1 + dense2 == 1_215_104
    assert encoder.output_shape == (None, encoders.EMBEDDING_SIZE)
    assert (encoder.name, encoder.layers[-1].name) == (name, "embedding")


def test_parameters_of_the_digit_encoder_by_hand():
    encoder = encoders.digit_encoder()
    conv1 = 8 * 8 * 1 * 16 + 16  # 1,040; 25 x 25 remain
    conv2 = 4 * 4 * 16 * 32 + 32  # 8,224; 22 x 22 remain
    dense1 = 22 * 22 * 32 * 512 + 512  # 7,930,368
    dense2 = 512 * 256 + 256  # 131,328
    assert encoder.count_params() == conv1 + conv2 + dense1 + dense2 == 8_070_960
    assert encoder.output_shape == (None, 256)


def test_the_digit_encoder_scales_its_embeddings_to_length_1_if_asked():
    images = np.random.default_rng(0).random((7, 32, 32, 1), dtype=np.float32)
    plain, scaled = encoders.digit_encoder(), encoders.digit_encoder(normalise=True)
    assert scaled.count_params() == plain.count_params()
    scaled.set_weights(plain.get_weights())
    embedded, unit = np.asarray(plain(images)), np.asarray(scaled(images))
    assert (unit.shape, unit.dtype) == ((7, 256), np.float32)
    for row, expected in zip(unit, embedded, strict=True):
        length = np.sqrt(sum(float(x) ** 2 for x in expected))
        assert not np.isclose(length, 1, atol=0.01)
        assert np.allclose(row, expected / length, rtol=1e-4, atol=1e-6)
        assert sum(float(x) ** 2 for x in row) == pytest.approx(1, abs=1e-5)
    # an embedding of zeros has no direction, and stays zeros
    scaled.set_weights([np.zeros_like(weight) for weight in plain.get_weights()])
    assert np.array_equal(scaled(images), np.zeros((7, 256)))


def test_parameters_of_the_small_encoder_by_hand():
    encoder = encoders.small_encoder(SHAPE)
    convolutions = 3 * 3 * (1 * 32 + 32 * 32 + 32 * 64)  # without biases
    normalisation = 4 * (32 + 32 + 64)
    dense = 3 * 3 * 64 * 64 + 64  # 28, 14, 7: 3 x 3 remain
    assert encoder.count_params() == convolutions + normalisation + dense == 65_376
    assert encoder.output_shape == (None, 64)


def test_only_the_complex_encoder_is_regularised(images):
    base, complex_ = (encoders.build_encoder(name, SHAPE) for name in ("base", "complex"))
    assert base.losses == []
    kernel = next(layer for layer in complex_.layers if layer.name.startswith("dense")).kernel
    # L2 of the kernel; the biases start at 0, so their L1 is 0
    assert np.isclose(float(sum(complex_.losses)), 0.01 * np.sum(np.square(kernel)), rtol=1e-4)
    assert np.array_equal(base(images, training=True), base(images, training=False))
    assert not np.array_equal(complex_(images, training=True), complex_(images, training=False))


def test_dropout_and_regularisers_are_one_half_of_the_complex_encoder_each(images):
    dropout, regularisers = (encoders.build_encoder(n, SHAPE) for n in ("dropout", "regularisers"))
    assert dropout.losses == []
    assert not np.array_equal(dropout(images, training=True), dropout(images, training=False))
    assert len(regularisers.losses) == 2
    assert np.array_equal(regularisers(images, training=True), regularisers(images, training=False))


def test_bfloat16_keeps_weights_and_embedding_in_float32(images):
    encoder = encoders.build_encoder("base", SHAPE, "mixed_bfloat16")
    assert {weight.dtype for weight in encoder.weights} == {"float32"}
    assert encoder(images).dtype == "float32"


def test_an_unknown_encoder_is_refused():
    with pytest.raises(ValueError, match="unknown model 'vgg'"):
        encoders.build_encoder("vgg", SHAPE)
