"""The verification panel of an encoder, trained or not, from all pairs of its test images.

`tables` measures the study's own way, on a sample of pairs, from the distances kept with a training.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import keras
import numpy as np

from siamese_utils import allpairs, baselines, data, models, runs, training, verification
from siamese_utils.allpairs import PairCounts, class_pairs
from siamese_utils.baselines import Embed
from siamese_utils.data import Dataset
from siamese_utils.evaluation import Measured
from siamese_utils.runs import Run
from siamese_utils.training import Experiment
from siamese_utils.verification import Curve

GROUPS = 20  # of test images, fewer where a class has less than ten images for each


@dataclass(frozen=True)
class Counted:
    """All test pairs of one encoder and one seed, counted by distance."""

    whole: PairCounts
    groups: np.ndarray  # (groups, sets, same and different, bins): shares of each group's pairs
    tuned: float  # the threshold of highest accuracy on all validation pairs
    margin: float | None  # None where the encoder was not trained on distances

    def curve(self, classes: Sequence[int]) -> Curve:
        """Return the curve of all test pairs of these classes."""
        return self.whole.curve_of_classes(classes)

    def curves_of_groups(self, pair_set: str) -> list[Curve]:
        """Return the curve of the pairs inside each group of images."""
        edges = self.whole.step * np.arange(self.groups.shape[3] + 1)
        shares = self.groups[:, data.TEST_SETS.index(pair_set)]
        return [verification.curve_of_counts(edges, *both) for both in shares]


def count_trained(trained: Sequence[Run], dataset: Dataset, cosine: bool = False) -> list[Counted]:
    """Count the test pairs of trained encoders, each with its own seed's split.

    cosine: compare the embeddings' directions alone; a margin then means nothing.
    """
    counted = []
    for run in trained:
        experiment = run.record["experiment"]
        on_distances = experiment["objective"] == "contrastive" and not cosine
        name = _name(run.weights, experiment["model"], experiment["precision"], cosine)
        counted.append(
            count(
                name,
                lambda _, run=run: _embedder(
                    training.rebuild_encoder(run, _shape(dataset)), cosine
                ),
                dataset,
                experiment["seed"],
                experiment["margin"] if on_distances else None,
            )
        )
    return counted


def count_untrained(
    model: str, dataset: Dataset, seeds: int, cosine: bool = False
) -> list[Counted]:
    """Count the test pairs of encoders as they are before the first step of a training."""
    counted = []
    for seed in range(seeds):
        encoder = untrained_encoder(model, seed, _shape(dataset))
        name = _name(encoder.get_weights(), model, "float32", cosine)
        fit = lambda _, encoder=encoder: _embedder(encoder, cosine)  # noqa: E731
        counted.append(count(name, fit, dataset, seed))
    return counted


def untrained_encoder(model: str, seed: int, image_shape: tuple[int, int, int]) -> keras.Model:
    """Return the encoder with the weights that a training of that seed begins with."""
    keras.utils.set_random_seed(seed)
    return models.build_encoder(model, image_shape)


def encoder_after(
    experiment: Experiment, epochs: int, image_shape: tuple[int, int, int]
) -> keras.Model:
    """Return the encoder as it is after so many epochs of a training; 0: before the first step."""
    if epochs == 0:
        return untrained_encoder(experiment.model, experiment.seed, image_shape)
    return training.rebuild_encoder(training.train(replace(experiment, epochs=epochs)), image_shape)


def count(
    name: str,
    fit: Callable[[np.ndarray], Embed],
    dataset: Dataset,
    seed: int,
    margin: float | None = None,
) -> Counted:
    """Return the counted test pairs of an embedding, from the store where they are there.

    name: all that shapes the embedding beside the data and the seed's split; fit: training images
    -> embed, and embed: images (images, h, w, c) -> (images, dimensions).
    """
    split = data.split(dataset, seed)
    parts = {"counts": name, "data": dataset.digest, "split": split.digest, "margin": margin}
    parts |= {"versions": [np.__version__, keras.__version__]}
    sources = [models, allpairs, baselines, verification, _this_module()]
    key = runs.make_key(parts | {"sources": runs.source_digest(sources)})
    if (arrays := runs.load_arrays(key)) is None:
        arrays = _count(fit(dataset.images[split.train]), dataset, split, margin)
        runs.save_arrays(key, arrays, compress=True)
    whole = PairCounts(arrays["counts"], float(arrays["step"]), dataset.classes)
    return Counted(whole, arrays["groups"], float(arrays["tuned"]), margin)


def _count(
    embed: Embed,
    dataset: Dataset,
    split: data.Split,
    margin: float | None,
) -> dict[str, np.ndarray]:
    rows = np.concatenate([split.validation, split.all])
    embeddings = embed(dataset.images[rows])
    step = allpairs.choose_step(embeddings, margin)
    held_out, tested = np.split(embeddings, [len(split.validation)])
    labels = dataset.labels[split.all]
    validation = allpairs.count_pairs(held_out, dataset.labels[split.validation], step)
    tuned = verification.threshold_of_best_accuracy(validation.curve_of_classes(dataset.seen))
    whole = allpairs.count_pairs(tested, labels, step)
    number = int(np.clip(np.bincount(labels).min() // 10, 2, GROUPS))
    groups = allpairs.deal_into_groups(dataset.labels, number)[split.all]
    shares = [
        _pad([found.both_shares(classes) for classes in dataset.classes_of.values()], whole)
        for found in allpairs.count_in_groups(tested, labels, groups, step)
    ]
    return {
        "counts": whole.counts,
        "step": np.float64(step),
        "groups": np.float32(shares),
        "tuned": np.float64(tuned),
    }


def measure(counted: Sequence[Counted], dataset: Dataset) -> dict[tuple[str, str], Measured]:
    """Return the panel of an encoder over its seeds: (set, figure) -> Measured, in % or 0..1.

    Accuracies, error rates, true accepts and the calibration error are in %, areas are 0..1.
    """
    measured = {}
    for name, classes in dataset.classes_of.items():
        whole = [_panel(one, one.curve(classes)) for one in counted]
        groups = [[_panel(one, c) for c in one.curves_of_groups(name)] for one in counted]
        for figure in whole[0]:
            measured[name, figure] = Measured(
                np.array([found[figure] for found in whole]),
                np.array([[found[figure] for found in of_seed] for of_seed in groups]),
            )
    return measured


def auc_by_classes(counted: Sequence[Counted], dataset: Dataset) -> np.ndarray:
    """Return the AUC of telling each two classes apart, mean over seeds: (classes, classes).

    It sets the pairs of one image of each against the pairs inside either; NaN on the diagonal.
    """
    classes = dataset.classes
    found = np.full((len(classes), len(classes)), np.nan)
    for a, b in class_pairs(classes):
        curves = [one.whole.curve([(a, a), (b, b)], [(a, b)]) for one in counted]
        i, j = classes.index(a), classes.index(b)
        found[i, j] = found[j, i] = np.mean([verification.area_under_roc(c) for c in curves])
    return found


def kinds_of_pairs(dataset: Dataset) -> dict[str, list[tuple[int, int]]]:
    """Return the class pairs of the set *all*, by kind."""
    seen, unseen = dataset.seen, dataset.unseen
    return {
        "same, seen": [(c, c) for c in seen],
        "same, unseen": [(c, c) for c in unseen],
        "different, both seen": class_pairs(seen),
        "different, both unseen": class_pairs(unseen),
        "different, one of each": [(a, b) for a in seen for b in unseen],
    }


def share_right(
    counted: Sequence[Counted], cells: list[tuple[int, int]], different: bool
) -> np.ndarray:
    """Return the share of these pairs on the right side of the tuned threshold, (seeds,) in %."""
    shares = []
    for one in counted:
        edges = one.whole.step * np.arange(1, one.whole.counts.shape[2] + 1)
        accepted = one.whole.shares(cells)[edges <= one.tuned * (1 + 1e-9)].sum()
        shares.append(100 * (1 - accepted if different else accepted))
    return np.array(shares)


def _panel(one: Counted, curve: Curve) -> dict[str, float]:
    found = verification.panel(curve, one.tuned, one.margin)
    areas = ("AUC", "average precision")
    return {name: value if name in areas else 100 * value for name, value in found.items()}


def _pad(shares: list[tuple[np.ndarray, np.ndarray]], whole: PairCounts) -> np.ndarray:
    """Return the shares with as many bins as the whole has."""
    bins = whole.counts.shape[2]
    stacked = np.stack(shares)[..., :bins]
    return np.pad(stacked, [(0, 0), (0, 0), (0, bins - stacked.shape[2])])


def _shape(dataset: Dataset) -> tuple[int, int, int]:
    return dataset.images.shape[1:]


def _embedder(encoder: keras.Model, cosine: bool) -> Embed:
    embed = partial(training.embed, encoder)
    return baselines.to_unit_length(embed) if cosine else embed


def _name(weights: Sequence[np.ndarray], model: str, precision: str, cosine: bool) -> str:
    """Return what tells one encoder and distance from another."""
    digest = hashlib.sha256()
    for weight in weights:
        digest.update(np.ascontiguousarray(weight))
    return " ".join([model, precision, "cosine" if cosine else "Euclidean", digest.hexdigest()])


@cache
def _this_module() -> object:
    import siamese_utils.panel as this_module

    return this_module
