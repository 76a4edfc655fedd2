import numpy as np
import pytest

from siamese_utils.evaluation import verdicts
from siamese_utils.evaluation.intervals import Interval, Measurement, measurement


@pytest.mark.parametrize(
    ("differences", "claimed", "verdict"),
    [
        ([1.0, 1.1, 0.9], +1, "holds"),
        ([1.0, 1.1, 0.9], -1, "does not hold"),
        ([-1.0, 1.1, 0.9], +1, "not decidable"),
        ([5.0], +1, "not decidable"),
    ],
)
def test_verdicts_on_a_sign(differences, claimed, verdict):
    assert verdicts.judge(measurement(differences), claimed) == verdict
    assert verdicts.judge(measurement(differences).interval, claimed) == verdict
    assert verdict in verdicts.VERDICTS


def test_a_claim_has_a_direction():
    with pytest.raises(ValueError, match="claimed"):
        verdicts.judge(measurement([1.0, 2.0]), 0)


@pytest.mark.parametrize(
    ("fixed", "tuned", "area", "verdict"),
    [
        ([5.0, 5.1, 4.9], [2.0, 2.1, 1.9], [0, 0, 0.1], "holds"),  # smaller, borne out all the same
        ([5.0, 5.1, 4.9], [-2.0, -2.1, -1.9], [0, 0, 0.1], "artefact of the fixed threshold"),
        ([5.0, 5.1, 4.9], [0.3, -0.2, 0.0], [0, 0, 0.1], "artefact of the fixed threshold"),
        ([5.0, 5.1, 4.9], [0.3, -0.2, 0.0], [-0.2, -0.3, -0.2], "artefact of the fixed threshold"),
        ([5.0, 5.1, 4.9], [0.3, -0.2, 0.0], [0.2, 0.3, 0.2], "holds"),  # no threshold is needed
        ([5.0, 5.1, 4.9], [5.0, -2.0, 12.0], [0, 0, 0.1], "holds"),  # tuned: smaller or not
        ([5.0, -5.1, 0.1], [2.0, 2.1, 1.9], [0, 0, 0.1], "not decidable"),
        ([-5.0, -5.1, -4.9], [2.0, 2.1, 1.9], [0, 0, 0.1], "does not hold"),
        # further from the claim still at the tuned threshold: there was nothing to undo
        ([-5.0, -5.1, -4.9], [-8.0, -8.1, -7.9], [0, 0, 0.1], "does not hold"),
        ([5.0, -5.1, 0.1], [4.0, -6.2, -0.9], [0, 0, 0.1], "not decidable"),
    ],
)
def test_what_the_tuned_threshold_undoes_is_an_artefact(fixed, tuned, area, verdict):
    fixed, tuned, area = (
        Measurement(np.array(values), np.outer(values, [1, 1])) for values in (fixed, tuned, area)
    )
    assert verdicts.judge_threshold(fixed, tuned, area, +1) == verdict
    assert verdicts.judge_threshold(fixed * -1, tuned * -1, area * -1, -1) == verdict
    assert verdict in verdicts.VERDICTS


@pytest.mark.parametrize(
    ("differences", "word"),
    [([1.0, 1.1], "better"), ([-1.0, -1.1], "worse"), ([1, -1], "unclear"), ([1.0], "unclear")],
)
def test_the_first_of_two_is_better_or_worse_or_neither_is_clear(differences, word):
    assert verdicts.compare(measurement(differences)) == word
    assert verdicts.compare(measurement(differences).interval) == word


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        # claimed: 0.03 to 0.04, widened to 0.025 .. 0.045
        (0.030, 0.040, "holds"),
        (0.025, 0.045, "holds"),  # to the very ends
        (0.036, 0.037, "holds"),
        (0.024, 0.045, "not decidable"),
        (0.030, 0.046, "not decidable"),
        (0.020, 0.050, "not decidable"),  # as good as anything
        (0.045, 0.050, "not decidable"),  # they touch
        (0.046, 0.050, "does not hold"),
        (0.010, 0.024, "does not hold"),
    ],
)
def test_verdicts_on_a_range_by_hand(low, high, verdict):
    found = Interval((low + high) / 2, low, high, seeds=3)
    assert verdicts.judge_value(found, 0.03, 0.04, 0.005) == verdict


def test_verdicts_on_a_value_by_hand():
    # 2 ± 4.302653 / sqrt(3) = 2 ± 2.484: from -0.484 to 4.484
    found = measurement([1, 2, 3])
    assert verdicts.judge_value(found, 2, 2, 2.5) == "holds"
    assert verdicts.judge_value(found, 2, 2, 2.4) == "not decidable"
    assert verdicts.judge_value(found, 5, 5, 0.6) == "not decidable"
    assert verdicts.judge_value(found, 5, 5, 0.5) == "does not hold"
    assert verdicts.judge_value(found, -2, -1, 0.5) == "does not hold"
    assert verdicts.judge_value(found, 5, 7, 0.5) == "does not hold"
    assert verdicts.judge_value(found, -1, 7, 0) == "holds"


def test_a_noisier_result_of_the_same_mean_does_not_hold_the_better():
    calm, noisy = [measurement(60 + spread * np.array([-1, 0, 1])) for spread in (0.1, 10)]
    assert calm.interval.mean == noisy.interval.mean
    assert verdicts.judge_value(calm, 60, 60, 1) == "holds"
    assert verdicts.judge_value(noisy, 60, 60, 1) == "not decidable"
    # beside the value too: what was refuted is left open, and never borne out
    assert verdicts.judge_value(calm, 65, 65, 1) == "does not hold"
    assert verdicts.judge_value(noisy, 65, 65, 1) == "not decidable"


def test_one_seed_meets_no_value():
    for value in (2.0, 99.0):
        assert verdicts.judge_value(measurement([2]), value, value, 0.5) == "not decidable"
    one_seed = Measurement(np.array([2.0]), np.full((1, 20), 2.0))
    assert verdicts.judge_value(one_seed, 2, 2, 0.5) == "not decidable"


def test_equal_values_of_every_seed_are_judged():
    assert verdicts.judge_value(measurement([0, 0, 0]), 0, 0, 0.5) == "holds"
    assert verdicts.judge_value(measurement([1, 1, 1]), 0, 0, 0.5) == "does not hold"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.1, 0.4, "holds"),
        (0.0, 0.4, "not decidable"),  # zero itself is not excluded
        (-0.2, 0.4, "not decidable"),  # far below 1
        (-0.4, 0.0, "not decidable"),
        (-0.4, -0.1, "does not hold"),
    ],
)
def test_an_interval_that_touches_zero_decides_nothing(low, high, verdict):
    figure = Interval((low + high) / 2, low, high, 5)
    assert verdicts.judge(figure, +1) == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.0, 2.0, "holds"),  # the range 1..2 with its ends
        (0.9, 2.0, "not decidable"),
        (0.5, 1.0, "not decidable"),
        (2.0, 2.5, "not decidable"),
        (0.5, 0.9, "does not hold"),
        (2.1, 2.5, "does not hold"),
    ],
)
def test_an_interval_at_the_ends_of_a_claimed_range(low, high, verdict):
    figure = Interval((low + high) / 2, low, high, 5)
    assert verdicts.judge_value(figure, 1.2, 1.8, 0.2) == verdict
