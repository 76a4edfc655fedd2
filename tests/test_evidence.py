import numpy as np
import pytest

from siamese_utils.measuring import distances, panel
from siamese_utils.telling import evidence


def test_each_two_classes_have_a_row_for_each_seed(digits, store):
    found = {"pixels": distances.of_baseline("raw pixels", digits, range(2))}
    rows = evidence.by_classes(found, digits)
    assert rows.columns.tolist() == ["network", "seed", "x", "y", "AUC"]
    assert len(rows) == 2 * 45
    assert not rows.duplicated(["network", "seed", "x", "y"]).any()
    means = rows.groupby(["x", "y"])["AUC"].mean()
    for row in panel.auc_by_classes(found["pixels"], digits).dropna().itertuples():
        assert means[tuple(sorted((row.x, row.y)))] == pytest.approx(row.value)
    assert np.isfinite(rows["AUC"]).all()
