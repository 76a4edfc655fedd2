"""Ways to judge classes that were never seen, from images of the seen ones: a ladder of them.

Each way is fitted on the training images of a seed's split, and then embeds any images. Their
cosines order pairs. Nothing here receives an image of an unseen class before it is fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from siamese_utils.evaluation import baselines, ensemble, metrics
from siamese_utils.evaluation.baselines import Embed
from siamese_utils.evaluation.intervals import Measurement, measurement
from siamese_utils.evaluation.pair_distances import PairDistances, of_embedding
from siamese_utils.training import ablations, cache, small_encoder, study_plan, trainer
from siamese_utils.training.small_encoder import SmallEncoderConfig
from siamese_utils.training.study_plan import Config

if TYPE_CHECKING:
    import keras

HOG_VERSION = f"scikit-image {version('scikit-image')}"  # computes them
SHIFTS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))  # pixels that images are moved by
LAYERS = ("embedding", "before its last ReLU", "first dense layer")  # of the study's encoder
# images of the seen classes, their labels, and networks trained on them -> what embeds any images
FitMethod = Callable[[np.ndarray, np.ndarray, Sequence[Embed]], Embed]


@dataclass(frozen=True)
class Method:
    """A way to embed images of a split."""

    fit: FitMethod
    trainings: Callable[[SmallEncoderConfig], Sequence[Config]] = lambda _: ()  # of its networks
    layer: str = LAYERS[0]  # of these


# What is done with embeddings --------------------------------------------------------


def unchanged(embed: Embed, images: np.ndarray, labels: np.ndarray) -> Embed:
    """Leave an embedding as it is."""
    return embed


def mean_subtracted(embed: Embed, images: np.ndarray, labels: np.ndarray) -> Embed:
    """Subtract the mean of the seen classes' means."""
    middle = ensemble.class_means(embed(images), labels).mean(axis=0)
    return lambda others: embed(others) - middle


def shift_averaged(embed: Embed, images: np.ndarray, labels: np.ndarray) -> Embed:
    """Average the embeddings of an image moved by a pixel each way, and whiten that."""

    def over_shifts(others: np.ndarray) -> np.ndarray:
        return np.mean([embed(np.roll(others, shift, axis=(1, 2))) for shift in SHIFTS], axis=0)

    return ensemble.whiten(over_shifts, images, labels)


# The ladder ------------------------------------------------------------------------

Transform = Callable[[Embed, np.ndarray, np.ndarray], Embed]


def _of_features(features: Embed, do: Transform) -> Method:
    return Method(lambda images, labels, _: do(features, images, labels))


def _of_networks(
    do: Transform,
    trainings: Callable[[SmallEncoderConfig], Sequence[Config]],
    layer: str = LAYERS[0],
) -> Method:
    def side_by_side(images: np.ndarray, labels: np.ndarray, networks: Sequence[Embed]) -> Embed:
        return ensemble.concatenate([do(network, images, labels) for network in networks])

    return Method(side_by_side, trainings, layer)


def _of_study(name: str, layer: str, do: Transform) -> Method:
    return _of_networks(do, lambda step: [ablations.study_networks(step)[name]], layer)


def _ablated(change: Callable[[SmallEncoderConfig], SmallEncoderConfig]) -> Method:
    return _of_networks(ensemble.whiten, lambda step: [change(step)])


def _initialisations(number: int) -> Callable[[SmallEncoderConfig], Sequence[Config]]:
    return lambda step: step.starts(number)


def _fit_ensemble(images: np.ndarray, labels: np.ndarray, networks: Sequence[Embed]) -> Embed:
    return ensemble.embed_with(networks, ensemble.fit(images, labels, networks))


UPPER_BOUND = "every class learned"  # on other images: what there is to reach
ENSEMBLE, MASK_BASELINE = "recipe", "silhouette, centred"
ENSEMBLE_WITHOUT_NETWORKS = "silhouette and gradients, whitened"
ONE, BOTH = _initialisations(1), _initialisations(small_encoder.NUM_INITIALISATIONS)

METHODS: dict[str, Method] = {
    "raw pixels": _of_features(baselines.pixels, unchanged),
    "silhouette": _of_features(baselines.foreground_mask, unchanged),
    MASK_BASELINE: _of_features(baselines.foreground_mask, mean_subtracted),
    "gradients, centred": _of_features(ensemble.hog_features, mean_subtracted),
    "silhouette, whitened": _of_features(baselines.foreground_mask, ensemble.whiten),
    "gradients, whitened": _of_features(ensemble.hog_features, ensemble.whiten),
    ENSEMBLE_WITHOUT_NETWORKS: Method(_fit_ensemble),
    "network, centred": _of_networks(mean_subtracted, ONE),
    "network, whitened": _of_networks(ensemble.whiten, ONE),
    "networks from two starts, whitened": _of_networks(ensemble.whiten, BOTH),
    ENSEMBLE: Method(_fit_ensemble, BOTH),
    UPPER_BOUND: _of_networks(ensemble.whiten, SmallEncoderConfig.ceiling),
}
UNCHANGED_NETWORK = "as in the recipe"
# one network alone, with one thing changed, and the study's
ABLATED_METHODS: dict[str, Method] = {
    **{name: _ablated(change) for name, change in ablations.ABLATIONS.items()},
    "averaged over small shifts": _of_networks(shift_averaged, ONE),
    **{
        f"{name}, {layer}": _of_study(name, layer, unchanged)
        for name in ablations.STUDY_NETWORKS
        for layer in LAYERS
    },
    **{
        f"{name}, {LAYERS[1]}, whitened": _of_study(name, LAYERS[1], ensemble.whiten)
        for name in ablations.STUDY_NETWORKS
    },
}


def embed_by(split: SmallEncoderConfig, way: str) -> Embed:
    """Return the embedding of a way, fitted on what a split's trainings see.

    way: a name in METHODS or ABLATED_METHODS.
    """
    one = _method(way)
    networks = [_network(training, one.layer) for training in one.trainings(split)]
    return one.fit(*small_encoder.training_data(_fitted_on(split, way)), networks)


def _method(way: str) -> Method:
    return METHODS[way] if way in METHODS else ABLATED_METHODS[way]


def _network(step: Config, layer: str) -> Embed:
    """Return a layer of a trained encoder."""
    return ensemble.embed_in_blocks(
        lambda images: _by_network(step, layer, images.tobytes(), images.shape)
    )


@lru_cache(maxsize=8)  # two networks, on the images that are fitted and on those that are measured
def _by_network(step: Config, layer: str, content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    home = small_encoder if isinstance(step, SmallEncoderConfig) else trainer
    encoder = truncate(home.rebuild_encoder(home.train(step), shape[1:]), layer)
    return trainer.embed(encoder, np.frombuffer(content, np.uint8).reshape(shape))


def truncate(encoder: keras.Model, layer: str) -> keras.Model:
    """Return an encoder that ends at one of LAYERS."""
    import keras

    if layer == LAYERS[1]:
        encoder.get_layer("embedding").activation = keras.activations.linear
    if layer == LAYERS[2]:
        return keras.Model(encoder.input, encoder.layers[-2].output)
    return encoder


# What it comes to --------------------------------------------------------------------


def outcomes(splits: Sequence[SmallEncoderConfig], ways: Sequence[str]) -> pd.DataFrame:
    """Return what each way came to on each split, a row each.

    Columns: the names of the unseen classes, the way, and from all pairs of test images the AUC on
    unseen and on seen classes, and the accuracy on both in %, at the threshold tuned on seen
    validation images and at the best one. ways: in METHODS or ABLATED_METHODS; the ceiling is left out
    where there are no images to learn every class from.
    """
    rows = []
    for split in splits:
        dataset = small_encoder.load_data(split)
        for way in ways:
            if way == UPPER_BOUND and not small_encoder.has_further_images(split):
                continue
            found = measure(split, way)
            row = {"split": ", ".join(dataset.names_of(dataset.unseen)), "way": way}
            for pair_set in ("unseen", "seen"):
                curve = found.curve(dataset.classes_of[pair_set])
                row[f"AUC, {pair_set}"] = curve.auc
                row[f"accuracy, {pair_set}"] = 100 * curve.accuracy(found.tuned)
                row[f"oracle accuracy, {pair_set}"] = 100 * curve.accuracy(curve.best_threshold)
            rows.append(row)
    return pd.DataFrame(rows)


def measure(split: SmallEncoderConfig, way: str) -> PairDistances:
    """Return the distances of a way on a split: Euclidean ones of embeddings of length 1."""
    return of_embedding(
        " ".join(_dependencies(split, way)),
        lambda _: baselines.to_unit_length(embed_by(split, way)),
        small_encoder.load_data(split),
        split.seed,
        code=_code(way),
    )


def _code(way: str) -> list[str]:
    """Return what shapes its embeddings beside weights and data: a change measures anew."""
    table = "METHODS" if way in METHODS else "ABLATED_METHODS"
    return [
        f"evaluation.unseen_classes.{table}",
        "evaluation.unseen_classes.truncate",
        "training.trainer.embed",
    ]


def _dependencies(split: SmallEncoderConfig, way: str) -> list[str]:
    """Return what a way's embedding rests on beside its code: images, networks, another library."""
    networks = [study_plan.train(step).digest for step in _method(way).trainings(split)]
    return [way, HOG_VERSION, small_encoder.data_digest(_fitted_on(split, way)), *networks]


def _fitted_on(split: SmallEncoderConfig, way: str) -> SmallEncoderConfig:
    """Return the training whose images a way is fitted on."""
    return split.ceiling()[0] if way == UPPER_BOUND else split


def by_class_pair(splits: Sequence[SmallEncoderConfig], ways: Sequence[str]) -> pd.DataFrame:
    """Return the AUC on each two unseen classes alone, over the splits that have both.

    Rows the two names, columns the ways; one Measured each.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for split in splits:
        dataset = small_encoder.load_data(split)
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
    dataset = small_encoder.load_data(split)
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
