"""The article, repaired: transfer of a pretrained encoder to few pairs of textures."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from siamese_utils.data import datasets, pairs, textures
from siamese_utils.training import cache, encoders, trainer
from siamese_utils.training.config import Config, EndEpoch, Fitted, check_choice
from siamese_utils.training.tasks import STUDY_THRESHOLD, without_autotune

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

HELD_OUT_SHARE = 0.2  # of the images of a source, as in the article: half validate, half test
PAIR_SETS = ("train", "validation", "test")
VALIDATION_PAIRS, TEST_PAIRS = 50, 500
ARTICLE_PAIRS = 50  # training pairs of the article
INITIALISATIONS = ("pretrained", "scratch")
SOURCES = ("digits", "fashion-mnist")  # data sets to pretrain on; the article's is digits
SOURCE_IMAGES = 300  # images of each class of Fashion-MNIST; digits has about 180
TRANSFER_TASKS = ("contrastive", "triplet")
PATIENCE = 3  # epochs without improvement before a run stops; one fewer lowers its learning rate
MIN_DELTA = 0.001  # smallest decrease of the validation loss that counts as an improvement


@dataclass(frozen=True)
class PretrainingConfig(Config):
    """A pretraining run, the article's first step: classification of digits or clothes.

    Attributes:
        seed: Seed of the split and the initial weights.
        epochs: Number of epochs, at most.
        batch_size: Images in a step.
        source: A name in SOURCES.
    """

    seed: int = 0
    epochs: int = 10
    batch_size: int = 128
    source: str = "digits"

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: The source is unknown.
        """
        check_choice("source", self.source, SOURCES)

    @property
    def label(self) -> str:
        """A short name to show during training."""
        return f"{self.source}, seed {self.seed}"

    @property
    def kind(self) -> str:
        """The row of the table of training runs that this run is counted in."""
        return f"pretraining on {self.source}"

    def key(self) -> str:
        """Return the name of the result in the cache."""
        parts = {"step": "pretraining"} | asdict(self)
        return cache.make_key(parts | _source_digest(self.source), ["training.transfer.pretrain"])

    def fit(self, end_epoch: EndEpoch) -> Fitted:
        """Train from fresh weights."""
        return pretrain(self, end_epoch)

    def probe_images(self) -> np.ndarray:
        """Return some images of the source."""
        return load_source(self.source)[0][: trainer.NUM_PROBE_IMAGES]

    def build_encoder(self, image_shape: tuple[int, ...]) -> keras.Model:
        """Return the encoder with fresh weights, for images of shape (height, width, channels)."""
        return encoders.digit_encoder(image_shape)

    def expected_seconds(self) -> float:
        """Return about how long the training takes if it has this machine for itself."""
        return 10.0


@dataclass(frozen=True)
class TransferConfig(Config):
    """A transfer run, the article's second step: training on pairs of textures.

    The defaults are the article's.

    Attributes:
        num_pairs: Training pairs.
        start: A name in INITIALISATIONS.
        task: A name in TRANSFER_TASKS; the triplets are formed among the images of the pairs.
        seed: Seed of the pairs, the pretraining and the initial weights.
        epochs: Number of epochs, at most, and of those of the pretraining.
        batch_size: Pairs in a step; for triplets, half of the images in a step.
        learning_rate: Initial learning rate of Adam.
        margin: Margin of the loss.
        source: Data set that the encoder is pretrained on, a name in SOURCES.
    """

    num_pairs: int = ARTICLE_PAIRS
    start: str = "pretrained"
    task: str = "contrastive"
    seed: int = 0
    epochs: int = 10
    batch_size: int = 8
    learning_rate: float = 1e-4
    margin: float = 1.0
    source: str = "digits"

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: A field has an unknown value.
        """
        choices = {"start": INITIALISATIONS, "task": TRANSFER_TASKS, "source": SOURCES}
        for field, allowed in choices.items():
            check_choice(field, getattr(self, field), allowed)

    @property
    def pretraining(self) -> PretrainingConfig:
        """The pretraining whose weights a pretrained encoder starts from."""
        return PretrainingConfig(self.seed, epochs=self.epochs, source=self.source)

    @property
    def requires(self) -> tuple[Config, ...]:
        """The configs that must be trained before this one."""
        return (self.pretraining,) if self.start == "pretrained" else ()

    @property
    def label(self) -> str:
        """A short name to show during training."""
        return f"{self.num_pairs} pairs, {self.initialisation}, {self.task}, seed {self.seed}"

    @property
    def initialisation(self) -> str:
        """What the encoder starts from: `from scratch`, or `pretrained on` a source."""
        return f"pretrained on {self.source}" if self.start == "pretrained" else "from scratch"

    @property
    def kind(self) -> str:
        """The row of the table of training runs that this run is counted in."""
        return "transfer to textures"

    def key(self) -> str:
        """Return the name of the result in the cache."""
        parts = {"step": "transfer"} | asdict(self) | {"pretraining": asdict(self.pretraining)}
        functions = ("pretrain", "fine_tune", "build_fresh_encoder")
        code = [f"training.transfer.{name}" for name in functions]
        return cache.make_key(parts | _source_digest(self.source), code)

    def fit(self, end_epoch: EndEpoch) -> Fitted:
        """Train from fresh or pretrained weights."""
        return fine_tune(self, build_encoder(self).get_weights(), end_epoch)

    def probe_images(self) -> np.ndarray:
        """Return some validation images."""
        return sample_pairs(self, "validation")[0][: trainer.NUM_PROBE_IMAGES]

    def build_encoder(self, image_shape: tuple[int, ...]) -> keras.Model:
        """Return the encoder with fresh weights, for images of shape (height, width, channels)."""
        return encoders.digit_encoder(image_shape, normalise=True)

    def expected_seconds(self) -> float:
        """Return about how long the training takes if it has this machine for itself."""
        return 1.5 + 0.026 * self.epochs * self.num_pairs / self.batch_size


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Load scikit-learn's digits, enlarged to 32x32.

    Returns:
        Images (1797, 32, 32, 1) float32 of 0..1, and labels (1797,).
    """
    from scipy import ndimage
    from sklearn.datasets import load_digits as load_sklearn_digits

    digits = load_sklearn_digits()
    images = ndimage.zoom(digits.images / 16, (1, 4, 4), order=3)  # cubic, as in the article
    return np.clip(images, 0, 1).astype(np.float32)[..., np.newaxis], digits.target


def load_source(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Load the images to pretrain on.

    Args:
        name: A name in SOURCES.

    Returns:
        Images (images, 32, 32, 1) float32 of 0..1, and labels (images,).
    """
    if name == "digits":
        return load_digits()
    clothes = datasets.load(name, SOURCE_IMAGES)
    return resize(clothes.images), clothes.labels


def resize(images: np.ndarray) -> np.ndarray:
    """Resize and scale images for `encoders.digit_encoder`.

    Args:
        images: (images, 28, 28, 1) uint8.

    Returns:
        (images, 32, 32, 1) float32 of 0..1.
    """
    from scipy import ndimage

    resized = ndimage.zoom(images / np.float32(255), (1, 32 / 28, 32 / 28, 1), order=1)
    return np.clip(resized, 0, 1)


def build_fresh_encoder(seed: int, normalise: bool = True) -> keras.Model:
    """Build the encoder of a transfer with the random initial weights of a seed.

    Args:
        seed: The seed.
        normalise: As in `encoders.digit_encoder`; transfers have normalised embeddings.
    """
    trainer.seed_everything(seed)
    return encoders.digit_encoder(normalise=normalise)


def build_encoder(config: TransferConfig) -> keras.Model:
    """Build the initial encoder of a transfer, and train its pretraining run if it is not cached."""
    encoder = build_fresh_encoder(config.seed)
    if config.start == "pretrained":
        encoder.set_weights(trainer.train(config.pretraining).weights)
    return encoder


def sample_pairs(config: TransferConfig, name: str) -> tuple[np.ndarray, np.ndarray, pairs.Pairs]:
    """Sample the training, validation or test pairs of a transfer.

    The sets share no image. The validation and test pairs depend only on the seed.

    Args:
        config: The transfer.
        name: A name in PAIR_SETS.

    Returns:
        Images (images, 32, 32, 1) float32 of 0..1, their labels (images,), and the pairs.
    """
    index = PAIR_SETS.index(name)
    num_pairs = (config.num_pairs, VALIDATION_PAIRS, TEST_PAIRS)[index]
    return _sample_pairs(num_pairs, config.seed, index)


def measure_distances(encoder: keras.Model, config: TransferConfig) -> dict[str, np.ndarray]:
    """Measure the distances of the validation and test pairs, (pairs,) each."""
    distances = {}
    for name in PAIR_SETS[1:]:
        images, _, sampled = sample_pairs(config, name)
        distances[name] = pairs.distances(trainer.embed(encoder, images), sampled)
    return distances


def pretrain(config: PretrainingConfig, end_epoch: EndEpoch) -> Fitted:
    """Train an encoder to classify images.

    Returns:
        The encoder and its history. The record holds `held_out`, the test accuracy, 0..1.
    """
    import keras
    from sklearn.model_selection import train_test_split

    trainer.seed_everything(config.seed)
    images, labels = load_source(config.source)
    train, held_out = train_test_split(
        np.arange(len(labels)), test_size=HELD_OUT_SHARE, random_state=config.seed, stratify=labels
    )
    validation, test = train_test_split(
        held_out, test_size=0.5, random_state=config.seed, stratify=labels[held_out]
    )
    encoder = encoders.digit_encoder()
    classifier = keras.Sequential([encoder, keras.layers.Dense(10, activation="softmax")])
    classifier.compile(
        "rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False
    )
    history = _fit(
        classifier,
        _batches(images[train], labels[train], config.batch_size, config.seed),
        _batches(images[validation], labels[validation], config.batch_size),
        config,
        end_epoch,
    )
    predicted = classifier.predict(images[test], verbose=0).argmax(axis=1)
    return Fitted(encoder, history, record={"held_out": float(np.mean(predicted == labels[test]))})


def fine_tune(config: TransferConfig, weights: list[np.ndarray], end_epoch: EndEpoch) -> Fitted:
    """Train an encoder on pairs of textures.

    Args:
        config: A transfer.
        weights: Initial weights of the encoder.
        end_epoch: Called after each epoch.

    Returns:
        The encoder, its history, and the distances of the validation and test pairs. The weights
        are not stored.
    """
    trainer.seed_everything(config.seed)
    model = _compiled_model(config.task, config.margin)
    _reset(model, weights, config.learning_rate)
    sampled = {name: sample_pairs(config, name) for name in PAIR_SETS[:2]}
    history = _fit(
        model,
        _steps(config, *sampled["train"], seed=config.seed),
        _steps(config, *sampled["validation"]),
        config,
        end_epoch,
    )
    encoder = _encoder_of(model)
    return Fitted(encoder, history, measure_distances(encoder, config), keeps_weights=False)


def _source_digest(source: str) -> dict[str, str]:
    """Return what a key holds of a source; for digits nothing, since scikit-learn contains them."""
    return {} if source == "digits" else {"data": datasets.load(source, SOURCE_IMAGES).digest}


@functools.lru_cache(maxsize=4)  # Many training runs use the same validation and test pairs.
def _sample_pairs(
    num_pairs: int, seed: int, index: int
) -> tuple[np.ndarray, np.ndarray, pairs.Pairs]:
    return textures.sample_texture_pairs(num_pairs, np.random.default_rng([seed, index]))


@functools.cache
def _compiled_model(task: str, margin: float) -> keras.Model:
    """Build a model that all transfers share, since tracing it takes longer than training it."""
    import keras

    from siamese_utils.training import losses, models

    encoder = encoders.digit_encoder(normalise=True)
    if task == "triplet":
        encoder.compile("adam", losses.TripletLoss(margin), jit_compile=True)
        return encoder
    model = models.PairModel(encoder)
    accuracy = keras.metrics.BinaryAccuracy(name="accuracy", threshold=STUDY_THRESHOLD)
    model.compile("adam", losses.ContrastiveLoss(margin), metrics=[accuracy], jit_compile=True)
    return model


def _encoder_of(model: keras.Model) -> keras.Model:
    return getattr(model, "encoder", model)


def _reset(model: keras.Model, weights: Sequence[np.ndarray], learning_rate: float) -> None:
    """Set the weights of a compiled model, and reset its optimizer to the initial state."""
    _encoder_of(model).set_weights(weights)
    for variable in model.optimizer.variables:
        variable.assign(np.zeros(variable.shape, dtype=variable.dtype))
    model.optimizer.learning_rate = learning_rate


def _steps(
    config: TransferConfig,
    images: np.ndarray,
    labels: np.ndarray,
    sampled: pairs.Pairs,
    seed: int | None = None,
) -> tf.data.Dataset:
    """Return batches of pairs, or for triplets of the images of as many pairs."""
    if config.task == "triplet":
        return _batches(images, labels, 2 * config.batch_size, seed)
    image_pairs = np.stack([images[sampled.first], images[sampled.second]], axis=1)
    return _batches(image_pairs, sampled.different, config.batch_size, seed)


def _batches(
    inputs: np.ndarray, targets: np.ndarray, batch_size: int, seed: int | None = None
) -> tf.data.Dataset:
    """Return batches; with a seed, the rows are reshuffled in each epoch."""
    import tensorflow as tf

    rows = tf.data.Dataset.from_tensor_slices((inputs, targets))
    if seed is not None:
        rows = rows.shuffle(len(inputs), seed=seed, reshuffle_each_iteration=True)
    return rows.batch(batch_size).with_options(without_autotune())


def _fit(
    model: keras.Model,
    training_steps: tf.data.Dataset,
    validation_steps: tf.data.Dataset,
    config: Config,
    end_epoch: EndEpoch,
) -> dict[str, list[float]]:
    """Train with early stopping and learning-rate reduction, as in the article; return the history."""
    import keras

    history = model.fit(
        training_steps,
        epochs=config.epochs,
        validation_data=validation_steps,
        callbacks=[
            keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: end_epoch(logs, model)),
            keras.callbacks.EarlyStopping(
                min_delta=MIN_DELTA, patience=PATIENCE, restore_best_weights=True
            ),
            keras.callbacks.ReduceLROnPlateau(min_delta=MIN_DELTA, patience=PATIENCE - 1),
        ],
        shuffle=False,  # the batches are shuffled already
        verbose=0,
    ).history
    return {name: [float(value) for value in values] for name, values in history.items()}
