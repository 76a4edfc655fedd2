"""Runs of the reconstructed protocol: what it stores, and that it goes on where it was stopped."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from siamese_utils import settings
from siamese_utils.data import datasets
from siamese_utils.training import replication


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits", 30)


def test_nine_training_runs_one_for_each_cell_of_the_tables():
    cells = {(r.table, r.model, r.margin) for r in replication.REPLICATES}
    assert cells == {(2, "base", 1), (3, "complex", 1), (5, "complex", 5)}
    assert len({r.name for r in replication.REPLICATES}) == 9
    first_three = replication.REPLICATES[:3]
    assert {r.test_set for r in first_three} == {"seen"}  # a column of each table comes first
    assert [r.seed for r in replication.REPLICATES] == [0] * 3 + [1] * 3 + [2] * 3


def test_a_run_stores_what_the_tables_and_figures_need(digits):
    record = replication.run(replication.REPLICATES[2], digits, epochs=1)
    assert json.loads(json.dumps(record)) == record
    assert (record["table"], record["margin"], record["test_set"]) == (5, 5.0, "seen")
    at_half = record["test_sets"]["seen"]["accuracies"][10]  # 0.1 margins are 0.5
    assert record["test_accuracy"] == pytest.approx(at_half, abs=1e-6)
    assert len(record["history"]["val_loss"]) == 1
    assert record["training_images"] == 144
    assert record["machine"]["tensorflow"]


def test_accuracies_and_auc_by_a_plain_count():
    rng = np.random.default_rng(0)
    distance, target = rng.uniform(0, 3, 200), rng.integers(0, 2, 200)
    measured = replication.measure(distance, target, margin=2.0)
    assert measured["pairs"] == 200
    assert measured["auc"] == pytest.approx(roc_auc_score(target, distance))
    for i in (0, 25, 70, 200):
        right = sum((d > 0.02 * i) == bool(t) for d, t in zip(distance, target, strict=True))
        assert measured["accuracies"][i] == pytest.approx(right / 200)


def test_what_is_there_is_not_trained_again(digits, tmp_path):
    trained = []

    def stub(replicate, dataset, epochs):
        if len(trained) == 4:
            raise KeyboardInterrupt
        trained.append(replicate.name)
        return {"dataset": "digits", "epochs": epochs, "test_accuracy": 0.5}

    with pytest.raises(KeyboardInterrupt):
        replication.run_all(digits, 2, tmp_path, stub)
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(trained)
    trained.append("one more, so that the stub goes on")
    assert replication.run_all(digits, 2, tmp_path, stub) == 5
    assert replication.run_all(digits, 2, tmp_path, stub) == 0
    with pytest.raises(ValueError, match="in 2 epochs, not from digits in 3; choose another"):
        replication.run_all(digits, 3, tmp_path, stub)


@pytest.mark.slow  # TensorFlow is imported again in each process
def test_two_processes_train_what_one_process_trains(digits, tmp_path):
    """All but seed and test set are the same for all runs, so three of nine are enough."""
    for name in [r.name for r in replication.REPLICATES[3:]]:
        record = {"dataset": "digits", "epochs": 1}
        (tmp_path / f"{name}.json").write_text(json.dumps(record), encoding="utf-8")
    assert replication.run_all(digits, 1, tmp_path, workers=2) == 3
    for replicate in replication.REPLICATES[:3]:
        record = json.loads((tmp_path / f"{replicate.name}.json").read_text(encoding="utf-8"))
        alone = replication.run(replicate, digits, epochs=1)
        assert record["history"]["loss"] == pytest.approx(alone["history"]["loss"], rel=1e-3)


def test_bad_options_are_one_line(capsys):
    with pytest.raises(SystemExit) as stopped:
        replication.main(["--epochs", "0"])
    assert stopped.value.code == 2
    with pytest.raises(SystemExit):
        replication.main(["--workers", "0"])
    assert replication.main(["--dataset", "nothing"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "--workers must be 1 or more, not 0" in lines[1]
    assert "--epochs must be 1 or more, not 0" in lines[0]
    assert "unknown data set 'nothing'" in lines[2]


def test_committed_results_are_of_the_protocol():
    """Each committed file is a training run of twenty epochs on all of Fashion-MNIST."""
    for path in (settings.REPORTS / "replication").glob("*.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        assert (record["epochs"], record["dataset"]) == (20, "fashion-mnist")
        assert record["training_images"] == 33_600
        assert all(len(values) == 20 for values in record["history"].values())
        assert set(record["test_sets"]) == {"seen", "all", "unseen"}
        assert path.stem in {r.name for r in replication.REPLICATES}
