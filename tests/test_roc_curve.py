import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    roc_auc_score,
    roc_curve,
)

from siamese_utils.evaluation.roc_curve import RocCurve

distances = st.floats(0, 5, width=16)
judged = st.lists(st.tuples(distances, st.booleans()), min_size=2, max_size=60).filter(
    lambda rows: 0 < sum(y for _, y in rows) < len(rows)
)
# as many same pairs as different ones, as the study draws them
halves = st.lists(st.tuples(distances, distances), min_size=1, max_size=30).map(
    lambda rows: [(d, y) for both in rows for d, y in zip(both, (False, True), strict=True)]
)


def arrays(rows):
    distance, different = zip(*rows, strict=True)
    return np.array(distance), np.array(different, dtype=float)


def balance(different):
    """Weights with which both kinds of pairs count half."""
    return np.where(different == 1, 0.5 / different.sum(), 0.5 / (1 - different).sum())


def best_threshold_by_plain_loop(distance, different):
    """Every cut between two neighbouring distances in turn, and the first of the best, in whole numbers."""
    values = sorted(set(distance.tolist()))
    cuts = [np.nextafter(values[0], -np.inf)]
    cuts += [(low + high) / 2 for low, high in itertools.pairwise(values)]
    cuts += [values[-1]]
    right = [int(np.sum((distance > cut) == different)) for cut in cuts]
    return cuts[right.index(max(right))]


@given(judged, distances)
def test_figures_are_those_of_scikit_learn(rows, threshold):
    distance, different = arrays(rows)
    curve = RocCurve.from_pairs(distance, different)
    assert curve.auc == pytest.approx(roc_auc_score(different, distance))
    assert curve.accuracy(threshold) == pytest.approx(
        balanced_accuracy_score(different, distance > threshold)
    )
    assert curve.average_precision == pytest.approx(
        average_precision_score(1 - different, -distance, sample_weight=balance(different))
    )


@given(halves, st.lists(st.floats(0, 5, width=32), min_size=1))
def test_of_equal_halves_the_accuracy_is_that_of_scikit_learn(rows, thresholds):
    distance, different = arrays(rows)
    curve = RocCurve.from_pairs(distance, different)
    expected = [accuracy_score(different, distance > t) for t in thresholds]
    assert [curve.accuracy(t) for t in thresholds] == pytest.approx(expected)
    assert type(curve.accuracy(thresholds[0])) is float  # and none of NumPy's
    swept = curve.accuracy(np.array(thresholds))
    assert swept.shape == (len(thresholds),)
    assert swept == pytest.approx(expected)


@given(judged)
def test_auc_is_that_of_a_count(rows):
    distance, different = arrays(rows)
    gaps = distance[different == 1][:, None] - distance[different == 0]
    expected = np.mean((gaps > 0) + 0.5 * (gaps == 0))
    assert RocCurve.from_pairs(distance, different).auc == pytest.approx(expected)


@given(judged)
def test_no_threshold_beats_the_best(rows):
    distance, different = arrays(rows)
    curve = RocCurve.from_pairs(distance, different)
    tried = [-1.0, *distance, *((distance[:, None] + distance) / 2).ravel()]
    highest = max(balance(different) @ ((distance > t) == different) for t in tried)
    best = balance(different) @ ((distance > curve.best_threshold) == different)
    assert best == pytest.approx(highest)
    assert curve.accuracy(curve.best_threshold) == pytest.approx(highest)


@given(halves)
def test_the_best_threshold_is_that_of_a_plain_loop(rows):
    distance, different = arrays(rows)
    found = RocCurve.from_pairs(distance, different).best_threshold
    assert found == best_threshold_by_plain_loop(distance, different)


def test_best_threshold_by_hand():
    # same at 1 and 2, different at 4 and 5: midway between 2 and 4
    curve = RocCurve.from_pairs(np.array([1, 2, 4, 5.0]), np.array([0, 0, 1, 1]))
    assert curve.best_threshold == 3
    # same at 1 and 3, different at 2 and 4: one of four wrong at 1.5 and at 3.5
    curve = RocCurve.from_pairs(np.array([1, 3, 2, 4.0]), np.array([0, 0, 1, 1]))
    assert curve.best_threshold == 1.5
    # the different pair nearer than the same one: accept nothing, just below the smallest
    curve = RocCurve.from_pairs(np.array([1, 2.0]), np.array([1, 0]))
    assert curve.best_threshold == np.nextafter(1.0, -np.inf)
    # counted in bins: accept none of the first one
    curve = RocCurve.from_histogram(np.array([0, 1, 2.0]), np.array([0, 3]), np.array([1, 0]))
    assert curve.best_threshold == 0.5
    # above all: the last distance
    curve = RocCurve(np.array([0, 1.0]), tar=np.array([0, 1.0]), far=np.array([0, 0.5]))
    assert curve.best_threshold == 1


@pytest.mark.parametrize("number", [3, 10, 7, 4200])
def test_of_several_best_thresholds_it_is_the_lowest_whatever_the_rounding(number):
    # from the second distance on each same pair comes with a different one: all these cuts are as good
    same = np.arange(number, dtype=float)
    different = same + 1.0
    curve = RocCurve.from_pairs(np.concatenate([same, different]), np.repeat([0, 1], number))
    assert curve.best_threshold == 0.5


def test_neighbouring_float32_distances_are_told_apart():
    low = np.float32(0.3)
    distance = np.array([low, np.nextafter(low, np.float32(1))])
    for different in ([0, 1], [1, 0]):
        curve = RocCurve.from_pairs(distance, np.array(different))
        expected = 1.0 if different == [0, 1] else 0.5
        threshold = curve.best_threshold
        assert accuracy_score(different, distance.astype(float) > threshold) == expected
        low_enough = np.array([low], dtype=float) > threshold
        assert low_enough.item() == (different == [1, 0])


def test_a_threshold_on_an_edge_that_misses_it_by_a_last_digit_counts():
    edges = 0.1 * np.arange(4)
    assert edges[3] > 0.3
    curve = RocCurve.from_histogram(edges, np.array([1, 0, 1]), np.array([0, 0, 1]))
    assert curve.accuracy(0.3) == 0.5
    assert curve.accuracy(0.29) == 0.75
    assert curve.accuracy(np.array([0.3, 0.29])).tolist() == [0.5, 0.75]


def test_the_curve_ends_at_both_corners():
    curve = RocCurve.from_pairs(np.array([1, 2, 3, 4.0]), np.array([0, 1, 0, 1]))
    assert (curve.tar[0], curve.far[0], curve.tar[-1], curve.far[-1]) == (0, 0, 1, 1)
    assert curve.threshold.tolist() == [-np.inf, 1, 2, 3, 4]


@given(judged)
def test_the_ends_of_the_curve_are_those_of_scikit_learn(rows):
    distance, different = arrays(rows)
    curve = RocCurve.from_pairs(distance, different)
    wrong, right, _ = roc_curve(1 - different, -distance, drop_intermediate=False)
    assert curve.far == pytest.approx(wrong)
    assert curve.tar == pytest.approx(right)
    for share in (0.001, 0.01, 0.3):
        expected = right[wrong <= share].max()
        assert curve.tar_at_far(share) == pytest.approx(expected)
    crossing = brentq(lambda t: t - (1 - interp1d(*_along(wrong, right))(t)), 0, 1)
    # else the curve is steep, and a function of wrong accepts is none
    if np.all(np.diff(wrong) > 0):
        assert curve.equal_error_rate == pytest.approx(crossing, abs=1e-9)
    best = curve.accuracy(curve.best_threshold)
    assert best == pytest.approx(0.5 * (1 + (right - wrong).max()))


def _along(wrong, right):
    """The curve as a function of wrong accepts, at the upper end of each step."""
    places, first = np.unique(wrong[::-1], return_index=True)
    return places, right[::-1][first]


def test_equal_error_rate_by_hand():
    # same at 1, 2, 3, 6; different at 2.5, 4, 5, 7: at threshold 3 one of four wrong on either side
    curve = RocCurve.from_pairs(np.array([1, 2, 3, 6, 2.5, 4, 5, 7]), np.repeat([0, 1], 4))
    assert curve.equal_error_rate == 0.25
    # two steps at once: same at 1, 2, different at 2, 3. From (0, 1/2) to (1/2, 1): met at 1/4
    curve = RocCurve.from_pairs(np.array([1, 2, 2, 3.0]), np.array([0, 0, 1, 1]))
    assert curve.equal_error_rate == 0.25


def test_calibration_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    distance = rng.uniform(0, 2.4, 4000)
    different = np.repeat([0.0, 1.0], 2000)
    curve = RocCurve.from_pairs(distance, different)
    found = curve.reliability(margin=2.0)
    stated = np.minimum(distance / 2, 1)
    observed, mean = calibration_curve(different, stated, n_bins=10)
    assert found.observed == pytest.approx(observed)
    assert found.stated == pytest.approx(mean)
    share = np.histogram(stated, np.linspace(0, 1, 11))[0] / 4000
    expected = np.sum(share * np.abs(observed - mean))
    assert curve.calibration_error(2.0) == pytest.approx(expected)


def test_an_empty_bin_of_the_calibration_is_nan_and_counts_nothing():
    curve = RocCurve.from_pairs(np.array([0.05, 0.95]), np.array([0, 1]))
    with np.errstate(invalid="raise"):  # and nobody is warned of it
        found = curve.reliability(1.0)
    assert np.isnan(found.stated[1:9]).all()
    # both bins are 0.05 from the truth
    assert curve.calibration_error(1.0) == pytest.approx(0.05)
    # where the last bins are empty, they are there all the same
    found = curve.reliability(margin=2.0)
    assert found.share.tolist() == [0.5, 0, 0, 0, 0.5, 0, 0, 0, 0, 0]
    assert np.isnan(found.observed).tolist() == (found.share == 0).tolist()


def test_the_precision_of_no_pair_counts_nothing():
    # a same pair in the second bin, alone: precision 1; one in the last: 2 of 4, so 1/2
    curve = RocCurve.from_histogram(np.arange(5.0), np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]))
    with np.errstate(invalid="raise"):
        assert curve.average_precision == 0.75


def test_perfect_and_blind_distances():
    perfect = RocCurve.from_pairs(np.array([1, 2, 3, 4.0]), np.array([0, 0, 1, 1]))
    found = perfect.compute_metrics(tuned=2.5, margin=5.0)
    assert found["accuracy, 0.5"] == 0.5
    assert [found[f"accuracy, {at}"] for at in ("m/2", "tuned", "oracle")] == [1, 1, 1]
    assert (found["AUC"], found["EER"], found["true accepts at 0.1 %"]) == (1, 0, 1)
    blind = RocCurve.from_pairs(np.zeros(4), np.array([0, 0, 1, 1]))
    assert blind.auc == blind.equal_error_rate == 0.5


def test_all_figures_by_hand():
    # same and different pairs, by distance: s 1, s 2, d 2.5, s 3, s 4, d 5, d 6, d 7, d 8, s 9
    distance = np.array([1, 2, 3, 4, 9, 2.5, 5, 6, 7, 8])
    curve = RocCurve.from_pairs(distance, np.repeat([0, 1], 5))
    # elevenths that the stated probabilities are off, bin by bin: 1, 2, 4, 6, 5, 4, 3 and 9;
    # and beside them 2.5 and 3 in one bin, which state 1/4 for what is so by half
    assert curve.compute_metrics(tuned=6.5, margin=11.0) == pytest.approx(
        {
            "accuracy, 0.5": 0.5,  # none accepted
            "accuracy, m/2": 0.7,  # at 5.5: four same, two different
            "accuracy, tuned": 0.6,  # four same, three different
            "accuracy, oracle": 0.8,  # at 4: four same, one different
            "AUC": 18 / 25,  # 5 + 5 + 4 + 4 + 0 different ones farther apart
            "EER": 0.2,  # at 4: one of five wrong on either side
            "average precision": (1 + 1 + 3 / 4 + 4 / 5 + 5 / 10) / 5,
            "true accepts at 1 %": 0.4,
            "true accepts at 0.1 %": 0.4,
            "ECE": (34 / 11 + 2 * (1 / 2 - 1 / 4)) / 10,
        }
    )


def test_without_a_margin_there_is_no_half_margin_and_no_calibration():
    curve = RocCurve.from_pairs(np.array([1, 2.0]), np.array([0, 1]))
    found = curve.compute_metrics(tuned=1.5)
    assert {name for name, value in found.items() if np.isnan(value)} == {
        "accuracy, 0.5",
        "accuracy, m/2",
        "ECE",
    }


@pytest.mark.parametrize(
    ("distance", "different", "message"),
    [
        ([1.0, 2.0], [0, 0], "positive and negative pairs"),
        ([1.0, 2.0], [1, 1], "positive and negative pairs"),
        ([], [], "positive and negative pairs"),
        ([1.0], [0, 1], r"must both have shape \(pairs,\)"),
        ([1.0, 2.0, 3.0], [0, 1], r"must both have shape \(pairs,\)"),
        (1.0, 1, r"must both have shape \(pairs,\)"),
        ([[1.0]], [[1]], r"must both have shape \(pairs,\)"),
    ],
)
def test_what_gives_no_curve_is_refused(distance, different, message):
    with pytest.raises(ValueError, match=message):
        RocCurve.from_pairs(np.array(distance), np.array(different))


def test_as_many_false_accepts_as_are_allowed_are_allowed():
    # of four different pairs one lies below the threshold 1.5: a share of exactly 0.25
    distance = np.array([0.5, 1.4, 2.5, 3.5, 1.0, 2.0, 3.0, 4.0])
    different = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    curve = RocCurve.from_pairs(distance, different)
    assert curve.tar_at_far(0.25) == 0.5
    assert curve.tar_at_far(0.24) == 0.25
