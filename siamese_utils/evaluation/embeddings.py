"""The embeddings of chosen images, kept in the store: who reads them there needs no TensorFlow."""

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
from siamese_utils.training.pair_training import TrainingConfig
from siamese_utils.training.transfer import TransferConfig


def of_trained(run: TrainingResult, dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Return a trained encoder's embeddings of the images at `rows`: (rows, 128) float32."""

    def work() -> Arrays:
        config = pair_training.config_of(run)
        encoder = trainer.rebuild_encoder(config, run, dataset.images.shape[1:])
        return {"embeddings": trainer.embed(encoder, dataset.images[rows])}

    parts = {"embeddings": run.key, "weights": run.digest, "data": dataset.digest}
    parts |= {"rows": rows.tolist()}
    return cache.cached(parts, ["training.trainer.embed"], work)["embeddings"]


def of_untrained(model: str, seed: int, dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Return the same by the encoder that a training of that seed begins with."""

    def work() -> Arrays:
        encoder = pair_training.build_untrained_encoder(model, seed, dataset.images.shape[1:])
        return {"embeddings": trainer.embed(encoder, dataset.images[rows])}

    parts = {"untrained": model, "seed": seed, "data": dataset.digest, "rows": rows.tolist()}
    return cache.cached(parts, ["training.pair_training.build_untrained_encoder"], work)[
        "embeddings"
    ]


def of_digit_encoder(seed: int, dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Return the same by Study B's encoder, pretrained on digits: (rows, 256) float32."""

    def work() -> Arrays:
        encoder = transfer.build_encoder(TransferConfig(seed=seed))
        return {"embeddings": trainer.embed(encoder, transfer.resize(dataset.images[rows]))}

    weights = trainer.train(TransferConfig(seed=seed).pretraining).digest
    parts = {"pretrained": seed, "weights": weights, "data": dataset.digest, "rows": rows.tolist()}
    code = ["training.transfer.build_encoder", "training.transfer.resize"]
    return cache.cached(parts, code, work)["embeddings"]


def typical_pairs(run: TrainingResult, dataset: Dataset) -> dict[str, dict[str, Any]]:
    """Return the same and the different pair of seen classes with the median distance of their kind.

    Kind -> the `rows` of its two images, their `embeddings`, (2, 128) as lists, and the `distance`.
    """
    seed = pair_training.config_of(run).seed
    [found] = pair_distances.of_trained([run])
    distance, different = found.labelled_distances("seen")
    drawn = pair_distances.sample_test_pairs(dataset, dataset.split(seed), seed)["seen"]
    pairs = {}
    for kind, of_kind in (("same", ~different), ("different", different)):
        places = np.flatnonzero(of_kind)
        middle = places[np.argsort(distance[places], kind="stable")[len(places) // 2]]
        rows = np.array([drawn.first[middle], drawn.second[middle]])
        embedded = np.round(of_trained(run, dataset, rows).astype(float), 3).tolist()
        told = {"rows": rows.tolist(), "embeddings": embedded}
        pairs[kind] = told | {"distance": round(float(distance[middle]), 3)}
    return pairs


def after_epochs(
    experiment: TrainingConfig, epochs: int, dataset: Dataset, rows: np.ndarray
) -> np.ndarray:
    """Return the embeddings after so many epochs of a training; 0: before the first step."""
    if epochs == 0:
        return of_untrained(experiment.model, experiment.seed, dataset, rows)
    return of_trained(trainer.train(replace(experiment, epochs=epochs)), dataset, rows)


def before_and_after(
    experiment: TrainingConfig, dataset: Dataset, rows: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the embeddings before the first step of a training, and after its last."""
    moments = {"before training": 0, "after training": experiment.epochs}
    return {when: after_epochs(experiment, n, dataset, rows) for when, n in moments.items()}


def first_of_each_class(dataset: Dataset, rows: np.ndarray, number: int) -> np.ndarray:
    """Return the first so many of these rows for each class: seen classes first, then unseen ones."""
    labels = dataset.labels[rows]
    return np.concatenate([rows[labels == c][:number] for c in (*dataset.seen, *dataset.unseen)])


def collapse(
    experiment: TrainingConfig,
    seeds: int,
    epochs: Sequence[int],
    dataset: Dataset,
    number: int = 300,
) -> pd.DataFrame:
    """Return the figures of `geometry.describe` after so many epochs: rows (set, epochs trained).

    number: of test images of each class, at most.
    """
    rows = {}
    for pair_set in ("seen", "unseen"):
        for epoch in epochs:
            found = [
                _describe(replace(experiment, seed=seed), epoch, dataset, pair_set, number)
                for seed in range(seeds)
            ]
            values = {figure: [of_seed[figure] for of_seed in found] for figure in found[0]}
            rows[pair_set, epoch] = {figure: measurement(of) for figure, of in values.items()}
    frame = pd.DataFrame(rows).T.rename_axis(["set", "epochs trained"])
    return frame.rename_axis(columns="figure")


def _describe(
    experiment: TrainingConfig, epochs: int, dataset: Dataset, pair_set: str, number: int
) -> dict[str, float]:
    rows = first_of_each_class(dataset, dataset.split(experiment.seed).all, number)
    cloud, labels = after_epochs(experiment, epochs, dataset, rows), dataset.labels[rows]
    inside = np.isin(labels, dataset.classes_of[pair_set])
    return geometry.describe(cloud[inside], labels[inside])
