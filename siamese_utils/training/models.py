"""Keras models that train an encoder: on pairs, on single images, or as a classifier."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from siamese_utils.training.losses import Tensor, euclidean_distance


class SiameseModel(keras.Model):
    """Siamese network that computes the distances of pairs, which are given as indices.

    Each image of a batch is embedded once, however many pairs contain it: 66 times for the 120
    pairs of a training step, instead of 240 times.
    """

    def __init__(self, encoder: keras.Model, images: np.ndarray, **kwargs: Any) -> None:
        """Initialise the model.

        Args:
            encoder: From images to embeddings, shared by both images of a pair.
            images: All images that are indexed, (images, height, width, channels) uint8.
            **kwargs: Passed to `keras.Model`.
        """
        super().__init__(**kwargs)
        self.encoder = encoder
        self.images = ops.convert_to_tensor(images)

    def call(self, inputs: dict[str, Tensor], training: bool | None = None) -> Tensor:
        """Compute the distances of a batch of pairs.

        Args:
            inputs: `images`: (batch,) indices of the images to embed; `pairs`: (pairs, 2) positions
                within this batch.
            training: As in Keras.

        Returns:
            (pairs,) float32.
        """
        batch = ops.take(self.images, inputs["images"], axis=0)
        embeddings = self.encoder(batch, training=training)  # (batch, dimensions)
        first = ops.take(embeddings, inputs["pairs"][:, 0], axis=0)  # (pairs, dimensions)
        second = ops.take(embeddings, inputs["pairs"][:, 1], axis=0)
        return euclidean_distance(first, second)


class PairModel(keras.Model):
    """Siamese network that computes the distances of pairs, which are given as images."""

    def __init__(self, encoder: keras.Model, **kwargs: Any) -> None:
        """Initialise the model with the encoder that both images of a pair share."""
        super().__init__(**kwargs)
        self.encoder = encoder

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Compute distances (batch,) from pairs (batch, 2, height, width, channels)."""
        images = ops.reshape(inputs, (-1, *inputs.shape[2:]))
        embeddings = self.encoder(images, training=training)
        return euclidean_distance(embeddings[0::2], embeddings[1::2])


class Embedder(keras.Model):
    """Encoder that takes images by their indices."""

    def __init__(self, encoder: keras.Model, images: np.ndarray, **kwargs: Any) -> None:
        """Initialise the model; arguments as in `SiameseModel`."""
        super().__init__(**kwargs)
        self.encoder = encoder
        self.images = ops.convert_to_tensor(images)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Compute embeddings (batch, dimensions), float32, from indices (batch,)."""
        return self.encoder(ops.take(self.images, inputs, axis=0), training=training)


class Classifier(Embedder):
    """Encoder with a softmax layer on top, trained to classify single images."""

    def __init__(
        self, encoder: keras.Model, images: np.ndarray, num_classes: int, **kwargs: Any
    ) -> None:
        """Initialise the model and its softmax layer; arguments as in `SiameseModel`."""
        super().__init__(encoder, images, **kwargs)
        self.head = layers.Dense(num_classes, activation="softmax", name="classes")

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Compute class probabilities (batch, classes), float32, from indices (batch,)."""
        return self.head(super().call(inputs, training=training))
