"""Methods to compare images of unseen classes, and their evaluation on class splits.

A method is fitted on the training images of the seen classes of a split. It then embeds images of
any class, which are compared by cosine similarity. Only the upper bound is fitted on images of unseen
classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from itertools import combinations

import numpy as np
import pandas as pd

from siamese_utils.evaluation import baselines, ensemble, metrics
from siamese_utils.evaluation.baselines import Embed
from siamese_utils.evaluation.intervals import Measurement, measurement
from siamese_utils.evaluation.pair_distances import PairDistances, of_embedding
from siamese_utils.training import ablations, cache, small_encoder, trainer
from siamese_utils.training.config import Config
from siamese_utils.training.small_encoder import SmallEncoderConfig

HOG_VERSION = f"scikit-image {version('scikit-image')}"  # computes the HOG features
# (training images, their labels, networks trained on them) -> fitted embedding function
FitMethod = Callable[[np.ndarray, np.ndarray, Sequence[Embed]], Embed]
# (embedding function, training images, their labels) -> transformed embedding function
Transform = Callable[[Embed, np.ndarray, np.ndarray], Embed]
# split -> configs of the networks to train on it
Trainings = Callable[[SmallEncoderConfig], Sequence[Config]]


@dataclass(frozen=True)
class Method:
    """A method to embed images.

    Attributes:
        fit: Fits the method on training images, and returns an embedding function.
        trainings: Returns the configs of the networks that the method uses on a split.
    """

    fit: FitMethod
    trainings: Trainings = lambda _: ()


def unchanged(embed: Embed, images: np.ndarray, labels: np.ndarray) -> Embed:
    """Return the embedding function itself."""
    return embed


def mean_subtracted(embed: Embed, images: np.ndarray, labels: np.ndarray) -> Embed:
    """Subtract the mean of the class means of the training images from the embeddings."""
    mean = ensemble.class_means(embed(images), labels).mean(axis=0)
    return lambda others: embed(others) - mean


def _feature_method(features: Embed, transform: Transform) -> Method:
    return Method(lambda images, labels, _: transform(features, images, labels))


def _network_method(transform: Transform, trainings: Trainings) -> Method:
    def fit(images: np.ndarray, labels: np.ndarray, networks: Sequence[Embed]) -> Embed:
        return ensemble.concatenate([transform(embed, images, labels) for embed in networks])

    return Method(fit, trainings)


def _one_network(split: SmallEncoderConfig) -> Sequence[Config]:
    return split.initialisations(1)


def _all_networks(split: SmallEncoderConfig) -> Sequence[Config]:
    return split.initialisations(small_encoder.NUM_INITIALISATIONS)


def _fit_ensemble(images: np.ndarray, labels: np.ndarray, networks: Sequence[Embed]) -> Embed:
    return ensemble.embed_with(networks, ensemble.fit(images, labels, networks))


UPPER_BOUND = "every class learned"  # from images that are not in the test sets
ENSEMBLE, MASK_BASELINE = "recipe", "silhouette, centred"
ENSEMBLE_WITHOUT_NETWORKS = "silhouette and gradients, whitened"
UNCHANGED_NETWORK = ablations.UNCHANGED

METHODS: dict[str, Method] = {
    "raw pixels": _feature_method(baselines.pixels, unchanged),
    "silhouette": _feature_method(baselines.foreground_mask, unchanged),
    MASK_BASELINE: _feature_method(baselines.foreground_mask, mean_subtracted),
    "gradients, centred": _feature_method(ensemble.hog_features, mean_subtracted),
    "silhouette, whitened": _feature_method(baselines.foreground_mask, ensemble.whiten),
    "gradients, whitened": _feature_method(ensemble.hog_features, ensemble.whiten),
    ENSEMBLE_WITHOUT_NETWORKS: Method(_fit_ensemble),
    "network, centred": _network_method(mean_subtracted, _one_network),
    "network, whitened": _network_method(ensemble.whiten, _one_network),
    "networks from two starts, whitened": _network_method(ensemble.whiten, _all_networks),
    ENSEMBLE: Method(_fit_ensemble, _all_networks),
    UPPER_BOUND: _network_method(ensemble.whiten, lambda split: split.upper_bound()),
}


def _ablation(name: str) -> Method:
    return _network_method(ensemble.whiten, lambda split: [ablations.ablations(split)[name]])


def _study_network(name: str) -> Method:
    return _network_method(unchanged, lambda split: [ablations.study_networks(split)[name]])


# Methods with one network each: the ensemble's network with one change, and the study's network.
ABLATED_METHODS: dict[str, Method] = {
    UNCHANGED_NETWORK: _ablation(UNCHANGED_NETWORK),
    "no made-up classes": _ablation("no made-up classes"),
    "contrastive loss": _ablation("contrastive loss"),
    "softmax, none made up": _ablation("softmax, none made up"),
    "three times the steps": _ablation("three times the steps"),
    "study's training, embedding": _study_network("study's training"),
    "gentle training, embedding": _study_network("gentle training"),
}


def embed_by(split: SmallEncoderConfig, method: str) -> Embed:
    """Fit a method on a split and return its embedding function.

    Args:
        split: The config whose training images are used.
        method: A name in METHODS or ABLATED_METHODS.
    """
    networks = [_network(config) for config in _method(method).trainings(split)]
    images, labels = small_encoder.training_data(_fitted_on(split, method))
    return _method(method).fit(images, labels, networks)


def _method(name: str) -> Method:
    return METHODS[name] if name in METHODS else ABLATED_METHODS[name]


def _network(config: Config) -> Embed:
    """Return the embedding function of a trained encoder."""
    return ensemble.embed_in_blocks(
        lambda images: _embed_cached(config, images.tobytes(), images.shape)
    )


# Methods share networks: two networks embed the training images and the evaluated images.
@lru_cache(maxsize=8)
def _embed_cached(config: Config, content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    encoder = trainer.rebuild_encoder(config.resolve(), trainer.train(config), shape[1:])
    return trainer.embed(encoder, np.frombuffer(content, np.uint8).reshape(shape))


def outcomes(splits: Sequence[SmallEncoderConfig], methods: Sequence[str]) -> pd.DataFrame:
    """Evaluate methods on class splits, on all pairs of test images.

    Args:
        splits: Configs whose splits are used.
        methods: Names in METHODS or ABLATED_METHODS. The upper bound is skipped on a split without
            further images to train it on.

    Returns:
        A row per split and method. Columns: the names of the unseen classes, the method, and for
        unseen and for seen classes the AUC and the accuracy in %, both at the threshold tuned on
        seen validation images and at the best threshold.
    """
    rows = []
    for split in splits:
        dataset = split.load_data()
        for method in methods:
            if method == UPPER_BOUND and not small_encoder.has_further_images(split):
                continue
            distances = measure(split, method)
            row = {"split": ", ".join(dataset.names_of(dataset.unseen)), "way": method}
            for test_set in ("unseen", "seen"):
                curve = distances.curve(dataset.classes_of[test_set])
                tuned = distances.validation_threshold
                row[f"AUC, {test_set}"] = curve.auc
                row[f"accuracy, {test_set}"] = 100 * curve.accuracy(tuned)
                row[f"oracle accuracy, {test_set}"] = 100 * curve.accuracy(curve.best_threshold)
            rows.append(row)
    return pd.DataFrame(rows)


def measure(split: SmallEncoderConfig, method: str) -> PairDistances:
    """Compute a method's distances on a split: Euclidean, between embeddings of length 1."""
    return of_embedding(
        " ".join(_dependencies(split, method)),
        lambda _: baselines.to_unit_length(embed_by(split, method)),
        split.load_data(),
        split.seed,
        code=_code(method),
    )


def _code(method: str) -> list[str]:
    """Return the definitions whose code shapes a method's embeddings, for the cache key."""
    table = "METHODS" if method in METHODS else "ABLATED_METHODS"
    return [f"evaluation.unseen_classes.{table}", "training.trainer.embed"]


def _dependencies(split: SmallEncoderConfig, method: str) -> list[str]:
    """Return what else shapes a method's embeddings: HOG version, training images, networks."""
    networks = [trainer.train(config).digest for config in _method(method).trainings(split)]
    return [method, HOG_VERSION, small_encoder.data_digest(_fitted_on(split, method)), *networks]


def _fitted_on(split: SmallEncoderConfig, method: str) -> SmallEncoderConfig:
    """Return the config whose training images a method is fitted on."""
    return split.upper_bound()[0] if method == UPPER_BOUND else split


def by_class_pair(splits: Sequence[SmallEncoderConfig], methods: Sequence[str]) -> pd.DataFrame:
    """Compute the AUC on each two unseen classes alone, over the splits that have both unseen.

    Returns:
        A row per pair of classes, a column per method, a measurement over the splits in each cell.
    """
    values: dict[str, dict[str, list[float]]] = {}
    for split in splits:
        dataset = split.load_data()
        for method in methods:
            distances = measure(split, method)
            for classes in combinations(dataset.unseen, 2):
                row = values.setdefault(" and ".join(dataset.names_of(classes)), {})
                row.setdefault(method, []).append(distances.curve(classes).auc)
    rows = {
        names: {method: measurement(aucs) for method, aucs in row.items()}
        for names, row in values.items()
    }
    return pd.DataFrame(rows).T.rename_axis(index="unseen classes", columns="way")


def by_method(table: pd.DataFrame) -> pd.DataFrame:
    """Summarise the table of `outcomes` over the splits: a row per method, a column per metric."""
    metric_names = table.columns.drop(["split", "way"])
    rows = {
        method: {m: measurement(group[m], "%" if "accuracy" in m else "") for m in metric_names}
        for method, group in table.groupby("way", sort=False)
    }
    return pd.DataFrame(rows).T.rename_axis("way").rename_axis(columns="figure")


def by_split(table: pd.DataFrame) -> pd.DataFrame:
    """Return the AUC on unseen classes from `outcomes`: a row per split, a column per method."""
    return table.pivot(index="split", columns="way", values="AUC, unseen")


def auc_differences(table: pd.DataFrame) -> pd.DataFrame:
    """Compute the ensemble's AUC on unseen classes minus that of each other method.

    Args:
        table: As `outcomes` returns it.

    Returns:
        A row per other method. Columns: the difference over the splits, and the number of splits on
        which the ensemble has the higher AUC.
    """
    auc = by_split(table)[list(dict.fromkeys(table["way"]))]
    return metrics.auc_differences(auc, ENSEMBLE, "recipe", "splits")


def loss_against_best(table: pd.DataFrame) -> tuple[Measurement, str]:
    """Compute what the ensemble loses against the best method of each split.

    Args:
        table: As `outcomes` returns it; the upper bound is ignored.

    Returns:
        The highest AUC on unseen classes minus the ensemble's, over the splits, and the method that
        has the highest AUC most often.
    """
    auc = by_split(table).drop(columns=UPPER_BOUND, errors="ignore")
    lost = measurement(auc.max(axis=1)) - measurement(auc[ENSEMBLE])
    return lost, auc.idxmax(axis=1).mode()[0]


def embeddings(split: SmallEncoderConfig, method: str, rows: np.ndarray) -> np.ndarray:
    """Compute a method's embeddings of the images at `rows`: (rows, dimensions) float32."""
    dataset = split.load_data()
    parts = {
        "embeddings": _dependencies(split, method),
        "data": dataset.digest,
        "seed": split.seed,
        "rows": rows.tolist(),
    }
    return cache.cached(
        parts,
        _code(method),
        lambda: {"embeddings": np.float32(embed_by(split, method)(dataset.images[rows]))},
    )["embeddings"]
