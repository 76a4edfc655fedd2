import itertools

import numpy as np
import pytest
from scipy import optimize
from scipy.spatial.distance import pdist
from scipy.special import expit

from siamese_utils.measuring import probability


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
    found = probability.fit(pdist(embeddings), same, 9)
    assert (found.slope, found.intercept) == pytest.approx(wanted, abs=1e-3)


def test_few_pairs_make_no_certainty():
    distance = np.repeat([0.0, 10.0], [20, 25])  # told apart
    found = probability.fit(distance, distance == 0, 10)
    assert found(np.array([0, 10])) == pytest.approx([11 / 12, 1 / 12], abs=0.01)
    assert expit(found.logit(3.0)) == found(3.0)


def test_the_unit_of_distances_does_not_matter():
    rng = np.random.default_rng(0)
    same = np.arange(400) < 100
    distance = rng.normal(np.where(same, 4, 6), 1)
    found = probability.fit(distance, same, 100)
    assert found.threshold == pytest.approx(5, abs=0.2)
    for unit in (1e-6, 1e6):
        scaled = probability.fit(unit * distance, same, 100)
        assert scaled.slope * unit == pytest.approx(found.slope, rel=1e-3)
        assert scaled.intercept == pytest.approx(found.intercept, rel=1e-3)


@pytest.mark.parametrize("distance", [[1.0, 1.0, 1.0, 1.0], [2.0, 3.0, 1.0, 0.0]])
def test_distances_that_tell_nothing_or_the_opposite(distance):
    found = probability.fit(np.array(distance), np.array([True, True, False, False]), 2)
    assert found == probability.Probability(0.0, 0.0)
    assert found.threshold < 0  # nothing is accepted
