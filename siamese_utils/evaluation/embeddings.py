"""Cached embeddings of selected images; reading them from the cache needs no TensorFlow."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from siamese_utils.data.dataset import Dataset
from siamese_utils.evaluation import geometry, pair_distances
from siamese_utils.evaluation.intervals import measurement
from siamese_utils.training import cache, pair_training, trainer, transfer
from siamese_utils.training.cache import Arrays, TrainingResult
from siamese_utils.training.encoders import ENCODERS, code_of
from siamese_utils.training.pair_training import TrainingConfig
from siamese_utils.training.transfer import TransferConfig


def of_trained(result: TrainingResult, dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Compute a trained encoder's embeddings of the images at `rows`: (rows, 128) float32."""

    def compute() -> Arrays:
        config = pair_training.config_of(result)
        encoder = trainer.rebuild_encoder(config, result, dataset.images.shape[1:])
        return {"embeddings": trainer.embed(encoder, dataset.images[rows])}

    parts = {"embeddings": result.key, "weights": result.digest, "data": dataset.digest}
    parts |= {"rows": rows.tolist()}
    return cache.cached(parts, ["training.trainer.embed"], compute)["embeddings"]


def of_untrained(model: str, seed: int, dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Compute embeddings by an encoder with initial weights: (rows, 128) float32.

    Args:
        model: A name in ENCODERS.
        seed: Seed of the training run that starts from these weights.
        dataset: The images.
        rows: Indices of the images to embed.
    """

    def compute() -> Arrays:
        encoder = pair_training.build_untrained_encoder(model, seed, dataset.images.shape[1:])
        return {"embeddings": trainer.embed(encoder, dataset.images[rows])}

    parts = {"untrained": model, "options": ENCODERS[model].options, "seed": seed}
    parts |= {"data": dataset.digest, "rows": rows.tolist()}
    code = [*code_of(model), "training.trainer.seed_everything", "training.trainer.embed"]
    return cache.cached(parts, code, compute)["embeddings"]


def of_digit_encoder(seed: int, dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Compute embeddings by the article's encoder, pretrained on digits: (rows, 256) float32."""

    def compute() -> Arrays:
        encoder = transfer.build_fresh_encoder(seed, normalise=False)
        encoder.set_weights(trainer.train(TransferConfig(seed=seed).pretraining).weights)
        return {"embeddings": trainer.embed(encoder, transfer.resize(dataset.images[rows]))}

    weights = trainer.train(TransferConfig(seed=seed).pretraining).digest
    parts = {"pretrained": seed, "weights": weights, "data": dataset.digest, "rows": rows.tolist()}
    code = [
        "training.transfer.build_fresh_encoder",
        "training.transfer.resize",
        "training.trainer.embed",
    ]
    return cache.cached(parts, code, compute)["embeddings"]


def typical_pairs(result: TrainingResult, dataset: Dataset) -> dict[str, dict[str, Any]]:
    """Select the positive and the negative pair of seen test images with the median distance.

    Returns:
        `same` and `different` -> the `rows` of the two images, their `embeddings`, (2, 128) as
        lists, and the `distance` of the pair.
    """
    seed = pair_training.config_of(result).seed
    [distances] = pair_distances.of_trained([result])
    distance, different = distances.labelled_distances("seen")
    sampled = pair_distances.sample_test_pairs(dataset, dataset.split(seed), seed)["seen"]
    typical = {}
    for label, mask in (("same", ~different), ("different", different)):
        candidates = np.flatnonzero(mask)
        order = np.argsort(distance[candidates], kind="stable")
        median = candidates[order[len(candidates) // 2]]
        rows = np.array([sampled.first[median], sampled.second[median]])
        typical[label] = {
            "rows": rows.tolist(),
            "embeddings": np.round(of_trained(result, dataset, rows).astype(float), 3).tolist(),
            "distance": round(float(distance[median]), 3),
        }
    return typical


def after_epochs(
    config: TrainingConfig, epochs: int, dataset: Dataset, rows: np.ndarray
) -> np.ndarray:
    """Compute the embeddings after a number of epochs; 0 means with the initial weights."""
    if epochs == 0:
        return of_untrained(config.model, config.seed, dataset, rows)
    return of_trained(trainer.train(replace(config, epochs=epochs)), dataset, rows)


def before_and_after(
    config: TrainingConfig, dataset: Dataset, rows: np.ndarray
) -> dict[str, np.ndarray]:
    """Compute the embeddings with the initial weights and with the trained weights."""
    moments = {"before training": 0, "after training": config.epochs}
    return {name: after_epochs(config, n, dataset, rows) for name, n in moments.items()}


def first_of_each_class(dataset: Dataset, rows: np.ndarray, number: int) -> np.ndarray:
    """Select the first `number` rows of each class: seen classes first, then unseen classes."""
    labels = dataset.labels[rows]
    return np.concatenate([rows[labels == c][:number] for c in (*dataset.seen, *dataset.unseen)])


def collapse(
    config: TrainingConfig,
    seeds: int,
    epochs: Sequence[int],
    dataset: Dataset,
    number: int = 300,
) -> pd.DataFrame:
    """Measure the collapse of classes during training, by the metrics of `geometry.describe`.

    Args:
        config: What is trained.
        seeds: Number of training runs, with the seeds 0, 1, ...
        epochs: Numbers of epochs after which to measure; 0 means before training.
        dataset: The images.
        number: Test images of each class, at most.

    Returns:
        Rows (set, epochs trained), a column per metric, a measurement over the seeds in each cell.
    """
    rows = {}
    for test_set in ("seen", "unseen"):
        for epoch in epochs:
            metrics = [
                _describe(replace(config, seed=seed), epoch, dataset, test_set, number)
                for seed in range(seeds)
            ]
            rows[test_set, epoch] = {
                name: measurement([values[name] for values in metrics]) for name in metrics[0]
            }
    frame = pd.DataFrame(rows).T.rename_axis(["set", "epochs trained"])
    return frame.rename_axis(columns="metric")


def _describe(
    config: TrainingConfig, epochs: int, dataset: Dataset, test_set: str, number: int
) -> dict[str, float]:
    # The images of all classes are embedded, so that both test sets share one entry of the cache.
    rows = first_of_each_class(dataset, dataset.split(config.seed).all, number)
    embeddings, labels = after_epochs(config, epochs, dataset, rows), dataset.labels[rows]
    in_set = np.isin(labels, dataset.classes_of[test_set])
    return geometry.describe(embeddings[in_set], labels[in_set])
