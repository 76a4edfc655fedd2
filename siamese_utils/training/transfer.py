"""Study B: an encoder pretrained elsewhere learns to judge pairs of textures from a few of them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from siamese_utils.data import datasets, pairs, textures
from siamese_utils.training import cache, trainer
from siamese_utils.training.cache import TrainingResult
from siamese_utils.training.config import check_choice
from siamese_utils.training.progress import Progress
from siamese_utils.training.tasks import STUDY_THRESHOLD, without_autotune
from siamese_utils.training.trainer import TrainingOutcome

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

HELD_OUT_SHARE = 0.2  # share of the digits, as in the study: half to validate on, half to test
PAIR_SETS = ("train", "validation", "test")
VALIDATION_PAIRS, TEST_PAIRS = 50, 500
STUDY_PAIRS = 50  # that it learns from
INITIALISATIONS = ("pretrained", "scratch")
SOURCES = ("digits", "fashion-mnist")  # to pretrain on; the study's are digits
SOURCE_IMAGES = 300  # of each kind of clothes: somewhat more than of each digit
OBJECTIVES = ("contrastive", "triplet")
PATIENCE = 3  # epochs without progress before a training stops; one less lowers its rate
MIN_DELTA = 0.001  # a validation loss that falls by less has not fallen


@dataclass(frozen=True)
class Pretraining:
    """Study B's first step: to name digits, or other images where labels are plenty."""

    seed: int = 0
    epochs: int = 10
    batch: int = 128  # images
    source: str = "digits"  # a name in SOURCES

    def __post_init__(self) -> None:
        """Refuse what has no meaning. Raises ValueError."""
        check_choice("source", self.source, SOURCES)

    @property
    def label(self) -> str:
        """A short name to show while it trains."""
        return f"{self.source}, seed {self.seed}"


@dataclass(frozen=True)
class Transfer:
    """Study B's second step: to judge pairs of textures. The defaults are the study's."""

    num_pairs: int = STUDY_PAIRS
    start: str = "pretrained"
    objective: str = "contrastive"  # the triplets are of the same images
    seed: int = 0
    epochs: int = 10
    batch: int = 8  # pairs; twice as many images
    learning_rate: float = 1e-4
    margin: float = 1.0
    contrast: float = 1.0  # of the rectangles, 0..1
    source: str = "digits"  # what it was pretrained on, a name in SOURCES

    def __post_init__(self) -> None:
        """Refuse what has no meaning. Raises ValueError."""
        choices = {"start": INITIALISATIONS, "objective": OBJECTIVES, "source": SOURCES}
        for field, allowed in choices.items():
            check_choice(field, getattr(self, field), allowed)

    @property
    def pretraining(self) -> Pretraining:
        """The pretraining that it rests on, if it does not start from scratch."""
        return Pretraining(self.seed, source=self.source)

    @property
    def label(self) -> str:
        """A short name to show while it trains."""
        start = f"{self.start} on {self.source}" if self.start == "pretrained" else self.start
        contrast = "" if self.contrast == 1 else f", contrast {self.contrast:g}"
        return f"{self.num_pairs} pairs, {start}, {self.objective}, seed {self.seed}{contrast}"


def train(step: Pretraining | Transfer) -> TrainingResult:
    """Return a finished pretraining or transfer, from the store where it is there, else trained.

    A pretraining has weights, and in `record["held_out"]` its accuracy on images that it never
    saw, 0..1. A transfer has the distances of its validation and test pairs. Raises
    TrainingDivergedError where loss, weights or embeddings are no numbers.
    """

    def work() -> TrainingOutcome:
        if isinstance(step, Pretraining):
            return _pretrain(step)
        return _fine_tune(step, build_encoder(step).get_weights())

    return trainer.train_cached(step, key_of(step), work)


def key_of(step: Pretraining | Transfer) -> str:
    """Return the name of a step in the store."""
    parts, work = {"step": type(step).__name__} | asdict(step), ["_pretrain"]
    if isinstance(step, Transfer):  # it rests on the pretraining of its seed
        parts |= {"pretraining": asdict(step.pretraining)}
        work += ["_fine_tune", "build_encoder"]
    if step.source != "digits":  # those come with a package
        parts |= {"data": datasets.load(step.source, SOURCE_IMAGES).digest}
    return cache.make_key(parts, [f"training.transfer.{name}" for name in work])


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return scikit-learn's digits at 32x32: (1797, 32, 32, 1) float32 of 0..1, and their labels."""
    from scipy import ndimage
    from sklearn.datasets import load_digits as load_sklearn_digits

    digits = load_sklearn_digits()
    large = ndimage.zoom(digits.images / 16, (1, 4, 4), order=3)  # cubic, as in the study
    return np.clip(large, 0, 1).astype(np.float32)[..., np.newaxis], digits.target


def load_source(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the images to pretrain on, (images, 32, 32, 1) float32 of 0..1, and their labels."""
    if name == "digits":
        return load_digits()
    clothes = datasets.load(name, SOURCE_IMAGES)
    return resize(clothes.images), clothes.labels


def resize(images: np.ndarray) -> np.ndarray:
    """Return uint8 images of 28x28 as this study's encoder wants them: 32x32, float32 of 0..1."""
    from scipy import ndimage

    large = ndimage.zoom(images / np.float32(255), (1, 32 / 28, 32 / 28, 1), order=1)
    return np.clip(large, 0, 1)


def build_encoder(step: Transfer) -> keras.Model:
    """Return the encoder that a transfer begins with: pretrained, or from scratch."""
    import keras

    from siamese_utils.training import models

    keras.utils.set_random_seed(step.seed)
    encoder = models.build_digit_encoder()
    if step.start == "pretrained":
        encoder.set_weights(train(step.pretraining).weights)
    return encoder


def sample_pairs(step: Transfer, name: str) -> tuple[np.ndarray, np.ndarray, pairs.Pairs]:
    """Draw the set `train`, `validation` or `test` of a seed: images, their labels, pairs.

    Training, validation and test images are never the same. The last two depend on the seed and on
    the contrast alone.
    """
    place = PAIR_SETS.index(name)
    number = (step.num_pairs, VALIDATION_PAIRS, TEST_PAIRS)[place]
    return _sample(number, step.seed, place, step.contrast)


def measure_distances(encoder: keras.Model, step: Transfer) -> dict[str, np.ndarray]:
    """Return the distances of the validation and the test pairs by an encoder, (pairs,) each."""
    found = {}
    for name in PAIR_SETS[1:]:
        images, _, drawn = sample_pairs(step, name)
        embeddings = trainer.embed(encoder, images)
        found[name] = pairs.distances(embeddings, drawn)
    return found


# The two steps -------------------------------------------------------------------


def _pretrain(step: Pretraining) -> TrainingOutcome:
    """Train the encoder to name images: what was found, history, weights, no distances."""
    import keras
    from sklearn.model_selection import train_test_split

    from siamese_utils.training import models

    keras.utils.set_random_seed(step.seed)
    images, labels = load_source(step.source)
    taught, held_out = train_test_split(
        np.arange(len(labels)), test_size=HELD_OUT_SHARE, random_state=step.seed, stratify=labels
    )
    validation, test = train_test_split(
        held_out, test_size=0.5, random_state=step.seed, stratify=labels[held_out]
    )
    encoder = models.build_digit_encoder()
    classifier = keras.Sequential([encoder, keras.layers.Dense(10, activation="softmax")])
    classifier.compile(
        "rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False
    )
    history = _fit(
        classifier,
        _batches(images[taught], labels[taught], step.batch, step.seed),
        _batches(images[validation], labels[validation], step.batch),
        step,
    )
    named = classifier.predict(images[test], verbose=0).argmax(axis=1)
    held_out = {"held_out": float(np.mean(named == labels[test]))}
    return held_out, history, encoder.get_weights(), {}


def _fine_tune(step: Transfer, weights: list[np.ndarray]) -> TrainingOutcome:
    """Train on pairs of textures: nothing more, history, no weights, distances."""
    import keras

    keras.utils.set_random_seed(step.seed)
    model = _compiled(step.objective, step.margin)
    _reset(model, weights, step.learning_rate)
    drawn = {name: sample_pairs(step, name) for name in PAIR_SETS[:2]}
    history = _fit(
        model,
        _steps(step, *drawn["train"], shuffled=True),
        _steps(step, *drawn["validation"], shuffled=False),
        step,
    )
    return {}, history, [], measure_distances(_encoder_of(model), step)


# The parts of both ---------------------------------------------------------------


@functools.lru_cache(maxsize=4)  # the pairs that a seed measures with serve many trainings
def _sample(
    num_pairs: int, seed: int, place: int, contrast: float
) -> tuple[np.ndarray, np.ndarray, pairs.Pairs]:
    return textures.sample_texture_pairs(num_pairs, np.random.default_rng([seed, place]), contrast)


@functools.cache
def _compiled(objective: str, margin: float) -> keras.Model:
    """Return one compiled model for all transfers: tracing it takes longer than training it."""
    import keras

    from siamese_utils.training import losses, models

    encoder = models.build_digit_encoder()
    if objective == "triplet":
        encoder.compile("adam", losses.TripletLoss(margin), jit_compile=True)
        return encoder
    model = models.PairModel(encoder)
    accuracy = keras.metrics.BinaryAccuracy(name="accuracy", threshold=STUDY_THRESHOLD)
    model.compile("adam", losses.ContrastiveLoss(margin), metrics=[accuracy], jit_compile=True)
    return model


def _encoder_of(model: keras.Model) -> keras.Model:
    return getattr(model, "encoder", model)


def _reset(model: keras.Model, weights: Sequence[np.ndarray], learning_rate: float) -> None:
    """Give a compiled model its first weights, and an optimizer that has seen nothing."""
    _encoder_of(model).set_weights(weights)
    for variable in model.optimizer.variables:
        variable.assign(np.zeros(variable.shape, dtype=variable.dtype))
    model.optimizer.learning_rate = learning_rate


def _steps(
    step: Transfer, images: np.ndarray, labels: np.ndarray, drawn: pairs.Pairs, shuffled: bool
) -> tf.data.Dataset:
    """Return the steps of a transfer: batches of pairs, or of as many images for triplets."""
    seed = step.seed if shuffled else None
    if step.objective == "triplet":
        return _batches(images, labels, 2 * step.batch, seed)
    both = np.stack([images[drawn.first], images[drawn.second]], axis=1)
    return _batches(both, drawn.different, step.batch, seed)


def _batches(
    inputs: np.ndarray, targets: np.ndarray, size: int, shuffled: int | None = None
) -> tf.data.Dataset:
    """Return batches, in a new random order every epoch if `shuffled` is a seed."""
    import tensorflow as tf

    rows = tf.data.Dataset.from_tensor_slices((inputs, targets))
    if shuffled is not None:
        rows = rows.shuffle(len(inputs), seed=shuffled, reshuffle_each_iteration=True)
    return rows.batch(size).with_options(without_autotune())


def _fit(
    model: keras.Model,
    training_steps: tf.data.Dataset,
    validation: tf.data.Dataset,
    step: Pretraining | Transfer,
) -> dict[str, list[float]]:
    """Train with the study's two callbacks, which watch the validation loss."""
    import keras

    def end_epoch(_: int, logs: dict[str, float]) -> None:
        trainer.check_finite(step.label, logs, model)
        progress.epoch_done()

    with Progress(step.label, step.epochs) as progress:
        history = model.fit(
            training_steps,
            epochs=step.epochs,
            validation_data=validation,
            callbacks=[
                keras.callbacks.LambdaCallback(on_epoch_end=end_epoch),
                keras.callbacks.EarlyStopping(
                    min_delta=MIN_DELTA, patience=PATIENCE, restore_best_weights=True
                ),
                keras.callbacks.ReduceLROnPlateau(min_delta=MIN_DELTA, patience=PATIENCE - 1),
            ],
            shuffle=False,  # the batches come shuffled
            verbose=0,
        ).history
    return {name: [float(value) for value in values] for name, values in history.items()}
