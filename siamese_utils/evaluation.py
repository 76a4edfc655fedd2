"""Distances and labels in, figures of merit out. Distances above a threshold mean "different"."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from sklearn.metrics import roc_auc_score, roc_curve

CONFIDENCE = 0.95
HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "not decidable"
ARTEFACT = "artefact of the fixed threshold"
# One sentence for each verdict on a difference, and on a published figure.
REASONS = {
    HOLDS: "The whole interval lies on the claim's side of zero.",
    FAILS: "The whole interval lies on the other side of zero.",
    UNDECIDED: "The interval does not lie wholly on one side of zero.",
    ARTEFACT: "Borne out at 0.5 alone; at the tuned threshold the difference is clearly smaller.",
}
FIGURE_REASONS = {
    HOLDS: "The study's figure lies where one more seed of ours is expected.",
    FAILS: "The study's figure lies outside the range in which one more seed of ours is expected.",
    UNDECIDED: "There is no range to hold the study's figure against.",
}


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % confidence interval; `low` and `high` are NaN for one value alone."""

    mean: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the interval's width: the figure after the ± sign."""
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class Measured:
    """One figure, measured with every seed: on all test images, and on each group of them.

    The groups share no image; the groups of two measurements to be subtracted are the same.
    """

    whole: np.ndarray  # (seeds,)
    groups: np.ndarray  # (seeds, groups)

    def __sub__(self, other: "Measured") -> "Measured":
        """Return the paired difference: seed by seed and group by group."""
        return Measured(self.whole - other.whole, self.groups - other.groups)

    def __mul__(self, factor: float) -> "Measured":
        """Return the figure in another unit."""
        return Measured(self.whole * factor, self.groups * factor)

    @property
    def interval(self) -> Interval:
        """The mean over the seeds, with its interval over seeds and images."""
        return crossed_interval(self.groups, float(np.mean(self.whole)))


def accuracy(distance: np.ndarray, different: np.ndarray, threshold: float) -> float:
    """Return the share of pairs on the right side of a threshold, 0..1.

    distance, different: (pairs,); a distance equal to the threshold counts as "same".
    """
    distance, different = _check(distance, different)
    return float(np.mean((distance > threshold) == different))


def best_threshold(distance: np.ndarray, different: np.ndarray) -> float:
    """Return the threshold of highest accuracy: midway between two neighbouring distances.

    distance, different: (pairs,). Of several best ones the lowest is returned. Make this choice
    on validation pairs only. Raises ValueError where there is no pair.
    """
    distance, different = _check(distance, different)
    order = np.argsort(distance, kind="stable")
    sorted_distance, sorted_different = distance[order], different[order]
    # cut k: the k smallest distances count as "same"
    same_below = np.concatenate([[0], np.cumsum(~sorted_different)])
    different_above = sorted_different.sum() - np.concatenate([[0], np.cumsum(sorted_different)])
    correct = same_below + different_above
    # a cut between two equal distances is none
    possible = np.concatenate([[True], np.diff(sorted_distance) > 0, [True]])
    cut = int(np.argmax(np.where(possible, correct, -1)))
    if cut == 0:
        return float(np.nextafter(sorted_distance[0], -np.inf))
    if cut == len(sorted_distance):
        return float(sorted_distance[-1])
    low, high = float(sorted_distance[cut - 1]), float(sorted_distance[cut])
    return (low + high) / 2


def accuracies(distance: np.ndarray, different: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return the accuracy at each threshold, (thresholds,) of 0..1."""
    distance, different = _check(distance, different)
    same = np.sort(distance[~different])
    others = np.sort(distance[different])
    right_same = np.searchsorted(same, thresholds, side="right")
    right_different = len(others) - np.searchsorted(others, thresholds, side="right")
    return (right_same + right_different) / len(distance)


def roc_auc(distance: np.ndarray, different: np.ndarray) -> float:
    """Return the area under the ROC curve: how often a different pair is farther apart than a same one.

    0.5 is chance, 1 perfect. It needs no threshold. Source: scikit-learn.
    """
    distance, different = _check(distance, different)
    return float(roc_auc_score(different, distance))


def roc_points(distance: np.ndarray, different: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ROC curve: the shares of same and of different pairs beyond each threshold.

    Of the curve's many points those on a straight stretch are left out. Source: scikit-learn.
    """
    distance, different = _check(distance, different)
    same_beyond, different_beyond, _ = roc_curve(different, distance)
    return same_beyond, different_beyond


def worst_pairs(distance: np.ndarray, different: np.ndarray, count: int) -> np.ndarray:
    """Return the positions of the most wrongly judged pairs, (2 count,) at most.

    First the same pairs farthest apart, then the different pairs nearest to each other.
    """
    distance, different = _check(distance, different)
    order = np.argsort(distance, kind="stable")
    farthest_same = order[~different[order]][::-1][:count]
    return np.concatenate([farthest_same, order[different[order]][:count]])


def interval(values: Sequence[float]) -> Interval:
    """Return the mean of one value per seed, and its 95 % interval by Student's t.

    Seeds differ in their split, pairs and first weights, which the pairs of one seed share.
    Raises ValueError where there is no value.
    """
    return _t_interval(values, lambda n: 1 / n)


def prediction_interval(values: Sequence[float]) -> Interval:
    """Return the mean of one value per seed, and where one more seed's value lies with 95 % probability.

    This is the range to hold a single published figure against. Raises as `interval`.
    """
    return _t_interval(values, lambda n: 1 + 1 / n)


def crossed_interval(values: np.ndarray, centre: float) -> Interval:
    """Return the 95 % interval of a mean over seeds and images that were both drawn at random.

    values: (seeds, groups), measured with each seed in each group of images; centre: the mean
    that the interval is for. The half-widths of the interval over seeds and of that over groups,
    by Student's t, are added as squares. What a seed and a group do together counts in both: too
    wide rather than too narrow. Both ends are NaN for one seed alone. The bootstrap over seeds and
    images that it replaces (Owen, The pigeonhole bootstrap, 2007) covers far less than it promises
    with so few seeds, as the tests show.
    """
    values = np.asarray(values, dtype=float)
    seeds, groups = values.shape
    if seeds < 2 or groups < 2:
        return Interval(centre, math.nan, math.nan)
    half_width = math.hypot(
        interval(values.mean(axis=1)).half_width, interval(values.mean(axis=0)).half_width
    )
    return Interval(centre, centre - half_width, centre + half_width)


def _t_interval(values: Sequence[float], variance_factor: Callable[[int], float]) -> Interval:
    values = np.asarray(values, dtype=float)
    n = values.size
    if not n:
        raise ValueError("an interval needs at least one value")
    mean = float(values.mean())
    if n == 1:
        return Interval(mean, math.nan, math.nan)
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)
    half_width = float(quantile * values.std(ddof=1) * math.sqrt(variance_factor(n)))
    return Interval(mean, mean - half_width, mean + half_width)


def judge(difference: Interval, claimed: int) -> str:
    """Return whether a difference bears out a claim about its sign.

    claimed: +1 or -1. The verdict is `holds` where the 95 % interval lies on the claimed side of
    0, `does not hold` where it lies on the other side, and `not decidable` where it holds 0, or
    where one seed alone gives no interval.
    """
    if claimed not in (-1, 1):
        raise ValueError(f"claimed must be +1 or -1, not {claimed}")
    low, high = sorted((difference.low * claimed, difference.high * claimed))
    if low > 0:
        return HOLDS
    return FAILS if high < 0 else UNDECIDED


def judge_figure(values: Sequence[float], low: float, high: float | None = None) -> str:
    """Return whether a published figure, or some of the range low..high, lies where one more seed is expected.

    values: one per seed. The verdict is `holds` where the 95 % prediction interval reaches the
    figure, else `does not hold`; `not decidable` from one seed alone.
    """
    expected = prediction_interval(values)
    if math.isnan(expected.low):
        return UNDECIDED
    high = low if high is None else high
    return HOLDS if expected.low <= high and low <= expected.high else FAILS


def find_bumps(curve: Sequence[float]) -> list[int]:
    """Return the epochs, counted from 1, whose value is above that of both their neighbours."""
    values = np.asarray(curve, dtype=float)
    inner = (values[1:-1] > values[:-2]) & (values[1:-1] > values[2:])
    return (np.flatnonzero(inner) + 2).tolist()


def bump_excess(curve: Sequence[float], claimed: Sequence[int]) -> float:
    """Return how much more often a curve has a bump near the claimed epochs than elsewhere, -1..1.

    Near means at most one epoch away; rates are bumps per epoch.
    """
    bumps = set(find_bumps(curve))
    inner = set(range(2, len(curve)))  # the epochs with two neighbours
    near = inner & {epoch + shift for epoch in claimed for shift in (-1, 0, 1)}
    rates = [len(bumps & part) / max(1, len(part)) for part in (near, inner - near)]
    return rates[0] - rates[1]


def compare(difference: Interval) -> str:
    """Return whether the first of two is `better` or `worse` than the second, or `unclear`.

    difference: first minus second, of a measure of which more is better.
    """
    return {HOLDS: "better", FAILS: "worse", UNDECIDED: "unclear"}[judge(difference, +1)]


def judge_threshold(fixed: Measured, tuned: Measured, area: Measured, claimed: int) -> str:
    """Return the verdict on a claim made at a fixed threshold, in the light of the tuned one.

    fixed, tuned, area: the paired differences at either threshold, and in the AUC, which needs
    none. A claim that holds at the fixed threshold is an `artefact of the fixed threshold` where
    neither of the others bears it out and the difference is clearly smaller at the tuned
    threshold; else the verdict at the fixed one stands.
    """
    verdict = judge(fixed.interval, claimed)
    undone = HOLDS not in (judge(tuned.interval, claimed), judge(area.interval, claimed))
    smaller = judge((fixed - tuned).interval, claimed) == HOLDS
    return ARTEFACT if verdict == HOLDS and undone and smaller else verdict


def _check(distance: np.ndarray, different: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return distances and labels as (pairs,) float and bool arrays, or refuse them."""
    # float64: a midpoint between two neighbouring float32 distances would be one of them
    distance, different = np.asarray(distance, dtype=np.float64), np.asarray(different)
    if distance.ndim != 1 or distance.shape != different.shape or not distance.size:
        shapes = f"{distance.shape} and {different.shape}"
        raise ValueError(f"distances and labels must both be of shape (pairs,), not {shapes}")
    return distance, different.astype(bool)
