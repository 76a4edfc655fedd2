"""The embeddings of chosen images, kept in the store: who reads them there needs no TensorFlow."""

from dataclasses import replace

import numpy as np

from siamese_utils.images.dataset import Dataset
from siamese_utils.learning import store, training, transfer
from siamese_utils.learning.experiment import Experiment
from siamese_utils.learning.store import Arrays, Run


def of_run(run: Run, dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Return a trained encoder's embeddings of the images at `rows`: (rows, 128) float32."""

    def work() -> Arrays:
        encoder = training.rebuild_encoder(run, dataset.images.shape[1:])
        return {"embeddings": training.embed(encoder, dataset.images[rows])}

    parts = {"embeddings": run.key, "data": dataset.digest, "rows": rows.tolist()}
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
        encoder = transfer.build_encoder("pretrained", seed)
        return {"embeddings": training.embed(encoder, transfer.resize(dataset.images[rows]))}

    parts = {"pretrained": seed, "data": dataset.digest, "rows": rows.tolist()}
    code = ["learning.transfer.build_encoder", "learning.transfer.resize"]
    return store.kept(parts, code, work)["embeddings"]


def after(experiment: Experiment, epochs: int, dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Return the embeddings after so many epochs of a training; 0: before the first step."""
    if epochs == 0:
        return of_untrained(experiment.model, experiment.seed, dataset, rows)
    return of_run(training.train(replace(experiment, epochs=epochs)), dataset, rows)
