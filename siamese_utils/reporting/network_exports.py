"""Exports of the networks behind the report's metrics: weights, distances and embeddings."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from siamese_utils import atomic_io, settings
from siamese_utils.data.dataset import TEST_SETS, Dataset
from siamese_utils.evaluation import embeddings, metrics, pair_distances, unseen_classes
from siamese_utils.evaluation.pair_distances import PairDistances
from siamese_utils.training import trainer
from siamese_utils.training.cache import TrainingResult
from siamese_utils.training.study_plan import StudyPlan

IMAGES_PER_CLASS = 20  # test images of each class whose embeddings are exported


def save_networks(plan: StudyPlan) -> pd.DataFrame:
    """Write an npz file for each network of seed 0 to this run's results.

    The networks are the base model, the complex model with margins 1 and 5, and the ensemble for
    unseen classes. A file holds:

    - `start 0 weight 000`, ...: the weights in Keras's order, float16. The ensemble has two
      networks, start 0 and 1; its whitening is not stored, as it is fitted to the images.
    - `distance SET`, float32, and `different SET`, bool: the study's pairs of each test set.
    - `embeddings`, float16, of some test images, with their `rows` in the data set and `labels`.

    Args:
        plan: The plan of the study's networks.

    Returns:
        The numbers of weights, pairs and embeddings and the file size in MB, a row for each network.
    """
    images = plan.images
    rows = embeddings.first_of_each_class(images, images.split(0).all, IMAGES_PER_CLASS)
    configs = {
        "base": plan.config(),
        "complex": plan.config(model="complex"),
        "complex-margin-5": plan.config(model="complex", margin=5.0),
    }
    sizes = {}
    for name, config in configs.items():
        result = trainer.train(config)
        [distances] = pair_distances.of_trained([result])
        vectors = embeddings.of_trained(result, images, rows)
        sizes[name] = _write(name, [result], distances, vectors, rows, images)
    config = plan.ensemble_configs()[0]
    results = [trainer.train(c) for c in config.initialisations()]
    vectors = unseen_classes.embeddings(config, unseen_classes.ENSEMBLE, rows)
    distances = unseen_classes.measure(config, unseen_classes.ENSEMBLE)
    sizes["ensemble"] = _write("ensemble", results, distances, vectors, rows, images)
    return pd.DataFrame(sizes).T.rename_axis("network")


def auc_by_class_pair(
    distances: Mapping[str, Sequence[PairDistances]], dataset: Dataset
) -> pd.DataFrame:
    """Return the AUC for each two classes, a row for each network, seed and two classes.

    Args:
        distances: Network -> its pair distances, one for each seed.
        dataset: The data set.
    """
    parts = []
    for name, by_seed in distances.items():
        for seed, seed_distances in enumerate(by_seed):
            areas = metrics.auc_by_class_pair([seed_distances], dataset)
            areas = areas[areas["x"] < areas["y"]].rename(columns={"value": "AUC"})
            parts.append(areas.assign(network=name, seed=seed))
    return pd.concat(parts)[["network", "seed", "x", "y", "AUC"]]


def _write(
    name: str,
    results: Sequence[TrainingResult],
    distances: PairDistances,
    vectors: np.ndarray,
    rows: np.ndarray,
    images: Dataset,
) -> dict[str, object]:
    """Write a file as `save_networks` describes it, and return a row of its table."""
    arrays = {
        f"start {start} weight {i:03d}": weight.astype(np.float16)
        for start, result in enumerate(results)
        for i, weight in enumerate(result.weights)
    }
    num_weights = sum(array.size for array in arrays.values())
    for pair_set in TEST_SETS:
        distance, different = distances.labelled_distances(pair_set)
        arrays |= {f"distance {pair_set}": distance, f"different {pair_set}": different}
    arrays |= {"embeddings": vectors.astype(np.float16), "rows": rows}
    arrays["labels"] = images.labels[rows]
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    content = buffer.getvalue()
    atomic_io.write_atomically(settings.results_dir() / f"network-{name}.npz", content)
    return {
        "weights": num_weights,
        "pairs": sum(len(distances.sampled[s]) for s in TEST_SETS),
        "embeddings": len(rows),
        "MB": round(len(content) / 1e6, 1),
    }
