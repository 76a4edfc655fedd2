import numpy as np
import pytest

from siamese_utils.data import dataset as data
from siamese_utils.data.dataset import Dataset
from siamese_utils.evaluation import metrics, pair_distances
from siamese_utils.evaluation.pair_distances import PairDistances
from siamese_utils.evaluation.pair_histogram import PairHistogram
from siamese_utils.evaluation.roc_curve import RocCurve
from siamese_utils.training import trainer
from siamese_utils.training.pair_training import TrainingConfig

SHORT = TrainingConfig(dataset="digits", epochs=1, precision="float32")


def test_the_exact_panel_is_that_of_all_pairs_laid_out(store, digits):
    run = trainer.train(SHORT)
    [counted] = pair_distances.of_trained([run])
    found = metrics.all_pairs_metrics([counted], digits)
    rows = digits.split(0).unseen
    embeddings = trainer.embed(trainer.rebuild_encoder(run, (28, 28, 1)), digits.images[rows])
    first, second = np.triu_indices(len(rows), k=1)
    distance = np.linalg.norm(embeddings[first] - embeddings[second], axis=1)
    different = digits.labels[rows][first] != digits.labels[rows][second]
    # classes of the digits are of nearly one size, so that weights hardly matter
    expected = RocCurve.from_pairs(distance, different).figures(counted.validation_threshold, 1.0)
    for figure in ("accuracy, 0.5", "accuracy, tuned", "EER", "ECE"):
        assert found["unseen", figure].whole[0] == pytest.approx(100 * expected[figure], abs=1.0)
    assert found["unseen", "AUC"].whole[0] == pytest.approx(expected["AUC"], abs=0.01)
    groups = found["unseen", "AUC"].groups
    assert groups.shape == (1, 3)
    assert groups.mean() == pytest.approx(expected["AUC"], abs=0.02)


def by_hand(margin, scale=1.0):
    """Four pairs a set: same at 0.1 and 0.6 scales, different at 0.4 and 0.9."""
    drawn = {name: np.float32([0.1, 0.6, 0.4, 0.9]) * scale for name in data.SETS}
    whole = PairHistogram(np.zeros((2, 2, 1)), 1.0, (0, 1))
    return PairDistances(drawn, whole, np.zeros(0), np.nan, margin)


def test_the_panel_of_the_studys_pairs_by_hand():
    found = metrics.sampled_metrics([by_hand(5.0, scale=5.0), by_hand(5.0, scale=10.0)])
    # at 0.5, of the first: same 0.5 is not above it, so right, and 3.0 wrong; different both right
    # of the second, twice as wide: same both wrong, different both right
    assert found["seen", "accuracy, 0.5"].whole.tolist() == [75, 50]
    # at 2.5: of the first same 0.5 right, 3.0 wrong, different 2.0 wrong, 4.5 right;
    # of the second same 1 right, 6 wrong, different 4 and 9 right
    assert found["seen", "accuracy, m/2"].whole.tolist() == [50, 75]
    # tuned by itself, on pairs alike: between the nearest two
    assert found["seen", "accuracy, tuned"].whole.tolist() == [75, 75]
    # of four (different, same) couples three have the different one farther apart
    assert found["seen", "AUC"].whole.tolist() == [0.75, 0.75]
    assert {pair_set for pair_set, _ in found.index} == set(data.SETS)
    assert found["seen", "AUC"].groups is None
    assert (found["seen", "AUC"].unit, found["seen", "accuracy, 0.5"].unit) == ("", "%")


def test_the_studys_pairs_are_tuned_on_those_of_validation():
    one = by_hand(1.0)
    one.sampled["validation"] = np.float32([0.9, 0.92, 0.97, 0.99])  # all others lie below
    found = metrics.sampled_metrics([one])
    assert found["validation", "accuracy, tuned"].whole.tolist() == [100]
    assert found["seen", "accuracy, tuned"].whole.tolist() == [50]
    assert found["seen", "accuracy, oracle"].whole.tolist() == [75]


def test_panels_stand_beside_each_other_and_are_subtracted(store, digits):
    found = {
        name: pair_distances.of_baseline(name, digits, range(2))
        for name in ("raw pixels", "silhouette")
    }
    every = metrics.all_pairs_table(found, digits)
    assert every.index.tolist() == ["raw pixels", "silhouette"]
    alone = metrics.all_pairs_metrics(found["silhouette"], digits)
    auc = every["unseen", "AUC"]
    assert auc["silhouette"].whole.tolist() == alone["unseen", "AUC"].whole.tolist()
    gain = auc - auc["raw pixels"]
    expected = auc["silhouette"].groups - auc["raw pixels"].groups
    assert np.array_equal(gain["silhouette"].groups, expected)
    assert not gain["raw pixels"].whole.any()
    drawn = metrics.sampled_table(found)
    assert drawn.index.tolist() == ["raw pixels", "silhouette"]
    assert drawn.loc["silhouette", ("validation", "AUC")].whole.shape == (2,)
    # both ways of measuring are of the same pairs' kind
    assert drawn.loc["silhouette", ("unseen", "AUC")].whole == pytest.approx(
        auc["silhouette"].whole, abs=0.05
    )


def test_figures_have_units(store, digits):
    found = metrics.all_pairs_metrics(
        pair_distances.of_baseline("raw pixels", digits, range(1)), digits
    )
    for (_, figure), measured in found.items():
        assert measured.unit == metrics.unit_of(figure)
        top = 100 if measured.unit == "%" else 1
        assert np.isnan(measured.whole).all() or 0 <= measured.whole[0] <= top
    assert {figure for _, figure in found.index} >= set(metrics.THRESHOLD_RULES.values())
    assert {pair_set for pair_set, _ in found.index} == set(data.TEST_SETS)


def test_classes_are_told_apart_one_pair_at_a_time(store, digits):
    counted = pair_distances.of_baseline("raw pixels", digits, range(1))
    rows = metrics.auc_by_class_pair(counted, digits)
    assert len(rows) == 100
    found = rows.pivot(index="y", columns="x", values="value").to_numpy()
    assert np.isnan(np.diag(found)).all()
    assert np.array_equal(found, found.T, equal_nan=True)
    assert found[1, 8] < found[0, 1]  # a one is more like an eight than like a nought
    [curve] = [counted[0].all_pairs.curve([(0, 0), (1, 1)], [(0, 1)])]
    assert found[0, 1] == curve.auc


def test_kinds_of_pairs_make_up_the_whole(digits):
    kinds = metrics.pair_kinds(digits)
    cells = [tuple(sorted(cell)) for of_kind in kinds.values() for cell in of_kind]
    assert len(cells) == len(set(cells)) == 55


def test_share_right_by_hand(digits):
    counts = np.zeros((10, 10, 4), dtype=np.int64)
    counts[0, 1] = [1, 0, 0, 3]  # of the pairs of classes 0 and 1 a quarter is near
    counts[2, 3] = [1, 1, 0, 0]
    whole = PairHistogram(counts, 0.5, digits.classes)
    one = PairDistances({}, whole, np.zeros((2, 3, 2, 4)), tuned=0.5, margin=1.0)
    cells = [(0, 1), (2, 3)]
    # accepted: 1/4 and 1/2, each class pair weighing the same
    assert metrics.share_correct([one], cells, different=True).whole.tolist() == [62.5]
    assert metrics.share_correct([one], cells, different=False).whole.tolist() == [37.5]
    assert metrics.share_correct([one], cells, different=True).unit == "%"


def test_every_kind_of_pairs_is_judged(store, digits):
    found = pair_distances.of_baseline("raw pixels", digits, range(2))
    right = metrics.accuracy_by_kind(found, digits)
    kinds = metrics.pair_kinds(digits)
    assert list(right.index) == list(kinds)
    for kind, measured in right.items():
        alone = metrics.share_correct(found, kinds[kind], different=kind.startswith("different"))
        assert measured.whole.tolist() == alone.whole.tolist()
    # the accuracy is the mean of the shares of same and different pairs, all classes weighing the same
    tuned = metrics.all_pairs_metrics(found, digits)["unseen", "accuracy, tuned"].whole
    both = right["same, unseen"].whole + right["different, both unseen"].whole
    assert both / 2 == pytest.approx(tuned, abs=1e-6)


def test_few_images_have_an_interval_over_seeds_alone(store):
    rng = np.random.default_rng(0)
    images = rng.integers(1, 256, (80, 9, 9, 1), dtype=np.uint8)  # no pixel is black
    few = Dataset(
        "few", images, rng.permuted(np.repeat(range(4), 20)), tuple("abcd"), (0, 1), (2, 3)
    )
    found = pair_distances.of_baseline("raw pixels", few, range(5))
    area = metrics.all_pairs_metrics(found, few)["unseen", "AUC"]
    assert area.groups is None
    assert area.interval.has_ends
    # silhouettes of such images coincide: what tells nothing apart is chance
    blind = metrics.all_pairs_metrics(pair_distances.of_baseline("silhouette", few, range(5)), few)
    assert blind["unseen", "AUC"].whole.tolist() == [0.5] * 5
    assert (area - blind["unseen", "AUC"]).groups is None
