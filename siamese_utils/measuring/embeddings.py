"""The embeddings of chosen images, kept in the store: who reads them there needs no TensorFlow."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from siamese_utils.images.dataset import Dataset
from siamese_utils.learning import store, training, transfer
from siamese_utils.learning.experiment import Experiment
from siamese_utils.learning.store import Arrays, Run
from siamese_utils.learning.transfer import Transfer
from siamese_utils.measuring import distances, geometry
from siamese_utils.measuring.intervals import measured


def of_run(run: Run, dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Return a trained encoder's embeddings of the images at `rows`: (rows, 128) float32."""

    def work() -> Arrays:
        encoder = training.rebuild_encoder(run, dataset.images.shape[1:])
        return {"embeddings": training.embed(encoder, dataset.images[rows])}

    parts = {"embeddings": run.key, "weights": run.digest, "data": dataset.digest}
    parts |= {"rows": rows.tolist()}
    return store.kept(parts, ["learning.training.embed"], work)["embeddings"]


def of_untrained(model: str, seed: int, dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Return the same by the encoder that a training of that seed begins with."""

    def work() -> Arrays:
        encoder = training.untrained_encoder(model, seed, dataset.images.shape[1:])
        return {"embeddings": training.embed(encoder, dataset.images[rows])}

    parts = {"untrained": model, "seed": seed, "data": dataset.digest, "rows": rows.tolist()}
    return store.kept(parts, ["learning.training.untrained_encoder"], work)["embeddings"]


def of_digits_encoder(seed: int, dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Return the same by Study B's encoder, pretrained on digits: (rows, 256) float32."""

    def work() -> Arrays:
        encoder = transfer.build_encoder(Transfer(seed=seed))
        return {"embeddings": training.embed(encoder, transfer.resize(dataset.images[rows]))}

    weights = transfer.train(Transfer(seed=seed).pretraining).digest
    parts = {"pretrained": seed, "weights": weights, "data": dataset.digest, "rows": rows.tolist()}
    code = ["learning.transfer.build_encoder", "learning.transfer.resize"]
    return store.kept(parts, code, work)["embeddings"]


def typical_pairs(run: Run, dataset: Dataset) -> dict[str, dict[str, Any]]:
    """Return the same and the different pair of seen classes with the median distance of their kind.

    Kind -> the `rows` of its two images, their `embeddings`, (2, 128) as lists, and the `distance`.
    """
    seed = training.experiment_of(run).seed
    [found] = distances.of_runs([run])
    distance, different = found.judged("seen")
    drawn = distances.draw_test_pairs(dataset, dataset.split(seed), seed)["seen"]
    pairs = {}
    for kind, of_kind in (("same", ~different), ("different", different)):
        places = np.flatnonzero(of_kind)
        middle = places[np.argsort(distance[places], kind="stable")[len(places) // 2]]
        rows = np.array([drawn.first[middle], drawn.second[middle]])
        embedded = np.round(of_run(run, dataset, rows).astype(float), 3).tolist()
        told = {"rows": rows.tolist(), "embeddings": embedded}
        pairs[kind] = told | {"distance": round(float(distance[middle]), 3)}
    return pairs


def after(experiment: Experiment, epochs: int, dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Return the embeddings after so many epochs of a training; 0: before the first step."""
    if epochs == 0:
        return of_untrained(experiment.model, experiment.seed, dataset, rows)
    return of_run(training.train(replace(experiment, epochs=epochs)), dataset, rows)


def before_and_after(
    experiment: Experiment, dataset: Dataset, rows: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the embeddings before the first step of a training, and after its last."""
    moments = {"before training": 0, "after training": experiment.epochs}
    return {when: after(experiment, n, dataset, rows) for when, n in moments.items()}


def pick(dataset: Dataset, rows: np.ndarray, number: int) -> np.ndarray:
    """Return the first so many of these rows for each class: seen classes first, then unseen ones."""
    labels = dataset.labels[rows]
    return np.concatenate([rows[labels == c][:number] for c in (*dataset.seen, *dataset.unseen)])


def collapse(
    experiment: Experiment, seeds: int, epochs: Sequence[int], dataset: Dataset, number: int = 300
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
            rows[pair_set, epoch] = {figure: measured(of) for figure, of in values.items()}
    frame = pd.DataFrame(rows).T.rename_axis(["set", "epochs trained"])
    return frame.rename_axis(columns="figure")


def _describe(
    experiment: Experiment, epochs: int, dataset: Dataset, pair_set: str, number: int
) -> dict[str, float]:
    rows = pick(dataset, dataset.split(experiment.seed).all, number)
    cloud, labels = after(experiment, epochs, dataset, rows), dataset.labels[rows]
    inside = np.isin(labels, dataset.classes_of[pair_set])
    return geometry.describe(cloud[inside], labels[inside])
