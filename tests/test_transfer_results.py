from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from siamese_utils.evaluation import transfer_results
from siamese_utils.evaluation.intervals import measurement
from siamese_utils.training import transfer
from siamese_utils.training.transfer import TransferConfig

SETS = ("validation", "test")


def perfect(seed):
    """Distances in the right order, but in another scale: only a tuned threshold can tell."""
    different = {s: transfer.sample_pairs(TransferConfig(seed=seed), s)[2].different for s in SETS}
    return {s: 7 + 2 * y for s, y in different.items()}


def blind(seed):
    """Distances that say nothing, and all of them below 0.5."""
    return {s: np.full_like(distance, 0.1) for s, distance in perfect(seed).items()}


def test_distances_are_judged_with_a_threshold_from_validation():
    found = transfer_results.metrics([perfect(0), perfect(1)])
    assert {figure: of.whole.tolist() for figure, of in found.items()} == {
        "accuracy, 0.5": [50, 50],
        "accuracy, tuned": [100, 100],
        "AUC": [1, 1],
    }
    assert [of.unit for of in found] == ["%", "%", ""]


def test_a_threshold_is_not_tuned_on_test_pairs():
    distances = perfect(0)
    distances["test"] = distances["test"] / 2  # of another scale than those of validation
    found = transfer_results.metrics([distances])
    assert found["accuracy, tuned"].whole.tolist() == [50]
    assert found["AUC"].whole.tolist() == [1]


@pytest.fixture
def plan(monkeypatch):
    """A plan of two numbers of pairs and two seeds; only what was pretrained tells pairs apart."""

    def train(step):
        distances = (perfect if step.start == "pretrained" else blind)(step.seed)
        epochs = step.epochs if step.seed else step.epochs - 3
        return SimpleNamespace(distances=distances, history={"loss": [0.5] * epochs})

    def steps(number, **changes):
        return [
            TransferConfig(number, start=start, seed=seed, **changes)
            for start in transfer.INITIALISATIONS
            for seed in (0, 1)
        ]

    planned = {("contrastive", 10): steps(10), ("contrastive", 50): steps(50)}
    planned["to the end", 50] = steps(50, epochs=100)
    monkeypatch.setattr(transfer, "train", train)
    untaught = {
        transfer_results.FROZEN: perfect,
        transfer_results.UNTRAINED: blind,
        transfer_results.PIXELS: blind,
    }
    monkeypatch.setattr(
        transfer_results,
        "untrained_distances",
        lambda seed: {name: of(seed) for name, of in untaught.items()},
    )
    profile = SimpleNamespace(transfer_seeds=2, pair_numbers=(10, 50))
    return SimpleNamespace(transfers=lambda: planned, profile=profile)


def test_panels_of_all_that_judges_textures(plan):
    found = transfer_results.metrics_table(plan)
    assert len(found) == 3 * 2 + len(transfer_results.UNTRAINED_METHODS) * 2
    assert found.loc[("pretrained, contrastive", 10), "AUC"].whole.tolist() == [1, 1]
    assert found.loc[("scratch, to the end", 50), "AUC"].whole.tolist() == [0.5, 0.5]
    assert found.loc[(transfer_results.FROZEN, 10), "AUC"].whole.tolist() == [1, 1]
    assert found.loc[(transfer_results.PIXELS, 50), "AUC"].whole.tolist() == [0.5, 0.5]


def test_gains_are_differences_by_seed():
    names = ["pretrained, contrastive", "scratch, contrastive", transfer_results.PIXELS]
    values = [[0.9, 0.8], [0.7, 0.5], [0.6, 0.6], [0.5, 0.75]]
    auc = pd.Series(
        {
            (name, 50): measurement(of)
            for name, of in zip([*names, transfer_results.UNTRAINED], values, strict=True)
        }
    )
    found = transfer_results.auc_differences(auc).loc[("contrastive", 50)]
    assert found["minus scratch"].whole.tolist() == pytest.approx([0.2, 0.3])
    assert found["minus raw pixels"].whole.tolist() == pytest.approx([0.3, 0.2])
    assert found["minus untrained encoder"].whole.tolist() == pytest.approx([0.4, 0.05])
    assert found["minus scratch"].signed


def test_endings_are_those_of_the_studys_number_of_pairs(plan):
    found = transfer_results.epochs_run(plan)
    assert found.index.tolist() == [
        (kind, start)
        for kind in ("contrastive", "to the end")
        for start in transfer.INITIALISATIONS
    ]
    row = found.loc[("to the end", "scratch")]
    # seed 0 stops three epochs before the end, seed 1 is cut off
    assert row.tolist() == [100, 98.5, 1]


def test_raw_pixels_by_hand():
    found = transfer_results._of_pixels(TransferConfig(seed=1))
    images, _, drawn = transfer.sample_pairs(TransferConfig(seed=1), "test")
    gap = images[drawn.first[7]].astype(float) - images[drawn.second[7]]
    assert found["test"][7] == pytest.approx(np.sqrt(np.sum(gap**2)), rel=1e-5)


def test_what_learns_from_no_pair_is_kept(store, short_pretraining, monkeypatch):
    begun = transfer.build_encoder(TransferConfig(start="scratch"))
    monkeypatch.setattr(transfer, "build_encoder", lambda *_: begun)
    found = transfer_results.untrained_distances(0)
    assert set(found) == set(transfer_results.UNTRAINED_METHODS)
    assert np.array_equal(
        found[transfer_results.FROZEN]["test"], found[transfer_results.UNTRAINED]["test"]
    )
    expected = transfer.measure_distances(begun, TransferConfig(start="scratch"))
    assert np.array_equal(found[transfer_results.UNTRAINED]["test"], expected["test"])
    monkeypatch.setattr(transfer, "build_encoder", lambda *_: pytest.fail("measured again"))
    again = transfer_results.untrained_distances(0)
    assert np.array_equal(
        again[transfer_results.FROZEN]["test"], found[transfer_results.FROZEN]["test"]
    )


def test_a_linear_classifier_names_dark_rectangles_and_not_faint_ones():
    clear, faint = (
        transfer_results._linear_accuracy(TransferConfig(contrast=contrast))
        for contrast in (1.0, 1 / 64)
    )
    assert clear > 0.99
    assert 0.4 < faint < 0.65


def test_fainter_rectangles_are_compared_start_by_start(monkeypatch):
    def train(step):
        return SimpleNamespace(distances=(perfect if step.start == "scratch" else blind)(step.seed))

    monkeypatch.setattr(transfer, "train", train)
    steps = {
        start: [TransferConfig(start=start, seed=s) for s in (0, 1)]
        for start in transfer.INITIALISATIONS
    }
    planned = {(1.0, "scratch"): steps["scratch"], (1.0, "digits"): steps["pretrained"]}
    found = transfer_results.by_contrast(SimpleNamespace(fainter=lambda: planned))
    assert found.index.tolist() == [1.0]
    assert found.loc[1.0, "AUC, scratch"].whole.tolist() == [1, 1]
    assert found.loc[1.0, "digits minus scratch"].whole.tolist() == [-0.5, -0.5]
    assert found.loc[1.0, transfer_results.LINEAR].unit == "%"
