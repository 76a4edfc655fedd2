"""Study B: an encoder pretrained on digits learns to judge pairs of textures from a few of them."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache, lru_cache

import keras
import numpy as np
import scipy
import sklearn
import tensorflow as tf
from scipy import ndimage
from sklearn import datasets
from sklearn.model_selection import train_test_split

from siamese_utils import evaluation, losses, models, pairs, runs, textures, training
from siamese_utils.progress import Progress
from siamese_utils.runs import Run

HELD_OUT = 0.2  # share of the digits, as in the study: half to validate on, half to test
PAIR_SETS = ("train", "validation", "test")
VALIDATION_PAIRS, TEST_PAIRS = 50, 500
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


@dataclass(frozen=True)
class Transfer:
    """Study B's second step: to judge pairs of textures. The defaults are the study's."""

    num_pairs: int = 50
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
            if getattr(self, field) not in allowed:
                given = getattr(self, field)
                raise ValueError(f"unknown {field} {given!r}; choose one of {', '.join(allowed)}")


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return scikit-learn's digits at 32x32: (1797, 32, 32, 1) float32 of 0..1, and their labels."""
    digits = datasets.load_digits()
    large = ndimage.zoom(digits.images / 16, (1, 4, 4), order=3)  # cubic, as in the study
    return np.clip(large, 0, 1).astype(np.float32)[..., np.newaxis], digits.target


def resize(images: np.ndarray) -> np.ndarray:
    """Return uint8 images of 28x28 as this study's encoder wants them: 32x32, float32 of 0..1."""
    large = ndimage.zoom(images / np.float32(255), (1, 32 / 28, 32 / 28, 1), order=1)
    return np.clip(large, 0, 1)


def pretrain(plan: Pretraining) -> Run:
    """Return the trained encoder of digits, from the store where it is there, else trained.

    `record["held_out"]` is its accuracy on digits that it never saw, 0..1.
    """
    key = _make_key(plan)
    if run := runs.load(key):
        return run
    start = time.perf_counter()
    keras.utils.set_random_seed(plan.seed)
    images, labels = load_digits()
    train, held_out = train_test_split(
        np.arange(len(labels)), test_size=HELD_OUT, random_state=plan.seed, stratify=labels
    )
    validation, test = train_test_split(
        held_out, test_size=0.5, random_state=plan.seed, stratify=labels[held_out]
    )
    encoder = models.build_digit_encoder()
    classifier = keras.Sequential([encoder, keras.layers.Dense(10, activation="softmax")])
    classifier.compile(
        "rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False
    )
    history = _fit(
        classifier,
        _batches(images[train], labels[train], plan.batch, plan.seed),
        _batches(images[validation], labels[validation], plan.batch),
        plan.epochs,
        f"digits, seed {plan.seed}",
    )
    named = classifier.predict(images[test], verbose=0).argmax(axis=1)
    accuracy = float(np.mean(named == labels[test]))
    run = Run(_record(plan, start) | {"held_out": accuracy}, history, encoder.get_weights(), {})
    runs.save(key, run)
    return run


def fine_tune(plan: Transfer) -> Run:
    """Return a fine-tuning with the distances of its validation and test pairs, trained or stored.

    Its images are of its seed alone: training, validation and test images are never the same.
    """
    key = _make_key(plan)
    if run := runs.load(key):
        return run
    start = time.perf_counter()
    keras.utils.set_random_seed(plan.seed)
    model = _compiled(plan.objective, plan.margin)
    _start_anew(model, start_weights(plan.start, plan.seed), plan.learning_rate)
    drawn = {name: draw_pairs(plan, name) for name in ("train", "validation")}
    label = f"{plan.num_pairs} pairs, {plan.start}, {plan.objective}, seed {plan.seed}"
    history = _fit(
        model,
        _steps(plan, *drawn["train"], shuffled=True),
        _steps(plan, *drawn["validation"], shuffled=False),
        plan.epochs,
        label,
    )
    encoder = _encoder_of(model)
    distances = {name: measure(encoder, plan, name) for name in PAIR_SETS[1:]}
    run = Run(_record(plan, start), history, [], distances)
    runs.save(key, run)
    return run


def start_weights(start: str, seed: int) -> list[np.ndarray]:
    """Return the weights that a transfer begins with: pretrained, or fresh from scratch."""
    if start == "pretrained":
        return pretrain(Pretraining(seed)).weights
    keras.utils.set_random_seed(seed)
    return models.build_digit_encoder().get_weights()


def rebuild_encoder(weights: Sequence[np.ndarray]) -> keras.Model:
    """Return Study B's encoder with these weights."""
    encoder = models.build_digit_encoder()
    encoder.set_weights(weights)
    return encoder


def draw_pairs(plan: Transfer, name: str) -> tuple[np.ndarray, np.ndarray, pairs.Pairs]:
    """Draw the set `train`, `validation` or `test` of a seed: images, their labels, pairs.

    Only the first depends on anything but the seed.
    """
    place = PAIR_SETS.index(name)
    return _draw((plan.num_pairs, VALIDATION_PAIRS, TEST_PAIRS)[place], plan.seed, place)


def measure(encoder: keras.Model, plan: Transfer, name: str) -> np.ndarray:
    """Return the distances of the pairs of a set, (pairs,)."""
    images, _, drawn = draw_pairs(plan, name)
    embeddings = training.embed(encoder, images)
    found = losses.euclidean_distance(embeddings[drawn.first], embeddings[drawn.second])
    return np.asarray(found)


def distances_without_pairs(seed: int) -> dict[str, dict[str, np.ndarray]]:
    """Return the distances of a seed's pairs by what has learned from no pair: name -> set -> (pairs,)."""
    found: dict[str, dict[str, np.ndarray]] = {}
    encoder = _encoder_of(_compiled("contrastive", 1.0))  # its weights are set anew for each use
    for name, start in (("pretrained, frozen", "pretrained"), ("untrained encoder", "scratch")):
        encoder.set_weights(start_weights(start, seed))
        plan = Transfer(seed=seed)
        found[name] = {pair_set: measure(encoder, plan, pair_set) for pair_set in PAIR_SETS[1:]}
    found["raw pixels"] = {}
    for pair_set in PAIR_SETS[1:]:
        images, _, drawn = draw_pairs(plan, pair_set)
        flat = images.reshape(len(images), -1)
        gap = flat[drawn.first] - flat[drawn.second]
        found["raw pixels"][pair_set] = np.linalg.norm(gap, axis=1)
    return found


def judge(distances: dict[str, np.ndarray], seed: int) -> dict[str, float]:
    """Return the accuracy on a seed's test pairs, in %, at 0.5 and tuned on validation, and the AUC."""
    plan = Transfer(seed=seed)
    different = {name: draw_pairs(plan, name)[2].different for name in PAIR_SETS[1:]}
    threshold = evaluation.best_threshold(distances["validation"], different["validation"])
    tested = distances["test"], different["test"]
    return {
        "accuracy, 0.5": 100 * evaluation.accuracy(*tested, training.STUDY_THRESHOLD),
        "accuracy, tuned": 100 * evaluation.accuracy(*tested, threshold),
        "AUC": evaluation.roc_auc(*tested),
    }


# The parts of both ---------------------------------------------------------------


@lru_cache(maxsize=4)  # the pairs that a seed measures with serve many trainings
def _draw(num_pairs: int, seed: int, place: int) -> tuple[np.ndarray, np.ndarray, pairs.Pairs]:
    return textures.draw_texture_pairs(num_pairs, np.random.default_rng([seed, place]))


@cache
def _compiled(objective: str, margin: float) -> keras.Model:
    """Return one compiled model for all transfers: tracing it takes longer than training it."""
    encoder = models.build_digit_encoder()
    if objective == "triplet":
        encoder.compile("adam", losses.TripletLoss(margin), jit_compile=True)
        return encoder
    model = models.PairModel(encoder)
    accuracy = keras.metrics.BinaryAccuracy(name="accuracy", threshold=training.STUDY_THRESHOLD)
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
    plan: Transfer, images: np.ndarray, labels: np.ndarray, drawn: pairs.Pairs, shuffled: bool
) -> tf.data.Dataset:
    """Return the steps of a transfer: batches of pairs, or of as many images for triplets."""
    seed = plan.seed if shuffled else None
    if plan.objective == "triplet":
        return _batches(images, labels, 2 * plan.batch, seed)
    both = np.stack([images[drawn.first], images[drawn.second]], axis=1)
    return _batches(both, drawn.different, plan.batch, seed)


def _batches(
    inputs: np.ndarray, targets: np.ndarray, size: int, shuffled: int | None = None
) -> tf.data.Dataset:
    """Return batches, in a new random order every epoch if `shuffled` is a seed."""
    rows = tf.data.Dataset.from_tensor_slices((inputs, targets))
    if shuffled is not None:
        rows = rows.shuffle(len(inputs), seed=shuffled, reshuffle_each_iteration=True)
    return rows.batch(size).with_options(training.without_tuning())


def _fit(
    model: keras.Model, train: tf.data.Dataset, validation: tf.data.Dataset, epochs: int, label: str
) -> dict[str, list[float]]:
    """Train with the study's two callbacks, which watch the validation loss."""
    with Progress(label, epochs) as progress:
        history = model.fit(
            train,
            epochs=epochs,
            validation_data=validation,
            callbacks=[
                keras.callbacks.EarlyStopping(
                    min_delta=PROGRESS, patience=PATIENCE, restore_best_weights=True
                ),
                keras.callbacks.ReduceLROnPlateau(min_delta=PROGRESS, patience=PATIENCE - 1),
                keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: progress.epoch_done()),
            ],
            shuffle=False,  # the batches come shuffled
            verbose=0,
        ).history
    return {name: [float(value) for value in values] for name, values in history.items()}


def _record(plan: Pretraining | Transfer, start: float) -> dict[str, object]:
    seconds = round(time.perf_counter() - start, 1)
    record = {"experiment": asdict(plan), "seconds": seconds, "sources": _sources()}
    return record | {"precision": "float32", "machine": training.describe_machine()}


def _make_key(plan: Pretraining | Transfer) -> str:
    libraries = (tf, keras, np, scipy, sklearn)
    versions = {library.__name__: library.__version__ for library in libraries}
    parts = {"study": "B", "step": type(plan).__name__, "plan": asdict(plan)}
    return runs.make_key(parts | {"sources": _sources(), "versions": versions})


@cache
def _sources() -> str:
    import siamese_utils.transfer as this_module

    return runs.source_digest([pairs, losses, models, training, textures, this_module])
