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


def test_metrics_of_counted_pairs_are_those_of_all_pairs(store, digits):
    result = trainer.train(SHORT)
    [measured] = pair_distances.of_trained([result])
    computed = metrics.all_pairs_metrics([measured], digits)
    rows = digits.split(0).unseen
    encoder = trainer.rebuild_encoder(SHORT, result, (28, 28, 1))
    embeddings = trainer.embed(encoder, digits.images[rows])
    first, second = np.triu_indices(len(rows), k=1)
    distance = np.linalg.norm(embeddings[first] - embeddings[second], axis=1)
    different = digits.labels[rows][first] != digits.labels[rows][second]
    # classes of the digits are of nearly one size, so that weights hardly matter
    expected = RocCurve.from_pairs(distance, different).compute_metrics(
        measured.validation_threshold, 1.0
    )
    for figure in ("accuracy, 0.5", "accuracy, tuned", "EER", "ECE"):
        assert computed["unseen", figure].values[0] == pytest.approx(
            100 * expected[figure], abs=1.0
        )
    assert computed["unseen", "AUC"].values[0] == pytest.approx(expected["AUC"], abs=0.01)
    groups = computed["unseen", "AUC"].groups
    assert groups.shape == (1, 3)
    assert groups.mean() == pytest.approx(expected["AUC"], abs=0.02)


def make_distances(margin, scale=1.0):
    """Return four pairs a set: same at 0.1 and 0.6 scales, different at 0.4 and 0.9."""
    sampled = {name: np.float32([0.1, 0.6, 0.4, 0.9]) * scale for name in data.SETS}
    all_pairs = PairHistogram(np.zeros((2, 2, 1)), 1.0, (0, 1))
    return PairDistances(sampled, all_pairs, np.zeros(0), np.nan, margin)


def test_metrics_of_sampled_pairs():
    figures = metrics.sampled_metrics(
        [make_distances(5.0, scale=5.0), make_distances(5.0, scale=10.0)]
    )
    # at 0.5, of the first: same 0.5 is not above it, so right, and 3.0 wrong; different both right
    # of the second, twice as wide: same both wrong, different both right
    assert figures["seen", "accuracy, 0.5"].values.tolist() == [75, 50]
    # at 2.5: of the first same 0.5 right, 3.0 wrong, different 2.0 wrong, 4.5 right;
    # of the second same 1 right, 6 wrong, different 4 and 9 right
    assert figures["seen", "accuracy, m/2"].values.tolist() == [50, 75]
    # tuned by itself, on pairs alike: between the nearest two
    assert figures["seen", "accuracy, tuned"].values.tolist() == [75, 75]
    # of four (different, same) couples three have the different one farther apart
    assert figures["seen", "AUC"].values.tolist() == [0.75, 0.75]
    assert {pair_set for pair_set, _ in figures.index} == set(data.SETS)
    assert figures["seen", "AUC"].groups is None
    assert (figures["seen", "AUC"].unit, figures["seen", "accuracy, 0.5"].unit) == ("", "%")


def test_thresholds_of_sampled_pairs_are_tuned_on_validation_pairs():
    one = make_distances(1.0)
    one.sampled["validation"] = np.float32([0.9, 0.92, 0.97, 0.99])  # all others lie below
    figures = metrics.sampled_metrics([one])
    assert figures["validation", "accuracy, tuned"].values.tolist() == [100]
    assert figures["seen", "accuracy, tuned"].values.tolist() == [50]
    assert figures["seen", "accuracy, oracle"].values.tolist() == [75]


def test_metrics_of_several_encoders_can_be_subtracted(store, digits):
    measured = {
        name: pair_distances.of_baseline(name, digits, range(2))
        for name in ("raw pixels", "foreground mask")
    }
    table = metrics.all_pairs_table(measured, digits)
    assert table.index.tolist() == ["raw pixels", "foreground mask"]
    alone = metrics.all_pairs_metrics(measured["foreground mask"], digits)
    auc = table["unseen", "AUC"]
    assert auc["foreground mask"].values.tolist() == alone["unseen", "AUC"].values.tolist()
    gain = auc - auc["raw pixels"]
    expected = auc["foreground mask"].groups - auc["raw pixels"].groups
    assert np.array_equal(gain["foreground mask"].groups, expected)
    assert not gain["raw pixels"].values.any()
    of_sampled = metrics.sampled_table(measured)
    assert of_sampled.index.tolist() == ["raw pixels", "foreground mask"]
    assert of_sampled.loc["foreground mask", ("validation", "AUC")].values.shape == (2,)
    # both ways of measuring are of the same pairs' kind
    assert of_sampled.loc["foreground mask", ("unseen", "AUC")].values == pytest.approx(
        auc["foreground mask"].values, abs=0.05
    )


def test_figures_have_units(store, digits):
    figures = metrics.all_pairs_metrics(
        pair_distances.of_baseline("raw pixels", digits, range(1)), digits
    )
    for (_, figure), value in figures.items():
        assert value.unit == metrics.unit_of(figure)
        top = 100 if value.unit == "%" else 1
        assert np.isnan(value.values).all() or 0 <= value.values[0] <= top
    assert {figure for _, figure in figures.index} >= set(metrics.THRESHOLD_RULES.values())
    assert {pair_set for pair_set, _ in figures.index} == set(data.TEST_SETS)


def test_auc_of_each_pair_of_classes(store, digits):
    measured = pair_distances.of_baseline("raw pixels", digits, range(1))
    rows = metrics.auc_by_class_pair(measured, digits)
    assert len(rows) == 100
    areas = rows.pivot(index="y", columns="x", values="value").to_numpy()
    assert np.isnan(np.diag(areas)).all()
    assert np.array_equal(areas, areas.T, equal_nan=True)
    assert areas[1, 8] < areas[0, 1]  # a one is more like an eight than like a nought
    [curve] = [measured[0].all_pairs.curve([(0, 0), (1, 1)], [(0, 1)])]
    assert areas[0, 1] == curve.auc


def test_kinds_of_pairs_cover_all_pairs_of_classes_once(digits):
    kinds = metrics.pair_kinds(digits)
    cells = [tuple(sorted(cell)) for of_kind in kinds.values() for cell in of_kind]
    assert len(cells) == len(set(cells)) == 55


def test_share_of_correct_pairs(digits):
    counts = np.zeros((10, 10, 4), dtype=np.int64)
    counts[0, 1] = [1, 0, 0, 3]  # of the pairs of classes 0 and 1 a quarter is near
    counts[2, 3] = [1, 1, 0, 0]
    all_pairs = PairHistogram(counts, 0.5, digits.classes)
    groups = np.zeros((2, 3, 2, 4))
    one = PairDistances({}, all_pairs, groups, validation_threshold=0.5, margin=1.0)
    cells = [(0, 1), (2, 3)]
    # accepted: 1/4 and 1/2, each class pair weighing the same
    assert metrics.share_correct([one], cells, different=True).values.tolist() == [62.5]
    assert metrics.share_correct([one], cells, different=False).values.tolist() == [37.5]
    assert metrics.share_correct([one], cells, different=True).unit == "%"


def test_accuracy_by_kind_of_pairs(store, digits):
    measured = pair_distances.of_baseline("raw pixels", digits, range(2))
    by_kind = metrics.accuracy_by_kind(measured, digits)
    kinds = metrics.pair_kinds(digits)
    assert list(by_kind.index) == list(kinds)
    for kind, share in by_kind.items():
        alone = metrics.share_correct(measured, kinds[kind], different=kind.startswith("different"))
        assert share.values.tolist() == alone.values.tolist()
    # the accuracy is the mean of the shares of same and different pairs, all classes weighing the same
    tuned = metrics.all_pairs_metrics(measured, digits)["unseen", "accuracy, tuned"].values
    both = by_kind["same, unseen"].values + by_kind["different, both unseen"].values
    assert both / 2 == pytest.approx(tuned, abs=1e-6)


def test_few_images_have_an_interval_over_seeds_alone(store):
    rng = np.random.default_rng(0)
    images = rng.integers(1, 256, (80, 9, 9, 1), dtype=np.uint8)  # no pixel is black
    few = Dataset(
        "few", images, rng.permuted(np.repeat(range(4), 20)), tuple("abcd"), (0, 1), (2, 3)
    )
    measured = pair_distances.of_baseline("raw pixels", few, range(5))
    area = metrics.all_pairs_metrics(measured, few)["unseen", "AUC"]
    assert area.groups is None
    assert area.interval.has_ends
    # foreground masks of such images coincide: what tells nothing apart is chance
    blind = metrics.all_pairs_metrics(
        pair_distances.of_baseline("foreground mask", few, range(5)), few
    )
    assert blind["unseen", "AUC"].values.tolist() == [0.5] * 5
    assert (area - blind["unseen", "AUC"]).groups is None
