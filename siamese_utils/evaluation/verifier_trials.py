"""How good a verifier's probability is, by the number of images that it was fitted to."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from sklearn.base import BaseEstimator, clone

from siamese_utils.data.dataset import Dataset
from siamese_utils.data.pairs import sample_pairs
from siamese_utils.evaluation import pair_histogram
from siamese_utils.evaluation.calibration import CalibrationTest, PlattScaling
from siamese_utils.evaluation.pair_histogram import PairHistogram
from siamese_utils.training import cache, machine
from siamese_utils.training.cache import Arrays
from siamese_utils.training.config import OPTIMIZERS
from siamese_utils.training.encoders import ENCODERS
from siamese_utils.training.pair_training import TrainingConfig

MAX_TEST_IMAGES = 500  # images of each class
NUM_RECALIBRATION_IMAGES = (
    13  # other images of each unseen class, whose pairs set the probability anew
)
RECALIBRATED = "unseen, set anew"


def run_trials(
    verifiers: Sequence[BaseEstimator], dataset: Dataset, number: int
) -> dict[str, list[CalibrationTest]]:
    """Fit a verifier to so many images of the seen classes, and hold its probability against fresh pairs.

    verifiers: the same one for each seed, 0, 1, ... Returns, for each seed: the probability on pairs
    of test images of seen classes, and of unseen ones; and of unseen ones once more, where it was
    set anew by some pairs of other images of them.
    """
    found: dict[str, list[CalibrationTest]] = {"seen": [], "unseen": [], RECALIBRATED: []}
    for seed, verifier in enumerate(verifiers):
        parts = {"trial": verifier.get_params(), "number": number, "data": dataset.digest}
        parts |= {"seed": seed, "precision": machine.best_precision()}
        parts |= {"encoders": {name: entry.options for name, entry in ENCODERS.items()}}
        parts |= {"optimizers": OPTIMIZERS, "experiment": asdict(TrainingConfig())}
        code = ["verifier.SiameseVerifier", "evaluation.verifier_trials._run_trial"]
        arrays = cache.cached(
            parts, code, lambda v=verifier, s=seed: _run_trial(v, dataset, number, s)
        )
        pairs = PairHistogram(arrays["counts"], float(arrays["step"]), dataset.classes)
        own, anew = PlattScaling(*arrays["own"].tolist()), PlattScaling(*arrays["anew"].tolist())
        found["seen"].append(CalibrationTest(own, pairs, dataset.seen))
        found["unseen"].append(CalibrationTest(own, pairs, dataset.unseen))
        found[RECALIBRATED].append(CalibrationTest(anew, pairs, dataset.unseen))
    return found


def image_rows(
    dataset: Dataset, seed: int, number: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows of the images that a verifier is fitted to, tested on, and set anew by."""
    split, labels = dataset.split(seed), dataset.labels
    taught = _first_of_each(split.train, labels, 0, number // len(dataset.seen))
    fresh = _first_of_each(
        split.all, labels, NUM_RECALIBRATION_IMAGES, NUM_RECALIBRATION_IMAGES + MAX_TEST_IMAGES
    )
    return taught, fresh, _first_of_each(split.unseen, labels, 0, NUM_RECALIBRATION_IMAGES)


def num_recalibration_pairs(dataset: Dataset) -> int:
    """Return by how many pairs a probability is set anew: as many same ones as different ones."""
    return 2 * len(dataset.unseen) * (NUM_RECALIBRATION_IMAGES - 1)


def max_training_images(dataset: Dataset) -> int:
    """Return to how many images of the seen classes a verifier can be fitted."""
    split = dataset.split(0)
    return len(dataset.seen) * np.bincount(dataset.labels[split.train])[list(dataset.seen)].min()


def _run_trial(verifier: BaseEstimator, dataset: Dataset, number: int, seed: int) -> Arrays:
    images, labels = dataset.images, dataset.labels
    taught, fresh, asked = image_rows(dataset, seed, number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that so few images say little is what is asked here
        fitted = clone(verifier).fit(images[taught], labels[taught])
        own = fitted.probability_
        drawn = sample_pairs(asked, labels, np.random.default_rng(seed))
        fitted.calibrate(images[drawn.first], images[drawn.second], drawn.different == 0)
    embeddings = fitted.embed(images[fresh])
    pairs = pair_histogram.count_pairs(
        embeddings, labels[fresh], pair_histogram.choose_bin_width(embeddings)
    )
    return {
        "counts": pairs.counts,
        "step": np.float64(pairs.step),
        "own": np.array([own.slope, own.intercept]),
        "anew": np.array([fitted.probability_.slope, fitted.probability_.intercept]),
    }


def _first_of_each(rows: np.ndarray, labels: np.ndarray, start: int, end: int) -> np.ndarray:
    return np.concatenate([rows[labels[rows] == c][start:end] for c in np.unique(labels[rows])])
