import numpy as np
import pytest

from siamese_utils.data import textures


def find_rectangle(image):
    """The corners of the largest block of the rectangle's grey, by a plain loop over its pixels."""
    rows, columns = np.nonzero(np.isclose(image[..., 0], textures.RECTANGLE_GREY))
    return rows.min(), columns.min(), rows.max(), columns.max()


def test_rectangles_lie_where_the_study_puts_them():
    images = textures.sample_textures(np.ones(200, dtype=int), np.random.default_rng(0))
    corners = np.array([find_rectangle(image) for image in images])
    assert corners[:, :2].min() == 0
    assert corners[:, :2].max() == 7
    assert corners[:, 2:].min() == 16
    assert corners[:, 2:].max() == 31
    for image, (top, left, bottom, right) in zip(images, corners, strict=True):
        assert np.allclose(image[top : bottom + 1, left : right + 1], textures.RECTANGLE_GREY)


def test_textures_are_grey_noise_from_0_to_1():
    images = textures.sample_textures(np.zeros(100, dtype=int), np.random.default_rng(0))
    assert images.shape == (100, 32, 32, 1)
    assert images.dtype == np.float32
    assert 0 <= images.min() < images.max() <= 1
    # three uniform colours: mean 1/2, variance (0.299^2 + 0.587^2 + 0.114^2) / 12 = 0.03725
    assert images.mean() == pytest.approx(0.5, abs=0.005)
    assert images.var() == pytest.approx(0.03725, abs=0.001)


@pytest.mark.parametrize("num_pairs", [2, 5, 50])
def test_pairs_share_no_image_and_are_of_every_kind(num_pairs):
    images, labels, pairs = textures.sample_texture_pairs(
        num_pairs, np.random.default_rng(num_pairs)
    )
    assert len(images) == 2 * num_pairs
    assert sorted([*pairs.first, *pairs.second]) == list(range(2 * num_pairs))
    has_one = [np.isclose(image, textures.RECTANGLE_GREY).sum() > 80 for image in images]
    assert has_one == (labels == 1).tolist()
    kinds = [(has_one[a], has_one[b]) for a, b in zip(pairs.first, pairs.second, strict=True)]
    assert [a != b for a, b in kinds] == pairs.different.astype(bool).tolist()
    assert pairs.different.sum() == num_pairs // 2
    positives = [a for a, b in kinds if a == b]
    assert abs(sum(positives) - len(positives) / 2) <= 0.5


def test_the_same_seed_draws_the_same_and_one_pair_is_refused():
    draw = [textures.sample_texture_pairs(9, np.random.default_rng(1))[0] for _ in range(2)]
    assert np.array_equal(*draw)
    with pytest.raises(ValueError, match="two pairs"):
        textures.sample_texture_pairs(1, np.random.default_rng(0))


def test_contrast_mixes_the_rectangle_with_the_texture():
    bare, half, whole = (
        textures.sample_textures(np.ones(3, dtype=int), np.random.default_rng(0), contrast)
        for contrast in (0.0, 0.5, 1.0)
    )
    inside = np.isclose(whole, textures.RECTANGLE_GREY)
    np.testing.assert_allclose(
        half[inside], (bare[inside] + textures.RECTANGLE_GREY) / 2, rtol=1e-6
    )
    assert (half[~inside] == bare[~inside]).all()
    assert bare[inside].mean() == pytest.approx(0.5, abs=0.02)
