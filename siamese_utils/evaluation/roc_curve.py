"""How well distances verify that two images are of one class: the curve and what is read from it.

To *accept* a pair is to call it "same": its distance is at most the threshold. Same pairs and
different pairs weigh half each, whatever their numbers, as in the study's pairs.
"""

from dataclasses import dataclass

import numpy as np

from siamese_utils.training.tasks import STUDY_THRESHOLD

FALSE_ACCEPT_RATES = (0.01, 0.001)  # the shares at which true accepts are read
RELIABILITY_BINS = 10


@dataclass(frozen=True)
class Reliability:
    """Stated and observed probability of "different", in bins of the stated one."""

    stated: np.ndarray  # (bins,) mean of min(D / m, 1) in the bin; NaN in an empty one
    observed: np.ndarray  # (bins,) share of different pairs among its pairs
    share: np.ndarray  # (bins,) share of all pairs that lie in it


@dataclass(frozen=True)
class RocCurve:
    """The shares that each threshold accepts: the ROC curve with its thresholds."""

    threshold: np.ndarray  # (n,) ascending; the first accepts nothing
    same: np.ndarray  # (n,) share of the same pairs accepted, 0..1: true accepts
    different: np.ndarray  # (n,) share of the different pairs accepted, 0..1: false accepts

    @classmethod
    def from_pairs(cls, distance: np.ndarray, different: np.ndarray) -> "RocCurve":
        """Return the curve of judged pairs; distance, different: (pairs,).

        Raises ValueError unless both have one shape and there are pairs of both kinds.
        """
        # float64: a midpoint between two neighbouring float32 distances would be one of them
        distance, different = np.asarray(distance, dtype=np.float64), np.asarray(different)
        if distance.ndim != 1 or distance.shape != different.shape:
            raise ValueError(f"both must be (pairs,), not {distance.shape} and {different.shape}")
        threshold, position = np.unique(distance, return_inverse=True)
        kinds = different == 0, different != 0
        counts = [np.bincount(position[kind], minlength=len(threshold)) for kind in kinds]
        return cls.from_histogram(np.concatenate([[-np.inf], threshold]), *counts)

    @classmethod
    def from_histogram(
        cls, edges: np.ndarray, same: np.ndarray, different: np.ndarray
    ) -> "RocCurve":
        """Return the curve of counted pairs.

        edges: (n + 1,) thresholds; same, different: (n,) how many pairs, in any unit, lie above
        one edge and at or below the next. Raises ValueError unless there are pairs of both kinds.
        """
        if not same.sum() or not different.sum():
            raise ValueError("a curve needs same pairs and different pairs")
        kinds = [np.concatenate([[0.0], np.cumsum(k) / k.sum()]) for k in (same, different)]
        return cls(np.asarray(edges, dtype=np.float64), *kinds)

    def accuracy(self, threshold: float | np.ndarray) -> float | np.ndarray:
        """Return the share of pairs on the right side of a threshold, or of several, 0..1."""
        # an edge such as 1000 x 0.0005 may miss 0.5 by a last digit; distances of pairs are exact
        slack = 0.0 if np.isinf(self.threshold[0]) else 1e-9
        reach = np.asarray(threshold) + slack * np.abs(threshold)
        at = np.maximum(np.searchsorted(self.threshold, reach, side="right") - 1, 0)
        found = 0.5 * (self.same[at] + 1 - self.different[at])
        return found if np.ndim(threshold) else float(found)

    @property
    def best_threshold(self) -> float:
        """The threshold of highest accuracy, midway to the next; the lowest of several.

        Choose it on validation pairs only.
        """
        # rounded, since shares that are equal may differ in a last digit
        cut = int(np.argmax(np.round(self.same - self.different, 12)))
        if cut == len(self.threshold) - 1:
            return float(self.threshold[cut])
        if np.isinf(self.threshold[cut]):
            return float(np.nextafter(self.threshold[cut + 1], -np.inf))
        return float(self.threshold[cut] + self.threshold[cut + 1]) / 2

    @property
    def auc(self) -> float:
        """How often a different pair is farther apart than a same one, ties counted half, 0..1."""
        return float(np.trapezoid(self.same, self.different))

    @property
    def equal_error_rate(self) -> float:
        """The share of wrong accepts where it equals that of wrong rejects, 0..1.

        Between two thresholds the curve is taken as straight.
        """
        excess = self.different - (1 - self.same)  # rises from -1 to 1
        after = int(np.argmax(excess >= 0))
        part = -excess[after - 1] / (excess[after] - excess[after - 1])
        low, high = self.different[after - 1], self.different[after]
        return float(low + part * (high - low))

    def tar_at_far(self, false_accepts: float) -> float:
        """Return the largest share of same pairs accepted while at most so many different ones are."""
        return float(self.same[self.different <= false_accepts + 1e-12].max())

    @property
    def average_precision(self) -> float:
        """The mean precision over the recall when same pairs are sought, nearest first, 0..1."""
        accepted = self.same + self.different
        precision = np.divide(self.same, accepted, out=np.ones_like(accepted), where=accepted > 0)
        return float(np.sum(np.diff(self.same) * precision[1:]))

    def reliability(self, margin: float, bins: int = RELIABILITY_BINS) -> Reliability:
        """Return how far D / margin, at most 1, is the probability that a pair is different.

        On pairs like those trained on, the loss asks for that: see the page on the losses.
        """
        stated = np.clip(self.threshold[1:] / margin, 0, 1)
        place = np.minimum((stated * bins).astype(int), bins - 1)
        same, different = np.diff(self.same) / 2, np.diff(self.different) / 2
        share, of_different, of_stated = (
            np.bincount(place, weights=weight, minlength=bins)
            for weight in (same + different, different, stated * (same + different))
        )
        with np.errstate(invalid="ignore"):
            return Reliability(of_stated / share, of_different / share, share)

    def calibration_error(self, margin: float) -> float:
        """Return the expected calibration error of D / margin, 0..1.

        Each bin of `reliability` counts by its share of the pairs. Source: Naeini et al. 2015.
        """
        found = self.reliability(margin)
        return float(np.nansum(found.share * np.abs(found.stated - found.observed)))

    def figures(self, tuned: float, margin: float | None = None) -> dict[str, float]:
        """Return the figures of merit by name, 0..1.

        tuned: the threshold chosen on validation pairs. margin: None where the distance has none;
        then what depends on it is NaN. `accuracy, oracle` is at the threshold that is best on
        these very pairs: no reader without their labels could choose it.
        """
        found = {
            "accuracy, 0.5": self.accuracy(STUDY_THRESHOLD) if margin else np.nan,
            "accuracy, m/2": self.accuracy(margin / 2) if margin else np.nan,
            "accuracy, tuned": self.accuracy(tuned),
            "accuracy, oracle": self.accuracy(self.best_threshold),
            "AUC": self.auc,
            "EER": self.equal_error_rate,
            "average precision": self.average_precision,
        }
        found |= {f"true accepts at {100 * s:g} %": self.tar_at_far(s) for s in FALSE_ACCEPT_RATES}
        return found | {"ECE": self.calibration_error(margin) if margin else np.nan}
