"""Calibration: the probability that a pair of a given distance is positive, and its quality.

A positive pair shows one class, a negative pair two. Both kinds have the same total weight, whatever
their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit
from sklearn.linear_model import LogisticRegression

from siamese_utils.data.dataset import Dataset
from siamese_utils.evaluation.pair_distances import PairDistances
from siamese_utils.evaluation.pair_histogram import PairHistogram
from siamese_utils.evaluation.roc_curve import RELIABILITY_BINS


@dataclass(frozen=True)
class PlattScaling:
    """A logistic curve from distances to probabilities of a positive pair (Platt 1999).

    Attributes:
        slope: Change of the log-odds per unit of distance, 0 or less.
        intercept: Log-odds at distance 0.
    """

    slope: float
    intercept: float

    def __call__(self, distance: np.ndarray) -> np.ndarray:
        """Return the probabilities, 0..1, in the shape of the distances."""
        return expit(self.logit(distance))

    @property
    def threshold(self) -> float:
        """The distance of probability 0.5; -1, which accepts no pair, if the slope is 0."""
        return -self.intercept / self.slope if self.slope < 0 else -1.0

    def logit(self, distance: np.ndarray) -> np.ndarray:
        """Return the log-odds, in the shape of the distances."""
        return np.asarray(distance) * self.slope + self.intercept


def fit(distance: np.ndarray, positive: np.ndarray, number: int) -> PlattScaling:
    """Fit a logistic curve to labelled pairs.

    The targets are (number + 1) / (number + 2) for positive and 1 / (number + 2) for negative pairs,
    so that few pairs do not give probabilities of 0 and 1.

    Args:
        distance: (pairs,).
        positive: (pairs,) bool, with both values present.
        number: Pairs of each kind, counted as if independent: pairs that share images are not.

    Returns:
        The curve; probability 0.5 at every distance if positive pairs are not closer than negative
        ones. Source: Platt 1999, section 2.2.
    """
    scale = distance.std()
    if scale <= 1e-9 * distance.mean():  # The distances are equal but for rounding.
        return PlattScaling(0.0, 0.0)
    target = np.where(positive, number + 1, 1) / (number + 2)
    weight = number * np.where(positive, 1 / positive.sum(), 1 / (~positive).sum())
    # The solver takes no targets between 0 and 1, so each pair enters with both labels. It stops too
    # early if distances are small, so they are scaled.
    model = LogisticRegression(C=np.inf, max_iter=1000).fit(
        np.tile(distance / scale, 2)[:, np.newaxis],
        np.repeat([True, False], len(distance)),
        sample_weight=np.concatenate([weight * target, weight * (1 - target)]),
    )
    slope = float(model.coef_[0, 0] / scale)
    return PlattScaling(slope, float(model.intercept_[0])) if slope < 0 else PlattScaling(0.0, 0.0)


@dataclass(frozen=True, eq=False)
class CalibrationTest:
    """A test of predicted probabilities on all pairs of some classes.

    Attributes:
        probability: The curve to test.
        pairs: The distances of the test pairs.
        classes: The classes whose pairs count.
    """

    probability: PlattScaling
    pairs: PairHistogram
    classes: tuple[int, ...]

    def scores(self) -> dict[str, float]:
        """Compute the quality of the probabilities.

        Returns:
            The log-loss and the Brier score, which are 0.693 and 0.25 if every probability is 0.5;
            the confidence, the mean probability of the more probable label; and the accuracy, the
            share of pairs for which this label is right. The log-loss divided by log 2 is the Cllr
            of speaker recognition (Brümmer and du Preez 2006), since both kinds have equal weight.
        """
        positive, negative = self.pairs.shares_by_label(self.classes)
        logit = self.probability.logit(self._distances)
        predicted = expit(logit)
        curve = self.pairs.curve_of_classes(self.classes)
        return {
            "log-loss": -float(positive @ log_expit(logit) + negative @ log_expit(-logit)) / 2,
            "Brier": float(positive @ (1 - predicted) ** 2 + negative @ predicted**2) / 2,
            "confidence": float((positive + negative) @ np.maximum(predicted, 1 - predicted)) / 2,
            "accuracy": curve.accuracy(self.probability.threshold),
        }

    def reliability(self) -> tuple[np.ndarray, np.ndarray]:
        """Compute a reliability diagram with ten bins of equal width.

        Returns:
            The mean predicted probability and the share of positive pairs in each bin, (bins,) each;
            NaN in an empty bin.
        """
        positive, negative = self.pairs.shares_by_label(self.classes)
        predicted = self.probability(self._distances)
        bins = np.minimum((predicted * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
        total, total_positive, total_predicted = (
            np.bincount(bins, weights=weights, minlength=RELIABILITY_BINS)
            for weights in (positive + negative, positive, predicted * (positive + negative))
        )
        with np.errstate(invalid="ignore"):
            return total_predicted / total, total_positive / total

    @property
    def _distances(self) -> np.ndarray:
        """The distance in the middle of each bin of the histogram."""
        return self.pairs.bin_width * (np.arange(self.pairs.counts.shape[2]) + 0.5)


def calibration_tests(
    distances: Mapping[str, Sequence[PairDistances]], dataset: Dataset
) -> dict[tuple[str, str], list[CalibrationTest]]:
    """Fit probabilities to each encoder's validation pairs and test them on its test pairs.

    Args:
        distances: Encoder -> its distances, one entry per seed.
        dataset: The images that were compared.

    Returns:
        (encoder, test set) -> one test per seed.
    """
    tests: dict[tuple[str, str], list[CalibrationTest]] = {}
    for name, seeds in distances.items():
        for result in seeds:
            distance, negative = result.labelled_distances("validation")
            probability = fit(distance, ~negative, len(distance) // 2)
            for test_set, classes in dataset.classes_of.items():
                test = CalibrationTest(probability, result.all_pairs, classes)
                tests.setdefault((name, test_set), []).append(test)
    return tests
