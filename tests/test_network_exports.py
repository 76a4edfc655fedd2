import numpy as np
import pytest

from siamese_utils.evaluation import metrics, pair_distances
from siamese_utils.reporting import network_exports


def test_each_two_classes_have_a_row_for_each_seed(digits, store):
    found = {"pixels": pair_distances.of_baseline("raw pixels", digits, range(2))}
    rows = network_exports.auc_by_class_pair(found, digits)
    assert rows.columns.tolist() == ["network", "seed", "x", "y", "AUC"]
    assert len(rows) == 2 * 45
    assert not rows.duplicated(["network", "seed", "x", "y"]).any()
    means = rows.groupby(["x", "y"])["AUC"].mean()
    for row in metrics.auc_by_class_pair(found["pixels"], digits).dropna().itertuples():
        assert means[tuple(sorted((row.x, row.y)))] == pytest.approx(row.value)
    assert np.isfinite(rows["AUC"]).all()
