"""Rules that turn a measurement into a verdict on a claim."""

from siamese_utils.evaluation.intervals import Interval, Measurement

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "not decidable"
ROUNDING = 1e-12  # equal numbers can have means that differ by this much
ARTEFACT = "artefact of the fixed threshold"
VERDICTS = (HOLDS, FAILS, UNDECIDED, ARTEFACT)


def judge(difference: Measurement | Interval, claimed: int) -> str:
    """Judge a claim about the sign of a difference.

    Args:
        difference: The measured difference.
        claimed: The claimed sign: +1 or -1.

    Returns:
        HOLDS if the 95 % interval lies on the claimed side of 0, FAILS if it lies on the other
        side, and UNDECIDED if it contains 0 or if a single seed gives no interval.

    Raises:
        ValueError: `claimed` is neither +1 nor -1.
    """
    if claimed not in (-1, 1):
        raise ValueError(f"claimed must be +1 or -1, not {claimed}")
    interval = _interval(difference)
    low, high = sorted((interval.low * claimed, interval.high * claimed))
    if low > ROUNDING:
        return HOLDS
    return FAILS if high < -ROUNDING else UNDECIDED


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
        HOLDS if the 95 % interval lies inside the widened range, FAILS if it lies outside, and
        UNDECIDED if the two overlap or if there is no interval.
    """
    interval = _interval(value)
    low, high = low - tolerance - ROUNDING, high + tolerance + ROUNDING
    if low <= interval.low and interval.high <= high:
        return HOLDS
    return FAILS if interval.high < low or high < interval.low else UNDECIDED


def judge_threshold(fixed: Measurement, tuned: Measurement, auc: Measurement, claimed: int) -> str:
    """Judge a claim made at a fixed threshold, and check whether it depends on that threshold.

    Args:
        fixed: The paired difference in accuracy at the fixed threshold.
        tuned: The paired difference in accuracy at the tuned threshold.
        auc: The paired difference in AUC, which needs no threshold.
        claimed: The claimed sign: +1 or -1.

    Returns:
        ARTEFACT if the claim holds at the fixed threshold, holds neither at the tuned threshold nor
        by AUC, and the difference is significantly smaller at the tuned threshold; otherwise the
        verdict at the fixed threshold.
    """
    verdict = judge(fixed, claimed)
    unsupported = HOLDS not in (judge(tuned, claimed), judge(auc, claimed))
    smaller = judge(fixed - tuned, claimed) == HOLDS
    return ARTEFACT if verdict == HOLDS and unsupported and smaller else verdict


def compare(difference: Measurement | Interval) -> str:
    """Return whether the first of two results is "better", "worse" or "unclear".

    Args:
        difference: First minus second, of a metric of which more is better.
    """
    return {HOLDS: "better", FAILS: "worse", UNDECIDED: "unclear"}[judge(difference, +1)]


def _interval(value: Measurement | Interval) -> Interval:
    return value.interval if isinstance(value, Measurement) else value
