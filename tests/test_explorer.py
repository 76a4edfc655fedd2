from types import SimpleNamespace

import numpy as np
import pytest

from siamese_utils.measuring.counts import PairCounts
from siamese_utils.measuring.distances import Distances
from siamese_utils.telling import explorer


def test_the_shares_that_each_threshold_accepts():
    counts = np.zeros((2, 2, 4), dtype=np.int64)  # bins of 0.5: up to 0.5, 1, 1.5, 2
    counts[0, 0] = [3, 1, 0, 0]
    counts[1, 1] = [1, 3, 0, 0]
    counts[0, 1] = [0, 2, 4, 2]
    seeds = [
        Distances({}, PairCounts(counts, 0.5, (0, 1)), np.zeros(0), tuned, margin=1.0)
        for tuned in (0.4, 0.6)
    ]
    found = explorer.describe(seeds, SimpleNamespace(classes_of={"all": (0, 1)}))
    assert found["margin"] == 1.0
    assert found["tuned"] == pytest.approx(0.5)
    at = {threshold: round(threshold * explorer.STEPS / explorer.REACH) for threshold in (0.5, 1.0)}
    same, different = found["same"]["all"], found["different"]["all"]
    assert len(same) == len(different) == explorer.STEPS + 1
    assert same[at[0.5]] == pytest.approx((3 / 4 + 1 / 4) / 2)
    assert same[at[1.0]] == 1
    assert different[at[0.5]] == 0
    assert different[at[1.0]] == pytest.approx(2 / 8)
    assert different[-1] == pytest.approx(6 / 8)
