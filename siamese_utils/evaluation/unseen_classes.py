"""Methods to judge pairs of classes that were never seen, and what each of them achieves.

A method is fitted on the training images of the seen classes of a split, and then embeds any images;
pairs are ordered by the cosine of their embeddings. No method receives an image of an unseen class
before it is fitted.
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
# (images of the seen classes, their labels, networks trained on them) -> function that embeds
FitMethod = Callable[[np.ndarray, np.ndarray, Sequence[Embed]], Embed]
# (function that embeds, images of the seen classes, their labels) -> function that embeds
Transform = Callable[[Embed, np.ndarray, np.ndarray], Embed]
Trainings = Callable[[SmallEncoderConfig], Sequence[Config]]


@dataclass(frozen=True)
class Method:
    """A method to embed images of a split.

    Attributes:
        fit: Fits the method.
        trainings: Split -> configs of the networks that the method uses.
    """

    fit: FitMethod
    trainings: Trainings = lambda _: ()


def unchanged(embed: Embed, images: np.ndarray, labels: np.ndarray) -> Embed:
    """Return an embedding as it is."""
    return embed


def mean_subtracted(embed: Embed, images: np.ndarray, labels: np.ndarray) -> Embed:
    """Return an embedding minus the mean of the means of the seen classes."""
    mean = ensemble.class_means(embed(images), labels).mean(axis=0)
    return lambda others: embed(others) - mean


def _of_features(features: Embed, transform: Transform) -> Method:
    return Method(lambda images, labels, _: transform(features, images, labels))


def _of_networks(transform: Transform, trainings: Trainings) -> Method:
    def concatenated(images: np.ndarray, labels: np.ndarray, networks: Sequence[Embed]) -> Embed:
        return ensemble.concatenate([transform(embed, images, labels) for embed in networks])

    return Method(concatenated, trainings)


def _one(split: SmallEncoderConfig) -> Sequence[Config]:
    return split.initialisations(1)


def _both(split: SmallEncoderConfig) -> Sequence[Config]:
    return split.initialisations(small_encoder.NUM_INITIALISATIONS)


def _fit_ensemble(images: np.ndarray, labels: np.ndarray, networks: Sequence[Embed]) -> Embed:
    return ensemble.embed_with(networks, ensemble.fit(images, labels, networks))


UPPER_BOUND = "every class learned"  # on other images
ENSEMBLE, MASK_BASELINE = "recipe", "silhouette, centred"
ENSEMBLE_WITHOUT_NETWORKS = "silhouette and gradients, whitened"
UNCHANGED_NETWORK = ablations.UNCHANGED

METHODS: dict[str, Method] = {
    "raw pixels": _of_features(baselines.pixels, unchanged),
    "silhouette": _of_features(baselines.foreground_mask, unchanged),
    MASK_BASELINE: _of_features(baselines.foreground_mask, mean_subtracted),
    "gradients, centred": _of_features(ensemble.hog_features, mean_subtracted),
    "silhouette, whitened": _of_features(baselines.foreground_mask, ensemble.whiten),
    "gradients, whitened": _of_features(ensemble.hog_features, ensemble.whiten),
    ENSEMBLE_WITHOUT_NETWORKS: Method(_fit_ensemble),
    "network, centred": _of_networks(mean_subtracted, _one),
    "network, whitened": _of_networks(ensemble.whiten, _one),
    "networks from two starts, whitened": _of_networks(ensemble.whiten, _both),
    ENSEMBLE: Method(_fit_ensemble, _both),
    UPPER_BOUND: _of_networks(ensemble.whiten, lambda split: split.upper_bound()),
}


def _ablated(name: str) -> Method:
    return _of_networks(ensemble.whiten, lambda split: [ablations.ablations(split)[name]])


def _study_network(name: str) -> Method:
    return _of_networks(unchanged, lambda split: [ablations.study_networks(split)[name]])


# One network alone, with one change, and the study's network
ABLATED_METHODS: dict[str, Method] = {
    UNCHANGED_NETWORK: _ablated(UNCHANGED_NETWORK),
    "no made-up classes": _ablated("no made-up classes"),
    "contrastive loss": _ablated("contrastive loss"),
    "softmax, none made up": _ablated("softmax, none made up"),
    "three times the steps": _ablated("three times the steps"),
    "study's training, embedding": _study_network("study's training"),
    "gentle training, embedding": _study_network("gentle training"),
}


def embed_by(split: SmallEncoderConfig, way: str) -> Embed:
    """Return the embedding of a method, fitted on the images of the seen classes of a split.

    Args:
        split: Its training images are used.
        way: A name in METHODS or ABLATED_METHODS.
    """
    method = _method(way)
    networks = [_network(config) for config in method.trainings(split)]
    return method.fit(*small_encoder.training_data(_fitted_on(split, way)), networks)


def _method(way: str) -> Method:
    return METHODS[way] if way in METHODS else ABLATED_METHODS[way]


def _network(config: Config) -> Embed:
    """Return a trained encoder as a function."""
    return ensemble.embed_in_blocks(
        lambda images: _embed_cached(config, images.tobytes(), images.shape)
    )


@lru_cache(maxsize=8)  # two networks, on the images that are fitted and on those that are measured
def _embed_cached(config: Config, content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    encoder = trainer.rebuild_encoder(config.resolve(), trainer.train(config), shape[1:])
    return trainer.embed(encoder, np.frombuffer(content, np.uint8).reshape(shape))


def outcomes(splits: Sequence[SmallEncoderConfig], ways: Sequence[str]) -> pd.DataFrame:
    """Return what each way came to on each split, a row each.

    Columns: the names of the unseen classes, the way, and from all pairs of test images the AUC on
    unseen and on seen classes, and the accuracy on both in %, at the threshold tuned on seen
    validation images and at the best one. ways: in METHODS or ABLATED_METHODS; the ceiling is left out
    where there are no images to learn every class from.
    """
    rows = []
    for split in splits:
        dataset = split.load_data()
        for way in ways:
            if way == UPPER_BOUND and not small_encoder.has_further_images(split):
                continue
            found = measure(split, way)
            row = {"split": ", ".join(dataset.names_of(dataset.unseen)), "way": way}
            for pair_set in ("unseen", "seen"):
                curve = found.curve(dataset.classes_of[pair_set])
                row[f"AUC, {pair_set}"] = curve.auc
                row[f"accuracy, {pair_set}"] = 100 * curve.accuracy(found.validation_threshold)
                row[f"oracle accuracy, {pair_set}"] = 100 * curve.accuracy(curve.best_threshold)
            rows.append(row)
    return pd.DataFrame(rows)


def measure(split: SmallEncoderConfig, way: str) -> PairDistances:
    """Return the distances of a way on a split: Euclidean ones of embeddings of length 1."""
    return of_embedding(
        " ".join(_dependencies(split, way)),
        lambda _: baselines.to_unit_length(embed_by(split, way)),
        split.load_data(),
        split.seed,
        code=_code(way),
    )


def _code(way: str) -> list[str]:
    """Return what shapes its embeddings beside weights and data: a change measures anew."""
    table = "METHODS" if way in METHODS else "ABLATED_METHODS"
    return [
        f"evaluation.unseen_classes.{table}",
        "training.trainer.embed",
    ]


def _dependencies(split: SmallEncoderConfig, way: str) -> list[str]:
    """Return what a way's embedding rests on beside its code: images, networks, another library."""
    networks = [trainer.train(step).digest for step in _method(way).trainings(split)]
    return [way, HOG_VERSION, small_encoder.data_digest(_fitted_on(split, way)), *networks]


def _fitted_on(split: SmallEncoderConfig, way: str) -> SmallEncoderConfig:
    """Return the training whose images a way is fitted on."""
    return split.upper_bound()[0] if way == UPPER_BOUND else split


def by_class_pair(splits: Sequence[SmallEncoderConfig], ways: Sequence[str]) -> pd.DataFrame:
    """Return the AUC on each two unseen classes alone, over the splits that have both.

    Rows the two names, columns the ways; one Measured each.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for split in splits:
        dataset = split.load_data()
        for way in ways:
            distances = measure(split, way)
            for two in combinations(dataset.unseen, 2):
                of_pair = found.setdefault(" and ".join(dataset.names_of(two)), {})
                of_pair.setdefault(way, []).append(distances.curve(two).auc)
    rows = {pair: {way: measurement(v) for way, v in of.items()} for pair, of in found.items()}
    return pd.DataFrame(rows).T.rename_axis(index="unseen classes", columns="way")


def by_method(found: pd.DataFrame) -> pd.DataFrame:
    """Return measured figures over the splits: a row for each way, a column for each figure."""
    figures = [name for name in found.columns if name not in ("split", "way")]
    rows = {
        way: {f: measurement(of_way[f], "%" if "accuracy" in f else "") for f in figures}
        for way, of_way in found.groupby("way", sort=False)
    }
    return pd.DataFrame(rows).T.rename_axis("way").rename_axis(columns="figure")


def by_split(found: pd.DataFrame) -> pd.DataFrame:
    """Return the AUC on unseen classes: a row for each split, a column for each way."""
    return found.pivot(index="split", columns="way", values="AUC, unseen")


def auc_differences(found: pd.DataFrame) -> pd.DataFrame:
    """Return the recipe's AUC on unseen classes minus each other way's: a row for each way.

    Columns: the difference over the splits, and the number of splits on which the recipe is ahead.
    """
    areas = by_split(found)[list(dict.fromkeys(found["way"]))]
    return metrics.auc_differences(areas, ENSEMBLE, "recipe", "splits")


def loss_against_best(found: pd.DataFrame) -> tuple[Measurement, str]:
    """Return what is lost by one way for all splits: the best on each, minus the recipe.

    In AUC on unseen classes, over the splits; then the way that is best most often, the ceiling
    left out.
    """
    areas = by_split(found).drop(columns=UPPER_BOUND, errors="ignore")
    lost = measurement(areas.max(axis=1)) - measurement(areas[ENSEMBLE])
    return lost, areas.idxmax(axis=1).mode()[0]


def embeddings(split: SmallEncoderConfig, way: str, rows: np.ndarray) -> np.ndarray:
    """Return the embeddings by a way of the images at `rows`: (rows, dimensions) float32."""
    dataset = split.load_data()
    parts = {
        "embeddings": _dependencies(split, way),
        "data": dataset.digest,
        "seed": split.seed,
    }
    return cache.cached(
        parts | {"rows": rows.tolist()},
        _code(way),
        lambda: {"found": np.float32(embed_by(split, way)(dataset.images[rows]))},
    )["found"]
