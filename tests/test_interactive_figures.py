from types import SimpleNamespace

import numpy as np
import pytest

from siamese_utils.evaluation import geometry
from siamese_utils.evaluation.pair_distances import PairDistances
from siamese_utils.evaluation.pair_histogram import PairHistogram
from siamese_utils.reporting import interactive_figures

ALL = SimpleNamespace(classes_of={"all": (0, 1)})


@pytest.fixture
def found():
    counts = np.zeros((2, 2, 4), dtype=np.int64)  # bins of 0.5: up to 0.5, 1, 1.5, 2
    counts[0, 0] = [3, 1, 0, 0]
    counts[1, 1] = [1, 3, 0, 0]
    counts[0, 1] = [0, 2, 4, 2]
    return [
        PairDistances({}, PairHistogram(counts, 0.5, (0, 1)), np.zeros(0), tuned, margin=1.0)
        for tuned in (0.4, 0.6)
    ]


def test_the_shares_that_each_threshold_accepts(found):
    told = interactive_figures.thresholds({"m = 10": found, "m = 1": found}, ALL)
    assert [told["kind"], told["sets"], told["reach"]] == [
        "thresholds",
        ["all"],
        interactive_figures.MAX_THRESHOLD,
    ]
    assert [network["name"] for network in told["networks"]] == ["m = 10", "m = 1"]  # as given
    network = told["networks"][0]
    assert network["margin"] == 1.0
    assert network["tuned"] == pytest.approx(0.5)
    at = {
        threshold: round(
            threshold * interactive_figures.NUM_THRESHOLDS / interactive_figures.MAX_THRESHOLD
        )
        for threshold in (0.5, 1.0)
    }
    same, different = network["same"]["all"], network["different"]["all"]
    assert len(same) == len(different) == interactive_figures.NUM_THRESHOLDS + 1
    assert same[at[0.5]] == pytest.approx((3 / 4 + 1 / 4) / 2)
    assert same[at[1.0]] == 1
    assert different[at[0.5]] == 0
    assert different[at[1.0]] == pytest.approx(2 / 8)
    assert different[-1] == pytest.approx(6 / 8)


def test_the_accuracies_of_a_network_at_all_thresholds(found):
    frame = interactive_figures.accuracy_curves(
        interactive_figures.thresholds({"base": found}, ALL)
    )
    at = frame.set_index(frame["x"].round(6))["y"]
    assert at[0] == 50
    assert at[1] == pytest.approx(50 * (1 + 6 / 8))
    assert frame.attrs["alt"] == "Thresholds of highest accuracy, in margins: base: 1.00."


def test_a_map_is_one_for_all_moments():
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(30, 3)) * [9, 3, 0.1]
    found = geometry.project_jointly({"first": cloud, "second": 2 * cloud})
    first, second = (np.linalg.norm(of - of.mean(axis=0)) for of in found.values())
    assert second == pytest.approx(2 * first)
    assert np.concatenate(list(found.values())).mean(axis=0) == pytest.approx([0, 0], abs=1e-9)
