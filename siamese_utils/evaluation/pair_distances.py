"""Distances of test pairs in the embedding of an encoder, computed once and cached.

They are measured in two ways: on the study's sampled pairs, and on all pairs as histograms.
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
from siamese_utils.training.encoders import ENCODERS, code_of

if TYPE_CHECKING:
    import keras

MAX_GROUPS = 20  # of test images; fewer if a class has fewer than ten images for each group
CACHE_CODE = "evaluation.pair_distances._measure"
_EMBED_CODE = ["training.trainer.embed", "evaluation.baselines.to_unit_length"]


@dataclass(frozen=True)
class PairDistances:
    """Distances of test pairs for one encoder and one seed.

    Attributes:
        sampled: Set name -> (pairs,), distances of the study's pairs, positive pairs first.
        all_pairs: Histogram of all pairs of test images.
        groups: (groups, test sets, 2, bins), shares of the positive and of the negative pairs in
            each group of test images. A data set with few images has no groups.
        validation_threshold: The threshold of highest accuracy on all validation pairs.
        margin: Margin of the loss; None if the distances have no scale.
    """

    sampled: dict[str, np.ndarray]
    all_pairs: PairHistogram
    groups: np.ndarray
    validation_threshold: float
    margin: float | None

    def labelled_distances(self, pair_set: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the distances of the study's pairs of a set, and which are negative: (pairs,)."""
        distance = self.sampled[pair_set]
        return distance, np.arange(len(distance)) >= len(distance) // 2

    def sampled_curve(self, pair_set: str) -> RocCurve:
        """Return the ROC curve of the study's pairs of a set."""
        return RocCurve.from_pairs(*self.labelled_distances(pair_set))

    def curve(self, classes: Sequence[int]) -> RocCurve:
        """Return the ROC curve of all test pairs of these classes."""
        return self.all_pairs.curve_of_classes(classes)

    def group_curves(self, pair_set: str) -> list[RocCurve]:
        """Return the ROC curve of a test set for each group of images."""
        shares = self.groups[:, data.TEST_SETS.index(pair_set)]
        return [RocCurve.from_histogram(self.all_pairs.edges, *by_label) for by_label in shares]


def of_trained(results: Sequence[TrainingResult], cosine: bool = False) -> list[PairDistances]:
    """Return the distances of trained encoders, each on the split of its seed.

    Args:
        results: Results of `pair_training`.
        cosine: Whether embeddings are scaled to length 1, which leaves no margin.
    """
    return [_of_result(result, cosine) for result in results]


def of_untrained(
    dataset: Dataset, seeds: Iterable[int], cosine: bool = False
) -> list[PairDistances]:
    """Return the distances of the base model's encoder with its initial weights, for each seed."""
    shape = dataset.images.shape[1:]
    return [
        of_embedding(
            f"untrained base {ENCODERS['base'].options} {_distance_name(cosine)}",
            lambda _, s=seed: _embedder(
                pair_training.build_untrained_encoder("base", s, shape), cosine
            ),
            dataset,
            seed,
            code=[*code_of("base"), "training.trainer.seed_everything", *_EMBED_CODE],
        )
        for seed in seeds
    ]


def of_baseline(
    name: str, dataset: Dataset, seeds: Iterable[int], cosine: bool = False
) -> list[PairDistances]:
    """Return the distances of a baseline for each seed; `name` is one in BASELINES."""
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
    """Return the distances of any embedding, from the cache if they are there.

    Args:
        name: Identifies the embedding in the cache, together with the data, the seed and `code`.
        fit: Takes the training images and returns the embedding.
        dataset: The images.
        seed: Seed of the split and of the sampled pairs.
        margin: Margin of the loss, if distances are compared with one.
        code: Definitions that the embedding depends on, as in `cache.make_key`.
    """
    split = dataset.split(seed)
    parts = {"distances": name, "data": dataset.digest, "split": split.digest, "margin": margin}
    arrays = cache.cached(
        parts | {"seed": seed},
        [CACHE_CODE, *code],
        lambda: _measure(fit(dataset.images[split.train]), dataset, split, seed, margin),
    )
    sampled = {s: arrays[f"drawn {s}"] for s in data.SETS}
    all_pairs = PairHistogram(arrays["counts"], float(arrays["step"]), dataset.classes)
    return PairDistances(sampled, all_pairs, arrays["groups"], float(arrays["tuned"]), margin)


def sample_test_pairs(dataset: Dataset, split: Split, seed: int) -> dict[str, Pairs]:
    """Sample the study's pairs of each set; they are the same for all encoders.

    The pairs of the set `train` are not the pairs trained on, but other pairs of the same images.

    Returns:
        Set name -> pairs.
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
        code=_EMBED_CODE,
    )


def _embedder(encoder: keras.Model, cosine: bool) -> Embed:
    embed = partial(trainer.embed, encoder)
    return baselines.to_unit_length(embed) if cosine else embed


def _measure(
    embed: Embed, dataset: Dataset, split: Split, seed: int, margin: float | None
) -> Arrays:
    """Embed all images once and measure the sampled pairs and all pairs.

    Returns:
        The arrays that `of_embedding` makes a PairDistances of.
    """
    embeddings = np.asarray(embed(dataset.images), dtype=np.float32)
    sampled = {
        f"drawn {name}": pairs.distances(embeddings, set_pairs)
        for name, set_pairs in sample_test_pairs(dataset, split, seed).items()
    }
    validation, test = embeddings[split.validation], embeddings[split.all]
    bin_width = pair_histogram.choose_bin_width(np.concatenate([validation, test]), margin)
    validation_pairs = pair_histogram.count_pairs(
        validation, dataset.labels[split.validation], bin_width
    )
    test_labels = dataset.labels[split.all]
    all_pairs = pair_histogram.count_pairs(test, test_labels, bin_width)
    return sampled | {
        "counts": all_pairs.counts,
        "step": np.float64(bin_width),
        "groups": _count_groups(test, test_labels, dataset, split, all_pairs),
        "tuned": np.float64(validation_pairs.curve_of_classes(dataset.seen).best_threshold),
    }


def _count_groups(
    embeddings: np.ndarray,
    labels: np.ndarray,
    dataset: Dataset,
    split: Split,
    all_pairs: PairHistogram,
) -> np.ndarray:
    """Return the shares of the pairs inside each group of test images.

    Args:
        embeddings: (test images, dimensions).
        labels: (test images,).
        dataset: The images.
        split: Its test images are grouped.
        all_pairs: The histogram whose bins are used.

    Returns:
        (groups, test sets, 2, bins) float32. There are no groups if one of them would have fewer
        than two images of a class.
    """
    number = int(np.clip(np.bincount(labels).min() // 10, 2, MAX_GROUPS))
    groups = pair_histogram.assign_groups(dataset.labels, number)[split.all]
    bins = all_pairs.counts.shape[2]
    sizes = [np.bincount(labels[groups == g], minlength=labels.max() + 1) for g in range(number)]
    if np.min(sizes, axis=0)[list(dataset.classes)].min() < 2:
        return np.zeros((0, len(data.TEST_SETS), 2, bins), np.float32)
    shares = []
    for group in pair_histogram.count_pairs_in_groups(
        embeddings, labels, groups, all_pairs.bin_width
    ):
        by_set = [group.shares_by_label(classes) for classes in dataset.classes_of.values()]
        stacked = np.stack(by_set)[..., :bins]
        shares.append(np.pad(stacked, [(0, 0), (0, 0), (0, bins - stacked.shape[2])]))
    return np.float32(shares)


def _distance_name(cosine: bool) -> str:
    return "cosine" if cosine else "Euclidean"
