from dataclasses import replace

import numpy as np
import pytest
from siamese_utils.training import Experiment

from siamese_utils import baselines, data, panel, training, verification

SHORT = Experiment(dataset="digits", epochs=1, precision="float32")


def test_the_exact_panel_is_that_of_all_pairs_laid_out(store, digits):
    run = training.train(SHORT)
    [counted] = panel.count_trained([run], digits)
    found = panel.measure([counted], digits)
    rows = data.split(digits, 0).unseen
    embeddings = training.embed(training.rebuild_encoder(run, (28, 28, 1)), digits.images[rows])
    first, second = np.triu_indices(len(rows), k=1)
    distance = np.linalg.norm(embeddings[first] - embeddings[second], axis=1)
    different = digits.labels[rows][first] != digits.labels[rows][second]
    # classes of the digits are of nearly one size, so that weights hardly matter
    expected = verification.panel(verification.make_curve(distance, different), counted.tuned, 1.0)
    for figure in ("accuracy, 0.5", "accuracy, tuned", "EER", "ECE"):
        assert found["unseen", figure].whole[0] == pytest.approx(100 * expected[figure], abs=0.3)
    assert found["unseen", "AUC"].whole[0] == pytest.approx(expected["AUC"], abs=0.003)
    groups = found["unseen", "AUC"].groups
    assert groups.shape == (1, 3)
    assert groups.mean() == pytest.approx(expected["AUC"], abs=0.02)


def test_nothing_is_counted_twice(store, digits, monkeypatch):
    run = training.train(SHORT)
    [first] = panel.count_trained([run], digits)
    monkeypatch.setattr(panel, "_count", lambda *_: pytest.fail("counted again"))
    [second] = panel.count_trained([run], digits)
    assert np.array_equal(first.whole.counts, second.whole.counts)
    assert first.tuned == second.tuned


def test_an_encoder_before_training_has_no_margin(store, digits):
    counted = panel.count_untrained("base", digits, seeds=2)
    found = panel.measure(counted, digits)
    assert np.isnan(found["seen", "accuracy, 0.5"].whole).all()
    assert (found["seen", "AUC"].whole > 0.6).all()
    assert len(list(store.iterdir())) == 2


def test_baselines_are_kept_apart_by_name_and_seed(store, digits):
    for seed in (0, 1):
        panel.count("pixels", lambda _: baselines.pixels, digits, seed)
        panel.count("pca", baselines.fit_pca, digits, seed)
    assert len(list(store.iterdir())) == 4


def test_classes_are_told_apart_one_pair_at_a_time(store, digits):
    counted = [panel.count("pixels", lambda _: baselines.pixels, digits, 0)]
    found = panel.auc_by_classes(counted, digits)
    assert np.isnan(np.diag(found)).all()
    assert np.array_equal(found, found.T, equal_nan=True)
    assert found[1, 8] < found[0, 1]  # a one is more like an eight than like a nought


def test_kinds_of_pairs_make_up_the_whole(digits):
    kinds = panel.kinds_of_pairs(digits)
    cells = [tuple(sorted(cell)) for of_kind in kinds.values() for cell in of_kind]
    assert len(cells) == len(set(cells)) == 55


def test_share_right_by_hand(digits):
    counts = np.zeros((10, 10, 4), dtype=np.int64)
    counts[0, 1] = [1, 0, 0, 3]  # of the pairs of classes 0 and 1 a quarter is near
    counts[2, 3] = [1, 1, 0, 0]
    whole = panel.PairCounts(counts, 0.5, digits.classes)
    one = panel.Counted(whole, np.zeros((2, 3, 2, 4)), tuned=0.5, margin=1.0)
    cells = [(0, 1), (2, 3)]
    # accepted: 1/4 and 1/2, each class pair weighing the same
    assert panel.share_right([one], cells, different=True).tolist() == [62.5]
    assert panel.share_right([one], cells, different=False).tolist() == [37.5]


def test_another_seed_of_a_run_is_another_split(store, digits):
    counted = panel.count_trained([training.train(replace(SHORT, seed=s)) for s in (0, 1)], digits)
    assert counted[0].tuned != counted[1].tuned


def test_an_untrained_encoder_is_where_training_begins(store):
    hardly = training.train(replace(SHORT, learning_rate=1e-12, seed=3))
    encoder = panel.untrained_encoder("base", 3, (28, 28, 1))
    for before, after in zip(encoder.get_weights(), hardly.weights, strict=True):
        assert np.allclose(before, after, atol=1e-9)


def test_cosine_does_not_see_length(store, digits):
    run = training.train(SHORT)
    doubled = replace(run, weights=[*run.weights[:-2], *(2 * w for w in run.weights[-2:])])
    found = [
        panel.measure(panel.count_trained([one], digits, cosine=True), digits)["seen", "AUC"].whole[
            0
        ]
        for one in (run, doubled)
    ]
    assert found[0] == pytest.approx(found[1], abs=1e-3)
