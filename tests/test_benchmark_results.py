import json

import pandas as pd
import pytest

from siamese_utils import settings
from siamese_utils.evaluation import benchmark_results

OURS = "Keras, embed once, bfloat16"
# two rounds: a slow one and one of twice the speed
ROUNDS = pd.DataFrame(
    {
        "program": [benchmark_results.STUDY_CODE, OURS] * 3,
        "round": [0, 0, 1, 1, 2, 2],
        "seconds": [80.0, 20.0, 40.0, 8.0, 60.0, 20.0],
        "passes": [1000, 250] * 3,
        "peak float32": [100.0, 100.0, 200.0, 200.0, 100.0, 100.0],
        "peak bfloat16": [200.0, 200.0, 400.0, 400.0, 200.0, 200.0],
    }
)


def test_seconds_are_medians_with_their_ends_in_the_order_of_the_ways():
    found = benchmark_results.seconds(ROUNDS)
    assert found.index.tolist() == [benchmark_results.STUDY_CODE, OURS]
    assert found.loc[benchmark_results.STUDY_CODE].tolist() == [60, 40, 80]
    assert found.loc[OURS].tolist() == [20, 8, 20]


def test_ratios_are_taken_inside_a_round():
    found = benchmark_results.speedup(ROUNDS)
    assert found.loc[benchmark_results.STUDY_CODE].tolist() == [1, 1, 1]
    assert found.loc[OURS].tolist() == [4, 3, 5]  # 80/20, 60/20, 40/8


def test_the_limit_is_that_of_the_ways_own_precision():
    found = benchmark_results.share_of_peak(ROUNDS, operations=2.0)
    # float32: 2 x 1000 / 80 = 25 of 100; 50 of 200; 33.3 of 100
    assert found[benchmark_results.STUDY_CODE] == pytest.approx(25)
    # bfloat16: 2 x 250 / 20 = 25 of 200, twice; 62.5 of 400
    assert found[OURS] == pytest.approx(12.5)
    assert found.index.tolist() == [benchmark_results.STUDY_CODE, OURS]


def test_what_the_benchmark_wrote_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "BENCHMARK", tmp_path)
    ROUNDS.to_csv(tmp_path / "epochs.csv", index=False)
    (tmp_path / "machine.json").write_text(json.dumps({"cores": 2}))
    epochs, machine = benchmark_results.read()
    assert epochs["seconds"].tolist() == ROUNDS["seconds"].tolist()
    assert machine == {"cores": 2}
