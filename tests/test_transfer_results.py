from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from siamese_utils.evaluation import transfer_results
from siamese_utils.evaluation.intervals import measurement
from siamese_utils.training import trainer, transfer
from siamese_utils.training.transfer import TransferConfig

SETS = ("validation", "test")


def perfect(seed):
    """Distances in the right order, but in another scale: only a tuned threshold can tell."""
    different = {s: transfer.sample_pairs(TransferConfig(seed=seed), s)[2].different for s in SETS}
    return {s: 7 + 2 * y for s, y in different.items()}


def constant(seed):
    """Distances that say nothing, and all of them below 0.5."""
    return {s: np.full_like(distance, 0.1) for s, distance in perfect(seed).items()}


def test_test_pairs_are_judged_with_a_threshold_tuned_on_validation_pairs():
    metrics = transfer_results.metrics([perfect(0), perfect(1)])
    assert {name: measured.values.tolist() for name, measured in metrics.items()} == {
        "accuracy, 0.5": [50, 50],
        "accuracy, tuned": [100, 100],
        "AUC": [1, 1],
    }
    assert [measured.unit for measured in metrics] == ["%", "%", ""]


def test_the_threshold_is_not_tuned_on_test_pairs():
    distances = perfect(0)
    distances["test"] = distances["test"] / 2  # of another scale than those of validation
    metrics = transfer_results.metrics([distances])
    assert metrics["accuracy, tuned"].values.tolist() == [50]
    assert metrics["AUC"].values.tolist() == [1]


@pytest.fixture
def plan(monkeypatch):
    """A plan of two numbers of pairs and two seeds; only pretrained encoders tell pairs apart."""

    def train(config):
        distances = (perfect if config.start == "pretrained" else constant)(config.seed)
        epochs = config.epochs if config.seed else config.epochs - 3
        return SimpleNamespace(distances=distances, history={"loss": [0.5] * epochs})

    def configs(number, **changes):
        return [
            TransferConfig(number, start=start, seed=seed, **changes)
            for start in transfer.INITIALISATIONS
            for seed in (0, 1)
        ]

    transfers = {("contrastive", 10): configs(10), ("contrastive", 50): configs(50)}
    transfers["to the end", 50] = configs(50, epochs=100)
    monkeypatch.setattr(trainer, "train", train)
    untrained = {
        transfer_results.FROZEN: perfect,
        transfer_results.UNTRAINED: constant,
        transfer_results.PIXELS: constant,
    }
    monkeypatch.setattr(
        transfer_results,
        "untrained_distances",
        lambda seed: {name: distances(seed) for name, distances in untrained.items()},
    )
    profile = SimpleNamespace(transfer_seeds=2, pair_numbers=(10, 50))
    return SimpleNamespace(transfers=lambda: transfers, profile=profile)


def test_the_metrics_table_has_a_row_for_each_encoder_and_number_of_pairs(plan):
    table = transfer_results.metrics_table(plan)
    assert len(table) == 3 * 2 + len(transfer_results.UNTRAINED_METHODS) * 2
    assert table.loc[("pretrained, contrastive", 10), "AUC"].values.tolist() == [1, 1]
    assert table.loc[("scratch, to the end", 50), "AUC"].values.tolist() == [0.5, 0.5]
    assert table.loc[(transfer_results.FROZEN, 10), "AUC"].values.tolist() == [1, 1]
    assert table.loc[(transfer_results.PIXELS, 50), "AUC"].values.tolist() == [0.5, 0.5]


def test_auc_differences_are_taken_seed_by_seed():
    names = ["pretrained, contrastive", "scratch, contrastive", transfer_results.PIXELS]
    values = [[0.9, 0.8], [0.7, 0.5], [0.6, 0.6], [0.5, 0.75]]
    auc = pd.Series(
        {
            (name, 50): measurement(of)
            for name, of in zip([*names, transfer_results.UNTRAINED], values, strict=True)
        }
    )
    differences = transfer_results.auc_differences(auc).loc[("contrastive", 50)]
    assert differences["minus scratch"].values.tolist() == pytest.approx([0.2, 0.3])
    assert differences["minus raw pixels"].values.tolist() == pytest.approx([0.3, 0.2])
    assert differences["minus untrained encoder"].values.tolist() == pytest.approx([0.4, 0.05])
    assert differences["minus scratch"].signed


def test_epochs_run_are_those_with_the_number_of_pairs_of_the_study(plan):
    table = transfer_results.epochs_run(plan)
    assert table.index.tolist() == [
        (kind, start)
        for kind in ("contrastive", "to the end")
        for start in transfer.INITIALISATIONS
    ]
    row = table.loc[("to the end", "scratch")]
    # seed 0 stops three epochs before the end, seed 1 is cut off
    assert row.tolist() == [100, 98.5, 1]


def test_the_distance_of_raw_pixels_by_hand():
    distances = transfer_results._of_pixels(TransferConfig(seed=1))
    images, _, sampled = transfer.sample_pairs(TransferConfig(seed=1), "test")
    gap = images[sampled.first[7]].astype(float) - images[sampled.second[7]]
    assert distances["test"][7] == pytest.approx(np.sqrt(np.sum(gap**2)), rel=1e-5)


def test_the_distances_without_training_on_pairs_are_cached(store, short_pretraining, monkeypatch):
    untrained = transfer.build_encoder(TransferConfig(start="scratch"))
    monkeypatch.setattr(transfer, "build_encoder", lambda *_: untrained)
    distances = transfer_results.untrained_distances(0)
    assert set(distances) == set(transfer_results.UNTRAINED_METHODS)
    assert np.array_equal(
        distances[transfer_results.FROZEN]["test"], distances[transfer_results.UNTRAINED]["test"]
    )
    expected = transfer.measure_distances(untrained, TransferConfig(start="scratch"))
    assert np.array_equal(distances[transfer_results.UNTRAINED]["test"], expected["test"])
    monkeypatch.setattr(transfer, "build_encoder", lambda *_: pytest.fail("measured again"))
    cached = transfer_results.untrained_distances(0)
    assert np.array_equal(
        cached[transfer_results.FROZEN]["test"], distances[transfer_results.FROZEN]["test"]
    )


def test_a_linear_classifier_recognises_dark_rectangles_and_not_faint_ones():
    dark, faint = (
        transfer_results._linear_accuracy(TransferConfig(contrast=contrast))
        for contrast in (1.0, 1 / 64)
    )
    assert dark > 0.99
    assert 0.4 < faint < 0.65


def test_transfers_are_compared_contrast_by_contrast(monkeypatch):
    def train(config):
        distances = (perfect if config.start == "scratch" else constant)(config.seed)
        return SimpleNamespace(distances=distances)

    monkeypatch.setattr(trainer, "train", train)
    configs = {
        start: [TransferConfig(start=start, seed=s) for s in (0, 1)]
        for start in transfer.INITIALISATIONS
    }
    transfers = {(1.0, "scratch"): configs["scratch"], (1.0, "digits"): configs["pretrained"]}
    table = transfer_results.by_contrast(SimpleNamespace(transfers_by_contrast=lambda: transfers))
    assert table.index.tolist() == [1.0]
    assert table.loc[1.0, "AUC, scratch"].values.tolist() == [1, 1]
    assert table.loc[1.0, "digits minus scratch"].values.tolist() == [-0.5, -0.5]
    assert table.loc[1.0, transfer_results.LINEAR].unit == "%"
