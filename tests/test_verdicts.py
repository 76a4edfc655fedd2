import numpy as np
import pytest

from siamese_utils.evaluation import verdicts
from siamese_utils.evaluation.intervals import Interval, Measurement, measurement


@pytest.mark.parametrize(
    ("differences", "claimed", "verdict"),
    [
        ([1.0, 1.1, 0.9], +1, "supported"),
        ([1.0, 1.1, 0.9], -1, "refuted"),
        ([-1.0, 1.1, 0.9], +1, "inconclusive"),
        ([5.0], +1, "inconclusive"),
    ],
)
def test_verdicts_on_a_sign(differences, claimed, verdict):
    assert verdicts.judge(measurement(differences), claimed) == verdict
    assert verdicts.judge(measurement(differences).interval, claimed) == verdict
    assert verdict in verdicts.VERDICTS


@pytest.mark.parametrize("function", [verdicts.judge, verdicts.largest_effect])
def test_a_claim_has_a_direction(function):
    with pytest.raises(ValueError, match="claimed"):
        function(measurement([1.0, 2.0]), 0)


@pytest.mark.parametrize(
    ("low", "high", "smallest_effect", "verdict"),
    [
        (0.1, 0.4, 1.0, "refuted"),  # on the claimed side, and too small to matter
        (0.1, 1.0, 1.0, "supported"),  # 1 itself is not excluded
        (0.1, 1.4, 1.0, "supported"),
        (1.1, 1.4, 1.0, "supported"),
        (0.1, 0.4, 0.0, "supported"),  # no effect is too small to matter
        (0.1, 0.4, -9.0, "supported"),
        (-0.2, 0.4, 1.0, "refuted"),  # 1 and all above are excluded
        (0.0, 0.4, 1.0, "refuted"),
        (-0.2, 1.0, 1.0, "inconclusive"),  # 1 itself is not
        (-0.2, 1.4, 1.0, "inconclusive"),
        (-3.0, 1.4, 1.0, "inconclusive"),
        (-3.0, -0.1, 1.0, "refuted"),
        (-0.2, 0.4, 0.0, "inconclusive"),
        (-0.2, 0.0, 0.0, "inconclusive"),
        (-0.2, 0.0, 0.01, "refuted"),
        (-3.0, -0.1, 0.0, "refuted"),
        (-3.0, -0.1, -9.0, "refuted"),  # no effect is smaller than none
        (-0.2, 0.4, -9.0, "inconclusive"),
    ],
)
def test_a_claim_is_refuted_by_an_interval_without_any_effect_that_matters(
    low, high, smallest_effect, verdict
):
    found = Interval((low + high) / 2, low, high, 5)
    assert verdicts.judge(found, +1, smallest_effect) == verdict
    mirrored = Interval(-found.mean, -high, -low, 5)
    assert verdicts.judge(mirrored, -1, smallest_effect) == verdict


def test_more_seeds_refute_what_three_leave_open():
    # t for 2 and 9 degrees of freedom: 4.302653 and 2.262157
    few, many = [0.5, 0.0, -0.5], [0.5, 0.0, -0.5] * 3 + [0.0]
    # 0 ± 4.302653 x 0.5 / sqrt(3) = 1.242; 0 ± 2.262157 x sqrt(1.5 / 9) / sqrt(10) = 0.292
    assert verdicts.judge(measurement(few), +1, 1.0) == "inconclusive"
    assert verdicts.judge(measurement(many), +1, 1.0) == "refuted"
    assert verdicts.judge(measurement(many), +1, 0.29) == "inconclusive"
    assert verdicts.judge(measurement(many), +1, 0.30) == "refuted"


def test_one_seed_excludes_no_effect():
    assert verdicts.judge(measurement([-5.0]), +1, 1.0) == "inconclusive"
    assert np.isnan(verdicts.largest_effect(measurement([-5.0]), +1))


@pytest.mark.parametrize(
    ("low", "high", "claimed", "largest"),
    [
        (-0.2, 0.4, +1, 0.4),
        (-0.2, 0.4, -1, 0.2),
        (-0.4, -0.1, +1, 0.0),
        (-0.4, -0.1, -1, 0.4),
        (0.1, 0.4, +1, 0.4),
    ],
)
def test_the_largest_effect_in_the_claimed_direction(low, high, claimed, largest):
    found = Interval((low + high) / 2, low, high, 5)
    assert verdicts.largest_effect(found, claimed) == largest
    # every effect above it, and none below, is excluded
    if largest:
        assert verdicts.judge(found, claimed, largest * 1.01) == "refuted"
        assert verdicts.judge(found, claimed, largest * 0.99) != "refuted"


# Student's t for 2 degrees of freedom is 4.302653: a step of s to either side gives ± 2.484 s.
@pytest.mark.parametrize(
    ("fixed", "tuned", "verdict"),
    [
        ([5.0, 5.1, 4.9], [2.0, 2.1, 1.9], "threshold effect"),  # half of 5 minus 2: 0.5 ± 0.124
        ([5.0, 5.1, 4.9], [2.3, 2.4, 2.2], "threshold effect"),  # 0.2 ± 0.124
        ([5.0, 5.1, 4.9], [2.4, 2.5, 2.3], "supported"),  # 0.1 ± 0.124: half or not
        ([5.0, 5.1, 4.9], [2.6, 2.7, 2.5], "supported"),  # most of it stays
        ([5.0, 5.1, 4.9], [9.0, 9.1, 8.9], "supported"),
        ([5.0, 5.1, 4.9], [-2.0, -2.1, -1.9], "threshold effect"),
        ([5.0, 5.1, 4.9], [0.3, -0.2, 0.0], "threshold effect"),  # 2.467 ± 0.684
        ([5.0, 5.1, 4.9], [5.0, -2.0, 12.0], "supported"),  # tuned: smaller or not
        # paired by seed it is 1 in each, though 12 and 5 both vary
        ([10, 12, 14], [4, 5, 6], "threshold effect"),
        ([10, 12, 14], [6, 5, 4], "supported"),  # 1 ± 4.97
        ([5.0, -5.1, 0.1], [2.0, 2.1, 1.9], "inconclusive"),
        ([-5.0, -5.1, -4.9], [2.0, 2.1, 1.9], "refuted"),
        # further from the claim still at the tuned threshold: there was nothing to undo
        ([-5.0, -5.1, -4.9], [-8.0, -8.1, -7.9], "refuted"),
        ([5.0, -5.1, 0.1], [4.0, -6.2, -0.9], "inconclusive"),
        ([0.1, -0.1, 0.0], [2.0, 2.1, 1.9], "refuted"),  # 0 ± 0.248: not by 1
        ([0.5, -0.5, 0.0], [2.0, 2.1, 1.9], "inconclusive"),  # 0 ± 1.242
        # 0.9 ± 0.124 reaches 1 and 0.8 ± 0.124 does not: so there is no effect to explain
        ([0.9, 0.95, 0.85], [0.0, 0.0, 0.0], "threshold effect"),
        ([0.9, 0.95, 0.85], [0.9, 0.95, 0.85], "supported"),
        ([0.8, 0.85, 0.75], [0.0, 0.0, 0.0], "refuted"),
        ([0.8, 0.85, 0.75], [0.8, 0.85, 0.75], "refuted"),
        ([5.0], [0.0], "inconclusive"),
    ],
)
def test_what_the_tuned_threshold_undoes_is_a_threshold_effect(fixed, tuned, verdict):
    fixed, tuned = (
        Measurement(np.array(values, float), np.outer(values, [1, 1])) for values in (fixed, tuned)
    )
    assert verdicts.judge_threshold(fixed, tuned, +1, 1.0) == verdict
    assert verdicts.judge_threshold(fixed * -1, tuned * -1, -1, 1.0) == verdict
    assert verdict in verdicts.VERDICTS
    if verdict != "refuted":  # without a smallest effect that matters, less is refuted, not more
        assert verdicts.judge_threshold(fixed, tuned, +1) == verdict


@pytest.mark.parametrize(
    ("tuned", "verdict"), [([0.0] * 3, "threshold effect"), ([0.8, 0.85, 0.75], "supported")]
)
def test_of_a_claim_of_any_size_a_small_effect_counts(tuned, verdict):
    fixed = measurement([0.8, 0.85, 0.75])  # ± 0.124
    assert verdicts.judge_threshold(fixed, measurement(tuned), +1) == verdict
    assert verdicts.judge_threshold(fixed, measurement(tuned), +1, 0.9) == verdict
    assert verdicts.judge_threshold(fixed, measurement(tuned), +1, 1.0) == "refuted"


def test_what_is_removed_is_uncertain_over_images_too():
    fixed = Measurement(np.full(3, 5.0), np.full((3, 2), 5.0))
    for tuned_of_groups, verdict in (([2.0, 2.0], "threshold effect"), ([1.0, 3.0], "supported")):
        # of the two groups: 0.5 each, or 1.5 and -0.5 with 0.5 ± 12.7
        tuned = Measurement(np.full(3, 2.0), np.tile(tuned_of_groups, (3, 1)))
        assert verdicts.judge_threshold(fixed, tuned, +1) == verdict


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
        (0.030, 0.040, "supported"),
        (0.025, 0.045, "supported"),  # to the very ends
        (0.036, 0.037, "supported"),
        (0.024, 0.045, "inconclusive"),
        (0.030, 0.046, "inconclusive"),
        (0.020, 0.050, "inconclusive"),  # as good as anything
        (0.045, 0.050, "inconclusive"),  # they touch
        (0.046, 0.050, "refuted"),
        (0.010, 0.024, "refuted"),
    ],
)
def test_verdicts_on_a_range_by_hand(low, high, verdict):
    found = Interval((low + high) / 2, low, high, seeds=3)
    assert verdicts.judge_value(found, 0.03, 0.04, 0.005) == verdict


def test_verdicts_on_a_value_by_hand():
    # 2 ± 4.302653 / sqrt(3) = 2 ± 2.484: from -0.484 to 4.484
    found = measurement([1, 2, 3])
    assert verdicts.judge_value(found, 2, 2, 2.5) == "supported"
    assert verdicts.judge_value(found, 2, 2, 2.4) == "inconclusive"
    assert verdicts.judge_value(found, 5, 5, 0.6) == "inconclusive"
    assert verdicts.judge_value(found, 5, 5, 0.5) == "refuted"
    assert verdicts.judge_value(found, -2, -1, 0.5) == "refuted"
    assert verdicts.judge_value(found, 5, 7, 0.5) == "refuted"
    assert verdicts.judge_value(found, -1, 7, 0) == "supported"


def test_a_noisier_result_of_the_same_mean_supports_a_value_no_better():
    calm, noisy = [measurement(60 + spread * np.array([-1, 0, 1])) for spread in (0.1, 10)]
    assert calm.interval.mean == noisy.interval.mean
    assert verdicts.judge_value(calm, 60, 60, 1) == "supported"
    assert verdicts.judge_value(noisy, 60, 60, 1) == "inconclusive"
    # beside the value too: what was refuted is left open, and never supported
    assert verdicts.judge_value(calm, 65, 65, 1) == "refuted"
    assert verdicts.judge_value(noisy, 65, 65, 1) == "inconclusive"


def test_one_seed_meets_no_value():
    for value in (2.0, 99.0):
        assert verdicts.judge_value(measurement([2]), value, value, 0.5) == "inconclusive"
    one_seed = Measurement(np.array([2.0]), np.full((1, 20), 2.0))
    assert verdicts.judge_value(one_seed, 2, 2, 0.5) == "inconclusive"


def test_equal_values_of_every_seed_are_judged():
    assert verdicts.judge_value(measurement([0, 0, 0]), 0, 0, 0.5) == "supported"
    assert verdicts.judge_value(measurement([1, 1, 1]), 0, 0, 0.5) == "refuted"
    assert verdicts.judge(measurement([0, 0, 0]), +1) == "inconclusive"
    assert verdicts.judge(measurement([0, 0, 0]), +1, 0.01) == "refuted"


def test_equal_numbers_that_are_computed_differently_differ_by_nothing():
    rounded = measurement([0.1 + 0.2 - 0.3] * 3)  # 5.6e-17, and no effect
    assert rounded.interval.mean != 0
    assert verdicts.judge(rounded, +1) == verdicts.judge(rounded, -1) == "inconclusive"
    # an interval that ends at the smallest effect, but for the last digit, does not exclude it
    assert verdicts.judge(Interval(0, -1, 0.3 - 1e-16, 5), +1, 0.1 + 0.2) == "inconclusive"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.1, 0.4, "supported"),
        (0.0, 0.4, "inconclusive"),  # zero itself is not excluded
        (-0.2, 0.4, "inconclusive"),  # far below 1
        (-0.4, 0.0, "inconclusive"),
        (-0.4, -0.1, "refuted"),
    ],
)
def test_an_interval_that_touches_zero_decides_nothing(low, high, verdict):
    figure = Interval((low + high) / 2, low, high, 5)
    assert verdicts.judge(figure, +1) == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.0, 2.0, "supported"),  # the range 1..2 with its ends
        (0.9, 2.0, "inconclusive"),
        (0.5, 1.0, "inconclusive"),
        (2.0, 2.5, "inconclusive"),
        (0.5, 0.9, "refuted"),
        (2.1, 2.5, "refuted"),
    ],
)
def test_an_interval_at_the_ends_of_a_claimed_range(low, high, verdict):
    figure = Interval((low + high) / 2, low, high, 5)
    assert verdicts.judge_value(figure, 1.2, 1.8, 0.2) == verdict


def test_holm_by_hand():
    # sorted: 0.01 * 4, 0.02 * 3, 0.03 * 2, 0.8; no value falls below one before it
    assert verdicts.holm([0.8, 0.01, 0.03, 0.02]) == pytest.approx([0.8, 0.04, 0.06, 0.06])
    assert verdicts.holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])
    assert verdicts.holm([]) == []
