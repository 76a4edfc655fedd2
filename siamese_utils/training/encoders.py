"""The encoders by name: networks that turn an image into an embedding.

To add an encoder, write a function here and add an entry to ENCODERS. TensorFlow is imported when
an encoder is built.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from siamese_utils.training.config import check_choice

if TYPE_CHECKING:
    import keras

EMBEDDING_SIZE = 128


@dataclass(frozen=True)
class Encoder:
    """An entry of ENCODERS.

    Attributes:
        build: Function of (image_shape, dtype_policy, **options) that returns a Keras model. Its
            input is a uint8 batch of images (batch, height, width, channels) of 0..255; its output
            is float32 of shape (batch, dimensions). Its last layer is called `embedding`.
        options: Further arguments of `build`.
        flop_per_image: Floating-point operations of an epoch for each image of the seen classes,
            from which the duration of a training run is estimated.
    """

    build: Callable[..., keras.Model]
    options: dict[str, Any] = field(default_factory=dict)
    flop_per_image: float = 63e6


def build_encoder(
    name: str, image_shape: tuple[int, ...], dtype_policy: str = "float32"
) -> keras.Model:
    """Build an encoder with fresh weights.

    Args:
        name: A name in ENCODERS.
        image_shape: (height, width, channels).
        dtype_policy: `float32`, or `mixed_bfloat16` to compute in bfloat16 and keep the weights and
            the embedding in float32.

    Returns:
        A model from images (batch, height, width, channels), 0..255, to embeddings.

    Raises:
        ValueError: The name is unknown.
    """
    check_choice("model", name, ENCODERS)
    entry = ENCODERS[name]
    encoder = entry.build(tuple(image_shape), dtype_policy, **entry.options)
    encoder.name = name
    return encoder


def code_of(name: str) -> list[str]:
    """Return the definitions that shape an encoder, as `code_digest.code_digest` takes them."""
    return [f"training.encoders.{ENCODERS[name].build.__name__}"]


def study_encoder(
    image_shape: tuple[int, int, int],
    dtype_policy: str = "float32",
    l2_kernel: float = 0.0,
    l1_bias: float = 0.0,
    dropout: float = 0.0,
) -> keras.Model:
    """Build the study's encoder.

    Args:
        image_shape: (height, width, channels).
        dtype_policy: As in `build_encoder`.
        l2_kernel: L2 regularisation of the weights of the first dense layer.
        l1_bias: L1 regularisation of the biases of that layer.
        dropout: Share of the outputs of that layer that are set to 0 at random in training, 0..1.

    Returns:
        A model from images to embeddings (batch, 128), which are 0 or more. Source: Hou 2019.
    """
    import keras
    from keras import layers, regularizers

    policy = {"dtype": keras.DTypePolicy(dtype_policy)}
    inputs = keras.Input(image_shape, dtype="uint8", name="images")
    x = layers.Rescaling(1 / 255, **policy)(inputs)
    x = layers.Conv2D(32, 3, activation="relu", **policy)(x)
    x = layers.Conv2D(64, 3, activation="relu", **policy)(x)
    x = layers.MaxPooling2D(2, **policy)(x)
    x = layers.Flatten(**policy)(x)
    x = layers.Dense(
        EMBEDDING_SIZE,
        activation="relu",
        kernel_regularizer=regularizers.L2(l2_kernel) if l2_kernel else None,
        bias_regularizer=regularizers.L1(l1_bias) if l1_bias else None,
        **policy,
    )(x)
    if dropout:
        x = layers.Dropout(dropout, **policy)(x)
    # The embedding is float32, since a distance is a small difference of large numbers.
    outputs = layers.Dense(EMBEDDING_SIZE, activation="relu", dtype="float32", name="embedding")(x)
    return keras.Model(inputs, outputs)


def digit_encoder(
    image_shape: tuple[int, int, int] = (32, 32, 1), normalise: bool = False
) -> keras.Model:
    """Build the article's encoder: its classifier of digits without the last layer.

    Args:
        image_shape: (height, width, channels).
        normalise: Whether to scale embeddings to length 1. Their distances are then at most the
            square root of 2, so that margin 1 suits them, whatever the encoder was pretrained on.

    Returns:
        A model from images of 0..1 to embeddings (batch, 256), float32, 0 or more.
    """
    import keras
    from keras import layers

    inputs = keras.Input(image_shape, name="images")
    x = layers.Conv2D(16, 8, activation="relu")(inputs)
    x = layers.Conv2D(32, 4, activation="relu")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(512, activation="relu")(x)
    outputs = layers.Dense(256, activation="relu", name="embedding")(x)
    if normalise:
        outputs = layers.UnitNormalization(name="unit_length")(outputs)
    return keras.Model(inputs, outputs, name="digits")


def small_encoder(image_shape: tuple[int, int, int]) -> keras.Model:
    """Build an encoder of three small blocks, one fewer than is usual in few-shot learning.

    Args:
        image_shape: (height, width, channels).

    Returns:
        A model from images of 0..255 to embeddings (batch, 64), float32, of either sign. Source:
        Snell et al. 2017.
    """
    import keras
    from keras import layers

    inputs = keras.Input(image_shape, dtype="uint8", name="images")
    x = layers.Rescaling(1 / 255)(inputs)
    for filters in (32, 32, 64):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        # The training is short: with Keras's momentum of 0.99 the means would not converge.
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.MaxPooling2D(2)(layers.ReLU()(x))
    outputs = layers.Dense(64, name="embedding")(layers.Flatten()(x))
    return keras.Model(inputs, outputs, name="small")


ENCODERS = {
    "base": Encoder(study_encoder),
    "dropout": Encoder(study_encoder, {"dropout": 0.1}),
    "regularisers": Encoder(study_encoder, {"l2_kernel": 0.01, "l1_bias": 0.01}),
    "complex": Encoder(study_encoder, {"l2_kernel": 0.01, "l1_bias": 0.01, "dropout": 0.1}),
}
