"""A short training that is to serve classes it never saw: on the seen ones and on made-up ones."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from siamese_utils.data import datasets, synthetic_classes
from siamese_utils.data.dataset import Dataset
from siamese_utils.training import cache, trainer
from siamese_utils.training.cache import TrainingResult
from siamese_utils.training.config import check_choice
from siamese_utils.training.progress import Progress
from siamese_utils.training.trainer import TrainingOutcome

if TYPE_CHECKING:
    import keras

NUM_INITIALISATIONS = 2  # networks of the recipe, from different first weights
NUM_EPOCHS = 10  # of equal length, in which the steps are shown while they run
LEARNING_RATE = 0.001  # of Adam
# in `instance discrimination` (Wu et al. 2018) each image is a class of its own, seen twice
LOSSES = ("supervised contrastive", "contrastive", "triplet", "softmax", "instance discrimination")
LOSSES_WITHOUT_SYNTHETIC = ("softmax", "instance discrimination")  # losses that take no new classes


@dataclass(frozen=True)
class SmallEncoderConfig:
    """One training of the small encoder, by a loss that compares the images inside each step."""

    seed: int = 0  # of the split
    start: int = 0  # of the first weights and of what is drawn
    dataset: str = "auto"
    images_per_class: int | None = None
    seen: tuple[int, ...] | None = None  # other classes to train on than the data set's own
    every_class: bool = False  # instead: all of them, on images that no split of the data set has
    loss: str = "supervised contrastive"  # a name in LOSSES
    made_up: int = 8  # classes in a step that do not exist, new ones each time
    turned: int = 0  # classes in a step that are a seen one, turned by right angles
    size: int = 11  # images of each class in a step
    steps: int = 100
    reconstruction: float = 0.0  # weight of drawing the image again from its embedding
    near_start: float = 0.0  # weight of the squared distance from the first weights

    def __post_init__(self) -> None:
        """Refuse what cannot be trained. Raises ValueError."""
        check_choice("loss", self.loss, LOSSES)
        if self.loss in LOSSES_WITHOUT_SYNTHETIC and self.made_up + self.turned:
            raise ValueError(f"{self.loss} knows no new classes; give made_up=0, turned=0")

    @property
    def epochs(self) -> int:
        """The parts in which it is shown."""
        return NUM_EPOCHS

    def starts(self, number: int) -> list[SmallEncoderConfig]:
        """Return the same training from so many first weights."""
        return [replace(self, start=start) for start in range(number)]

    def ceiling(self) -> list[SmallEncoderConfig]:
        """Return the recipe's trainings on every class, where there are images: for all splits of a seed."""
        every = replace(self, every_class=True, seen=None)
        return every.starts(NUM_INITIALISATIONS) if has_further_images(every) else []

    @property
    def label(self) -> str:
        """A short name to show while it trains."""
        choice = ", a choice of classes" if self.seen else ", every class" * self.every_class
        return f"{self.kind}, seed {self.seed}, start {self.start}{choice}"

    @property
    def kind(self) -> str:
        """What it is, beside seed and start and the classes that it sees."""
        parts = {
            f"{self.made_up} made-up classes": self.made_up,
            f"{self.turned} turned classes": self.turned,
            "image drawn again": self.reconstruction,
            "near its start": self.near_start,
        }
        told = [name for name, value in parts.items() if value]
        return ", ".join([self.loss, *told, f"{self.steps} steps"])


def train(step: SmallEncoderConfig) -> TrainingResult:
    """Return a finished training, from the store where it is there, else trained.

    It sees what `taught` returns, and nothing else. Raises TrainingDivergedError where loss, weights
    or embeddings are no numbers.
    """

    def work() -> TrainingOutcome:
        encoder, history = fit(step, *training_data(step))
        return {}, history, encoder.get_weights(), {}

    return trainer.train_cached(step, key_of(step), work)


def load_data(step: SmallEncoderConfig) -> Dataset:
    """Return the data set of a training, with its seen classes."""
    return datasets.load(step.dataset, step.images_per_class, step.seen)


def training_data(step: SmallEncoderConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return the images that a training sees, and their labels.

    Where it sees every class they are the next ones of each class, as many as the data set has.
    """
    if not step.every_class:
        dataset = load_data(step)
        rows = dataset.split(step.seed).train
    else:
        dataset, rows = datasets.load(step.dataset), _further_rows(step)
    return dataset.images[rows], dataset.labels[rows]


def has_further_images(step: SmallEncoderConfig) -> bool:
    """Return whether there are images of every class that no split has."""
    return len(np.unique(datasets.load(step.dataset).labels[_further_rows(step)])) > 1


def _further_rows(step: SmallEncoderConfig) -> np.ndarray:
    """Return the rows of the images of each class that follow those of the data set."""
    whole = datasets.load(step.dataset)
    first = step.images_per_class or len(whole.labels)
    rows = [np.flatnonzero(whole.labels == c)[first : 2 * first] for c in whole.classes]
    return np.concatenate(rows)


def key_of(step: SmallEncoderConfig) -> str:
    """Return the name of a training in the store."""
    parts = asdict(step) | {"training": "many classes", "dataset": load_data(step).name}
    return cache.make_key(parts | {"taught": data_digest(step)}, ["training.small_encoder.fit"])


def data_digest(step: SmallEncoderConfig) -> str:
    """Return the SHA-256 of the images and labels that a training sees."""
    return _digest(step.dataset, step.images_per_class, step.seen, step.seed, step.every_class)


@functools.cache
def _digest(
    dataset: str,
    images_per_class: int | None,
    seen: tuple[int, ...] | None,
    seed: int,
    every_class: bool,
) -> str:
    step = SmallEncoderConfig(seed, 0, dataset, images_per_class, seen, every_class)
    digest = hashlib.sha256()
    for array in training_data(step):
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def rebuild_encoder(run: TrainingResult, image_shape: tuple[int, ...]) -> keras.Model:
    """Return the trained encoder of a run."""
    from siamese_utils.training import models

    encoder = models.build_small_encoder(image_shape)
    encoder.set_weights(run.weights)
    return encoder


def fit(
    step: SmallEncoderConfig, images: np.ndarray, labels: np.ndarray
) -> tuple[keras.Model, dict[str, list[float]]]:
    """Train the small encoder on labelled images, and return it with its history.

    images: (images, h, w, c) uint8; labels: (images,). Raises TrainingDivergedError where loss,
    weights or embeddings are no numbers.
    """
    import keras

    from siamese_utils.training.tasks import to_tf_dataset

    encoder, model = _compiled(step, images.shape[1:], len(np.unique(labels)))
    drawn = _sample_steps(step, images, labels)

    def end_epoch(_: int, logs: dict[str, float]) -> None:
        trainer.check_finite(step.label, logs, encoder)
        progress.epoch_done()

    with Progress(step.label, NUM_EPOCHS) as progress:
        history = model.fit(
            to_tf_dataset(*drawn),
            epochs=NUM_EPOCHS,
            steps_per_epoch=step.steps // NUM_EPOCHS,
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=end_epoch)],
            shuffle=False,
            verbose=0,
        ).history
    trainer.embed(encoder, images[: trainer.NUM_PROBE_IMAGES])  # raises where it diverged
    return encoder, {"loss": [float(loss) for loss in history["loss"]]}


def _sample_steps(
    step: SmallEncoderConfig, images: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of all steps, and their labels."""
    rng = np.random.default_rng([step.seed, 5, step.start])
    if step.loss == "instance discrimination":  # as many images in a step as the real classes have
        number = len(np.unique(labels)) * step.size // 2
        return synthetic_classes.sample_instance_steps(images, labels, rng, step.steps, number)
    return synthetic_classes.sample_steps(
        images, labels, rng, step.steps, step.size, step.made_up, step.turned
    )


def _compiled(
    step: SmallEncoderConfig, image_shape: tuple[int, ...], classes: int
) -> tuple[keras.Model, keras.Model]:
    """Return the encoder before its first step, and the model that trains it."""
    import keras

    from siamese_utils.training import losses, models

    keras.utils.set_random_seed(1000 * step.seed + step.start)
    encoder = models.build_small_encoder(image_shape)
    outputs = encoder.output
    if step.loss == "softmax":
        outputs = keras.layers.Dense(classes, activation="softmax")(outputs)
    if step.reconstruction:
        again = models.Reconstruction(step.reconstruction, int(np.prod(image_shape)))
        outputs = again(encoder.input, outputs)
    model = keras.Model(encoder.input, outputs)  # the encoder stays without a loss of its own
    for weight in encoder.trainable_variables if step.near_start else ():
        weight.regularizer = models.NearStart(weight.numpy(), step.near_start)
    loss = {
        "contrastive": losses.batch_contrastive_loss,
        "triplet": losses.TripletLoss(),
        "softmax": "sparse_categorical_crossentropy",
    }.get(step.loss, losses.supervised_contrastive_loss)
    model.compile(keras.optimizers.Adam(LEARNING_RATE), loss, jit_compile=False)
    model.optimizer.build(model.trainable_variables)  # or Keras would trace twice
    return encoder, model
