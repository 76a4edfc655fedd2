import numpy as np
import pytest

from siamese_utils.evaluation import baselines


@pytest.fixture
def images(digits):
    return digits.images[:40]


def test_pixels_by_hand():
    images = np.array([[[[0], [255]], [[51], [102]]]], dtype=np.uint8)
    assert baselines.pixels(images) == pytest.approx(np.array([[0, 1, 0.2, 0.4]]))


def test_a_foreground_mask_does_not_see_brightness(images):
    bright = np.where(images > 0, 255, 0).astype(np.uint8)
    assert np.array_equal(baselines.foreground_mask(images), baselines.foreground_mask(bright))
    assert baselines.foreground_mask(images).shape == (40, 784)


def test_pca_with_all_components_keeps_distances(images):
    projected = baselines.fit_pca(images)(images)
    flat = baselines.pixels(images)
    near = np.linalg.norm(projected[0] - projected[1])
    assert near == pytest.approx(np.linalg.norm(flat[0] - flat[1]), rel=1e-3)


def test_unit_length_orders_as_cosine_does(images):
    unit = baselines.to_unit_length(baselines.pixels)(images)
    flat = baselines.pixels(images)
    cosine = flat[0] @ flat[1] / np.linalg.norm(flat[0]) / np.linalg.norm(flat[1])
    assert np.square(unit[0] - unit[1]).sum() == pytest.approx(2 - 2 * cosine, rel=1e-4)
    assert not baselines.to_unit_length(baselines.pixels)(np.zeros_like(images)).any()


def test_every_baseline_embeds_images(images):
    for name, fit in baselines.BASELINES.items():
        found = fit(images)(images[:7])
        assert found.shape[0] == 7, name
        assert np.isfinite(found).all(), name
    assert np.array_equal(
        baselines.BASELINES["raw pixels"](images)(images), baselines.pixels(images)
    )
    outlines = baselines.BASELINES["foreground mask"](images)(images)
    assert np.array_equal(outlines, baselines.foreground_mask(images))
