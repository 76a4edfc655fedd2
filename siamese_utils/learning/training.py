"""From an Experiment to a trained encoder with its history. TensorFlow is loaded to train, not to load."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from siamese_utils.images import sources
from siamese_utils.images.dataset import Dataset, Split
from siamese_utils.learning import store
from siamese_utils.learning.experiment import MODELS, OPTIMIZERS, Experiment
from siamese_utils.learning.machine import best_precision, describe_machine
from siamese_utils.learning.objectives import OBJECTIVES, Prepared
from siamese_utils.learning.progress import Progress
from siamese_utils.learning.store import Run

if TYPE_CHECKING:
    import keras

EMBED_BATCH = 512  # images; larger ones gain nothing and take memory
PROBE = 64  # validation images that a training is looked at with before it is stored
History = dict[str, list[float]]
# of a training: what its record holds beside the usual, its history, weights and distances
Found = tuple[dict[str, Any], History, list[np.ndarray], dict[str, np.ndarray]]


class TrainingDivergedError(Exception):
    """A training stopped being numbers; nothing was stored."""


def train_seeds(experiment: Experiment, seeds: int, milestones: Sequence[int] = ()) -> list[Run]:
    """Train an experiment with the seeds 0, 1, ...: each has its own split, pairs and weights."""
    return [train(replace(experiment, seed=seed), milestones) for seed in range(seeds)]


def train(experiment: Experiment, milestones: Sequence[int] = ()) -> Run:
    """Return the finished training, from the store where it is there, else trained and stored.

    A long training passes through the shorter ones: with the `milestones`, numbers of epochs, the
    same experiment of so many epochs is stored on the way, as if trained by itself. On one
    processor the same experiment gives the same weights to the bit. Sets Keras's global random
    seed. Raises TrainingDivergedError where loss, weights or embeddings are no numbers.
    """
    experiment = settle(experiment)
    lengths = {n for n in milestones if n < experiment.epochs} | {experiment.epochs}
    keys = {n: key_of(replace(experiment, epochs=n)) for n in lengths}
    stored = {n: store.load(key) for n, key in keys.items()}
    missing = {n: key for n, key in keys.items() if stored[n] is None}
    if missing:  # no further than is needed
        for run in _train(replace(experiment, epochs=max(missing)), missing):
            stored[run.record["experiment"]["epochs"]] = run
    return stored[experiment.epochs]


def once(step: Any, key: str, work: Callable[[], Found]) -> Run:
    """Return the finished training of a step of another kind, from the store, else trained now.

    step: a dataclass of all that shapes it; key: its name in the store; work: trains.
    """
    if run := store.load(key):
        return run
    start = time.perf_counter()
    found, history, weights, distances = work()
    record = {"experiment": asdict(step), "seconds": round(time.perf_counter() - start, 1)}
    record |= {"precision": "float32", "machine": describe_machine(), "key": key}
    run = Run(record | found, history, weights, distances)
    store.save(run)
    return run


def load_data(experiment: Experiment) -> Dataset:
    """Return the data set of an experiment, with its seen classes."""
    return sources.load(experiment.dataset, experiment.images_per_class, experiment.seen)


def experiment_of(run: Run) -> Experiment:
    """Return the experiment of a run."""
    return Experiment(**run.record["experiment"])


def settle(experiment: Experiment) -> Experiment:
    """Replace both `auto`s by what they mean here."""
    precision = experiment.precision
    precision = best_precision() if precision == "auto" else precision
    return replace(experiment, precision=precision, dataset=sources.resolve(experiment.dataset))


def key_of(experiment: Experiment) -> str:
    """Return the name of a settled experiment's training in the store.

    It digests what shapes this training: its values, its data, and the code that its objective,
    its encoder and `fit` reach. Another objective's code is not among that.
    """
    dataset = load_data(experiment)
    fields = {name: value for name, value in asdict(experiment).items() if value is not None}
    fields |= {"dataset": dataset.name}  # of a reader's own images the name that lasts
    parts = fields | {"data": dataset.digest, "split": dataset.split(experiment.seed).digest}
    parts |= {"encoder": asdict(MODELS[experiment.model])}
    parts |= {"optimizer": OPTIMIZERS[experiment.optimizer]}
    objective = f"learning.objectives.{OBJECTIVES[experiment.objective].__name__}"
    return store.make_key(parts, [objective, "learning.training._begin", "learning.training.fit"])


def rebuild_encoder(run: Run, image_shape: tuple[int, ...]) -> keras.Model:
    """Return the trained encoder of a run."""
    from siamese_utils.learning import models

    experiment = experiment_of(run)
    encoder = models.build_encoder(experiment.model, image_shape, experiment.precision)
    encoder.set_weights(run.weights)
    return encoder


def untrained_encoder(model: str, seed: int, image_shape: tuple[int, ...]) -> keras.Model:
    """Return the encoder with the weights that a training of that seed begins with."""
    import keras

    from siamese_utils.learning import models

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
    experiment: Experiment, encoder: keras.Model, dataset: Dataset, split: Split
) -> Prepared:
    """Return what `fit` wants: the compiled model of the objective, and its steps."""
    return OBJECTIVES[experiment.objective](experiment, encoder, dataset, split)


def fit(prepared: Prepared, epochs: int, after_epoch: Callable[[dict[str, float]], Any]) -> None:
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


def _train(experiment: Experiment, keys: dict[int, str]) -> list[Run]:
    """Train, and store and return the runs of the lengths asked for."""
    start = time.perf_counter()
    dataset = load_data(experiment)
    split = dataset.split(experiment.seed)
    encoder = _begin(experiment, dataset)
    probe = dataset.images[split.validation[:PROBE]]
    history: History = {}
    runs = []

    def end_epoch(logs: dict[str, float]) -> None:
        for name, value in logs.items():
            history.setdefault(name, []).append(float(value))
        refuse_divergence(experiment.label, logs, encoder)
        progress.epoch_done()
        epochs = len(history["loss"])
        if epochs in keys:
            embed(encoder, probe)  # raises where it diverged
            finished = replace(experiment, epochs=epochs)
            record = _record(finished, encoder, dataset, start) | {"key": keys[epochs]}
            so_far = {name: list(values) for name, values in history.items()}
            runs.append(Run(record, so_far, encoder.get_weights()))
            store.save(runs[-1])

    with Progress(experiment.label, experiment.epochs) as progress:
        prepared = prepare(experiment, encoder, dataset, split)
        _make_variables(prepared)
        fit(prepared, experiment.epochs, end_epoch)
    return runs


def _make_variables(prepared: Prepared) -> None:
    """Make the variables of model and optimizer.

    `fit` would make them while it traces its step: it would trace twice, and free the first never.
    """
    model, train_steps, _ = prepared
    for inputs, _ in train_steps.take(1):
        model(inputs)
    model.optimizer.build(model.trainable_variables)


def _begin(experiment: Experiment, dataset: Dataset) -> keras.Model:
    """Seed everything and return the encoder before its first step."""
    import keras
    import tensorflow as tf

    from siamese_utils.learning import models

    keras.utils.set_random_seed(experiment.seed)
    if tf.config.list_physical_devices("GPU"):  # a CPU is deterministic by itself
        tf.config.experimental.enable_op_determinism()
    return models.build_encoder(experiment.model, dataset.images.shape[1:], experiment.precision)


def refuse_divergence(label: str, logs: dict[str, float], encoder: keras.Model) -> None:
    """Raise TrainingDivergedError where a loss or a weight is no number.

    The loss alone does not tell: ReLU turns what is no number into 0.
    """
    if not np.isfinite(list(logs.values())).all():
        raise TrainingDivergedError(f"{label}: the loss is no number any more")
    if not all(np.isfinite(weight).all() for weight in encoder.get_weights()):
        raise TrainingDivergedError(f"{label}: the weights are no numbers any more")


def _record(
    experiment: Experiment, encoder: keras.Model, dataset: Dataset, start: float
) -> dict[str, Any]:
    return {
        "experiment": asdict(experiment),
        "parameters": encoder.count_params(),
        "seconds": round(time.perf_counter() - start, 1),
        "data": dataset.digest,
        "precision": experiment.precision,
        "machine": describe_machine(),
    }
