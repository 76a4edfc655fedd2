import numpy as np
import pytest

from siamese_utils.evaluation import geometry


def test_scatter_ratio_by_hand():
    # classes at 0 and 10, each two points one away from its mean: within 1, between 25
    embeddings = np.array([[-1.0], [1], [9], [11]])
    assert geometry.scatter_ratio(embeddings, np.array([0, 0, 1, 1])) == pytest.approx(1 / 25)


def test_collapsed_and_mixed_classes():
    labels = np.array([0, 0, 1, 1])
    assert geometry.scatter_ratio(np.array([[0.0], [0], [1], [1]]), labels) == 0
    assert geometry.scatter_ratio(np.array([[0.0], [1], [0], [1]]), labels) == float("inf")


def test_effective_rank_counts_equal_directions():
    corners = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
    assert geometry.effective_rank(corners) == pytest.approx(2)
    assert geometry.effective_rank(corners[:2]) == pytest.approx(1)
    assert geometry.spectrum(corners) == pytest.approx([0.5, 0.5, 0])


def test_a_description_agrees_with_its_parts():
    rng = np.random.default_rng(0)
    labels = np.repeat([2, 5], 30)
    embeddings = np.float32(rng.normal(size=(60, 4)) + labels[:, np.newaxis])
    found = geometry.describe(embeddings, labels)
    assert found["scatter ratio"] == geometry.scatter_ratio(embeddings, labels)
    assert found["effective rank"] == geometry.effective_rank(embeddings)
    assert found["AUC"] > 0.9


def test_maps_keep_far_clouds_apart():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 40)
    embeddings = np.float32(rng.normal(size=(80, 5)) + 30 * labels[:, np.newaxis])
    for name, places in geometry.project(embeddings).items():
        assert places.shape == (80, 2), name
        assert geometry.scatter_ratio(places, labels) < 0.5, name


def test_maps_are_kept(store, monkeypatch):
    embeddings = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    first = geometry.cached_projections(embeddings)
    monkeypatch.setattr(geometry, "project", lambda _: pytest.fail("flattened again"))
    again = geometry.cached_projections(embeddings)
    assert set(first) == set(again) == {"PCA", "t-SNE"}
    assert all(np.array_equal(first[name], again[name]) for name in first)
    with pytest.raises(pytest.fail.Exception, match="again"):
        geometry.cached_projections(embeddings + 1)
