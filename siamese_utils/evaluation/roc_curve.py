"""ROC curves of pair verification, and the metrics computed from them.

A positive pair shows one class, a negative pair two classes. A threshold accepts a pair, that is,
classifies it as positive, if its distance is at most the threshold. Positive and negative pairs
have half of the weight each, whatever their numbers, as in the study's pairs.
"""

from dataclasses import dataclass

import numpy as np

from siamese_utils.training.tasks import STUDY_THRESHOLD

FALSE_ACCEPT_RATES = (0.01, 0.001)  # at which the true accept rate is measured
RELIABILITY_BINS = 10


@dataclass(frozen=True)
class Reliability:
    """Stated and observed probability that a pair is negative, in bins of the stated one.

    Attributes:
        stated: (bins,) mean of min(distance / margin, 1) in each bin; NaN in an empty bin.
        observed: (bins,) share of negative pairs in each bin; NaN in an empty bin.
        share: (bins,) share of all pairs in each bin.
    """

    stated: np.ndarray
    observed: np.ndarray
    share: np.ndarray


@dataclass(frozen=True)
class RocCurve:
    """An ROC curve with its thresholds.

    Attributes:
        threshold: (n,) ascending; the first accepts no pair.
        tar: (n,) true accept rate: share of the positive pairs that are accepted, 0..1.
        far: (n,) false accept rate: share of the negative pairs that are accepted, 0..1.
    """

    threshold: np.ndarray
    tar: np.ndarray
    far: np.ndarray

    @classmethod
    def from_pairs(cls, distance: np.ndarray, different: np.ndarray) -> "RocCurve":
        """Return the ROC curve of single pairs.

        Args:
            distance: (pairs,).
            different: (pairs,), nonzero for a negative pair.

        Raises:
            ValueError: The shapes differ, or there are no positive or no negative pairs.
        """
        # In float32, the midpoint of two neighbouring distances would equal one of them.
        distance, different = np.asarray(distance, dtype=np.float64), np.asarray(different)
        if distance.ndim != 1 or distance.shape != different.shape:
            raise ValueError(
                "distance and different must both have shape (pairs,), "
                f"not {distance.shape} and {different.shape}"
            )
        threshold, position = np.unique(distance, return_inverse=True)
        positive, negative = (
            np.bincount(position[label], minlength=len(threshold))
            for label in (different == 0, different != 0)
        )
        return cls.from_histogram(np.concatenate([[-np.inf], threshold]), positive, negative)

    @classmethod
    def from_histogram(
        cls, edges: np.ndarray, positive: np.ndarray, negative: np.ndarray
    ) -> "RocCurve":
        """Return the ROC curve of two histograms of distances.

        Args:
            edges: (bins + 1,), the thresholds. A bin holds the distances above one edge and at or
                below the next.
            positive: (bins,), numbers or shares of positive pairs.
            negative: (bins,), numbers or shares of negative pairs.

        Raises:
            ValueError: There are no positive or no negative pairs.
        """
        if not positive.sum() or not negative.sum():
            raise ValueError(
                "an ROC curve needs positive and negative pairs, "
                f"not {positive.sum():g} and {negative.sum():g}"
            )
        rates = [np.concatenate([[0.0], np.cumsum(n) / n.sum()]) for n in (positive, negative)]
        return cls(np.asarray(edges, dtype=np.float64), *rates)

    def accuracy(self, threshold: float | np.ndarray) -> float | np.ndarray:
        """Return the accuracy at a threshold, or at each of several, 0..1."""
        # A computed edge such as 1000 * 0.0005 can miss 0.5 by rounding; the distances of single
        # pairs are exact.
        slack = 0.0 if np.isinf(self.threshold[0]) else 1e-9
        limit = np.asarray(threshold) + slack * np.abs(threshold)
        at = np.maximum(np.searchsorted(self.threshold, limit, side="right") - 1, 0)
        accuracy = 0.5 * (self.tar[at] + 1 - self.far[at])
        return accuracy if np.ndim(threshold) else float(accuracy)

    @property
    def best_threshold(self) -> float:
        """The threshold of highest accuracy, midway to the next one; the lowest if there are ties.

        Use it on validation pairs only.
        """
        # Equal accuracies can differ by rounding.
        best = int(np.argmax(np.round(self.tar - self.far, 12)))
        if best == len(self.threshold) - 1:
            return float(self.threshold[best])
        if np.isinf(self.threshold[best]):
            return float(np.nextafter(self.threshold[best + 1], -np.inf))
        return float(self.threshold[best] + self.threshold[best + 1]) / 2

    @property
    def auc(self) -> float:
        """The area under the curve: how often a negative pair is farther apart than a positive one.

        Ties count half, 0..1.
        """
        return float(np.trapezoid(self.tar, self.far))

    @property
    def equal_error_rate(self) -> float:
        """The rate at which false accept rate and false reject rate are equal, 0..1.

        The curve is interpolated linearly between two thresholds.
        """
        excess = self.far - (1 - self.tar)  # rises from -1 to 1
        after = int(np.argmax(excess >= 0))
        weight = -excess[after - 1] / (excess[after] - excess[after - 1])
        low, high = self.far[after - 1], self.far[after]
        return float(low + weight * (high - low))

    def tar_at_far(self, far: float) -> float:
        """Return the highest true accept rate at a false accept rate of at most `far`, 0..1."""
        return float(self.tar[self.far <= far + 1e-12].max())

    @property
    def average_precision(self) -> float:
        """The average precision of retrieving positive pairs by ascending distance, 0..1."""
        accepted = self.tar + self.far
        precision = np.divide(self.tar, accepted, out=np.ones_like(accepted), where=accepted > 0)
        return float(np.sum(np.diff(self.tar) * precision[1:]))

    def reliability(self, margin: float, bins: int = RELIABILITY_BINS) -> Reliability:
        """Return how well distance / margin, clipped to 1, predicts that a pair is negative.

        The contrastive loss is smallest when distance / margin is that probability.

        Args:
            margin: Margin of the loss.
            bins: Number of equally wide bins in 0..1.
        """
        stated = np.clip(self.threshold[1:] / margin, 0, 1)
        bin_index = np.minimum((stated * bins).astype(int), bins - 1)
        positive, negative = np.diff(self.tar) / 2, np.diff(self.far) / 2
        share, negative_share, stated_sum = (
            np.bincount(bin_index, weights=weight, minlength=bins)
            for weight in (positive + negative, negative, stated * (positive + negative))
        )
        with np.errstate(invalid="ignore"):
            return Reliability(stated_sum / share, negative_share / share, share)

    def calibration_error(self, margin: float) -> float:
        """Return the expected calibration error of distance / margin, 0..1.

        Source: Naeini et al. 2015.
        """
        reliability = self.reliability(margin)
        gap = np.abs(reliability.stated - reliability.observed)
        return float(np.nansum(reliability.share * gap))

    def compute_metrics(self, tuned: float, margin: float | None = None) -> dict[str, float]:
        """Compute all metrics.

        Args:
            tuned: The threshold chosen on validation pairs.
            margin: Margin of the loss. If it is None, the metrics that depend on it are NaN.

        Returns:
            Metric name -> value, 0..1. "accuracy, oracle" is at the threshold that is best on these
            very pairs; it cannot be chosen without their labels.
        """
        metrics = {
            "accuracy, 0.5": self.accuracy(STUDY_THRESHOLD) if margin else np.nan,
            "accuracy, m/2": self.accuracy(margin / 2) if margin else np.nan,
            "accuracy, tuned": self.accuracy(tuned),
            "accuracy, oracle": self.accuracy(self.best_threshold),
            "AUC": self.auc,
            "EER": self.equal_error_rate,
            "average precision": self.average_precision,
        }
        metrics |= {
            f"true accepts at {100 * f:g} %": self.tar_at_far(f) for f in FALSE_ACCEPT_RATES
        }
        return metrics | {"ECE": self.calibration_error(margin) if margin else np.nan}
