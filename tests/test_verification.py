import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    roc_auc_score,
    roc_curve,
)

from siamese_utils import verification

judged = st.lists(
    st.tuples(st.floats(0, 5, width=16), st.booleans()), min_size=2, max_size=60
).filter(lambda rows: 0 < sum(y for _, y in rows) < len(rows))


def arrays(rows):
    distance, different = zip(*rows, strict=True)
    return np.array(distance), np.array(different, dtype=float)


def balance(different):
    """Weights with which both kinds of pairs count half."""
    return np.where(different == 1, 0.5 / different.sum(), 0.5 / (1 - different).sum())


@given(judged, st.floats(0, 5, width=16))
def test_figures_are_those_of_scikit_learn(rows, threshold):
    distance, different = arrays(rows)
    curve = verification.make_curve(distance, different)
    assert verification.area_under_roc(curve) == pytest.approx(roc_auc_score(different, distance))
    assert verification.accuracy_at(curve, threshold) == pytest.approx(
        balanced_accuracy_score(different, distance > threshold)
    )
    assert verification.average_precision(curve) == pytest.approx(
        average_precision_score(1 - different, -distance, sample_weight=balance(different))
    )


@given(judged)
def test_the_ends_of_the_curve_are_those_of_scikit_learn(rows):
    distance, different = arrays(rows)
    curve = verification.make_curve(distance, different)
    wrong, right, _ = roc_curve(1 - different, -distance, drop_intermediate=False)
    for share in (0.001, 0.01, 0.3):
        expected = right[wrong <= share].max()
        assert verification.true_accepts_at(curve, share) == pytest.approx(expected)
    crossing = brentq(lambda t: t - (1 - interp1d(*_along(wrong, right))(t)), 0, 1)
    reject = verification.equal_error_rate(curve)
    if np.all(
        np.diff(wrong) > 0
    ):  # else the curve is steep, and a function of wrong accepts is none
        assert reject == pytest.approx(crossing, abs=1e-9)
    best = verification.accuracy_at(curve, verification.threshold_of_best_accuracy(curve))
    assert best == pytest.approx(0.5 * (1 + (right - wrong).max()))


def _along(wrong, right):
    """The curve as a function of wrong accepts, at the upper end of each step."""
    places, first = np.unique(wrong[::-1], return_index=True)
    return places, right[::-1][first]


def test_equal_error_rate_by_hand():
    # same at 1, 2, 3, 6; different at 2.5, 4, 5, 7: at threshold 3 one of four wrong on either side
    curve = verification.make_curve(np.array([1, 2, 3, 6, 2.5, 4, 5, 7]), np.repeat([0, 1], 4))
    assert verification.equal_error_rate(curve) == 0.25
    # two steps at once: same at 1, 2, different at 2, 3. From (0, 1/2) to (1/2, 1): met at 1/4
    curve = verification.make_curve(np.array([1, 2, 2, 3.0]), np.array([0, 0, 1, 1]))
    assert verification.equal_error_rate(curve) == 0.25


def test_calibration_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    distance = rng.uniform(0, 2.4, 4000)
    different = np.repeat([0.0, 1.0], 2000)
    curve = verification.make_curve(distance, different)
    found = verification.reliability(curve, margin=2.0)
    stated = np.minimum(distance / 2, 1)
    observed, mean = calibration_curve(different, stated, n_bins=10)
    assert found.observed == pytest.approx(observed)
    assert found.stated == pytest.approx(mean)
    share = np.histogram(stated, np.linspace(0, 1, 11))[0] / 4000
    expected = np.sum(share * np.abs(observed - mean))
    assert verification.expected_calibration_error(curve, 2.0) == pytest.approx(expected)


def test_an_empty_bin_of_the_calibration_is_nan_and_counts_nothing():
    curve = verification.make_curve(np.array([0.05, 0.95]), np.array([0, 1]))
    found = verification.reliability(curve, 1.0)
    assert np.isnan(found.stated[1:9]).all()
    # both bins are 0.05 from the truth
    assert verification.expected_calibration_error(curve, 1.0) == pytest.approx(0.05)


def test_perfect_and_blind_distances():
    perfect = verification.make_curve(np.array([1, 2, 3, 4.0]), np.array([0, 0, 1, 1]))
    found = verification.panel(perfect, tuned=2.5, margin=5.0)
    assert found["accuracy, 0.5"] == 0.5
    assert [found[f"accuracy, {at}"] for at in ("m/2", "tuned", "oracle")] == [1, 1, 1]
    assert (found["AUC"], found["EER"], found["true accepts at 0.1 %"]) == (1, 0, 1)
    blind = verification.make_curve(np.zeros(4), np.array([0, 0, 1, 1]))
    assert verification.area_under_roc(blind) == verification.equal_error_rate(blind) == 0.5


def test_without_a_margin_there_is_no_half_margin_and_no_calibration():
    curve = verification.make_curve(np.array([1, 2.0]), np.array([0, 1]))
    found = verification.panel(curve, tuned=1.5)
    assert {name for name, value in found.items() if np.isnan(value)} == {
        "accuracy, 0.5",
        "accuracy, m/2",
        "ECE",
    }


@pytest.mark.parametrize(
    ("distance", "different", "message"),
    [
        ([1.0, 2.0], [0, 0], "same pairs and different"),
        ([1.0], [0, 1], "shape|must both|both must"),
    ],
)
def test_what_gives_no_curve_is_refused(distance, different, message):
    with pytest.raises(ValueError, match=message):
        verification.make_curve(np.array(distance), np.array(different))
