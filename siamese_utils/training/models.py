"""Keras models that train an encoder: on pairs, on single images, or as a classifier."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from siamese_utils.training.losses import Tensor, euclidean_distance


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
