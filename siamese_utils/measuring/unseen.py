"""Ways to judge classes that were never seen, from images of the seen ones: a ladder of them.

Each way is fitted on the training images of a seed's split, and then embeds any images. Their
cosines order pairs. Nothing here receives an image of an unseen class before it is fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
import pandas as pd

from siamese_utils.learning import manyclasses, store, training
from siamese_utils.learning.manyclasses import ManyClasses
from siamese_utils.measuring import baselines
from siamese_utils.measuring.baselines import Embed
from siamese_utils.measuring.distances import Distances, of_images
from siamese_utils.measuring.intervals import Measured, measured

Way = Callable[[ManyClasses], Embed]  # a data set, its seen classes and a seed
COMPONENTS = 50  # principal ones, in which the variance within classes is evened out
SHRINKAGE = 0.3  # of that variance towards the same in every direction
CELL, ORIENTATIONS, BLOCK = 4, 9, 2  # of the gradients: pixels, directions, cells


# Features --------------------------------------------------------------------------


def gradients(images: np.ndarray) -> np.ndarray:
    """Return histograms of oriented gradients: (images, h, w, c) uint8 -> (images, dimensions).

    Source: Dalal and Triggs 2005.
    """
    return _gradients(images.tobytes(), images.shape)


@lru_cache(maxsize=4)
def _gradients(content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    from skimage.feature import hog

    describe = partial(
        hog,
        orientations=ORIENTATIONS,
        pixels_per_cell=(CELL, CELL),
        cells_per_block=(BLOCK, BLOCK),
        channel_axis=-1,
    )
    images = np.frombuffer(content, np.uint8).reshape(shape)
    return np.array([describe(image) for image in images], dtype=np.float32)


def network(step: ManyClasses) -> Embed:
    """Return the small encoder, trained on the seen classes and made-up ones."""
    shape = manyclasses.load_data(step).images.shape[1:]
    encoder = manyclasses.rebuild_encoder(manyclasses.train(step), shape)
    return partial(training.embed, encoder)


# What is done with features ---------------------------------------------------------


def centred(embed: Embed, step: ManyClasses) -> Embed:
    """Subtract the mean of the seen classes' means."""
    images, labels = manyclasses.taught(step)
    found = embed(images)
    middle = _class_means(found, labels).mean(axis=0)
    return lambda others: embed(others) - middle


def whitened(embed: Embed, step: ManyClasses) -> Embed:
    """Even out the variance within the seen classes, in the first principal components.

    What varies much inside a class counts little. Source: within-class covariance normalisation,
    Hatch, Kajarekar and Stolcke 2006.
    """
    images, labels = manyclasses.taught(step)
    found = embed(images)
    means = _class_means(found, labels)
    middle = means.mean(axis=0)
    inside = found - means[np.searchsorted(np.unique(labels), labels)]
    size = min(COMPONENTS, found.shape[1])
    axes = np.linalg.eigh(np.cov(found.T))[1][:, ::-1][:, :size]
    within = np.cov((inside @ axes).T)
    within = (1 - SHRINKAGE) * within + SHRINKAGE * np.trace(within) / size * np.eye(size)
    transform = axes @ np.linalg.cholesky(np.linalg.inv(within))
    return lambda others: (embed(others) - middle) @ transform


def joined(parts: Sequence[Embed]) -> Embed:
    """Put embeddings side by side, each of length 1: the cosine is then the mean of theirs."""
    directions = [baselines.to_unit_length(part) for part in parts]
    return lambda images: np.concatenate([embed(images) for embed in directions], axis=1)


def _class_means(found: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.array([found[labels == c].mean(axis=0) for c in np.unique(labels)])


# The ladder ------------------------------------------------------------------------


def _of(features: Embed, do: Callable[[Embed, ManyClasses], Embed] | None = None) -> Way:
    return lambda step: do(features, step) if do else features


def _of_networks(
    do: Callable[[Embed, ManyClasses], Embed], starts: int = 1, made_up: int | None = None
) -> Way:
    def way(step: ManyClasses) -> Embed:
        step = step if made_up is None else replace(step, made_up=made_up)
        return joined([do(network(one), step) for one in step.starts(starts)])

    return way


def outlines(step: ManyClasses) -> Embed:
    """Return silhouette and gradients, whitened and joined: no network."""
    return joined([whitened(features, step) for features in (baselines.silhouette, gradients)])


def recipe(step: ManyClasses) -> Embed:
    """Return the recipe: silhouette, gradients and networks, whitened and joined.

    The networks, from different first weights, count as much as the other two together.
    """
    parts = [baselines.silhouette, gradients, *map(network, step.starts(manyclasses.STARTS))]
    return joined([whitened(part, step) for part in parts])


LADDER: dict[str, Way] = {
    "raw pixels": _of(baselines.pixels),
    "silhouette": _of(baselines.silhouette),
    "silhouette, centred": _of(baselines.silhouette, centred),
    "gradients, centred": _of(gradients, centred),
    "silhouette, whitened": _of(baselines.silhouette, whitened),
    "gradients, whitened": _of(gradients, whitened),
    "silhouette and gradients, whitened": outlines,
    "network without made-up classes, whitened": _of_networks(whitened, made_up=0),
    "network, centred": _of_networks(centred),
    "network, whitened": _of_networks(whitened),
    "networks from two starts, whitened": _of_networks(whitened, starts=manyclasses.STARTS),
    "recipe": recipe,
}
CODE = ["measuring.unseen.LADDER", "measuring.unseen.embed_by"]
CEILING = "every class learned"  # on other images: what there is to reach
RECIPE, OUTLINE = "recipe", "silhouette, centred"
NO_NETWORK = "silhouette and gradients, whitened"
WITHOUT_NETWORK = tuple(name for name in LADDER if "network" not in name and name != RECIPE)


# What it comes to --------------------------------------------------------------------


def outcomes(splits: Sequence[ManyClasses], ways: Sequence[str] = ()) -> pd.DataFrame:
    """Return what each way came to on each split, a row each.

    Columns: the names of the unseen classes, the way, and from all pairs of test images the AUC on
    unseen and on seen classes, and the accuracy on both in %, at the threshold tuned on seen
    validation images and at the best one. ways: in LADDER; else all of it, and the ceiling.
    """
    rows = []
    for split in splits:
        dataset = manyclasses.load_data(split)
        own = ways or [*LADDER, *([CEILING] if manyclasses.has_further(split) else [])]
        for way in own:
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
        f"{way} {' '.join(_weights(split, way))}",
        lambda _: joined([embed_by(split, way)]),
        manyclasses.load_data(split),
        split.seed,
        code=CODE,
    )


def _weights(split: ManyClasses, way: str) -> list[str]:
    """Return the digest of each network that a way may use."""
    if way in WITHOUT_NETWORK:
        return []
    return [manyclasses.train(step).digest for step in split.trainings(way != RECIPE)]


def embed_by(split: ManyClasses, way: str) -> Embed:
    """Return the embedding of a way on a split: a name in LADDER, or the ceiling."""
    if way != CEILING:
        return LADDER[way](split)
    step = replace(split, every_class=True, seen=None)
    return LADDER["networks from two starts, whitened"](step)


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
    rows = {
        way: {
            "recipe minus it": measured(areas[RECIPE]) - measured(areas[way]),
            "splits ahead": int((areas[RECIPE] > areas[way]).sum()),
        }
        for way in areas.columns.drop(RECIPE)
    }
    return pd.DataFrame(rows).T.rename_axis("way")


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
        "embeddings": way,
        "weights": _weights(split, way),
        "data": dataset.digest,
        "seed": split.seed,
    }
    return store.kept(
        parts | {"rows": rows.tolist()},
        CODE,
        lambda: {"found": np.float32(embed_by(split, way)(dataset.images[rows]))},
    )["found"]
