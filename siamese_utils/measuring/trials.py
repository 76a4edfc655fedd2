"""How good a verifier's probability is, by the number of images that it was fitted to."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from sklearn.base import BaseEstimator, clone

from siamese_utils.images.dataset import Dataset
from siamese_utils.images.pairs import draw_pairs
from siamese_utils.learning import machine, store
from siamese_utils.learning.experiment import MODELS, OPTIMIZERS, Experiment
from siamese_utils.learning.store import Arrays
from siamese_utils.measuring import counts
from siamese_utils.measuring.counts import PairCounts
from siamese_utils.measuring.probability import Judged, Probability

MOST_TESTED = 500  # images of each class
ASKED = 13  # other images of each unseen class, whose pairs set the probability anew
AFRESH = "unseen, set anew"


def trial(
    verifiers: Sequence[BaseEstimator], dataset: Dataset, number: int
) -> dict[str, list[Judged]]:
    """Fit a verifier to so many images of the seen classes, and hold its probability against fresh pairs.

    verifiers: the same one for each seed, 0, 1, ... Returns, for each seed: the probability on pairs
    of test images of seen classes, and of unseen ones; and of unseen ones once more, where it was
    set anew by some pairs of other images of them.
    """
    found: dict[str, list[Judged]] = {"seen": [], "unseen": [], AFRESH: []}
    for seed, verifier in enumerate(verifiers):
        parts = {"trial": verifier.get_params(), "number": number, "data": dataset.digest}
        parts |= {"seed": seed, "precision": machine.best_precision()}
        parts |= {"models": {name: asdict(rule) for name, rule in MODELS.items()}}
        parts |= {"optimizers": OPTIMIZERS, "experiment": asdict(Experiment())}
        code = ["verifier.SiameseVerifier", "measuring.trials._try"]
        arrays = store.kept(parts, code, lambda v=verifier, s=seed: _try(v, dataset, number, s))
        pairs = PairCounts(arrays["counts"], float(arrays["step"]), dataset.classes)
        own, anew = Probability(*arrays["own"].tolist()), Probability(*arrays["anew"].tolist())
        found["seen"].append(Judged(own, pairs, dataset.seen))
        found["unseen"].append(Judged(own, pairs, dataset.unseen))
        found[AFRESH].append(Judged(anew, pairs, dataset.unseen))
    return found


def rows(dataset: Dataset, seed: int, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows of the images that a verifier is fitted to, tested on, and set anew by."""
    split, labels = dataset.split(seed), dataset.labels
    taught = _first_of_each(split.train, labels, 0, number // len(dataset.seen))
    fresh = _first_of_each(split.all, labels, ASKED, ASKED + MOST_TESTED)
    return taught, fresh, _first_of_each(split.unseen, labels, 0, ASKED)


def pairs_asked(dataset: Dataset) -> int:
    """Return by how many pairs a probability is set anew: as many same ones as different ones."""
    return 2 * len(dataset.unseen) * (ASKED - 1)


def most_images(dataset: Dataset) -> int:
    """Return to how many images of the seen classes a verifier can be fitted."""
    split = dataset.split(0)
    return len(dataset.seen) * np.bincount(dataset.labels[split.train])[list(dataset.seen)].min()


def _try(verifier: BaseEstimator, dataset: Dataset, number: int, seed: int) -> Arrays:
    images, labels = dataset.images, dataset.labels
    taught, fresh, asked = rows(dataset, seed, number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that so few images say little is what is asked here
        fitted = clone(verifier).fit(images[taught], labels[taught])
        own = fitted.probability_
        drawn = draw_pairs(asked, labels, np.random.default_rng(seed))
        fitted.calibrate(images[drawn.first], images[drawn.second], drawn.different == 0)
    embeddings = fitted.embed(images[fresh])
    pairs = counts.count_pairs(embeddings, labels[fresh], counts.choose_step(embeddings))
    return {
        "counts": pairs.counts,
        "step": np.float64(pairs.step),
        "own": np.array([own.slope, own.intercept]),
        "anew": np.array([fitted.probability_.slope, fitted.probability_.intercept]),
    }


def _first_of_each(rows: np.ndarray, labels: np.ndarray, start: int, end: int) -> np.ndarray:
    return np.concatenate([rows[labels[rows] == c][start:end] for c in np.unique(labels[rows])])
