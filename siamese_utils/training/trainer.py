"""The one way to train: cache look-up, seeds, divergence check, progress, record and storing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np

from siamese_utils.training import cache
from siamese_utils.training.cache import TrainingResult
from siamese_utils.training.config import Config, EndEpoch, Fitted
from siamese_utils.training.machine import describe_machine
from siamese_utils.training.progress import Progress

if TYPE_CHECKING:
    import keras

EMBED_BATCH = 512  # images; larger batches gain nothing and take memory
NUM_PROBE_IMAGES = 64  # whose embeddings are checked before a result is stored


class TrainingDivergedError(Exception):
    """A loss, weight or embedding is not finite; nothing was stored."""


def train_seeds(config: Config, seeds: int, milestones: Sequence[int] = ()) -> list[TrainingResult]:
    """Train a config with the seeds 0, 1, ...; each has its own split, pairs and weights."""
    return [train(replace(config, seed=seed), milestones) for seed in range(seeds)]


def train(config: Config, milestones: Sequence[int] = ()) -> TrainingResult:
    """Return a finished training run: from the cache if it is there, otherwise trained and stored.

    On one machine, the same config gives the same weights to the bit. Sets Keras's global seed.

    Args:
        config: What to train.
        milestones: Numbers of epochs. A long run passes through shorter ones: the same config with
            fewer epochs is stored on the way, as if it had been trained by itself.

    Returns:
        The result.

    Raises:
        TrainingDivergedError: A loss, weight or embedding is not finite.
    """
    config = config.resolve()
    lengths = sorted({n for n in milestones if n < config.epochs} | {config.epochs})
    configs = {n: config if n == config.epochs else replace(config, epochs=n) for n in lengths}
    results = {n: cache.load(c.key()) for n, c in configs.items()}
    missing = [n for n in lengths if results[n] is None]
    if missing:
        longest, start = configs[missing[-1]], time.perf_counter()
        history: dict[str, list[float]] = {}

        def after_epoch(logs: dict[str, float], encoder: keras.Model) -> None:
            for name, value in logs.items():
                history.setdefault(name, []).append(float(value))
            epochs = len(history["loss"])
            if epochs in missing[:-1]:
                so_far = {name: list(values) for name, values in history.items()}
                results[epochs] = _store(configs[epochs], Fitted(encoder, so_far), start)

        fitted = run_fit(longest, longest.fit, after_epoch)
        results[missing[-1]] = _store(longest, fitted, start)
    return results[config.epochs]


def run_fit(
    config: Config, fit: Callable[[EndEpoch], Fitted], after_epoch: EndEpoch | None = None
) -> Fitted:
    """Run a fit with progress and divergence checks, and return what it produced.

    Args:
        config: Names the run in the progress display.
        fit: Trains; calls its argument after each epoch.
        after_epoch: Called after each epoch that was finite.

    Raises:
        TrainingDivergedError: A loss or weight is not finite.
    """
    with Progress(config.label, config.epochs) as progress:

        def end_epoch(logs: dict[str, float], encoder: keras.Model) -> None:
            check_finite(config.label, logs, encoder)
            progress.epoch_done()
            if after_epoch:
                after_epoch(logs, encoder)

        return fit(end_epoch)


def seed_everything(seed: int) -> None:
    """Seed Keras, NumPy and Python, and make operations on a GPU deterministic."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    if tf.config.list_physical_devices("GPU"):  # a CPU is deterministic anyway
        tf.config.experimental.enable_op_determinism()


def rebuild_encoder(
    config: Config, result: TrainingResult, image_shape: tuple[int, ...]
) -> keras.Model:
    """Return the trained encoder of a result, for images of shape (height, width, channels)."""
    encoder = config.build_encoder(image_shape)
    encoder.set_weights(result.weights)
    return encoder


def embed(encoder: keras.Model, images: np.ndarray) -> np.ndarray:
    """Compute embeddings.

    Args:
        encoder: From images to embeddings.
        images: (images, height, width, channels).

    Returns:
        (images, dimensions) float32.

    Raises:
        TrainingDivergedError: An embedding is not finite.
    """
    embeddings = encoder.predict(images, batch_size=EMBED_BATCH, verbose=0)
    if not np.isfinite(embeddings).all():
        raise TrainingDivergedError(f"{encoder.name}: its embeddings are not finite")
    return embeddings


def check_finite(label: str, logs: dict[str, float], encoder: keras.Model) -> None:
    """Raise TrainingDivergedError if a loss or a weight is not finite.

    The loss alone does not tell: ReLU turns NaN into 0.
    """
    if not np.isfinite(list(logs.values())).all():
        raise TrainingDivergedError(f"{label}: the loss is not finite")
    if not all(np.isfinite(weight).all() for weight in encoder.get_weights()):
        raise TrainingDivergedError(f"{label}: the weights are not finite")


def _store(config: Config, fitted: Fitted, start: float) -> TrainingResult:
    """Store what a fit produced, and return it."""
    embed(fitted.encoder, config.probe_images())  # raises an error if they are not finite
    record = {
        "config": asdict(config),
        "kind": config.kind,
        "seconds": round(time.perf_counter() - start, 1),
        "precision": config.dtype_policy,
        "machine": describe_machine(),
        "key": config.key(),
    }
    record |= config.facts(fitted.encoder)
    weights = fitted.encoder.get_weights() if fitted.keeps_weights else []
    result = TrainingResult(record | fitted.record, fitted.history, weights, fitted.distances)
    cache.save(result)
    return result
