"""The distances of an encoder's test pairs: the study's, drawn, and all of them, counted.

Whatever the encoder, its images are embedded once; what comes of it is kept in the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from siamese_utils.images import dataset as data
from siamese_utils.images import pairs
from siamese_utils.images.dataset import Dataset, Split
from siamese_utils.images.pairs import Pairs
from siamese_utils.learning import store, training
from siamese_utils.learning.store import Arrays, Run
from siamese_utils.measuring import baselines, counts
from siamese_utils.measuring.baselines import Embed
from siamese_utils.measuring.counts import PairCounts
from siamese_utils.measuring.curve import Curve

if TYPE_CHECKING:
    import keras

GROUPS = 20  # of test images, fewer where a class has less than ten images for each
CODE = "measuring.distances._measure"


@dataclass(frozen=True)
class Distances:
    """All that is measured of one encoder and one seed."""

    drawn: dict[str, np.ndarray]  # set -> (pairs,): of the study's pairs, same ones first
    whole: PairCounts  # of all pairs of test images
    # (groups, sets, same and different, bins): shares of each group's pairs; few images have none
    groups: np.ndarray
    tuned: float  # the threshold of highest accuracy on all validation pairs
    margin: float | None  # None where the encoder was not trained on distances

    def judged(self, pair_set: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the distances of the study's pairs of a set, and which are different: (pairs,)."""
        distance = self.drawn[pair_set]
        return distance, np.arange(len(distance)) >= len(distance) // 2

    def curve_of_drawn(self, pair_set: str) -> Curve:
        """Return the curve of the study's pairs of a set."""
        return Curve.of_pairs(*self.judged(pair_set))

    def curve(self, classes: Sequence[int]) -> Curve:
        """Return the curve of all test pairs of these classes."""
        return self.whole.curve_of_classes(classes)

    def curves_of_groups(self, pair_set: str) -> list[Curve]:
        """Return the curve of the pairs inside each group of images."""
        edges = self.whole.step * np.arange(self.groups.shape[3] + 1)
        shares = self.groups[:, data.TEST_SETS.index(pair_set)]
        return [Curve.of_counts(edges, *both) for both in shares]


def of_runs(runs: Sequence[Run], cosine: bool = False) -> list[Distances]:
    """Return the distances of trained encoders, each with its own seed's split.

    cosine: compare the embeddings' directions alone; a margin then means nothing.
    """
    return [_of_run(run, cosine) for run in runs]


def of_untrained(dataset: Dataset, seeds: Iterable[int], cosine: bool = False) -> list[Distances]:
    """Return the distances by the base model's encoder before the first step of a training."""
    shape = dataset.images.shape[1:]
    return [
        of_images(
            f"untrained base {_name(cosine)}",
            lambda _, s=seed: _embedder(training.untrained_encoder("base", s, shape), cosine),
            dataset,
            seed,
            code=["learning.models.build_encoder"],
        )
        for seed in seeds
    ]


def of_baseline(
    name: str, dataset: Dataset, seeds: Iterable[int], cosine: bool = False
) -> list[Distances]:
    """Return the distances by a way that learns from no pair: a name in BASELINES."""
    fit = baselines.BASELINES[name]
    return [
        of_images(
            f"{name} {_name(cosine)}",
            lambda train: baselines.to_unit_length(fit(train)) if cosine else fit(train),
            dataset,
            seed,
            code=[f"measuring.baselines.{f.__name__}" for f in (fit, baselines.to_unit_length)],
        )
        for seed in seeds
    ]


def of_images(
    name: str,
    fit: Callable[[np.ndarray], Embed],
    dataset: Dataset,
    seed: int,
    margin: float | None = None,
    code: Sequence[str] = (),
) -> Distances:
    """Return the distances by any embedding of a seed's images.

    name: all that shapes the embedding beside the data, the seed's split and `code`; fit: training
    images -> embed, and embed: images (images, h, w, c) -> (images, dimensions).
    """
    split = dataset.split(seed)
    parts = {"distances": name, "data": dataset.digest, "split": split.digest, "margin": margin}
    arrays = store.kept(
        parts | {"seed": seed},
        [CODE, *code],
        lambda: _measure(fit(dataset.images[split.train]), dataset, split, seed, margin),
    )
    drawn = {s: arrays[f"drawn {s}"] for s in data.SETS}
    whole = PairCounts(arrays["counts"], float(arrays["step"]), dataset.classes)
    return Distances(drawn, whole, arrays["groups"], float(arrays["tuned"]), margin)


def draw_test_pairs(dataset: Dataset, split: Split, seed: int) -> dict[str, Pairs]:
    """Draw the study's pairs that measure an encoder: set name -> pairs, the same for every one.

    Those of the set `train` are drawn anew from its images: they are not the pairs trained on.
    """
    return {
        name: pairs.draw_pairs(indices, dataset.labels, np.random.default_rng([seed, 1, i]))
        for i, (name, indices) in enumerate(split.sets().items())
    }


def _of_run(run: Run, cosine: bool) -> Distances:
    experiment = training.experiment_of(run)
    dataset = training.load_data(experiment)
    on_distances = experiment.objective == "contrastive" and not cosine
    return of_images(
        f"{run.key} {run.digest} {_name(cosine)}",
        lambda _: _embedder(training.rebuild_encoder(run, dataset.images.shape[1:]), cosine),
        dataset,
        experiment.seed,
        experiment.margin if on_distances else None,
        code=["learning.training.embed"],
    )


def _embedder(encoder: keras.Model, cosine: bool) -> Embed:
    embed = partial(training.embed, encoder)
    return baselines.to_unit_length(embed) if cosine else embed


def _measure(
    embed: Embed, dataset: Dataset, split: Split, seed: int, margin: float | None
) -> Arrays:
    """Embed all images once, and return the drawn pairs' distances and the counts of all pairs."""
    embeddings = np.asarray(embed(dataset.images), dtype=np.float32)
    drawn = {
        f"drawn {name}": pairs.distances(embeddings, of_set)
        for name, of_set in draw_test_pairs(dataset, split, seed).items()
    }
    held_out, tested = embeddings[split.validation], embeddings[split.all]
    step = counts.choose_step(np.concatenate([held_out, tested]), margin)
    validation = counts.count_pairs(held_out, dataset.labels[split.validation], step)
    labels = dataset.labels[split.all]
    whole = counts.count_pairs(tested, labels, step)
    return drawn | {
        "counts": whole.counts,
        "step": np.float64(step),
        "groups": _count_groups(tested, labels, dataset, split, whole),
        "tuned": np.float64(validation.curve_of_classes(dataset.seen).best_threshold),
    }


def _count_groups(
    tested: np.ndarray, labels: np.ndarray, dataset: Dataset, split: Split, whole: PairCounts
) -> np.ndarray:
    """Return the shares of the pairs inside each group of images, with as many bins as the whole.

    There are no groups where one would lack pairs of some class.
    """
    number = int(np.clip(np.bincount(labels).min() // 10, 2, GROUPS))
    groups = counts.deal_into_groups(dataset.labels, number)[split.all]
    bins = whole.counts.shape[2]
    sizes = [np.bincount(labels[groups == g], minlength=labels.max() + 1) for g in range(number)]
    if np.min(sizes, axis=0)[list(dataset.classes)].min() < 2:
        return np.zeros((0, len(data.TEST_SETS), 2, bins), np.float32)
    shares = []
    for found in counts.count_in_groups(tested, labels, groups, whole.step):
        of_sets = [found.both_shares(classes) for classes in dataset.classes_of.values()]
        stacked = np.stack(of_sets)[..., :bins]
        shares.append(np.pad(stacked, [(0, 0), (0, 0), (0, bins - stacked.shape[2])]))
    return np.float32(shares)


def _name(cosine: bool) -> str:
    return "cosine" if cosine else "Euclidean"
