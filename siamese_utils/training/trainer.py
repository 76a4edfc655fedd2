"""From an Experiment to a trained encoder with its history. TensorFlow is loaded to train, not to load."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from siamese_utils.data import datasets
from siamese_utils.data.dataset import Dataset, Split
from siamese_utils.training import cache
from siamese_utils.training.cache import TrainingResult
from siamese_utils.training.config import OPTIMIZERS, REGULARISATIONS, TrainingConfig
from siamese_utils.training.machine import best_precision, describe_machine
from siamese_utils.training.progress import Progress
from siamese_utils.training.tasks import TASKS, PreparedTraining

if TYPE_CHECKING:
    import keras

EMBED_BATCH = 512  # images; larger ones gain nothing and take memory
NUM_PROBE_IMAGES = 64  # validation images that a training is looked at with before it is stored
History = dict[str, list[float]]
# of a training: what its record holds beside the usual, its history, weights and distances
TrainingOutcome = tuple[dict[str, Any], History, list[np.ndarray], dict[str, np.ndarray]]


class TrainingDivergedError(Exception):
    """A training stopped being numbers; nothing was stored."""


def train_seeds(
    experiment: TrainingConfig, seeds: int, milestones: Sequence[int] = ()
) -> list[TrainingResult]:
    """Train an experiment with the seeds 0, 1, ...: each has its own split, pairs and weights."""
    return [train(replace(experiment, seed=seed), milestones) for seed in range(seeds)]


def train(experiment: TrainingConfig, milestones: Sequence[int] = ()) -> TrainingResult:
    """Return the finished training, from the store where it is there, else trained and stored.

    A long training passes through the shorter ones: with the `milestones`, numbers of epochs, the
    same experiment of so many epochs is stored on the way, as if trained by itself. On one
    processor the same experiment gives the same weights to the bit. Sets Keras's global random
    seed. Raises TrainingDivergedError where loss, weights or embeddings are no numbers.
    """
    experiment = resolve(experiment)
    lengths = {n for n in milestones if n < experiment.epochs} | {experiment.epochs}
    keys = {n: key_of(replace(experiment, epochs=n)) for n in lengths}
    stored = {n: cache.load(key) for n, key in keys.items()}
    missing = {n: key for n, key in keys.items() if stored[n] is None}
    if missing:  # no further than is needed
        for run in _train(replace(experiment, epochs=max(missing)), missing):
            stored[run.record["experiment"]["epochs"]] = run
    return stored[experiment.epochs]


def train_cached(step: Any, key: str, work: Callable[[], TrainingOutcome]) -> TrainingResult:
    """Return the finished training of a step of another kind, from the store, else trained now.

    step: a dataclass of all that shapes it; key: its name in the store; work: trains.
    """
    if run := cache.load(key):
        return run
    start = time.perf_counter()
    found, history, weights, distances = work()
    record = {"experiment": asdict(step), "seconds": round(time.perf_counter() - start, 1)}
    record |= {"precision": "float32", "machine": describe_machine(), "key": key}
    run = TrainingResult(record | found, history, weights, distances)
    cache.save(run)
    return run


def load_data(experiment: TrainingConfig) -> Dataset:
    """Return the data set of an experiment, with its seen classes."""
    return datasets.load(experiment.dataset, experiment.images_per_class, experiment.seen)


def config_of(run: TrainingResult) -> TrainingConfig:
    """Return the experiment of a run."""
    return TrainingConfig(**run.record["experiment"])


def resolve(experiment: TrainingConfig) -> TrainingConfig:
    """Replace both `auto`s by what they mean here."""
    precision = experiment.precision
    precision = best_precision() if precision == "auto" else precision
    return replace(
        experiment, precision=precision, dataset=datasets.resolve_name(experiment.dataset)
    )


def key_of(experiment: TrainingConfig) -> str:
    """Return the name of a settled experiment's training in the store.

    It digests what shapes this training: its values, its data, and the code that its objective,
    its encoder and `fit` reach. Another objective's code is not among that.
    """
    dataset = load_data(experiment)
    fields = {name: value for name, value in asdict(experiment).items() if value is not None}
    fields |= {"dataset": dataset.name}  # of a reader's own images the name that lasts
    parts = fields | {"data": dataset.digest, "split": dataset.split(experiment.seed).digest}
    parts |= {"encoder": asdict(REGULARISATIONS[experiment.model])}
    parts |= {"optimizer": OPTIMIZERS[experiment.optimizer]}
    objective = f"training.tasks.{TASKS[experiment.objective].__name__}"
    return cache.make_key(
        parts, [objective, "training.trainer._build_seeded_encoder", "training.trainer.fit"]
    )


def rebuild_encoder(run: TrainingResult, image_shape: tuple[int, ...]) -> keras.Model:
    """Return the trained encoder of a run."""
    from siamese_utils.training import models

    experiment = config_of(run)
    encoder = models.build_encoder(experiment.model, image_shape, experiment.precision)
    encoder.set_weights(run.weights)
    return encoder


def build_untrained_encoder(model: str, seed: int, image_shape: tuple[int, ...]) -> keras.Model:
    """Return the encoder with the weights that a training of that seed begins with."""
    import keras

    from siamese_utils.training import models

    keras.utils.set_random_seed(seed)
    return models.build_encoder(model, image_shape)


def embed(encoder: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return the embeddings of images: (images, h, w, c) -> (images, dimensions) float32.

    Raises TrainingDivergedError where they are no numbers.
    """
    embeddings = encoder.predict(images, batch_size=EMBED_BATCH, verbose=0)
    if not np.isfinite(embeddings).all():
        raise TrainingDivergedError(f"{encoder.name}: its embeddings are no numbers")
    return embeddings


def prepare(
    experiment: TrainingConfig, encoder: keras.Model, dataset: Dataset, split: Split
) -> PreparedTraining:
    """Return what `fit` wants: the compiled model of the objective, and its steps."""
    return TASKS[experiment.objective](experiment, encoder, dataset, split)


def fit(
    prepared: PreparedTraining, epochs: int, after_epoch: Callable[[dict[str, float]], Any]
) -> None:
    """Train the encoder in a model; `after_epoch` is called with what Keras measured in each."""
    import keras

    model, train_steps, validation_steps = prepared
    steps = len(train_steps) // epochs
    # fewer returns to Python; it must divide the steps, or an epoch would run over its end
    model.steps_per_execution = max(n for n in range(1, min(steps, 200) + 1) if steps % n == 0)
    model.fit(
        train_steps,
        epochs=epochs,
        steps_per_epoch=steps,
        validation_data=validation_steps,
        callbacks=[
            keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: after_epoch(logs)),
            keras.callbacks.TerminateOnNaN(),
        ],
        shuffle=False,  # the steps come shuffled
        verbose=0,
    )


def _train(experiment: TrainingConfig, keys: dict[int, str]) -> list[TrainingResult]:
    """Train, and store and return the runs of the lengths asked for."""
    start = time.perf_counter()
    dataset = load_data(experiment)
    split = dataset.split(experiment.seed)
    encoder = _build_seeded_encoder(experiment, dataset)
    probe = dataset.images[split.validation[:NUM_PROBE_IMAGES]]
    history: History = {}
    runs = []

    def end_epoch(logs: dict[str, float]) -> None:
        for name, value in logs.items():
            history.setdefault(name, []).append(float(value))
        check_finite(experiment.label, logs, encoder)
        progress.epoch_done()
        epochs = len(history["loss"])
        if epochs in keys:
            embed(encoder, probe)  # raises where it diverged
            finished = replace(experiment, epochs=epochs)
            record = _record(finished, encoder, dataset, start) | {"key": keys[epochs]}
            so_far = {name: list(values) for name, values in history.items()}
            runs.append(TrainingResult(record, so_far, encoder.get_weights()))
            cache.save(runs[-1])

    with Progress(experiment.label, experiment.epochs) as progress:
        prepared = prepare(experiment, encoder, dataset, split)
        _build_variables(prepared)
        fit(prepared, experiment.epochs, end_epoch)
    return runs


def _build_variables(prepared: PreparedTraining) -> None:
    """Make the variables of model and optimizer.

    `fit` would make them while it traces its step: it would trace twice, and free the first never.
    """
    model, train_steps, _ = prepared
    for inputs, _ in train_steps.take(1):
        model(inputs)
    model.optimizer.build(model.trainable_variables)


def _build_seeded_encoder(experiment: TrainingConfig, dataset: Dataset) -> keras.Model:
    """Seed everything and return the encoder before its first step."""
    import keras
    import tensorflow as tf

    from siamese_utils.training import models

    keras.utils.set_random_seed(experiment.seed)
    if tf.config.list_physical_devices("GPU"):  # a CPU is deterministic by itself
        tf.config.experimental.enable_op_determinism()
    return models.build_encoder(experiment.model, dataset.images.shape[1:], experiment.precision)


def check_finite(label: str, logs: dict[str, float], encoder: keras.Model) -> None:
    """Raise TrainingDivergedError where a loss or a weight is no number.

    The loss alone does not tell: ReLU turns what is no number into 0.
    """
    if not np.isfinite(list(logs.values())).all():
        raise TrainingDivergedError(f"{label}: the loss is no number any more")
    if not all(np.isfinite(weight).all() for weight in encoder.get_weights()):
        raise TrainingDivergedError(f"{label}: the weights are no numbers any more")


def _record(
    experiment: TrainingConfig, encoder: keras.Model, dataset: Dataset, start: float
) -> dict[str, Any]:
    return {
        "experiment": asdict(experiment),
        "parameters": encoder.count_params(),
        "seconds": round(time.perf_counter() - start, 1),
        "data": dataset.digest,
        "precision": experiment.precision,
        "machine": describe_machine(),
    }
