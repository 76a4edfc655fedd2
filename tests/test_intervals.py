import numpy as np
import pandas as pd
import pytest
from scipy import stats

from siamese_utils.evaluation.intervals import (
    Interval,
    Measurement,
    crossed_interval,
    interval_over,
    measurement,
    prediction_interval,
    smallest_detectable,
)

NAN = float("nan")


def half_width(ends):
    return (ends[1] - ends[0]) / 2


def test_interval_by_hand():
    # mean 2, standard deviation 1, t for 2 degrees of freedom 4.302653
    found = measurement([1, 2, 3]).interval
    assert found.mean == 2
    assert found.seeds == 3
    assert found.half_width == pytest.approx(4.302653 / np.sqrt(3), rel=1e-6)
    assert (found.low, found.high) == interval_over([1, 2, 3])
    assert (found.low + found.high) / 2 == pytest.approx(2)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_one_value_has_no_interval():
    found = measurement([3.0]).interval
    assert found.mean == 3
    assert not found.has_ends
    assert np.isnan([found.low, found.high]).all()
    assert np.isnan(smallest_detectable(measurement([3.0])))
    with pytest.raises(ValueError, match="at least one"):
        interval_over([])


def test_the_range_of_one_more_run_by_hand():
    # t for 1 degree of freedom 12.7062, standard deviation sqrt(2), sqrt(1 + 1/2)
    assert half_width(prediction_interval([1, 3])) == pytest.approx(12.7062 * np.sqrt(3), rel=1e-5)
    low, high = prediction_interval([1, 2, 3])
    assert (low + high) / 2 == pytest.approx(2)
    # one more run varies itself, and not only the mean of three: sqrt(1 + 1/3) against sqrt(1/3)
    assert half_width((low, high)) == pytest.approx(2 * half_width(interval_over([1, 2, 3])))
    assert prediction_interval([5, 5, 5]) == (5, 5)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_one_run_predicts_no_range_of_the_next():
    assert np.isnan(prediction_interval([3.0])).all()


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_one_more_run_is_inside_in_95_of_100(seeds):
    rng = np.random.default_rng(0)
    runs = rng.normal(70, 3, (4000, seeds + 1))  # the last is the one more
    inside = [
        low <= run[-1] <= high for run in runs for low, high in [prediction_interval(run[:-1])]
    ]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.012)
    # and twice the standard deviation, as of many runs, is too narrow for so few
    naive = abs(runs[:, -1] - runs[:, :-1].mean(1)) < 2 * runs[:, :-1].std(1, ddof=1)
    assert np.mean(naive) < 0.92


def test_intervals_agree_with_those_of_scipy():
    values = np.random.default_rng(0).normal(size=7)
    expected = stats.t.interval(0.95, 6, values.mean(), stats.sem(values))
    assert interval_over(values) == pytest.approx(expected)
    spread = values.std(ddof=1) * np.sqrt(1 + 1 / 7)
    expected = stats.t.interval(0.95, 6, values.mean(), spread)
    assert prediction_interval(values) == pytest.approx(expected)


def test_crossed_interval_by_hand():
    # row means 1 and 3: standard error 1, t for 1 degree of freedom 12.7062
    # column means 1, 2, 3: standard error 1/sqrt(3), t for 2 degrees of freedom 4.302653
    values = np.array([[0, 1, 2], [2, 3, 4.0]])
    low, high = crossed_interval(values, 5.0)
    assert (low + high) / 2 == pytest.approx(5)
    expected = np.hypot(12.7062, 4.302653 / np.sqrt(3))
    assert half_width((low, high)) == pytest.approx(expected, rel=1e-5)
    found = Measurement(np.array([4, 6.0]), values).interval
    assert (found.mean, found.seeds) == (5, 2)
    assert (found.low, found.high) == (low, high)


def test_where_images_do_not_matter_it_is_the_interval_over_seeds():
    values = np.outer([1, 2, 3.0], np.ones(8))
    assert crossed_interval(values, 2.0) == pytest.approx(interval_over([1, 2, 3]))
    assert np.isnan(crossed_interval(values[:1], 1.0)[0])
    assert half_width(crossed_interval(np.ones((3, 4)), 1.0)) == 0
    unknown = np.array([[1, np.nan], [2, 3]])
    assert np.isnan(crossed_interval(unknown, 2.0)[0])


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("spread", [(1, 0, 1), (0.1, 1, 1), (1, 1, 0), (1, 0.3, 0.3)])
def test_crossed_intervals_cover_what_they_promise(spread, seeds):
    rng = np.random.default_rng(0)
    of_seeds, of_groups, of_both = spread
    covered = []
    for _ in range(2000):
        values = of_seeds * rng.normal(size=(seeds, 1)) + of_groups * rng.normal(size=(1, 20)) / 2
        values = values + of_both * rng.normal(size=(seeds, 20))
        low, high = crossed_interval(values, values.mean())
        covered.append(low <= 0 <= high)
    assert np.mean(covered) >= 0.94  # its own error is about 0.005


def test_a_bootstrap_of_three_seeds_would_promise_too_much():
    rng = np.random.default_rng(0)
    covered = {"bootstrap": [], "ours": []}
    for _ in range(300):
        values = rng.normal(size=(3, 1)) + 0.3 * rng.normal(size=(3, 20))
        low, high = crossed_interval(values, values.mean())
        covered["ours"].append(low <= 0 <= high)
        rows, columns = rng.integers(0, 3, (400, 3)), rng.integers(0, 20, (400, 20))
        means = values[rows[:, :, np.newaxis], columns[:, np.newaxis, :]].mean(axis=(1, 2))
        low, high = np.quantile(means, [0.025, 0.975])
        covered["bootstrap"].append(low <= 0 <= high)
    assert np.mean(covered["bootstrap"]) < 0.85
    assert np.mean(covered["ours"]) > 0.93


def test_measured_figures_are_subtracted_seed_by_seed_and_group_by_group():
    first = Measurement(np.array([3, 5.0]), np.array([[3, 4], [5, 7.0]]), "%")
    second = Measurement(np.array([1, 1.0]), np.array([[1, 2], [2, 3.0]]), "%")
    found = first - second
    assert found.values.tolist() == [2, 4]
    assert found.groups.tolist() == [[2, 2], [3, 4]]
    assert found.interval.mean == 3
    # per cent minus per cent are points, and a difference has a sign
    assert (found.unit, found.signed) == ("points", True)
    assert (found.interval.unit, found.interval.signed) == ("points", True)
    assert (first.unit, first.signed) == ("%", False)
    assert (found - second).unit == "points"
    assert (measurement([0.5]) - measurement([0.25])).unit == ""
    assert (measurement([5], "epochs") - measurement([4], "epochs")).unit == "epochs"
    assert first != second  # one answer, and no array of them


def test_figures_of_the_same_seeds_differ_by_less_than_their_intervals_say():
    first, second = measurement([10, 20, 30]), measurement([9, 19, 29.1])
    assert (first - second).interval.half_width < 0.2 < first.interval.half_width


def test_a_number_is_subtracted_from_every_seed_and_group():
    found = Measurement(np.array([3, 5]), np.array([[3, 4], [5, 7]]), "%") - 0.5
    assert found.values.tolist() == [2.5, 4.5]
    assert found.groups.tolist() == [[2.5, 3.5], [4.5, 6.5]]
    assert (found.unit, found.signed) == ("points", True)
    assert (measurement([1, 2]) - 3).values.tolist() == [-2, -1]


def test_where_one_of_two_has_no_groups_the_difference_has_none():
    with_groups = Measurement(np.array([3, 5.0]), np.array([[3, 4], [5, 7.0]]))
    without = measurement([1, 1])
    for found, expected in ((with_groups - without, [2, 4]), (without - with_groups, [-2, -4])):
        assert found.groups is None
        assert found.values.tolist() == expected
        assert (found.interval.low, found.interval.high) == interval_over(expected)


def test_many_figures_are_subtracted_at_once():
    auc = pd.Series({"a": measurement([0.5, 0.7]), "b": measurement([0.25, 0.5])})
    found = auc - auc["b"]
    assert found["a"].values.tolist() == pytest.approx([0.25, 0.2])
    assert found["b"].values.tolist() == [0, 0]
    minus = auc - pd.Series({"a": 0.5, "b": 0.25})
    assert minus["b"].values.tolist() == [0, 0.25]


def test_a_figure_is_multiplied():
    found = Measurement(np.array([1, 2.0]), np.array([[1, 1], [2, 3.0]]), "%", signed=True) * 2
    assert found.values.tolist() == [2, 4]
    assert found.groups.tolist() == [[2, 2], [4, 6]]
    assert (found.unit, found.signed) == ("%", True)
    assert (measurement([1, 2]) * -1).groups is None


PERCENT = Interval(61.426, 59.0, 63.852, 3, "%")
POINTS = Interval(-1.5, -2.0, -1.0, 3, "points", signed=True)
AREA = Interval(0.9, 0.8, 1.0, 3)
CHANGE = Interval(0.0321, -0.1, 0.1642, 3, signed=True)
ALONE = Interval(61.426, NAN, NAN, 1, "%")
CHANGE_ALONE = Interval(-0.1234, NAN, NAN, 1, signed=True)
UNKNOWN = Interval(NAN, NAN, NAN, 3, "%")


@pytest.mark.parametrize(
    ("found", "spec", "text"),
    [
        (PERCENT, "", "61.43 ± 2.43"),
        (PERCENT, "±", "61.43 ± 2.43 %"),
        (PERCENT, ".1f", "61.4"),
        (PERCENT, ".0f", "61"),
        (POINTS, "", "−1.50 (−2.00 to −1.00)"),
        (POINTS, "±", "−1.50 points (95 % interval −2.00 to −1.00)"),
        (POINTS, ".1f", "−1.5"),
        (AREA, "", "0.900 ± 0.100"),
        (AREA, "±", "0.900 ± 0.100"),
        (AREA, ".2f", "0.90"),
        (CHANGE, "", "+0.032 (−0.100 to +0.164)"),
        (CHANGE, "±", "+0.032 (95 % interval −0.100 to +0.164)"),
        (CHANGE, "+.2f", "+0.03"),
        (ALONE, "", "61.43"),
        (ALONE, "±", "61.43 % (one seed, no interval)"),
        (CHANGE_ALONE, "", "−0.123"),
        (CHANGE_ALONE, "±", "−0.123 (one seed, no interval)"),
        (UNKNOWN, "", "–"),
        (UNKNOWN, "±", "–"),
        (UNKNOWN, ".1f", "–"),
        (Interval(2.5, 2.0, 3.0, 3, "epochs"), "±", "2.500 ± 0.500 epochs"),
    ],
)
def test_intervals_as_text(found, spec, text):
    assert format(found, spec) == text


def test_measured_figures_are_written_as_their_interval():
    # one step to either side of 70, t for 1 degree of freedom 12.7062
    found = measurement([69, 71], "%")
    assert f"{found}" == "70.00 ± 12.71"
    assert f"{found:±}" == "70.00 ± 12.71 %"
    assert f"{found:.1f}" == "70.0"
    assert f"{found - 71:±}" == "−1.00 points (95 % interval −13.71 to +11.71)"
    assert f"{measurement([70], '%') - 71}" == "−1.00"
    assert f"{Measurement(np.array([69, 71])):±}" == "70.000 ± 12.706"
    assert f"{measurement([69, 71], signed=True)}" == "+70.000 (+57.294 to +82.706)"


@pytest.mark.parametrize(("seeds", "groups"), [(5, None), (2, None), (5, 6)])
def test_the_smallest_difference_that_is_found_in_80_of_100(seeds, groups):
    rng = np.random.default_rng(1)
    of_seeds = rng.normal(size=seeds)
    values = None
    if groups:
        values = of_seeds[:, np.newaxis] + rng.normal(size=(1, groups))
    least = smallest_detectable(Measurement(of_seeds, values))
    clear = 0
    for _ in range(1000):  # reports of a true difference of that size, drawn one by one
        drawn = rng.normal(least, of_seeds.std(ddof=1), seeds)
        if groups:
            shift = rng.normal(0, values.mean(axis=0).std(ddof=1), groups)
            drawn = drawn[:, np.newaxis] + shift
            low, _ = crossed_interval(drawn, drawn.mean())
        else:
            low, _ = interval_over(drawn)
        clear += low > 0
    assert clear / 1000 == pytest.approx(0.8, abs=0.05)
    assert (
        smallest_detectable(measurement([1.0, 2.0]))
        == smallest_detectable(measurement([1.0, 2.0]))
        > 0
    )
