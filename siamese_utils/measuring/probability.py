"""From a distance to the probability that two images show one class, and how good that is.

Same pairs and different pairs weigh half each, whatever their numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit
from sklearn.linear_model import LogisticRegression

from siamese_utils.measuring.counts import PairCounts


@dataclass(frozen=True)
class Probability:
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


def fit(distance: np.ndarray, same: np.ndarray, number: int) -> Probability:
    """Fit the probability to judged pairs.

    distance, same: (pairs,), of both kinds; number: how many independent pairs of each kind they
    are taken for, since pairs share images. Platt's targets are then 1 / (number + 2) and
    (number + 1) / (number + 2), and no few pairs make it certain. Where same pairs are no nearer
    than different ones it is a half at every distance. Source: Platt 1999, section 2.2.
    """
    unit = distance.std() or 1.0  # the solver stops early where distances are small
    share = np.where(same, number + 1, 1) / (number + 2)  # of a pair that is counted as the same
    weight = number * np.where(same, 1 / same.sum(), 1 / (~same).sum())
    fitted = LogisticRegression(C=np.inf, max_iter=1000).fit(
        np.tile(distance / unit, 2)[:, np.newaxis],
        np.repeat([True, False], len(distance)),
        sample_weight=np.concatenate([weight * share, weight * (1 - share)]),
    )
    slope = float(fitted.coef_[0, 0] / unit)
    return Probability(slope, float(fitted.intercept_[0])) if slope < 0 else Probability(0.0, 0.0)


def scores(probability: Probability, found: PairCounts) -> dict[str, float]:
    """Return the log-loss and the Brier score on all pairs of all classes; a coin has 0.693 and 0.25.

    The log-loss in bits, divided by log 2, is the Cllr of speaker recognition (Brümmer and du
    Preez 2006), since both kinds of pairs weigh the same.
    """
    same, different = found.both_shares(found.classes)
    logit = probability.logit(found.step * (np.arange(len(same)) + 0.5))
    stated = expit(logit)
    return {
        "log-loss": -float(same @ log_expit(logit) + different @ log_expit(-logit)) / 2,
        "Brier": float(same @ (1 - stated) ** 2 + different @ stated**2) / 2,
    }
