import itertools

import numpy as np
import pytest
from scipy import optimize
from scipy.spatial.distance import pdist
from scipy.special import expit
from sklearn.metrics import log_loss

from siamese_utils.evaluation import calibration, pair_distances, pair_histogram


def test_the_probability_is_that_of_platts_targets():
    rng = np.random.default_rng(0)
    embeddings, labels = rng.normal(size=(9, 2)), np.repeat([0, 1, 2], 3)

    def loss(line):  # pair by pair, each kind with the weight of nine
        cost = 0
        for i, j in itertools.combinations(range(9), 2):
            same = labels[i] == labels[j]
            p = 1 / (1 + np.exp(-line[0] * np.linalg.norm(embeddings[i] - embeddings[j]) - line[1]))
            wanted = 10 / 11 if same else 1 / 11
            each = 9 / (9 if same else 27)
            cost -= each * (wanted * np.log(p) + (1 - wanted) * np.log(1 - p))
        return cost

    wanted = optimize.minimize(loss, [0, 0], tol=1e-10).x
    same = pdist(labels[:, np.newaxis]) == 0
    found = calibration.fit(pdist(embeddings), same, 9)
    assert (found.slope, found.intercept) == pytest.approx(wanted, abs=1e-3)


def test_few_pairs_make_no_certainty():
    distance = np.repeat([0.0, 10.0], [20, 25])  # told apart
    found = calibration.fit(distance, distance == 0, 10)
    assert found(np.array([0, 10])) == pytest.approx([11 / 12, 1 / 12], abs=0.01)
    assert expit(found.logit(3.0)) == found(3.0)


def test_the_unit_of_distances_does_not_matter():
    rng = np.random.default_rng(0)
    same = np.arange(400) < 100
    distance = rng.normal(np.where(same, 4, 6), 1)
    found = calibration.fit(distance, same, 100)
    assert found.threshold == pytest.approx(5, abs=0.2)
    for unit in (1e-6, 1e6):
        scaled = calibration.fit(unit * distance, same, 100)
        assert scaled.slope * unit == pytest.approx(found.slope, rel=1e-3)
        assert scaled.intercept == pytest.approx(found.intercept, rel=1e-3)


@pytest.mark.parametrize("distance", [[1.0, 1.0, 1.0, 1.0], [2.0, 3.0, 1.0, 0.0]])
def test_distances_that_tell_nothing_or_the_opposite(distance):
    found = calibration.fit(np.array(distance), np.array([True, True, False, False]), 2)
    assert found == calibration.PlattScaling(0.0, 0.0)
    assert found.threshold < 0  # nothing is accepted


@pytest.fixture
def judged():
    """Pairs of two classes of images at whole distances, and a probability."""
    embeddings = np.array([[0], [1], [2], [4], [4], [7]], dtype=np.float32)
    labels = np.array([0, 0, 0, 1, 1, 1])
    pairs = pair_histogram.count_pairs(embeddings, labels, 0.001)
    return (
        calibration.CalibrationTest(calibration.PlattScaling(-0.8, 2.0), pairs, (0, 1)),
        embeddings,
        labels,
    )


def laid_out(embeddings, labels):
    """Each pair: its distance, whether it is the same, and its weight."""
    rows = [
        (abs(embeddings[i, 0] - embeddings[j, 0]), labels[i] == labels[j])
        for i, j in itertools.combinations(range(len(labels)), 2)
    ]
    distance, same = map(np.array, zip(*rows, strict=True))
    return distance, same, np.where(same, 0.5 / same.sum(), 0.5 / (~same).sum())


def test_scores_are_those_of_all_pairs_laid_out(judged):
    one, *images = judged
    distance, same, weight = laid_out(*images)
    stated = expit(2 - 0.8 * distance)
    found = one.scores()
    assert found["log-loss"] == pytest.approx(
        log_loss(same, stated, sample_weight=weight), abs=1e-3
    )
    assert found["Brier"] == pytest.approx(np.sum(weight * (stated - same) ** 2), abs=1e-3)
    assert found["confidence"] == pytest.approx(
        np.sum(weight * np.maximum(stated, 1 - stated)), abs=1e-3
    )
    assert found["accuracy"] == pytest.approx(np.sum(weight * ((stated > 0.5) == same)), abs=1e-3)


def test_reliability_is_the_share_of_same_pairs_in_each_tenth(judged):
    one, *images = judged
    distance, same, weight = laid_out(*images)
    stated, observed = one.reliability()
    for tenth in range(10):
        inside = (expit(2 - 0.8 * distance) * 10).astype(int) == tenth
        if not inside.any():
            assert np.isnan([stated[tenth], observed[tenth]]).all()
            continue
        share = weight[inside] / weight[inside].sum()
        assert stated[tenth] == pytest.approx(share @ expit(2 - 0.8 * distance[inside]), abs=1e-3)
        assert observed[tenth] == pytest.approx(share @ same[inside])


def test_the_probability_of_a_way_is_fitted_to_its_validation_pairs(digits, store):
    found = pair_distances.of_baseline("raw pixels", digits, range(2))
    judged = calibration.calibration_tests({"pixels": found}, digits)
    assert list(judged) == [("pixels", s) for s in ("seen", "all", "unseen")]
    for seed, one in enumerate(judged["pixels", "unseen"]):
        distance, different = found[seed].labelled_distances("validation")
        assert one.probability == calibration.fit(distance, ~different, len(distance) // 2)
        assert one.pairs is found[seed].all_pairs
        assert one.classes == digits.unseen
