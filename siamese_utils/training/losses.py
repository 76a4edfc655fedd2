"""Distance and losses, as pure functions of tensors."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

Tensor = Any  # a backend tensor, or anything keras.ops turns into one
EPSILON = 1e-7  # as in the study; below it the root's slope would go to infinity


def euclidean_distance(a: Tensor, b: Tensor) -> Tensor:
    """Return the distance between the rows of two batches of embeddings.

    a, b: (batch, dimensions) -> (batch,), in 0.0003 or more. The squared distance is held at
    1e-7 or above: there the gradient is 0, where a plain root has none (Hou 2019; Keras example).
    """
    squared = ops.sum(ops.square(a - b), axis=-1)
    return ops.sqrt(ops.maximum(squared, EPSILON))


def contrastive_loss(different: Tensor, distance: Tensor, margin: float = 1.0) -> Tensor:
    """Return the contrastive loss of each pair, in the study's form without the factor 1/2.

    different: (batch,), 0 for one class and 1 for two; distance: (batch,) -> (batch,), 0 or more.
    Equal pairs cost D^2, different ones max(0, margin - D)^2; the study averages over the batch.
    Source: Hadsell, Chopra, LeCun 2006, equation 4. Raises ValueError for other shapes, which
    would broadcast in silence to (batch, batch).
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
    """Return the mean triplet loss of a batch, with semi-hard negatives: a number, 0 or more.

    labels: (batch,); embeddings: (batch, dimensions). Each anchor and positive, two images of one
    class, cost max(0, D(anchor, positive) - D(anchor, negative) + margin). The negative is the
    nearest one that lies farther from the anchor than the positive; where there is none, the
    farthest. A batch without both kinds of pairs costs 0. Source: Schroff, Kalenichenko,
    Philbin 2015, equation 1 and section 3.2, with plain distances instead of squared ones.
    """
    distance = euclidean_distance(embeddings[:, None, :], embeddings[None, :, :])  # (batch, batch)
    same = ops.equal(labels[:, None], labels[None, :])
    itself = ops.eye(ops.shape(distance)[0])
    positive = ops.cast(same, "float32") - itself
    to_positive = distance[:, :, None]  # (anchor, positive, 1)
    to_negative = ops.where(same, np.inf, distance)[:, None, :]  # (anchor, 1, negative)
    nearest = ops.min(ops.where(to_negative > to_positive, to_negative, np.inf), axis=2)
    farthest = ops.max(ops.where(same, 0.0, distance), axis=1, keepdims=True)
    chosen = ops.where(ops.isfinite(nearest), nearest, farthest)
    cost = ops.maximum(distance - chosen + margin, 0.0)
    has_negative = ops.cast(ops.any(ops.logical_not(same)), "float32")
    return has_negative * ops.sum(positive * cost) / ops.maximum(ops.sum(positive), 1.0)


def supervised_contrastive_loss(
    labels: Tensor, embeddings: Tensor, temperature: float = 0.2
) -> Tensor:
    """Return the supervised contrastive loss of a batch, a scalar of 0 or more.

    labels: (batch,); embeddings: (batch, dimensions). Each image is an anchor; by softmax over the
    cosines to all others, divided by the temperature, it should find those of its class. Anchors
    alone in their class are left out. Source: Khosla et al. 2020, equation 2.
    """
    labels = ops.reshape(labels, (-1, 1))
    directions = ops.normalize(ops.cast(embeddings, "float32"), axis=-1)
    itself = ops.eye(ops.shape(directions)[0])
    cosines = ops.matmul(directions, ops.transpose(directions)) / temperature - 1e9 * itself
    found = ops.log_softmax(cosines, axis=-1)
    positive = ops.cast(ops.equal(labels, ops.transpose(labels)), "float32") - itself
    number = ops.sum(positive, axis=-1)
    cost = -ops.sum(positive * found, axis=-1) / ops.maximum(number, 1.0)
    return ops.sum(cost) / ops.maximum(ops.sum(ops.cast(number > 0, "float32")), 1.0)


def batch_contrastive_loss(labels: Tensor, embeddings: Tensor, margin: float = 1.0) -> Tensor:
    """Return the contrastive loss over all pairs of a batch, a scalar of 0 or more.

    labels: (batch,); embeddings: (batch, dimensions), of which the directions count. Same and
    different pairs weigh half each, whatever their number. Source: as `contrastive_loss`.
    """
    labels, embeddings = ops.reshape(labels, (-1, 1)), ops.normalize(embeddings, axis=-1)
    different = ops.cast(ops.not_equal(labels, ops.transpose(labels)), "float32")
    same = 1.0 - different - ops.eye(ops.shape(embeddings)[0])
    distance = euclidean_distance(embeddings[:, None, :], embeddings[None, :, :])
    cost = contrastive_loss(ops.reshape(different, (-1,)), ops.reshape(distance, (-1,)), margin)
    weights = [ops.reshape(kind, (-1,)) for kind in (same, different)]
    return sum(ops.sum(cost * w) / ops.maximum(ops.sum(w), 1.0) for w in weights) / 2


class PairLoss(keras.losses.Loss):
    """A loss of the distances of pairs, with its margin, for `compile`."""

    def __init__(
        self,
        function: Callable[[Tensor, Tensor, float], Tensor],
        margin: float = 1.0,
        **kwargs: Any,
    ) -> None:
        """Keep the function, of (labels, distances, margin), and the margin."""
        super().__init__(**kwargs)
        self.function, self.margin = function, margin

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each pair: labels (batch,), distances (batch,) -> (batch,)."""
        return self.function(y_true, y_pred, self.margin)


@keras.saving.register_keras_serializable("siamese_utils")
class ContrastiveLoss(PairLoss):
    """The contrastive loss with its margin, for `compile`."""

    def __init__(self, margin: float = 1.0, **kwargs: Any) -> None:
        """Keep the margin: the distance beyond which a negative pair costs nothing."""
        super().__init__(contrastive_loss, margin, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds this loss."""
        return {**super().get_config(), "margin": self.margin}


@keras.saving.register_keras_serializable("siamese_utils")
class TripletLoss(keras.losses.Loss):
    """The triplet loss with its margin, for `compile`."""

    def __init__(self, margin: float = 1.0, **kwargs: Any) -> None:
        """Keep the margin: how much farther than the positive a negative should lie."""
        super().__init__(**kwargs)
        self.margin = margin

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the mean loss of the batch; arguments as in `triplet_loss`."""
        return triplet_loss(y_true, y_pred, self.margin)

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds this loss."""
        return {**super().get_config(), "margin": self.margin}
