"""Baseline embeddings, which are not trained on pairs: raw pixels, foreground mask and PCA."""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

# images (images, height, width, channels) uint8 -> embeddings (images, dimensions)
Embed = Callable[[np.ndarray], np.ndarray]

NUM_COMPONENTS = 50  # principal components
BLUR_SIGMA = 2.0  # pixels: standard deviation of the Gaussian blur of the foreground mask


def fit_pixels(_: np.ndarray) -> Embed:
    """Return `pixels`, which needs no fitting."""
    return pixels


def fit_foreground_mask(_: np.ndarray) -> Embed:
    """Return `foreground_mask`, which needs no fitting."""
    return foreground_mask


def pixels(images: np.ndarray) -> np.ndarray:
    """Return images as vectors of float32 pixel values in 0..1."""
    return images.reshape(len(images), -1).astype(np.float32) / 255


def foreground_mask(images: np.ndarray) -> np.ndarray:
    """Return blurred foreground masks: 1 where a pixel is not black.

    Args:
        images: (images, height, width, channels).

    Returns:
        (images, height * width) float32, 0..1.
    """
    mask = (images.max(axis=-1) > 0).astype(np.float32)
    blurred = ndimage.gaussian_filter(mask, sigma=(0, BLUR_SIGMA, BLUR_SIGMA))
    return blurred.reshape(len(images), -1)


def fit_pca(images: np.ndarray) -> Embed:
    """Fit a PCA of the pixels and return the projection onto its first components."""
    from sklearn.decomposition import PCA

    components = min(NUM_COMPONENTS, len(images), images[0].size)
    pca = PCA(components, svd_solver="covariance_eigh").fit(pixels(images))
    return lambda others: pca.transform(pixels(others))


def to_unit_length(embed: Embed) -> Embed:
    """Return an embedding scaled to length 1, so that the Euclidean distance is sqrt(2 - 2 cos).

    Euclidean distance then orders pairs as cosine similarity does.
    """
    return lambda images: scale_to_unit_length(embed(images))


def scale_to_unit_length(embeddings: np.ndarray) -> np.ndarray:
    """Scale each of the embeddings (images, dimensions) to length 1; a zero vector remains zero."""
    length = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings / np.maximum(length, np.finfo(np.float32).tiny)


# name -> function that takes the training images and returns an embedding
BASELINES: dict[str, Callable[[np.ndarray], Embed]] = {
    "raw pixels": fit_pixels,
    "foreground mask": fit_foreground_mask,
    "PCA": fit_pca,
}
