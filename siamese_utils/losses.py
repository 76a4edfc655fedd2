"""Distance and contrastive loss, as pure functions of tensors."""

from typing import Any

import keras
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


@keras.saving.register_keras_serializable("siamese_utils")
class ContrastiveLoss(keras.losses.Loss):
    """The contrastive loss with its margin, for `compile`."""

    def __init__(self, margin: float = 1.0, **kwargs: Any) -> None:
        """Keep the margin: the distance beyond which a different pair costs nothing."""
        super().__init__(**kwargs)
        self.margin = margin

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each pair; shapes as in `contrastive_loss`."""
        return contrastive_loss(y_true, y_pred, self.margin)

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds this loss."""
        return {**super().get_config(), "margin": self.margin}
