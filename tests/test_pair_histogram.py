import itertools

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from siamese_utils.evaluation import pair_histogram


@pytest.fixture
def cloud():
    """Embeddings of 60 images in three classes of unlike sizes, and their labels."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 3, 7], [10, 20, 30])
    return (rng.normal(size=(60, 5)) + labels[:, None] / 7).astype(np.float32), labels


def loop(embeddings, labels):
    """Every pair once: its two classes and its distance."""
    for i, j in itertools.combinations(range(len(labels)), 2):
        yield labels[i], labels[j], np.linalg.norm(embeddings[i] - embeddings[j].astype(float))


def test_all_pairs_are_counted_once(cloud, monkeypatch):
    monkeypatch.setattr(pair_histogram, "BLOCK_ROWS", 7)  # blocks that do not divide the classes
    found = pair_histogram.count_pairs(*cloud, bin_width=0.5)
    expected = np.zeros_like(found.counts)
    for a, b, distance in loop(*cloud):
        i, j = sorted((found.classes.index(a), found.classes.index(b)))
        expected[i, j, int(distance / 0.5)] += 1
    assert found.counts.sum() == 60 * 59 // 2
    assert np.array_equal(found.counts, expected)
    assert np.array_equal(found.cell(7, 0), found.cell(0, 7))
    assert found.counts.dtype == np.int64  # exact, however many they are


def test_the_exact_area_is_that_of_scikit_learn_with_equal_classes(cloud):
    found = pair_histogram.count_pairs(*cloud, bin_width=0.001).curve_of_classes((0, 3, 7))
    rows = list(loop(*cloud))
    cells = [tuple(sorted((a, b))) for a, b, _ in rows]
    weights = [1 / cells.count(cell) for cell in cells]
    different = [a != b for a, b in cells]
    distances = [distance for *_, distance in rows]
    expected = roc_auc_score(different, distances, sample_weight=weights)
    assert found.auc == pytest.approx(expected, abs=2e-3)


def test_close_embeddings_far_from_the_origin_keep_their_distance():
    embeddings = np.float32([[1000, 0], [1000, 0.01], [1000, 0.03]])
    found = pair_histogram.count_pairs(embeddings, np.zeros(3, dtype=int), bin_width=0.001)
    places = np.flatnonzero(found.cell(0, 0))
    assert np.abs(places - [10, 20, 30]).max() <= 1  # on an edge: one step either way


def test_images_that_coincide_are_at_distance_0():
    # by rounding the square of such a distance may come out below 0
    once = np.random.default_rng(0).normal(size=(200, 64)).astype(np.float32)
    found = pair_histogram.count_pairs(
        np.concatenate([once, once]), np.zeros(400, dtype=int), bin_width=0.1
    )
    assert found.counts.sum() == 400 * 399 // 2
    assert found.cell(0, 0)[0] == 200


def test_the_largest_distance_has_a_bin_though_rounding_lifts_it_over_an_edge():
    # a distance of 1: in float32, 1 / step is 1000, and 1 divided by step is less
    found = pair_histogram.count_pairs(
        np.float32([[0], [1]]), np.zeros(2, dtype=int), bin_width=0.001
    )
    assert np.flatnonzero(found.cell(0, 0)) == pytest.approx([1000], abs=1)


def test_images_are_dealt_by_hand():
    labels = np.array([0, 3, 0, 0, 3, 3, 0])
    # class 0 lies at 0, 2, 3 and 6, class 3 at 1, 4 and 5
    assert pair_histogram.assign_groups(labels, 2).tolist() == [0, 0, 1, 0, 1, 0, 1]
    assert pair_histogram.assign_groups(labels, 3).tolist() == [0, 0, 1, 2, 1, 2, 0]


def test_groups_share_no_image_and_hold_all(cloud):
    embeddings, labels = cloud
    groups = pair_histogram.assign_groups(labels, 5)
    assert [np.bincount(groups[labels == c]).tolist() for c in (0, 3, 7)] == [
        [2] * 5,
        [4] * 5,
        [6] * 5,
    ]
    found = pair_histogram.count_pairs_in_groups(embeddings, labels, groups, bin_width=0.5)
    assert [int(one.counts.sum()) for one in found] == [12 * 11 // 2] * 5


def test_an_image_stays_in_its_group_whatever_the_split(fashion_mnist):
    groups = pair_histogram.assign_groups(fashion_mnist.labels, 20)
    assert np.array_equal(np.bincount(groups), [3500] * 20)


def test_thresholds_lie_on_the_edges_of_bins():
    embeddings = np.float32([[0, 0], [0.3, 0.4]])
    for margin in (0.5, 1.0, 5.0):
        step = pair_histogram.choose_bin_width(embeddings, margin)
        assert (margin / 2) / step == pytest.approx(round((margin / 2) / step))
        assert 0.5 / step == pytest.approx(round(0.5 / step))
        assert 0.5 / step >= pair_histogram.MIN_BINS / 2
        # where the distances are many margins long, in as few steps of a margin as there may be
        step = pair_histogram.choose_bin_width(100 * embeddings, margin)
        assert (margin / 2) / step == pytest.approx(round((margin / 2) / step))


@pytest.mark.parametrize("margin", [None, 1.0])
def test_embeddings_that_coincide_are_told_apart_by_chance(margin):
    cloud, labels = np.ones((6, 2), np.float32), np.array([0, 0, 0, 1, 1, 1])
    found = pair_histogram.count_pairs(
        cloud, labels, pair_histogram.choose_bin_width(cloud, margin)
    )
    curve = found.curve_of_classes((0, 1))
    assert curve.auc == 0.5
    assert curve.equal_error_rate == 0.5
    assert curve.accuracy(curve.best_threshold) == 0.5


def test_the_accuracy_at_a_threshold_is_that_of_a_plain_loop(cloud):
    step = 0.25
    found = pair_histogram.count_pairs(*cloud, step)
    rows = list(loop(*cloud))
    for curve, classes in (
        (found.curve_of_classes((0, 3, 7)), (0, 3, 7)),
        (found.curve([(0, 0), (3, 3)], [(0, 3)]), (0, 3)),
    ):
        for threshold in (0.5, 2.0, 3.25):
            accepted = {"same": {}, "different": {}}
            for a, b, distance in rows:
                if a in classes and b in classes:
                    of_kind = accepted["same" if a == b else "different"]
                    of_kind.setdefault(tuple(sorted((a, b))), []).append(distance < threshold)
            same, different = (
                np.mean([np.mean(of) for of in cells.values()]) for cells in accepted.values()
            )
            assert curve.accuracy(threshold) == pytest.approx((same + 1 - different) / 2)
        assert curve.threshold[1] - curve.threshold[0] == step
        assert curve.threshold.shape == curve.tar.shape == curve.far.shape
        # there is room for the largest distance, and for little more
        assert curve.threshold[-1] >= max(distance for *_, distance in rows)
        embeddings, _ = cloud
        farthest = np.linalg.norm(embeddings - embeddings.mean(axis=0), axis=1).max()
        assert curve.threshold[-1] <= 2 * farthest + 2 * step


def test_a_step_resolves_the_largest_distance():
    # from the middle, (1.5, 2), either is 2.5 away; the columns have unlike means
    embeddings = np.float32([[0, 0], [3, 4]])
    assert pair_histogram.choose_bin_width(embeddings) == pytest.approx(5 / pair_histogram.MIN_BINS)
    assert pair_histogram.choose_bin_width(embeddings, 1e6) == pytest.approx(
        5 / pair_histogram.MIN_BINS, rel=0.01
    )
    assert (
        pair_histogram.choose_bin_width(embeddings, 1e-3) == 1e-3 / pair_histogram.BINS_PER_MARGIN
    )
