"""Trials of verifiers: the quality of their probabilities by the number of training images."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np
from sklearn.base import BaseEstimator, clone

from siamese_utils.data.dataset import Dataset, slice_classes
from siamese_utils.data.pairs import sample_pairs
from siamese_utils.evaluation import pair_histogram
from siamese_utils.evaluation.calibration import CalibrationTest, PlattScaling
from siamese_utils.evaluation.pair_histogram import PairHistogram
from siamese_utils.training import cache, machine
from siamese_utils.training.cache import Arrays
from siamese_utils.training.config import OPTIMIZERS
from siamese_utils.training.encoders import ENCODERS
from siamese_utils.training.pair_training import TrainingConfig

MAX_TEST_IMAGES = 500  # test images of each class
# Further images of each unseen class for recalibration; fewer if there are not as many.
RECALIBRATION_IMAGES = (2, 4, 13, 50)
NUM_RECALIBRATION_IMAGES = 13  # the number behind RECALIBRATED, if there are as many
RECALIBRATED = "unseen, recalibrated"


def run_trials(
    verifiers: Sequence[BaseEstimator], dataset: Dataset, number: int
) -> dict[str, list[CalibrationTest]]:
    """Fit verifiers to images of the seen classes and test their probabilities on other images.

    Args:
        verifiers: Unfitted copies of one verifier, for the seeds 0, 1, ...
        dataset: The images.
        number: Training images, of all seen classes together.

    Returns:
        One test per seed on pairs of seen classes (`seen`), on pairs of unseen classes (`unseen`),
        and on the latter after recalibration with pairs of other images of unseen classes
        (RECALIBRATED).
    """
    tests: dict[str, list[CalibrationTest]] = {"seen": [], "unseen": [], RECALIBRATED: []}
    position = recalibration_numbers(dataset).index(num_recalibration_images(dataset))
    for pairs, fitted, recalibrated in _trials(verifiers, dataset, number):
        tests["seen"].append(CalibrationTest(fitted, pairs, dataset.seen))
        tests["unseen"].append(CalibrationTest(fitted, pairs, dataset.unseen))
        again = CalibrationTest(recalibrated[position], pairs, dataset.unseen)
        tests[RECALIBRATED].append(again)
    return tests


def run_recalibrations(
    verifiers: Sequence[BaseEstimator], dataset: Dataset, number: int
) -> dict[int, list[CalibrationTest]]:
    """Recalibrate fitted verifiers with different numbers of pairs of unseen classes.

    Args:
        verifiers: As in `run_trials`.
        dataset: Likewise.
        number: Likewise.

    Returns:
        Number of pairs -> one test per seed on pairs of other images of unseen classes. 0: before
        recalibration.
    """
    numbers = [0, *(num_recalibration_pairs(dataset, n) for n in recalibration_numbers(dataset))]
    tests: dict[int, list[CalibrationTest]] = {n: [] for n in numbers}
    for pairs, fitted, recalibrated in _trials(verifiers, dataset, number):
        for n, probability in zip(numbers, [fitted, *recalibrated], strict=True):
            tests[n].append(CalibrationTest(probability, pairs, dataset.unseen))
    return tests


def _trials(
    verifiers: Sequence[BaseEstimator], dataset: Dataset, number: int
) -> Iterator[tuple[PairHistogram, PlattScaling, list[PlattScaling]]]:
    """Yield for each verifier the test pairs, its probability, and those after recalibration."""
    for seed, verifier in enumerate(verifiers):
        parts = {
            "trial": verifier.get_params(),
            "number": number,
            "data": dataset.digest,
            "seed": seed,
            "precision": machine.best_precision(),
            "encoders": {name: entry.options for name, entry in ENCODERS.items()},
            "optimizers": OPTIMIZERS,
            "experiment": asdict(TrainingConfig()),
        }
        code = ["verifier.SiameseVerifier", "evaluation.verifier_trials._run_trial"]
        arrays = cache.cached(
            parts, code, lambda v=verifier, s=seed: _run_trial(v, dataset, number, s)
        )
        pairs = PairHistogram(arrays["counts"], float(arrays["step"]), dataset.classes)
        fitted = PlattScaling(*arrays["fitted"].tolist())
        yield pairs, fitted, [PlattScaling(*row) for row in arrays["recalibrated"].tolist()]


def image_rows(
    dataset: Dataset, seed: int, number: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Select disjoint images: rows for training, for testing, and for recalibration."""
    split, labels, skip = dataset.split(seed), dataset.labels, max(recalibration_numbers(dataset))
    train = slice_classes(split.train, labels, 0, number // len(dataset.seen))
    test = [
        slice_classes(split.seen, labels, 0, MAX_TEST_IMAGES),
        slice_classes(split.unseen, labels, skip, skip + MAX_TEST_IMAGES),
    ]
    return train, np.concatenate(test), slice_classes(split.unseen, labels, 0, skip)


def recalibration_numbers(dataset: Dataset) -> list[int]:
    """Return the numbers of images of each unseen class to recalibrate with; half are left.

    Raises:
        ValueError: An unseen class has too few images.
    """
    fewest = np.bincount(dataset.labels)[list(dataset.unseen)].min()
    numbers = [n for n in RECALIBRATION_IMAGES if 2 * n <= fewest]
    if not numbers:
        smallest = 2 * min(RECALIBRATION_IMAGES)
        raise ValueError(
            f"recalibration needs {smallest} images of each unseen class, not {fewest}"
        )
    return numbers


def num_recalibration_images(dataset: Dataset) -> int:
    """Return the number of images of each unseen class behind RECALIBRATED."""
    return max(n for n in recalibration_numbers(dataset) if n <= NUM_RECALIBRATION_IMAGES)


def num_recalibration_pairs(dataset: Dataset, number: int | None = None) -> int:
    """Return how many pairs a number of images of each unseen class gives; half are positive.

    Args:
        dataset: The images.
        number: The number; None: that behind RECALIBRATED.
    """
    return 2 * len(dataset.unseen) * ((number or num_recalibration_images(dataset)) - 1)


def max_training_images(dataset: Dataset) -> int:
    """Return the largest number of training images with equally many of each seen class."""
    split = dataset.split(0)
    return len(dataset.seen) * np.bincount(dataset.labels[split.train])[list(dataset.seen)].min()


def _run_trial(verifier: BaseEstimator, dataset: Dataset, number: int, seed: int) -> Arrays:
    images, labels = dataset.images, dataset.labels
    train, test, recalibration = image_rows(dataset, seed, number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Small training sets are the subject of the trial.
        verifier = clone(verifier).fit(images[train], labels[train])
        fitted, recalibrated = verifier.probability_, []
        for count in recalibration_numbers(dataset):
            rows = slice_classes(recalibration, labels, 0, count)
            sampled = sample_pairs(rows, labels, np.random.default_rng(seed))
            same = sampled.different == 0
            verifier.calibrate(images[sampled.first], images[sampled.second], same)
            recalibrated.append(verifier.probability_)
    embeddings = verifier.embed(images[test])
    pairs = pair_histogram.count_pairs(embeddings, labels[test])
    return {
        "counts": pairs.counts,
        "step": np.float64(pairs.bin_width),
        "fitted": np.array([fitted.slope, fitted.intercept]),
        "recalibrated": np.array([[one.slope, one.intercept] for one in recalibrated]),
    }
