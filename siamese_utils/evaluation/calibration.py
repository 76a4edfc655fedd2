"""From a distance to the probability that two images show one class, and how good that is.

Same pairs and different pairs weigh half each, whatever their numbers.
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
    """The probability of "same" at each distance: a logistic curve (Platt 1999)."""

    slope: float
    intercept: float

    def __call__(self, distance: np.ndarray) -> np.ndarray:
        """Return the probabilities, 0..1, of the shape of the distances."""
        return expit(self.logit(distance))

    @property
    def threshold(self) -> float:
        """The distance at which both are as probable; below 0 where distance tells nothing."""
        return -self.intercept / self.slope if self.slope < 0 else -1.0

    def logit(self, distance: np.ndarray) -> np.ndarray:
        """Return the logarithm of the odds."""
        return np.asarray(distance) * self.slope + self.intercept


def fit(distance: np.ndarray, same: np.ndarray, number: int) -> PlattScaling:
    """Fit the probability to judged pairs.

    distance, same: (pairs,), of both kinds; number: how many independent pairs of each kind they
    are taken for, since pairs share images. Platt's targets are then 1 / (number + 2) and
    (number + 1) / (number + 2), and no few pairs make it certain. Where same pairs are no nearer
    than different ones it is a half at every distance. Source: Platt 1999, section 2.2.
    """
    unit = distance.std()
    if unit <= 1e-9 * distance.mean():  # all distances are equal, but for rounding
        return PlattScaling(0.0, 0.0)
    # distances are divided by it, since the solver stops early where they are small
    share = np.where(same, number + 1, 1) / (number + 2)  # of a pair that is counted as the same
    weight = number * np.where(same, 1 / same.sum(), 1 / (~same).sum())
    fitted = LogisticRegression(C=np.inf, max_iter=1000).fit(
        np.tile(distance / unit, 2)[:, np.newaxis],
        np.repeat([True, False], len(distance)),
        sample_weight=np.concatenate([weight * share, weight * (1 - share)]),
    )
    slope = float(fitted.coef_[0, 0] / unit)
    return PlattScaling(slope, float(fitted.intercept_[0])) if slope < 0 else PlattScaling(0.0, 0.0)


@dataclass(frozen=True, eq=False)
class CalibrationTest:
    """A probability, and all pairs of some classes that it is held against."""

    probability: PlattScaling
    pairs: PairHistogram
    classes: tuple[int, ...]

    def scores(self) -> dict[str, float]:
        """Return how good the probability is.

        The log-loss and the Brier score, of which a coin has 0.693 and 0.25; the confidence, which
        is the mean probability of the more probable answer; and the accuracy, the share of such
        answers that are right. The log-loss in bits, divided by log 2, is the Cllr of speaker
        recognition (Brümmer and du Preez 2006), since both kinds of pairs weigh the same.
        """
        same, different = self.pairs.shares_by_label(self.classes)
        logit = self.probability.logit(self._distances)
        stated = expit(logit)
        curve = self.pairs.curve_of_classes(self.classes)
        return {
            "log-loss": -float(same @ log_expit(logit) + different @ log_expit(-logit)) / 2,
            "Brier": float(same @ (1 - stated) ** 2 + different @ stated**2) / 2,
            "confidence": float((same + different) @ np.maximum(stated, 1 - stated)) / 2,
            "accuracy": curve.accuracy(self.probability.threshold),
        }

    def reliability(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the stated probability and the share of same pairs, in ten bins of the former: (bins,) each."""
        same, different = self.pairs.shares_by_label(self.classes)
        stated = self.probability(self._distances)
        place = np.minimum((stated * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
        share, of_same, of_stated = (
            np.bincount(place, weights=weight, minlength=RELIABILITY_BINS)
            for weight in (same + different, same, stated * (same + different))
        )
        with np.errstate(invalid="ignore"):
            return of_stated / share, of_same / share

    @property
    def _distances(self) -> np.ndarray:
        """The distance in the middle of each bin."""
        return self.pairs.step * (np.arange(self.pairs.counts.shape[2]) + 0.5)


def calibration_tests(
    ways: Mapping[str, Sequence[PairDistances]], dataset: Dataset
) -> dict[tuple[str, str], list[CalibrationTest]]:
    """Return the probabilities fitted to each encoder's validation pairs, held against test pairs.

    (encoder, test set) -> one for each seed.
    """
    found: dict[tuple[str, str], list[CalibrationTest]] = {}
    for name, of_seeds in ways.items():
        for one in of_seeds:
            distance, different = one.labelled_distances("validation")
            fitted = fit(distance, ~different, len(distance) // 2)
            for pair_set, classes in dataset.classes_of.items():
                found.setdefault((name, pair_set), []).append(
                    CalibrationTest(fitted, one.all_pairs, classes)
                )
    return found
