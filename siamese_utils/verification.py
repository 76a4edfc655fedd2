"""How well distances verify that two images are of one class: the curve and the figures read from it.

To *accept* a pair is to call it "same": its distance is at most the threshold. Same pairs and
different pairs weigh half each, whatever their numbers, as in the study's pairs.
"""

from dataclasses import dataclass

import numpy as np

FALSE_ACCEPTS = (0.01, 0.001)  # the shares at which true accepts are read
RELIABILITY_BINS = 10


@dataclass(frozen=True)
class Curve:
    """The shares that each threshold accepts: the ROC curve with its thresholds."""

    threshold: np.ndarray  # (n,) ascending; the first accepts nothing
    same: np.ndarray  # (n,) share of the same pairs accepted, 0..1: true accepts
    different: np.ndarray  # (n,) share of the different pairs accepted, 0..1: false accepts


def make_curve(distance: np.ndarray, different: np.ndarray) -> Curve:
    """Return the curve of judged pairs; distance, different: (pairs,).

    Raises ValueError unless there are pairs of both kinds.
    """
    distance, different = np.asarray(distance, dtype=np.float64), np.asarray(different, dtype=bool)
    if distance.ndim != 1 or distance.shape != different.shape:
        raise ValueError(f"both must be (pairs,), not {distance.shape} and {different.shape}")
    threshold, position = np.unique(distance, return_inverse=True)
    counts = [np.bincount(position[kind], minlength=len(threshold)) for kind in _kinds(different)]
    return curve_of_counts(np.concatenate([[-np.inf], threshold]), *counts)


def curve_of_counts(threshold: np.ndarray, same: np.ndarray, different: np.ndarray) -> Curve:
    """Return the curve of counted pairs.

    threshold: (n + 1,) edges; same, different: (n,) how many pairs, in any unit, lie above one
    edge and at or below the next. Raises ValueError unless there are pairs of both kinds.
    """
    if not same.sum() or not different.sum():
        raise ValueError("a curve needs same pairs and different pairs")
    shares = [np.concatenate([[0.0], np.cumsum(kind) / kind.sum()]) for kind in (same, different)]
    return Curve(np.asarray(threshold, dtype=np.float64), *shares)


def accuracy_at(curve: Curve, threshold: float) -> float:
    """Return the share of pairs on the right side of a threshold, 0..1."""
    at = _position(curve, threshold)
    return float(0.5 * (curve.same[at] + 1 - curve.different[at]))


def threshold_of_best_accuracy(curve: Curve) -> float:
    """Return the threshold of highest accuracy, the lowest of several."""
    return float(curve.threshold[np.argmax(curve.same - curve.different)])


def area_under_roc(curve: Curve) -> float:
    """Return how often a different pair is farther apart than a same one, ties counted half, 0..1."""
    return float(np.trapezoid(curve.same, curve.different))


def equal_error_rate(curve: Curve) -> float:
    """Return the share of wrong accepts where it equals that of wrong rejects, 0..1.

    Between two thresholds the curve is taken as straight.
    """
    excess = curve.different - (1 - curve.same)  # rises from -1 to 1
    after = int(np.argmax(excess >= 0))
    part = -excess[after - 1] / (excess[after] - excess[after - 1])
    low, high = curve.different[after - 1], curve.different[after]
    return float(low + part * (high - low))


def true_accepts_at(curve: Curve, false_accepts: float) -> float:
    """Return the largest share of same pairs accepted while that of different ones is at most so much, 0..1."""
    return float(curve.same[curve.different <= false_accepts].max())


def average_precision(curve: Curve) -> float:
    """Return the mean precision over the recall when same pairs are sought, nearest first, 0..1."""
    accepted = curve.same + curve.different
    precision = np.divide(curve.same, accepted, out=np.ones_like(accepted), where=accepted > 0)
    return float(np.sum(np.diff(curve.same) * precision[1:]))


@dataclass(frozen=True)
class Reliability:
    """Stated and observed probability of "different", in bins of the stated one."""

    stated: np.ndarray  # (bins,) mean of min(D / m, 1) in the bin; NaN in an empty one
    observed: np.ndarray  # (bins,) share of different pairs among its pairs
    share: np.ndarray  # (bins,) share of all pairs that lie in it


def reliability(curve: Curve, margin: float, bins: int = RELIABILITY_BINS) -> Reliability:
    """Return how far D / margin, at most 1, is the probability that a pair is different.

    On pairs like those trained on, the loss asks for that: see the page on the losses.
    """
    stated = np.clip(curve.threshold[1:] / margin, 0, 1)
    place = np.minimum((stated * bins).astype(int), bins - 1)
    kinds = np.diff(curve.same) / 2, np.diff(curve.different) / 2

    def total(weight: np.ndarray) -> np.ndarray:
        return np.bincount(place, weights=weight, minlength=bins)

    share = total(kinds[0] + kinds[1])
    with np.errstate(invalid="ignore"):
        means = total(stated * (kinds[0] + kinds[1])) / share
        return Reliability(means, total(kinds[1]) / share, share)


def expected_calibration_error(curve: Curve, margin: float) -> float:
    """Return the mean distance between stated and observed probability, 0..1.

    Each bin of `reliability` counts by its share of the pairs. Source: Naeini et al. 2015.
    """
    found = reliability(curve, margin)
    return float(np.nansum(found.share * np.abs(found.stated - found.observed)))


def panel(curve: Curve, tuned: float, margin: float | None = None) -> dict[str, float]:
    """Return all figures of the curve by name, 0..1.

    tuned: the threshold chosen on validation pairs. margin: None where the distance has none; then
    what depends on the margin is NaN. `accuracy, oracle` is at the threshold that is best on these
    very pairs: no reader without their labels could choose it.
    """
    figures = {
        "accuracy, 0.5": accuracy_at(curve, 0.5) if margin else np.nan,
        "accuracy, m/2": accuracy_at(curve, margin / 2) if margin else np.nan,
        "accuracy, tuned": accuracy_at(curve, tuned),
        "accuracy, oracle": accuracy_at(curve, threshold_of_best_accuracy(curve)),
        "AUC": area_under_roc(curve),
        "EER": equal_error_rate(curve),
        "average precision": average_precision(curve),
    }
    for share in FALSE_ACCEPTS:
        figures[f"true accepts at {100 * share:g} %"] = true_accepts_at(curve, share)
    figures["ECE"] = expected_calibration_error(curve, margin) if margin else np.nan
    return figures


def _kinds(different: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return ~different, different


def _position(curve: Curve, threshold: float) -> int:
    """Return the place of the last threshold that is not above this one."""
    tolerance = 1e-9 * abs(threshold)  # an edge such as 1000 x 0.0005 may miss 0.5 by a last digit
    return max(0, int(np.searchsorted(curve.threshold, threshold + tolerance, side="right")) - 1)
