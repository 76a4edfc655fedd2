"""Rules that turn a measurement into a verdict on a claim.

Every rule reads a 95 % confidence interval. A claim about an effect is refuted only by a bound: the
interval excludes every effect of the smallest size that matters.
"""

from collections.abc import Sequence

import numpy as np

from siamese_utils.evaluation.intervals import Interval, Measurement

SUPPORTED, REFUTED, INCONCLUSIVE = "supported", "refuted", "inconclusive"
THRESHOLD_EFFECT = "threshold effect"
VERDICTS = (SUPPORTED, THRESHOLD_EFFECT, REFUTED, INCONCLUSIVE)
SMALLEST_POINTS, SMALLEST_AUC = 1.0, 0.01  # effects that matter, in points of accuracy and in AUC
ROUNDING = 1e-12  # equal numbers can have means that differ by this much


def judge(difference: Measurement | Interval, claimed: int, smallest_effect: float = 0.0) -> str:
    """Judge a claim about the sign of a difference.

    Args:
        difference: The measured difference.
        claimed: The claimed sign: +1 or -1.
        smallest_effect: The smallest effect that matters, 0 or more, in the unit of the difference.

    Returns:
        REFUTED if the 95 % interval excludes every effect in the claimed direction of
        `smallest_effect` or more (if that is 0: the interval lies on the other side of 0).
        Otherwise SUPPORTED if the interval lies on the claimed side of 0, and INCONCLUSIVE if it
        contains 0 or if a single seed gives no interval.

    Raises:
        ValueError: `claimed` is neither +1 nor -1.
    """
    low, high = _claimed_direction(difference, claimed)
    if high < max(smallest_effect, 0.0) - ROUNDING:
        return REFUTED
    return SUPPORTED if low > ROUNDING else INCONCLUSIVE


def largest_effect(difference: Measurement | Interval, claimed: int) -> float:
    """Return the largest effect in the claimed direction that the 95 % interval contains.

    Args:
        difference: The measured difference.
        claimed: The claimed sign: +1 or -1.

    Returns:
        0 or more, in the unit of the difference: larger effects are excluded. NaN for one seed.
    """
    return max(_claimed_direction(difference, claimed)[1], 0.0)


def judge_value(value: Measurement | Interval, low: float, high: float, tolerance: float) -> str:
    """Judge a claim that a metric has a value in low..high, by an equivalence test.

    The rule amounts to two one-sided tests at 2.5 % each (Schuirmann 1987). A noisy measurement
    cannot support the claim, however close its mean is.

    Args:
        value: The measured metric.
        low: Lower end of the claimed range; equal to `high` for a single claimed value.
        high: Upper end of the claimed range.
        tolerance: The range is widened by this much at either end, in the unit of the metric.

    Returns:
        SUPPORTED if the 95 % interval lies inside the widened range, REFUTED if it lies outside, and
        INCONCLUSIVE if the two overlap or if there is no interval.
    """
    interval = value.interval
    low, high = low - tolerance - ROUNDING, high + tolerance + ROUNDING
    if low <= interval.low and interval.high <= high:
        return SUPPORTED
    return REFUTED if interval.high < low or high < interval.low else INCONCLUSIVE


def judge_threshold(
    fixed: Measurement, tuned: Measurement, claimed: int, smallest_effect: float = 0.0
) -> str:
    """Judge a claim made at a fixed threshold, and check whether it depends on that threshold.

    Args:
        fixed: The paired difference in accuracy at the fixed threshold.
        tuned: The paired difference in accuracy at the tuned threshold.
        claimed: The claimed sign: +1 or -1.
        smallest_effect: As in `judge`, for the difference at the fixed threshold.

    Returns:
        THRESHOLD_EFFECT if the claim is supported at the fixed threshold, and a tuned threshold
        removes more than half of the difference: the interval of `threshold_part` lies on the
        claimed side of 0. Otherwise the verdict of `judge` at the fixed threshold.
    """
    verdict = judge(fixed, claimed, smallest_effect)
    mostly_threshold = judge(threshold_part(fixed, tuned), claimed) == SUPPORTED
    return THRESHOLD_EFFECT if verdict == SUPPORTED and mostly_threshold else verdict


def threshold_part(fixed: Measurement, tuned: Measurement) -> Measurement:
    """Return half of the difference at the fixed threshold, minus that at the tuned threshold.

    If it has the sign of the difference, the tuned threshold removes more than half of it.
    """
    return fixed * 0.5 - tuned


def compare(difference: Measurement | Interval) -> str:
    """Return whether the first of two results is "better", "worse" or "unclear".

    Args:
        difference: First minus second, of a metric of which more is better.
    """
    return {SUPPORTED: "better", REFUTED: "worse", INCONCLUSIVE: "unclear"}[judge(difference, +1)]


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number: the step-down method of Holm (1979).

    Args:
        p_values: The p-value of each comparison, 0..1.

    Returns:
        The adjusted p-values in the same order. A comparison is significant at 5 %, for the whole
        family, if its adjusted p-value is at most 0.05.
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(np.argsort(p_values)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * float(p_values[i])))
        adjusted[i] = largest
    return adjusted


def _claimed_direction(difference: Measurement | Interval, claimed: int) -> tuple[float, float]:
    """Return the ends of an interval, with the sign that the claim gives to the difference."""
    if claimed not in (-1, 1):
        raise ValueError(f"claimed must be +1 or -1, not {claimed}")
    interval = difference.interval
    low, high = sorted((interval.low * claimed, interval.high * claimed))
    return low, high
