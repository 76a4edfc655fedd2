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

from siamese_utils.learning import manyclasses, plans, store, training, variants
from siamese_utils.learning.manyclasses import ManyClasses
from siamese_utils.learning.plans import Step
from siamese_utils.measuring import baselines, panel, recipe
from siamese_utils.measuring.baselines import Embed
from siamese_utils.measuring.distances import Distances, of_images
from siamese_utils.measuring.intervals import Measured, measured

if TYPE_CHECKING:
    import keras

GRADIENTS = f"scikit-image {version('scikit-image')}"  # computes them
SHIFTS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))  # pixels that images are moved by
LAYERS = ("embedding", "before its last ReLU", "first dense layer")  # of the study's encoder
# images of the seen classes, their labels, and networks trained on them -> what embeds any images
Fit = Callable[[np.ndarray, np.ndarray, Sequence[Embed]], Embed]


@dataclass(frozen=True)
class Way:
    """A way to embed images of a split."""

    fit: Fit
    trainings: Callable[[ManyClasses], Sequence[Step]] = lambda _: ()  # of its networks
    layer: str = LAYERS[0]  # of these


# What is done with embeddings --------------------------------------------------------


def plain(embed: Embed, images: np.ndarray, labels: np.ndarray) -> Embed:
    """Leave an embedding as it is."""
    return embed


def centred(embed: Embed, images: np.ndarray, labels: np.ndarray) -> Embed:
    """Subtract the mean of the seen classes' means."""
    middle = recipe.class_means(embed(images), labels).mean(axis=0)
    return lambda others: embed(others) - middle


def averaged(embed: Embed, images: np.ndarray, labels: np.ndarray) -> Embed:
    """Average the embeddings of an image moved by a pixel each way, and whiten that."""

    def over_shifts(others: np.ndarray) -> np.ndarray:
        return np.mean([embed(np.roll(others, shift, axis=(1, 2))) for shift in SHIFTS], axis=0)

    return recipe.whitened(over_shifts, images, labels)


# The ladder ------------------------------------------------------------------------

Do = Callable[[Embed, np.ndarray, np.ndarray], Embed]


def _of(features: Embed, do: Do) -> Way:
    return Way(lambda images, labels, _: do(features, images, labels))


def _of_networks(
    do: Do, trainings: Callable[[ManyClasses], Sequence[Step]], layer: str = LAYERS[0]
) -> Way:
    def side_by_side(images: np.ndarray, labels: np.ndarray, networks: Sequence[Embed]) -> Embed:
        return recipe.joined([do(network, images, labels) for network in networks])

    return Way(side_by_side, trainings, layer)


def _of_study(name: str, layer: str, do: Do) -> Way:
    return _of_networks(do, lambda step: [variants.studies(step)[name]], layer)


def _changed(change: Callable[[ManyClasses], ManyClasses]) -> Way:
    return _of_networks(recipe.whitened, lambda step: [change(step)])


def _starts(number: int) -> Callable[[ManyClasses], Sequence[Step]]:
    return lambda step: step.starts(number)


def _recipe(images: np.ndarray, labels: np.ndarray, networks: Sequence[Embed]) -> Embed:
    return recipe.embedding(networks, recipe.fit(images, labels, networks))


CEILING = "every class learned"  # on other images: what there is to reach
RECIPE, OUTLINE = "recipe", "silhouette, centred"
NO_NETWORK = "silhouette and gradients, whitened"
ONE, BOTH = _starts(1), _starts(manyclasses.STARTS)

LADDER: dict[str, Way] = {
    "raw pixels": _of(baselines.pixels, plain),
    "silhouette": _of(baselines.silhouette, plain),
    OUTLINE: _of(baselines.silhouette, centred),
    "gradients, centred": _of(recipe.gradients, centred),
    "silhouette, whitened": _of(baselines.silhouette, recipe.whitened),
    "gradients, whitened": _of(recipe.gradients, recipe.whitened),
    NO_NETWORK: Way(_recipe),
    "network, centred": _of_networks(centred, ONE),
    "network, whitened": _of_networks(recipe.whitened, ONE),
    "networks from two starts, whitened": _of_networks(recipe.whitened, BOTH),
    RECIPE: Way(_recipe, BOTH),
    CEILING: _of_networks(recipe.whitened, ManyClasses.ceiling),
}
VARIED = "as in the recipe"
# one network alone, with one thing changed, and the study's
VARIATIONS: dict[str, Way] = {
    **{name: _changed(change) for name, change in variants.VARIANTS.items()},
    "averaged over small shifts": _of_networks(averaged, ONE),
    **{
        f"{name}, {layer}": _of_study(name, layer, plain)
        for name in variants.STUDIES
        for layer in LAYERS
    },
    **{
        f"{name}, {LAYERS[1]}, whitened": _of_study(name, LAYERS[1], recipe.whitened)
        for name in variants.STUDIES
    },
}


def embed_by(split: ManyClasses, way: str) -> Embed:
    """Return the embedding of a way, fitted on what a split's trainings see.

    way: a name in LADDER or VARIATIONS.
    """
    one = _find(way)
    networks = [_network(training, one.layer) for training in one.trainings(split)]
    return one.fit(*manyclasses.taught(_taught_by(split, way)), networks)


def _find(way: str) -> Way:
    return LADDER[way] if way in LADDER else VARIATIONS[way]


def _network(step: Step, layer: str) -> Embed:
    """Return a layer of a trained encoder."""
    return recipe.in_blocks(lambda images: _by_network(step, layer, images.tobytes(), images.shape))


@lru_cache(maxsize=8)  # two networks, on the images that are fitted and on those that are measured
def _by_network(step: Step, layer: str, content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    home = manyclasses if isinstance(step, ManyClasses) else training
    encoder = cut(home.rebuild_encoder(home.train(step), shape[1:]), layer)
    return training.embed(encoder, np.frombuffer(content, np.uint8).reshape(shape))


def cut(encoder: keras.Model, layer: str) -> keras.Model:
    """Return an encoder that ends at one of LAYERS."""
    import keras

    if layer == LAYERS[1]:
        encoder.get_layer("embedding").activation = keras.activations.linear
    if layer == LAYERS[2]:
        return keras.Model(encoder.input, encoder.layers[-2].output)
    return encoder


# What it comes to --------------------------------------------------------------------


def outcomes(splits: Sequence[ManyClasses], ways: Sequence[str]) -> pd.DataFrame:
    """Return what each way came to on each split, a row each.

    Columns: the names of the unseen classes, the way, and from all pairs of test images the AUC on
    unseen and on seen classes, and the accuracy on both in %, at the threshold tuned on seen
    validation images and at the best one. ways: in LADDER or VARIATIONS; the ceiling is left out
    where there are no images to learn every class from.
    """
    rows = []
    for split in splits:
        dataset = manyclasses.load_data(split)
        for way in ways:
            if way == CEILING and not manyclasses.has_further(split):
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


def measure(split: ManyClasses, way: str) -> Distances:
    """Return the distances of a way on a split: Euclidean ones of embeddings of length 1."""
    return of_images(
        " ".join(_grounds(split, way)),
        lambda _: baselines.to_unit_length(embed_by(split, way)),
        manyclasses.load_data(split),
        split.seed,
        code=_code(way),
    )


def _code(way: str) -> list[str]:
    """Return what shapes its embeddings beside weights and data: a change measures anew."""
    table = "LADDER" if way in LADDER else "VARIATIONS"
    return [f"measuring.unseen.{table}", "measuring.unseen.cut", "learning.training.embed"]


def _grounds(split: ManyClasses, way: str) -> list[str]:
    """Return what a way's embedding rests on beside its code: images, networks, another library."""
    networks = [plans.train(step).digest for step in _find(way).trainings(split)]
    return [way, GRADIENTS, manyclasses.digest_of(_taught_by(split, way)), *networks]


def _taught_by(split: ManyClasses, way: str) -> ManyClasses:
    """Return the training whose images a way is fitted on."""
    return split.ceiling()[0] if way == CEILING else split


def by_pair(splits: Sequence[ManyClasses], ways: Sequence[str]) -> pd.DataFrame:
    """Return the AUC on each two unseen classes alone, over the splits that have both.

    Rows the two names, columns the ways; one Measured each.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for split in splits:
        dataset = manyclasses.load_data(split)
        for way in ways:
            distances = measure(split, way)
            for two in combinations(dataset.unseen, 2):
                of_pair = found.setdefault(" and ".join(dataset.names_of(two)), {})
                of_pair.setdefault(way, []).append(distances.curve(two).auc)
    rows = {pair: {way: measured(v) for way, v in of.items()} for pair, of in found.items()}
    return pd.DataFrame(rows).T.rename_axis(index="unseen classes", columns="way")


def by_way(found: pd.DataFrame) -> pd.DataFrame:
    """Return measured figures over the splits: a row for each way, a column for each figure."""
    figures = [name for name in found.columns if name not in ("split", "way")]
    rows = {
        way: {f: measured(of_way[f], "%" if "accuracy" in f else "") for f in figures}
        for way, of_way in found.groupby("way", sort=False)
    }
    return pd.DataFrame(rows).T.rename_axis("way").rename_axis(columns="figure")


def by_split(found: pd.DataFrame) -> pd.DataFrame:
    """Return the AUC on unseen classes: a row for each split, a column for each way."""
    return found.pivot(index="split", columns="way", values="AUC, unseen")


def gains(found: pd.DataFrame) -> pd.DataFrame:
    """Return the recipe's AUC on unseen classes minus each other way's: a row for each way.

    Columns: the difference over the splits, and the number of splits on which the recipe is ahead.
    """
    areas = by_split(found)[list(dict.fromkeys(found["way"]))]
    return panel.gains(areas, RECIPE, "recipe", "splits")


def price_of_not_knowing(found: pd.DataFrame) -> tuple[Measured, str]:
    """Return what is lost by one way for all splits: the best on each, minus the recipe.

    In AUC on unseen classes, over the splits; then the way that is best most often, the ceiling
    left out.
    """
    areas = by_split(found).drop(columns=CEILING, errors="ignore")
    lost = measured(areas.max(axis=1)) - measured(areas[RECIPE])
    return lost, areas.idxmax(axis=1).mode()[0]


def embeddings(split: ManyClasses, way: str, rows: np.ndarray) -> np.ndarray:
    """Return the embeddings by a way of the images at `rows`: (rows, dimensions) float32."""
    dataset = manyclasses.load_data(split)
    parts = {
        "embeddings": _grounds(split, way),
        "data": dataset.digest,
        "seed": split.seed,
    }
    return store.kept(
        parts | {"rows": rows.tolist()},
        _code(way),
        lambda: {"found": np.float32(embed_by(split, way)(dataset.images[rows]))},
    )["found"]
