"""Study B: an encoder pretrained on digits learns to judge pairs of textures from a few of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from siamese_utils.images import pairs, textures
from siamese_utils.learning import store, training
from siamese_utils.learning.experiment import refuse_unknown
from siamese_utils.learning.objectives import STUDY_THRESHOLD, without_tuning
from siamese_utils.learning.progress import Progress
from siamese_utils.learning.store import Run
from siamese_utils.learning.training import Found

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

HELD_OUT = 0.2  # share of the digits, as in the study: half to validate on, half to test
PAIR_SETS = ("train", "validation", "test")
VALIDATION_PAIRS, TEST_PAIRS = 50, 500
STUDY_PAIRS = 50  # that it learns from
STARTS = ("pretrained", "scratch")
OBJECTIVES = ("contrastive", "triplet")
PATIENCE = 3  # epochs without progress before a training stops; one less lowers its rate
PROGRESS = 0.001  # a validation loss that falls by less has not fallen


@dataclass(frozen=True)
class Pretraining:
    """Study B's first step: to name digits."""

    seed: int = 0
    epochs: int = 10
    batch: int = 128  # images

    @property
    def label(self) -> str:
        """A short name to show while it trains."""
        return f"digits, seed {self.seed}"


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

    def __post_init__(self) -> None:
        """Refuse what has no meaning. Raises ValueError."""
        for field, allowed in (("start", STARTS), ("objective", OBJECTIVES)):
            refuse_unknown(field, getattr(self, field), allowed)

    @property
    def label(self) -> str:
        """A short name to show while it trains."""
        return f"{self.num_pairs} pairs, {self.start}, {self.objective}, seed {self.seed}"


def train(step: Pretraining | Transfer) -> Run:
    """Return a finished pretraining or transfer, from the store where it is there, else trained.

    A pretraining has weights, and in `record["held_out"]` its accuracy on digits that it never
    saw, 0..1. A transfer has the distances of its validation and test pairs. Raises
    TrainingDivergedError where loss, weights or embeddings are no numbers.
    """

    def work() -> Found:
        if isinstance(step, Pretraining):
            return _pretrain(step)
        return _fine_tune(step, build_encoder(step.start, step.seed).get_weights())

    return training.once(step, key_of(step), work)


def key_of(step: Pretraining | Transfer) -> str:
    """Return the name of a step in the store."""
    parts, work = {"step": type(step).__name__} | asdict(step), ["_pretrain"]
    if isinstance(step, Transfer):  # it rests on the pretraining of its seed
        parts |= {"pretraining": asdict(Pretraining(step.seed))}
        work.append("_fine_tune")
    return store.make_key(parts, [f"learning.transfer.{name}" for name in work])


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return scikit-learn's digits at 32x32: (1797, 32, 32, 1) float32 of 0..1, and their labels."""
    from scipy import ndimage
    from sklearn import datasets

    digits = datasets.load_digits()
    large = ndimage.zoom(digits.images / 16, (1, 4, 4), order=3)  # cubic, as in the study
    return np.clip(large, 0, 1).astype(np.float32)[..., np.newaxis], digits.target


def resize(images: np.ndarray) -> np.ndarray:
    """Return uint8 images of 28x28 as this study's encoder wants them: 32x32, float32 of 0..1."""
    from scipy import ndimage

    large = ndimage.zoom(images / np.float32(255), (1, 32 / 28, 32 / 28, 1), order=1)
    return np.clip(large, 0, 1)


def build_encoder(start: str, seed: int) -> keras.Model:
    """Return the encoder that a transfer begins with: pretrained, or from scratch."""
    import keras

    from siamese_utils.learning import models

    keras.utils.set_random_seed(seed)
    encoder = models.build_digit_encoder()
    if start == "pretrained":
        encoder.set_weights(train(Pretraining(seed)).weights)
    return encoder


def draw_pairs(step: Transfer, name: str) -> tuple[np.ndarray, np.ndarray, pairs.Pairs]:
    """Draw the set `train`, `validation` or `test` of a seed: images, their labels, pairs.

    Training, validation and test images are never the same. Only the first set depends on anything
    but the seed.
    """
    place = PAIR_SETS.index(name)
    return _draw((step.num_pairs, VALIDATION_PAIRS, TEST_PAIRS)[place], step.seed, place)


def measure_distances(encoder: keras.Model, step: Transfer) -> dict[str, np.ndarray]:
    """Return the distances of the validation and the test pairs by an encoder, (pairs,) each."""
    found = {}
    for name in PAIR_SETS[1:]:
        images, _, drawn = draw_pairs(step, name)
        embeddings = training.embed(encoder, images)
        found[name] = pairs.distances(embeddings, drawn)
    return found


# The two steps -------------------------------------------------------------------


def _pretrain(step: Pretraining) -> Found:
    """Train the encoder to name digits: what was found, history, weights, no distances."""
    import keras
    from sklearn.model_selection import train_test_split

    from siamese_utils.learning import models

    keras.utils.set_random_seed(step.seed)
    images, labels = load_digits()
    taught, held_out = train_test_split(
        np.arange(len(labels)), test_size=HELD_OUT, random_state=step.seed, stratify=labels
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


def _fine_tune(step: Transfer, weights: list[np.ndarray]) -> Found:
    """Train on pairs of textures: nothing more, history, no weights, distances."""
    import keras

    keras.utils.set_random_seed(step.seed)
    model = _compiled(step.objective, step.margin)
    _start_anew(model, weights, step.learning_rate)
    drawn = {name: draw_pairs(step, name) for name in PAIR_SETS[:2]}
    history = _fit(
        model,
        _steps(step, *drawn["train"], shuffled=True),
        _steps(step, *drawn["validation"], shuffled=False),
        step,
    )
    return {}, history, [], measure_distances(_encoder_of(model), step)


# The parts of both ---------------------------------------------------------------


@lru_cache(maxsize=4)  # the pairs that a seed measures with serve many trainings
def _draw(num_pairs: int, seed: int, place: int) -> tuple[np.ndarray, np.ndarray, pairs.Pairs]:
    return textures.draw_texture_pairs(num_pairs, np.random.default_rng([seed, place]))


@cache
def _compiled(objective: str, margin: float) -> keras.Model:
    """Return one compiled model for all transfers: tracing it takes longer than training it."""
    import keras

    from siamese_utils.learning import losses, models

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


def _start_anew(model: keras.Model, weights: Sequence[np.ndarray], learning_rate: float) -> None:
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
    return rows.batch(size).with_options(without_tuning())


def _fit(
    model: keras.Model,
    training_steps: tf.data.Dataset,
    validation: tf.data.Dataset,
    step: Pretraining | Transfer,
) -> dict[str, list[float]]:
    """Train with the study's two callbacks, which watch the validation loss."""
    import keras

    def end_epoch(_: int, logs: dict[str, float]) -> None:
        training.refuse_divergence(step.label, logs, model)
        progress.epoch_done()

    with Progress(step.label, step.epochs) as progress:
        history = model.fit(
            training_steps,
            epochs=step.epochs,
            validation_data=validation,
            callbacks=[
                keras.callbacks.LambdaCallback(on_epoch_end=end_epoch),
                keras.callbacks.EarlyStopping(
                    min_delta=PROGRESS, patience=PATIENCE, restore_best_weights=True
                ),
                keras.callbacks.ReduceLROnPlateau(min_delta=PROGRESS, patience=PATIENCE - 1),
            ],
            shuffle=False,  # the batches come shuffled
            verbose=0,
        ).history
    return {name: [float(value) for value in values] for name, values in history.items()}
