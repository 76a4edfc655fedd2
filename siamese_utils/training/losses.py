"""Losses of embeddings, as functions of tensors and as Keras losses."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

Tensor = Any  # a backend tensor, or an array that keras.ops converts to one
EPSILON = 1e-7  # smallest squared distance, as in the study


def euclidean_distance(a: Tensor, b: Tensor) -> Tensor:
    """Compute the Euclidean distances between the rows of two batches of embeddings.

    Squared distances below 1e-7 are raised to 1e-7. This keeps the gradient at distance 0 finite:
    it is 0 there, while that of a plain square root is infinite.

    Args:
        a: (batch, dimensions).
        b: (batch, dimensions).

    Returns:
        (batch,), 0.0003 or more. Source: Hou 2019, after the Keras example of a Siamese network.
    """
    squared = ops.sum(ops.square(a - b), axis=-1)
    return ops.sqrt(ops.maximum(squared, EPSILON))


def contrastive_loss(different: Tensor, distance: Tensor, margin: float = 1.0) -> Tensor:
    """Compute the contrastive loss of each pair, without the factor 1/2, as in the study.

    The loss of a positive pair is D^2, that of a negative pair max(0, margin - D)^2.

    Args:
        different: (batch,), 0 for a positive pair (one class), 1 for a negative pair (two classes).
        distance: (batch,), distance D of each pair.
        margin: Distance beyond which the loss of a negative pair is 0.

    Returns:
        (batch,), 0 or more. Source: Hadsell, Chopra, LeCun 2006, equation 4.

    Raises:
        ValueError: A shape is not (batch,); the loss would broadcast to (batch, batch).
    """
    different = ops.cast(different, "float32")
    distance = ops.cast(distance, "float32")
    if len(different.shape) != 1 or len(distance.shape) != 1:
        shapes = f"{tuple(different.shape)} and {tuple(distance.shape)}"
        raise ValueError(f"labels and distances must be of shape (batch,), not {shapes}")
    pull = ops.square(distance)
    push = ops.square(ops.maximum(margin - distance, 0.0))
    return (1.0 - different) * pull + different * push


def triplet_loss(labels: Tensor, embeddings: Tensor, margin: float = 1.0) -> Tensor:
    """Compute the mean triplet loss of a batch with semi-hard negatives.

    Each anchor forms a triplet with each other image of its class, the positive. The loss of a
    triplet is max(0, D(anchor, positive) - D(anchor, negative) + margin). The negative is the
    nearest image of another class that is farther from the anchor than the positive, or the
    farthest image of another class if none is farther than the positive.

    Args:
        labels: (batch,).
        embeddings: (batch, dimensions).
        margin: Distance by which a negative should be farther than a positive.

    Returns:
        A scalar, 0 or more; 0 if the batch has no triplets. Source: Schroff, Kalenichenko,
        Philbin 2015, equation 1 and section 3.2, with distances instead of squared distances.
    """
    distance = euclidean_distance(embeddings[:, None, :], embeddings[None, :, :])  # (batch, batch)
    same = ops.equal(labels[:, None], labels[None, :])
    identity = ops.eye(ops.shape(distance)[0])
    positive = ops.cast(same, "float32") - identity
    to_positive = distance[:, :, None]  # (anchor, positive, 1)
    to_negative = ops.where(same, np.inf, distance)[:, None, :]  # (anchor, 1, negative)
    nearest = ops.min(ops.where(to_negative > to_positive, to_negative, np.inf), axis=2)
    farthest = ops.max(ops.where(same, 0.0, distance), axis=1, keepdims=True)
    negative_distance = ops.where(ops.isfinite(nearest), nearest, farthest)
    losses = ops.maximum(distance - negative_distance + margin, 0.0)
    has_negative = ops.cast(ops.any(ops.logical_not(same)), "float32")
    return has_negative * ops.sum(positive * losses) / ops.maximum(ops.sum(positive), 1.0)


def supervised_contrastive_loss(
    labels: Tensor, embeddings: Tensor, temperature: float = 0.2
) -> Tensor:
    """Compute the supervised contrastive loss of a batch.

    Each image is an anchor. A softmax over the cosines to all other images, divided by the
    temperature, should give high probabilities to the images of its class.

    Args:
        labels: (batch,).
        embeddings: (batch, dimensions), of any length.
        temperature: Above 0.

    Returns:
        A scalar, 0 or more: the mean over the anchors that are not alone in their class; 0 if all
        are alone. Source: Khosla et al. 2020, equation 2.
    """
    labels = ops.reshape(labels, (-1, 1))
    directions = ops.normalize(ops.cast(embeddings, "float32"), axis=-1)
    identity = ops.eye(ops.shape(directions)[0])
    cosines = ops.matmul(directions, ops.transpose(directions)) / temperature - 1e9 * identity
    log_probabilities = ops.log_softmax(cosines, axis=-1)
    positive = ops.cast(ops.equal(labels, ops.transpose(labels)), "float32") - identity
    num_positive = ops.sum(positive, axis=-1)
    losses = -ops.sum(positive * log_probabilities, axis=-1) / ops.maximum(num_positive, 1.0)
    num_anchors = ops.sum(ops.cast(num_positive > 0, "float32"))
    return ops.sum(losses) / ops.maximum(num_anchors, 1.0)


def batch_contrastive_loss(labels: Tensor, embeddings: Tensor, margin: float = 1.0) -> Tensor:
    """Compute the contrastive loss over all pairs of a batch.

    Positive and negative pairs have the same total weight, whatever their numbers.

    Args:
        labels: (batch,).
        embeddings: (batch, dimensions), of any length; they are normalised first.
        margin: As in `contrastive_loss`.

    Returns:
        A scalar, 0 or more. Source: as `contrastive_loss`.
    """
    labels, embeddings = ops.reshape(labels, (-1, 1)), ops.normalize(embeddings, axis=-1)
    negative = ops.cast(ops.not_equal(labels, ops.transpose(labels)), "float32")
    positive = 1.0 - negative - ops.eye(ops.shape(embeddings)[0])
    distance = euclidean_distance(embeddings[:, None, :], embeddings[None, :, :])
    losses = contrastive_loss(ops.reshape(negative, (-1,)), ops.reshape(distance, (-1,)), margin)
    weights = [ops.reshape(mask, (-1,)) for mask in (positive, negative)]
    return sum(ops.sum(losses * w) / ops.maximum(ops.sum(w), 1.0) for w in weights) / 2


class PairLoss(keras.losses.Loss):
    """Keras loss of the distances of pairs, for `compile`."""

    def __init__(
        self,
        function: Callable[[Tensor, Tensor, float], Tensor],
        margin: float = 1.0,
        **kwargs: Any,
    ) -> None:
        """Initialise the loss.

        Args:
            function: From labels (batch,), distances (batch,) and the margin to losses (batch,).
            margin: Passed to the function.
            **kwargs: Passed to `keras.losses.Loss`.
        """
        super().__init__(**kwargs)
        self.function, self.margin = function, margin

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Compute the loss of each pair, (batch,), from labels (batch,) and distances (batch,)."""
        return self.function(y_true, y_pred, self.margin)


@keras.saving.register_keras_serializable("siamese_utils")
class ContrastiveLoss(PairLoss):
    """Keras loss that averages `contrastive_loss` over a batch, for `compile`."""

    def __init__(self, margin: float = 1.0, **kwargs: Any) -> None:
        """Initialise the loss; margin as in `contrastive_loss`."""
        super().__init__(contrastive_loss, margin, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "margin": self.margin}


@keras.saving.register_keras_serializable("siamese_utils")
class TripletLoss(keras.losses.Loss):
    """Keras loss that computes `triplet_loss`, for `compile`."""

    def __init__(self, margin: float = 1.0, **kwargs: Any) -> None:
        """Initialise the loss; margin as in `triplet_loss`."""
        super().__init__(**kwargs)
        self.margin = margin

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Compute the loss, a scalar, from labels (batch,) and embeddings (batch, dimensions)."""
        return triplet_loss(y_true, y_pred, self.margin)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "margin": self.margin}
