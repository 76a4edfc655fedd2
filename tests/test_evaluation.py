import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, roc_auc_score

from siamese_utils import evaluation

judged = st.lists(
    st.tuples(st.floats(0, 5, width=16), st.booleans()), min_size=2, max_size=60
).filter(lambda rows: 0 < sum(y for _, y in rows) < len(rows))


def arrays(rows):
    distance, different = zip(*rows, strict=True)
    return np.array(distance), np.array(different, dtype=float)


@given(judged, st.floats(0, 5))
def test_accuracy_is_that_of_scikit_learn(rows, threshold):
    distance, different = arrays(rows)
    expected = accuracy_score(different, distance > threshold)
    assert evaluation.accuracy(distance, different, threshold) == pytest.approx(expected)
    swept = evaluation.accuracies(distance, different, np.array([threshold]))
    assert swept == pytest.approx([expected])


@given(judged)
def test_no_threshold_beats_the_best(rows):
    distance, different = arrays(rows)
    best = evaluation.accuracy(distance, different, evaluation.best_threshold(distance, different))
    tried = [-1.0, *distance, *((distance[:, None] + distance) / 2).ravel()]
    assert best == max(evaluation.accuracy(distance, different, t) for t in tried)


def test_best_threshold_by_hand():
    # same at 1 and 2, different at 4 and 5: midway between 2 and 4
    assert evaluation.best_threshold(np.array([1, 2, 4, 5.0]), np.array([0, 0, 1, 1])) == 3


@given(judged)
def test_auc_is_that_of_scikit_learn_and_of_a_count(rows):
    distance, different = arrays(rows)
    found = evaluation.roc_auc(distance, different)
    assert found == pytest.approx(roc_auc_score(different, distance))
    gaps = distance[different == 1][:, None] - distance[different == 0]
    assert found == pytest.approx(np.mean((gaps > 0) + 0.5 * (gaps == 0)))


@pytest.mark.parametrize(("distance", "different"), [([], []), ([1.0], [1, 0]), ([[1.0]], [[1]])])
def test_wrong_shapes_are_refused(distance, different):
    with pytest.raises(ValueError, match="shape"):
        evaluation.accuracy(np.array(distance), np.array(different), 0.5)


def test_interval_by_hand():
    # mean 2, standard deviation 1, t for 2 degrees of freedom 4.302653
    found = evaluation.interval([1, 2, 3])
    assert found.mean == 2
    assert found.half_width == pytest.approx(4.302653 / np.sqrt(3), rel=1e-6)
    wider = evaluation.prediction_interval([1, 2, 3])
    assert wider.half_width == pytest.approx(4.302653 * np.sqrt(1 + 1 / 3), rel=1e-6)


def test_one_value_has_no_interval():
    found = evaluation.interval([3.0])
    assert found.mean == 3
    assert np.isnan([found.low, found.high]).all()
    with pytest.raises(ValueError, match="at least one"):
        evaluation.interval([])


@pytest.mark.parametrize(
    ("differences", "claimed", "verdict"),
    [
        ([1.0, 1.1, 0.9], +1, "holds"),
        ([1.0, 1.1, 0.9], -1, "does not hold"),
        ([-1.0, 1.1, 0.9], +1, "not decidable"),
        ([5.0], +1, "not decidable"),
    ],
)
def test_verdicts(differences, claimed, verdict):
    assert evaluation.judge(evaluation.interval(differences), claimed) == verdict


def test_a_claim_has_a_direction():
    with pytest.raises(ValueError, match="claimed"):
        evaluation.judge(evaluation.interval([1.0, 2.0]), 0)


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
    ],
)
def test_what_the_tuned_threshold_undoes_is_an_artefact(fixed, tuned, area, verdict):
    fixed, tuned, area = (
        evaluation.Measured(np.array(values), np.outer(values, [1, 1]))
        for values in (fixed, tuned, area)
    )
    assert evaluation.judge_threshold(fixed, tuned, area, +1) == verdict
    assert evaluation.judge_threshold(fixed * -1, tuned * -1, area * -1, -1) == verdict


@pytest.mark.parametrize(
    ("differences", "word"),
    [([1.0, 1.1], "better"), ([-1.0, -1.1], "worse"), ([1, -1], "unclear"), ([1.0], "unclear")],
)
def test_the_first_of_two_is_better_or_worse_or_neither_is_clear(differences, word):
    assert evaluation.compare(evaluation.interval(differences)) == word


def test_neighbouring_float32_distances_are_told_apart():
    low = np.float32(0.3)
    distance = np.array([low, np.nextafter(low, np.float32(1))])
    for different in ([0, 1], [1, 0]):
        threshold = evaluation.best_threshold(distance, np.array(different))
        expected = 1.0 if different == [0, 1] else 0.5
        assert evaluation.accuracy(distance, np.array(different), threshold) == expected


def test_a_published_figure_is_held_against_one_more_seed():
    assert evaluation.judge_figure([1, 2, 3], 6.0) == "holds"  # 2 ± 4.97
    assert evaluation.judge_figure([1, 2, 3], 7.0) == "does not hold"
    assert evaluation.judge_figure([1, 2, 3], 6.9, 9.0) == "holds"
    assert evaluation.judge_figure([1, 2, 3], -9.0, -3.0) == "does not hold"
    assert evaluation.judge_figure([2], 2.0) == "not decidable"


def test_bumps_by_hand():
    assert evaluation.find_bumps([5, 3, 4, 2, 2, 1, 6]) == [3]
    # inner epochs 2 to 6; near 3 are 2, 3, 4, one of them a bump; of 5 and 6 none
    assert evaluation.bump_excess([5, 3, 4, 2, 2, 1, 6], [3]) == pytest.approx(1 / 3)


def test_worst_pairs_by_hand():
    distance = np.array([0.1, 0.9, 0.5, 0.2, 0.8])
    different = np.array([0, 0, 0, 1, 1])
    assert evaluation.worst_pairs(distance, different, 1).tolist() == [1, 3]
    assert evaluation.worst_pairs(distance, different, 2).tolist() == [1, 2, 3, 4]


def test_roc_ends_at_both_corners():
    x, y = evaluation.roc_points(np.array([1, 2, 3, 4.0]), np.array([0, 1, 0, 1]))
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)


def test_crossed_interval_by_hand():
    # row means 1 and 3: standard error 1, t for 1 degree of freedom 12.7062
    # column means 1, 2, 3: standard error 1/sqrt(3), t for 2 degrees of freedom 4.302653
    values = np.array([[0, 1, 2], [2, 3, 4.0]])
    found = evaluation.crossed_interval(values, 5.0)
    assert found.mean == 5
    assert found.half_width == pytest.approx(np.sqrt(12.7062**2 + 4.302653**2 / 3), rel=1e-5)


def test_where_images_do_not_matter_it_is_the_interval_over_seeds():
    values = np.outer([1, 2, 3.0], np.ones(8))
    expected = evaluation.interval([1, 2, 3]).half_width
    assert evaluation.crossed_interval(values, 2.0).half_width == pytest.approx(expected)
    assert np.isnan(evaluation.crossed_interval(values[:1], 1.0).low)
    assert evaluation.crossed_interval(np.ones((3, 4)), 1.0).half_width == 0
    unknown = np.array([[1, np.nan], [2, 3]])
    assert np.isnan(evaluation.crossed_interval(unknown, 2.0).low)


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("spread", [(1, 0, 1), (0.1, 1, 1), (1, 1, 0), (1, 0.3, 0.3)])
def test_crossed_intervals_cover_what_they_promise(spread, seeds):
    rng = np.random.default_rng(0)
    of_seeds, of_groups, of_both = spread
    covered = []
    for _ in range(2000):
        values = of_seeds * rng.normal(size=(seeds, 1)) + of_groups * rng.normal(size=(1, 20)) / 2
        values = values + of_both * rng.normal(size=(seeds, 20))
        found = evaluation.crossed_interval(values, values.mean())
        covered.append(found.low <= 0 <= found.high)
    assert np.mean(covered) >= 0.94  # its own error is about 0.005


def test_a_bootstrap_of_three_seeds_would_promise_too_much():
    rng = np.random.default_rng(0)
    covered = {"bootstrap": [], "ours": []}
    for _ in range(300):
        values = rng.normal(size=(3, 1)) + 0.3 * rng.normal(size=(3, 20))
        found = evaluation.crossed_interval(values, values.mean())
        covered["ours"].append(found.low <= 0 <= found.high)
        rows, columns = rng.integers(0, 3, (400, 3)), rng.integers(0, 20, (400, 20))
        means = values[rows[:, :, np.newaxis], columns[:, np.newaxis, :]].mean(axis=(1, 2))
        low, high = np.quantile(means, [0.025, 0.975])
        covered["bootstrap"].append(low <= 0 <= high)
    assert np.mean(covered["bootstrap"]) < 0.85
    assert np.mean(covered["ours"]) > 0.93


def test_measurements_are_subtracted_seed_by_seed_and_group_by_group():
    first = evaluation.Measured(np.array([3, 5.0]), np.array([[3, 4], [5, 7.0]]))
    second = evaluation.Measured(np.array([1, 1.0]), np.array([[1, 2], [2, 3.0]]))
    found = first - second
    assert found.whole.tolist() == [2, 4]
    assert found.groups.tolist() == [[2, 2], [3, 4]]
    assert found.interval.mean == 3


def test_every_verdict_has_its_reason():
    verdicts = {evaluation.HOLDS, evaluation.FAILS, evaluation.UNDECIDED}
    assert set(evaluation.FIGURE_REASONS) == verdicts
    assert set(evaluation.REASONS) == verdicts | {evaluation.ARTEFACT}
