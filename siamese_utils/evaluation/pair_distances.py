"""The distances of an encoder's test pairs: the study's, drawn, and all of them, counted.

Whatever the encoder, its images are embedded once; what comes of it is kept in the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from siamese_utils.data import dataset as data
from siamese_utils.data import pairs
from siamese_utils.data.dataset import Dataset, Split
from siamese_utils.data.pairs import Pairs
from siamese_utils.evaluation import baselines, pair_histogram
from siamese_utils.evaluation.baselines import Embed
from siamese_utils.evaluation.pair_histogram import PairHistogram
from siamese_utils.evaluation.roc_curve import RocCurve
from siamese_utils.training import cache, pair_training, trainer
from siamese_utils.training.cache import Arrays, TrainingResult

if TYPE_CHECKING:
    import keras

MAX_GROUPS = 20  # of test images, fewer where a class has less than ten images for each
CACHE_CODE = "evaluation.pair_distances._measure"


@dataclass(frozen=True)
class PairDistances:
    """All that is measured of one encoder and one seed."""

    sampled: dict[str, np.ndarray]  # set -> (pairs,): of the study's pairs, same ones first
    all_pairs: PairHistogram  # of all pairs of test images
    # (groups, sets, same and different, bins): shares of each group's pairs; few images have none
    groups: np.ndarray
    validation_threshold: float  # the threshold of highest accuracy on all validation pairs
    margin: float | None  # None where the encoder was not trained on distances

    def labelled_distances(self, pair_set: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the distances of the study's pairs of a set, and which are different: (pairs,)."""
        distance = self.sampled[pair_set]
        return distance, np.arange(len(distance)) >= len(distance) // 2

    def sampled_curve(self, pair_set: str) -> RocCurve:
        """Return the curve of the study's pairs of a set."""
        return RocCurve.from_pairs(*self.labelled_distances(pair_set))

    def curve(self, classes: Sequence[int]) -> RocCurve:
        """Return the curve of all test pairs of these classes."""
        return self.all_pairs.curve_of_classes(classes)

    def group_curves(self, pair_set: str) -> list[RocCurve]:
        """Return the curve of the pairs inside each group of images."""
        edges = self.all_pairs.step * np.arange(self.groups.shape[3] + 1)
        shares = self.groups[:, data.TEST_SETS.index(pair_set)]
        return [RocCurve.from_histogram(edges, *both) for both in shares]


def of_trained(runs: Sequence[TrainingResult], cosine: bool = False) -> list[PairDistances]:
    """Return the distances of trained encoders, each with its own seed's split.

    cosine: compare the embeddings' directions alone; a margin then means nothing.
    """
    return [_of_result(run, cosine) for run in runs]


def of_untrained(
    dataset: Dataset, seeds: Iterable[int], cosine: bool = False
) -> list[PairDistances]:
    """Return the distances by the base model's encoder before the first step of a training."""
    shape = dataset.images.shape[1:]
    return [
        of_embedding(
            f"untrained base {_distance_name(cosine)}",
            lambda _, s=seed: _embedder(
                pair_training.build_untrained_encoder("base", s, shape), cosine
            ),
            dataset,
            seed,
            code=["training.encoders.study_encoder"],
        )
        for seed in seeds
    ]


def of_baseline(
    name: str, dataset: Dataset, seeds: Iterable[int], cosine: bool = False
) -> list[PairDistances]:
    """Return the distances by a way that learns from no pair: a name in BASELINES."""
    fit = baselines.BASELINES[name]
    return [
        of_embedding(
            f"{name} {_distance_name(cosine)}",
            lambda train: baselines.to_unit_length(fit(train)) if cosine else fit(train),
            dataset,
            seed,
            code=[f"evaluation.baselines.{f.__name__}" for f in (fit, baselines.to_unit_length)],
        )
        for seed in seeds
    ]


def of_embedding(
    name: str,
    fit: Callable[[np.ndarray], Embed],
    dataset: Dataset,
    seed: int,
    margin: float | None = None,
    code: Sequence[str] = (),
) -> PairDistances:
    """Return the distances by any embedding of a seed's images.

    name: all that shapes the embedding beside the data, the seed's split and `code`; fit: training
    images -> embed, and embed: images (images, h, w, c) -> (images, dimensions).
    """
    split = dataset.split(seed)
    parts = {"distances": name, "data": dataset.digest, "split": split.digest, "margin": margin}
    arrays = cache.cached(
        parts | {"seed": seed},
        [CACHE_CODE, *code],
        lambda: _measure(fit(dataset.images[split.train]), dataset, split, seed, margin),
    )
    drawn = {s: arrays[f"drawn {s}"] for s in data.SETS}
    whole = PairHistogram(arrays["counts"], float(arrays["step"]), dataset.classes)
    return PairDistances(drawn, whole, arrays["groups"], float(arrays["tuned"]), margin)


def sample_test_pairs(dataset: Dataset, split: Split, seed: int) -> dict[str, Pairs]:
    """Draw the study's pairs that measure an encoder: set name -> pairs, the same for every one.

    Those of the set `train` are drawn anew from its images: they are not the pairs trained on.
    """
    return {
        name: pairs.sample_pairs(indices, dataset.labels, np.random.default_rng([seed, 1, i]))
        for i, (name, indices) in enumerate(split.sets().items())
    }


def _of_result(result: TrainingResult, cosine: bool) -> PairDistances:
    config = pair_training.config_of(result)
    dataset = config.load_data()
    shape = dataset.images.shape[1:]
    return of_embedding(
        f"{result.key} {result.digest} {_distance_name(cosine)}",
        lambda _: _embedder(trainer.rebuild_encoder(config, result, shape), cosine),
        dataset,
        config.seed,
        None if cosine else config.threshold_margin,
        code=["training.trainer.embed"],
    )


def _embedder(encoder: keras.Model, cosine: bool) -> Embed:
    embed = partial(trainer.embed, encoder)
    return baselines.to_unit_length(embed) if cosine else embed


def _measure(
    embed: Embed, dataset: Dataset, split: Split, seed: int, margin: float | None
) -> Arrays:
    """Embed all images once, and return the drawn pairs' distances and the counts of all pairs."""
    embeddings = np.asarray(embed(dataset.images), dtype=np.float32)
    drawn = {
        f"drawn {name}": pairs.distances(embeddings, of_set)
        for name, of_set in sample_test_pairs(dataset, split, seed).items()
    }
    held_out, tested = embeddings[split.validation], embeddings[split.all]
    step = pair_histogram.choose_bin_width(np.concatenate([held_out, tested]), margin)
    validation = pair_histogram.count_pairs(held_out, dataset.labels[split.validation], step)
    labels = dataset.labels[split.all]
    whole = pair_histogram.count_pairs(tested, labels, step)
    return drawn | {
        "counts": whole.counts,
        "step": np.float64(step),
        "groups": _count_groups(tested, labels, dataset, split, whole),
        "tuned": np.float64(validation.curve_of_classes(dataset.seen).best_threshold),
    }


def _count_groups(
    tested: np.ndarray, labels: np.ndarray, dataset: Dataset, split: Split, whole: PairHistogram
) -> np.ndarray:
    """Return the shares of the pairs inside each group of images, with as many bins as the whole.

    There are no groups where one would lack pairs of some class.
    """
    number = int(np.clip(np.bincount(labels).min() // 10, 2, MAX_GROUPS))
    groups = pair_histogram.assign_groups(dataset.labels, number)[split.all]
    bins = whole.counts.shape[2]
    sizes = [np.bincount(labels[groups == g], minlength=labels.max() + 1) for g in range(number)]
    if np.min(sizes, axis=0)[list(dataset.classes)].min() < 2:
        return np.zeros((0, len(data.TEST_SETS), 2, bins), np.float32)
    shares = []
    for found in pair_histogram.count_pairs_in_groups(tested, labels, groups, whole.step):
        of_sets = [found.shares_by_label(classes) for classes in dataset.classes_of.values()]
        stacked = np.stack(of_sets)[..., :bins]
        shares.append(np.pad(stacked, [(0, 0), (0, 0), (0, bins - stacked.shape[2])]))
    return np.float32(shares)


def _distance_name(cosine: bool) -> str:
    return "cosine" if cosine else "Euclidean"
