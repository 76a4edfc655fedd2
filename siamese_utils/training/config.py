"""What every training run has in common, whatever it trains. Nothing here imports TensorFlow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    import keras

# name -> class in keras.optimizers, and the arguments that differ from its defaults
OPTIMIZERS = {
    "rmsprop": ("RMSprop", {}),
    "adam": ("Adam", {}),
    "adadelta": ("Adadelta", {}),
    "sgd": ("SGD", {"momentum": 0.9}),
}
# Called after each epoch with what Keras measured in it, and the encoder as it is then.
EndEpoch = Callable[[dict[str, float], "keras.Model"], None]


@dataclass
class Fitted:
    """What a training run produced.

    Attributes:
        encoder: The trained encoder.
        history: One value per epoch for each measure.
        distances: Set name -> (pairs,) float32, if the run has its own pairs.
        record: More facts to store with the run.
        keeps_weights: Whether the weights are stored.
    """

    encoder: keras.Model
    history: dict[str, list[float]]
    distances: dict[str, np.ndarray] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)
    keeps_weights: bool = True


@dataclass(frozen=True)
class Config(ABC):
    """A training run, named by all that shapes it.

    `trainer.train` trains any config: it looks in the cache, seeds, watches for divergence, shows
    the progress and stores the result. A subclass is a frozen dataclass with a field `seed`, and a
    field or property `epochs`.

    Attributes:
        has_test_pairs: Whether the encoder is measured on pairs of the data set's test images.
    """

    has_test_pairs: ClassVar[bool] = False

    @property
    @abstractmethod
    def label(self) -> str:
        """A short name to show during training."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """The row of the table of training runs that this run is counted in."""

    @property
    def requires(self) -> tuple[Config, ...]:
        """The configs that must be trained before this one."""
        return ()

    @property
    def dtype_policy(self) -> str:
        """The Keras dtype policy of the encoder."""
        return "float32"

    def resolve(self) -> Config:
        """Return the config with each "auto" replaced by what it means on this machine."""
        return self

    @abstractmethod
    def key(self) -> str:
        """Return the name of the result in the cache; it changes with all that shapes the result."""

    @abstractmethod
    def fit(self, end_epoch: EndEpoch) -> Fitted:
        """Train from fresh weights.

        Args:
            end_epoch: To be called after each epoch.
        """

    @abstractmethod
    def probe_images(self) -> np.ndarray:
        """Return some images of the right shape, to check that their embeddings are finite."""

    @abstractmethod
    def build_encoder(self, image_shape: tuple[int, ...]) -> keras.Model:
        """Return the encoder with fresh weights, for images of shape (height, width, channels)."""

    def facts(self, encoder: keras.Model) -> dict[str, Any]:
        """Return what else the record of a result holds."""
        return {}

    @abstractmethod
    def expected_seconds(self) -> float:
        """Return about how long the training takes if it has this machine for itself."""


def check_choice(field: str, value: object, choices: Collection[object]) -> None:
    """Raise ValueError unless a field has one of the allowed values."""
    if value not in choices:
        raise ValueError(f"unknown {field} {value!r}; choose one of {', '.join(map(str, choices))}")
