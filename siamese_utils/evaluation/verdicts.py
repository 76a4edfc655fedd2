"""Rules that turn a measured figure into a verdict."""

from siamese_utils.evaluation.intervals import Interval, Measurement

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "not decidable"
ROUNDING = 1e-12  # of a mean of equal numbers: no difference
ARTEFACT = "artefact of the fixed threshold"
VERDICTS = (HOLDS, FAILS, UNDECIDED, ARTEFACT)


def judge(difference: Measurement | Interval, claimed: int) -> str:
    """Return whether a difference bears out a claim about its sign.

    claimed: +1 or -1. The verdict is `holds` where the 95 % interval lies on the claimed side of
    0, `does not hold` where it lies on the other side, and `not decidable` where it holds 0, or
    where one seed alone gives no interval.
    """
    if claimed not in (-1, 1):
        raise ValueError(f"claimed must be +1 or -1, not {claimed}")
    found = _interval(difference)
    low, high = sorted((found.low * claimed, found.high * claimed))
    if low > ROUNDING:
        return HOLDS
    return FAILS if high < -ROUNDING else UNDECIDED


def judge_value(figure: Measurement | Interval, low: float, high: float, tolerance: float) -> str:
    """Return whether a figure has a claimed value, or one in the claimed range low..high.

    The range is widened by the tolerance, of the figure's unit, to either side. The verdict is
    `holds` where the 95 % interval of the mean lies within it, `does not hold` where it lies
    outside, and `not decidable` where it does both, or where there is none: a noisy result meets
    no range. It is the two one-sided tests of equivalence (Schuirmann 1987), at 2.5 % each.
    """
    found = _interval(figure)
    low, high = low - tolerance - ROUNDING, high + tolerance + ROUNDING
    if low <= found.low and found.high <= high:
        return HOLDS
    return FAILS if found.high < low or high < found.low else UNDECIDED


def judge_threshold(fixed: Measurement, tuned: Measurement, auc: Measurement, claimed: int) -> str:
    """Return the verdict on a claim made at a fixed threshold, in the light of the tuned one.

    fixed, tuned, auc: the paired differences at either threshold, and in the AUC, which needs
    none. A claim that holds at the fixed threshold is an `artefact of the fixed threshold` where
    neither of the others bears it out and the difference is clearly smaller at the tuned
    threshold; else the verdict at the fixed one stands.
    """
    verdict = judge(fixed, claimed)
    undone = HOLDS not in (judge(tuned, claimed), judge(auc, claimed))
    smaller = judge(fixed - tuned, claimed) == HOLDS
    return ARTEFACT if verdict == HOLDS and undone and smaller else verdict


def compare(difference: Measurement | Interval) -> str:
    """Return whether the first of two is `better` or `worse` than the second, or `unclear`.

    difference: first minus second, of a figure of which more is better.
    """
    return {HOLDS: "better", FAILS: "worse", UNDECIDED: "unclear"}[judge(difference, +1)]


def _interval(figure: Measurement | Interval) -> Interval:
    return figure.interval if isinstance(figure, Measurement) else figure
