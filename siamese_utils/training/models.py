"""The encoders of the two studies, and the networks that train them."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops, regularizers

from siamese_utils.training.config import OPTIMIZERS, REGULARISATIONS, TrainingConfig, check_choice
from siamese_utils.training.losses import Tensor, euclidean_distance

EMBEDDING_SIZE = 128


def build_optimizer(experiment: TrainingConfig) -> keras.optimizers.Optimizer:
    """Build the optimizer of an experiment, with Keras's defaults but for what it names."""
    name, changes = OPTIMIZERS[experiment.optimizer]
    return getattr(keras.optimizers, name)(experiment.learning_rate, **changes)


def build_encoder(
    model: str, image_shape: tuple[int, int, int], precision: str = "float32"
) -> keras.Model:
    """Build the study's encoder, with fresh weights: an image in, an embedding out.

    model: a name in MODELS: the study's base and complex model, and two with half of the brakes.
    Images (batch, height, width, channels) of 0..255 -> embeddings (batch, 128), float32, 0 or
    more. precision: `float32`, or `mixed_bfloat16` to compute in bfloat16 and keep the weights
    and the embedding in float32. Source: Hou 2019.
    """
    check_choice("model", model, REGULARISATIONS)
    rule = REGULARISATIONS[model]
    policy = {"dtype": keras.DTypePolicy(precision)}
    inputs = keras.Input(image_shape, dtype="uint8", name="images")
    x = layers.Rescaling(1 / 255, **policy)(inputs)
    x = layers.Conv2D(32, 3, activation="relu", **policy)(x)
    x = layers.Conv2D(64, 3, activation="relu", **policy)(x)
    x = layers.MaxPooling2D(2, **policy)(x)
    x = layers.Flatten(**policy)(x)
    x = layers.Dense(
        EMBEDDING_SIZE,
        activation="relu",
        kernel_regularizer=regularizers.L2(rule.l2_kernel) if rule.l2_kernel else None,
        bias_regularizer=regularizers.L1(rule.l1_bias) if rule.l1_bias else None,
        **policy,
    )(x)
    if rule.dropout:
        x = layers.Dropout(rule.dropout, **policy)(x)
    # float32: a distance is a small difference of large numbers
    outputs = layers.Dense(EMBEDDING_SIZE, activation="relu", dtype="float32", name="embedding")(x)
    return keras.Model(inputs, outputs, name=model)


def build_digit_encoder(image_shape: tuple[int, int, int] = (32, 32, 1)) -> keras.Model:
    """Build Study B's encoder, with fresh weights: an image in, an embedding out.

    Images (batch, height, width, channels) of 0..1 -> embeddings (batch, 256), float32, 0 or
    more. It is the study's classifier of digits without its last layer.
    """
    inputs = keras.Input(image_shape, name="images")
    x = layers.Conv2D(16, 8, activation="relu")(inputs)
    x = layers.Conv2D(32, 4, activation="relu")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(512, activation="relu")(x)
    outputs = layers.Dense(256, activation="relu", name="embedding")(x)
    return keras.Model(inputs, outputs, name="digits")


def build_small_encoder(image_shape: tuple[int, int, int]) -> keras.Model:
    """Build an encoder of three small blocks, with fresh weights: an image in, an embedding out.

    Images (batch, height, width, channels) of 0..255 -> embeddings (batch, 64), float32, of either
    sign. The usual encoder of few-shot learning, one block shorter. Source: Snell et al. 2017.
    """
    inputs = keras.Input(image_shape, dtype="uint8", name="images")
    x = layers.Rescaling(1 / 255)(inputs)
    for filters in (32, 32, 64):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        # a training is short: with Keras's 0.99 the mean would not have arrived at its end
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.MaxPooling2D(2)(layers.ReLU()(x))
    outputs = layers.Dense(64, name="embedding")(layers.Flatten()(x))
    return keras.Model(inputs, outputs, name="small")


class SiameseModel(keras.Model):
    """An encoder that two images share; it answers a batch of pairs with their distances.

    Pairs come as indices, and each image of a batch is embedded once however many pairs hold it:
    66 passes for the 120 pairs of a step, where two towers need 240.
    """

    def __init__(self, encoder: keras.Model, images: np.ndarray, **kwargs: Any) -> None:
        """Keep the encoder and one copy of all images, (images, height, width, channels) uint8."""
        super().__init__(**kwargs)
        self.encoder = encoder
        self.images = ops.convert_to_tensor(images)

    def call(self, inputs: dict[str, Tensor], training: bool | None = None) -> Tensor:
        """Return the distances of a batch of pairs, (pairs,) float32.

        inputs: `images`, (images,) indices to embed; `pairs`, (pairs, 2) positions among them.
        """
        batch = ops.take(self.images, inputs["images"], axis=0)
        embeddings = self.encoder(batch, training=training)  # (images, 128)
        first = ops.take(embeddings, inputs["pairs"][:, 0], axis=0)  # (pairs, 128)
        second = ops.take(embeddings, inputs["pairs"][:, 1], axis=0)
        return euclidean_distance(first, second)


class PairModel(keras.Model):
    """An encoder that the two images of a pair share, for pairs that share no image with others."""

    def __init__(self, encoder: keras.Model, **kwargs: Any) -> None:
        """Keep the encoder."""
        super().__init__(**kwargs)
        self.encoder = encoder

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Return distances: pairs of images (batch, 2, height, width, channels) -> (batch,)."""
        images = ops.reshape(inputs, (-1, *inputs.shape[2:]))  # one pass for both of each pair
        embeddings = self.encoder(images, training=training)
        return euclidean_distance(embeddings[0::2], embeddings[1::2])


class Embedder(keras.Model):
    """An encoder that takes images by index and answers with their embeddings."""

    def __init__(self, encoder: keras.Model, images: np.ndarray, **kwargs: Any) -> None:
        """Keep the encoder and one copy of all images, (images, height, width, channels) uint8."""
        super().__init__(**kwargs)
        self.encoder = encoder
        self.images = ops.convert_to_tensor(images)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Return embeddings: (batch,) indices of images -> (batch, 128) float32."""
        return self.encoder(ops.take(self.images, inputs, axis=0), training=training)


class Classifier(Embedder):
    """An encoder with a softmax layer on top, trained to name the class of single images."""

    def __init__(
        self, encoder: keras.Model, images: np.ndarray, num_classes: int, **kwargs: Any
    ) -> None:
        """Keep the encoder and the images, and add the layer."""
        super().__init__(encoder, images, **kwargs)
        self.head = layers.Dense(num_classes, activation="softmax", name="classes")

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Return class probabilities: (batch,) indices of images -> (batch, classes) float32."""
        return self.head(super().call(inputs, training=training))


class Reconstruction(layers.Layer):
    """Asks that the image be drawn again from its embedding, beside whatever else is asked."""

    def __init__(self, weight: float, size: int, **kwargs: Any) -> None:
        """Keep the weight of its loss; size: values of an image."""
        super().__init__(**kwargs)
        self.weight = weight
        self.draw = layers.Dense(size, activation="sigmoid")

    def call(self, images: Tensor, embeddings: Tensor) -> Tensor:
        """Return the embeddings as they are: images (batch, h, w, c) of 0..255."""
        wanted = ops.reshape(ops.cast(images, "float32"), (-1, self.draw.units)) / 255
        self.add_loss(self.weight * ops.mean(ops.square(self.draw(embeddings) - wanted)))
        return embeddings


class NearStart(regularizers.Regularizer):
    """Holds weights near those that they start from: the squared distance costs."""

    def __init__(self, start: np.ndarray, weight: float) -> None:
        """Keep the first weights, and what the squared distance is multiplied by."""
        self.start, self.weight = start, weight

    def __call__(self, x: Tensor) -> Tensor:
        """Return the cost of weights, a scalar of 0 or more."""
        return self.weight * ops.sum(ops.square(x - self.start))
