"""A short training run of a small encoder that is to serve new classes.

It learns to tell its training classes and synthetic ones apart, by a loss that compares the images
inside each step.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from siamese_utils.data import datasets, synthetic_classes
from siamese_utils.data.dataset import Dataset
from siamese_utils.training import cache, encoders, trainer
from siamese_utils.training.config import Config, EndEpoch, Fitted, check_choice

if TYPE_CHECKING:
    import keras

NUM_INITIALISATIONS = 2  # networks of the ensemble, which differ in their initial weights
NUM_EPOCHS = 10  # parts of equal length, after each of which the progress is shown
LEARNING_RATE = 0.001  # of Adam
# Fields that do not change which images a run is trained on
FIELDS_WITHOUT_DATA = (
    "start",
    "loss",
    "num_synthetic",
    "class_size",
    "steps",
    "last_layer_only",
)
LOSSES = ("supervised contrastive", "contrastive", "softmax")


@dataclass(frozen=True)
class SmallEncoderConfig(Config):
    """A training run of the small encoder.

    Attributes:
        seed: Seed of the split.
        start: Seed, together with `seed`, of the initial weights and of the sampled steps.
        dataset: A name that `datasets.load` takes.
        images_per_class: Images of each class, at most; None: all.
        seen: Classes to train on; None: the data set's own.
        all_classes: Train on all classes instead, on images that are in no split of the data set.
        labelled: Labelled images of each unseen class to train on as well, as in
            `Split.with_labelled`.
        loss: A name in LOSSES.
        num_synthetic: Synthetic classes in a step, new ones each time.
        class_size: Images of each class in a step.
        steps: Gradient steps.
        last_layer_only: Whether only the last layer is trained, in the encoder that was trained
            without labelled images of the unseen classes.
    """

    seed: int = 0
    start: int = 0
    dataset: str = "auto"
    images_per_class: int | None = None
    seen: tuple[int, ...] | None = None
    all_classes: bool = False
    labelled: int = 0
    loss: str = "supervised contrastive"
    num_synthetic: int = 8
    class_size: int = 11
    steps: int = 100
    last_layer_only: bool = False

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: A field has a value that cannot be trained with.
        """
        check_choice("loss", self.loss, LOSSES)
        if self.loss == "softmax" and self.num_synthetic:
            raise ValueError("softmax takes no synthetic classes; set num_synthetic=0")
        if self.last_layer_only and not self.labelled:
            raise ValueError("last_layer_only needs labelled images; set labelled above 0")

    @property
    def epochs(self) -> int:
        """The number of parts after which the progress is shown."""
        return NUM_EPOCHS

    def initialisations(self) -> list[SmallEncoderConfig]:
        """Return the same config with the different initial weights of the ensemble's networks."""
        return [replace(self, start=start) for start in range(NUM_INITIALISATIONS)]

    @property
    def label(self) -> str:
        """A short name to show during training."""
        split = ", another class split" if self.seen else ", all classes" * self.all_classes
        return f"{self._name}, seed {self.seed}, start {self.start}{split}"

    @property
    def kind(self) -> str:
        """The row of the table of training runs that this run is counted in."""
        split = "all classes" if self.all_classes else "class splits"
        return f"small encoder, {self._name}, {split}"

    @property
    def _name(self) -> str:
        synthetic = f", {self.num_synthetic} synthetic classes" if self.num_synthetic else ""
        labelled = f", {self.labelled} labelled images" if self.labelled else ""
        part = ", last layer only" if self.last_layer_only else ""
        return f"{self.loss}{synthetic}{labelled}{part}, {self.steps} steps"

    @property
    def requires(self) -> tuple[SmallEncoderConfig, ...]:
        """The encoder without labelled images, if only its last layer is trained."""
        return (replace(self, labelled=0, last_layer_only=False),) if self.last_layer_only else ()

    def key(self) -> str:
        """Return the name of the result in the cache."""
        parts = asdict(self) | {"training": "small encoder", "dataset": self.load_data().name}
        parts |= {"training data": data_digest(self)}
        return cache.make_key(parts, ["training.small_encoder.fit"])

    def load_data(self) -> Dataset:
        """Return the data set, with its seen classes."""
        return datasets.load(self.dataset, self.images_per_class, self.seen)

    def fit(self, end_epoch: EndEpoch) -> Fitted:
        """Train from fresh weights, or from those of the required encoder."""
        weights = [trainer.train(one).weights for one in self.requires]
        return fit(self, *training_data(self), end_epoch, *weights)

    def probe_images(self) -> np.ndarray:
        """Return some training images."""
        return training_data(self)[0][: trainer.NUM_PROBE_IMAGES]

    def build_encoder(self, image_shape: tuple[int, ...]) -> keras.Model:
        """Return the encoder with fresh weights, for images of shape (height, width, channels)."""
        return encoders.small_encoder(image_shape)

    def expected_seconds(self) -> float:
        """Return about how long the training takes if it has this machine for itself."""
        return 3.0 + 0.06 * self.steps


def training_data(config: SmallEncoderConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return the images that a run is trained on, and their labels; it sees nothing else.

    If it is trained on all classes, these are the images of each class that follow those of the
    data set, as many as the data set has.
    """
    if config.all_classes:
        dataset, rows = datasets.load(config.dataset), _further_rows(config)
    else:
        dataset, rows = config.load_data(), training_rows(config)
    return dataset.images[rows], dataset.labels[rows]


def training_rows(config: SmallEncoderConfig) -> np.ndarray:
    """Return the rows of the config's data set that a run is trained on, if not on all classes."""
    dataset = config.load_data()
    return dataset.split(config.seed).with_labelled(dataset, config.labelled).train


def has_further_images(config: SmallEncoderConfig) -> bool:
    """Return whether there are images of all classes that are in no split."""
    return len(np.unique(datasets.load(config.dataset).labels[_further_rows(config)])) > 1


def _further_rows(config: SmallEncoderConfig) -> np.ndarray:
    """Return the rows of the images of each class that follow those of the data set."""
    complete = datasets.load(config.dataset)
    first = config.images_per_class or len(complete.labels)
    rows = [np.flatnonzero(complete.labels == c)[first : 2 * first] for c in complete.classes]
    return np.concatenate(rows)


def data_digest(config: SmallEncoderConfig) -> str:
    """Return the SHA-256 of the images and labels that a run is trained on."""
    default = SmallEncoderConfig()
    return _digest(
        replace(config, **{name: getattr(default, name) for name in FIELDS_WITHOUT_DATA})
    )


@functools.cache
def _digest(config: SmallEncoderConfig) -> str:
    digest = hashlib.sha256()
    for array in training_data(config):
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def fit(
    config: SmallEncoderConfig,
    images: np.ndarray,
    labels: np.ndarray,
    end_epoch: EndEpoch,
    weights: Sequence[np.ndarray] | None = None,
) -> Fitted:
    """Train the small encoder on labelled images. Each step has as many images of each class.

    Args:
        config: What to train.
        images: (images, height, width, channels) uint8.
        labels: (images,).
        end_epoch: Called after each of NUM_EPOCHS parts.
        weights: Initial weights of the encoder; None: the random ones of the config's seeds.

    Returns:
        The encoder and its history.
    """
    import keras

    from siamese_utils.training import losses
    from siamese_utils.training.tasks import to_tf_dataset

    trainer.seed_everything(1000 * config.seed + config.start)
    encoder = encoders.small_encoder(images.shape[1:])
    if weights is not None:
        encoder.set_weights(weights)
    if config.last_layer_only:
        for layer in encoder.layers[:-1]:
            layer.trainable = False
    outputs = encoder.output
    if config.loss == "softmax":
        outputs = keras.layers.Dense(len(np.unique(labels)), activation="softmax")(outputs)
    model = keras.Model(encoder.input, outputs)
    loss = {
        "supervised contrastive": losses.supervised_contrastive_loss,
        "contrastive": losses.batch_contrastive_loss,
        "softmax": "sparse_categorical_crossentropy",
    }[config.loss]
    model.compile(keras.optimizers.Adam(LEARNING_RATE), loss, jit_compile=False)
    model.optimizer.build(model.trainable_variables)  # otherwise Keras would trace twice
    steps = synthetic_classes.sample_steps(
        images,
        labels,
        np.random.default_rng([config.seed, 5, config.start]),
        config.steps,
        config.class_size,
        config.num_synthetic,
    )
    history = model.fit(
        to_tf_dataset(*steps),
        epochs=NUM_EPOCHS,
        steps_per_epoch=config.steps // NUM_EPOCHS,
        callbacks=[
            keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: end_epoch(logs, encoder))
        ],
        shuffle=False,
        verbose=0,
    ).history
    return Fitted(encoder, {"loss": [float(loss) for loss in history["loss"]]})
