"""What lies behind a network's figures, for those who check: weights, distances, embeddings."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from siamese_utils import atomic_io, settings
from siamese_utils.data.dataset import TEST_SETS, Dataset
from siamese_utils.evaluation import embeddings, metrics, pair_distances, unseen_classes
from siamese_utils.evaluation.pair_distances import PairDistances
from siamese_utils.training import small_encoder, trainer
from siamese_utils.training.cache import TrainingResult
from siamese_utils.training.study_plan import StudyPlan

IMAGES_PER_CLASS = 20  # test images of each class whose embeddings are kept


def save_networks(plan: StudyPlan) -> pd.DataFrame:
    """Write an npz file for each network of seed 0 to this run's results, and return what they hold.

    Of the base and the complex model, of margin 5 and of the recipe for unseen classes: `start 0
    weight 000`, ... in Keras's order, float16, of each network (the recipe has two; its whitenings
    are fitted anew from images); the `distance` of the study's pairs of each test set,
    float32, and whether they are `different`; and the `embeddings` of some test images, float16,
    with their `rows` in the data set and their `labels`.
    """
    images = plan.images
    rows = embeddings.first_of_each_class(images, images.split(0).all, IMAGES_PER_CLASS)
    networks = {
        "base": plan.config(),
        "complex": plan.config(model="complex"),
        "complex-margin-5": plan.config(model="complex", margin=5.0),
    }
    sizes = {}
    for name, experiment in networks.items():
        run = trainer.train(experiment)
        [found] = pair_distances.of_trained([run])
        cloud = embeddings.of_trained(run, images, rows)
        sizes[name] = _write(name, [run], found, cloud, rows, images)
    step = plan.ensemble_configs()[0]
    runs = [trainer.train(one) for one in step.initialisations(small_encoder.NUM_INITIALISATIONS)]
    cloud = unseen_classes.embeddings(step, unseen_classes.ENSEMBLE, rows)
    found = unseen_classes.measure(step, unseen_classes.ENSEMBLE)
    sizes["recipe"] = _write("recipe", runs, found, cloud, rows, images)
    return pd.DataFrame(sizes).T.rename_axis("network")


def auc_by_class_pair(
    networks: Mapping[str, Sequence[PairDistances]], dataset: Dataset
) -> pd.DataFrame:
    """Return the AUC of telling each two classes apart: a row for each network, seed and two classes."""
    parts = []
    for name, of_seeds in networks.items():
        for seed, one in enumerate(of_seeds):
            areas = metrics.auc_by_class_pair([one], dataset)
            areas = areas[areas["x"] < areas["y"]].rename(columns={"value": "AUC"})
            parts.append(areas.assign(network=name, seed=seed))
    return pd.concat(parts)[["network", "seed", "x", "y", "AUC"]]


def _write(
    name: str,
    runs: Sequence[TrainingResult],
    found: PairDistances,
    cloud: np.ndarray,
    rows: np.ndarray,
    images: Dataset,
) -> dict[str, object]:
    arrays = {
        f"start {start} weight {i:03d}": weight.astype(np.float16)
        for start, run in enumerate(runs)
        for i, weight in enumerate(run.weights)
    }
    weights = sum(array.size for array in arrays.values())
    for pair_set in TEST_SETS:
        distance, different = found.labelled_distances(pair_set)
        arrays |= {f"distance {pair_set}": distance, f"different {pair_set}": different}
    arrays |= {"embeddings": cloud.astype(np.float16), "rows": rows, "labels": images.labels[rows]}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    file = f"network-{name}.npz"
    atomic_io.write_atomically(settings.results_dir() / file, buffer.getvalue())
    return {
        "weights": weights,
        "pairs": sum(len(found.sampled[s]) for s in TEST_SETS),
        "embeddings": len(rows),
        "MB": round(len(buffer.getvalue()) / 1e6, 1),
    }
