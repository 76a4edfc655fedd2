"""Embeddings that need no training on pairs: images in, vectors out, to be compared by distance."""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

Embed = Callable[[np.ndarray], np.ndarray]  # images (images, h, w, c) uint8 -> (images, dimensions)

NUM_COMPONENTS = 50  # of the PCA
BLUR_SIGMA = 2.0  # pixels: standard deviation of the silhouette's blur


def fit_pixels(_: np.ndarray) -> Embed:
    """Return the pixels as they are; there is nothing to fit."""
    return pixels


def fit_foreground_mask(_: np.ndarray) -> Embed:
    """Return the blurred outlines; there is nothing to fit."""
    return foreground_mask


def pixels(images: np.ndarray) -> np.ndarray:
    """Return the images as vectors of 0..1: (images, h, w, c) uint8 -> (images, h w c) float32."""
    return images.reshape(len(images), -1).astype(np.float32) / 255


def foreground_mask(images: np.ndarray) -> np.ndarray:
    """Return the blurred outlines, 0..1: where there is anything at all. Shapes as in `pixels`."""
    drawn = (images.max(axis=-1) > 0).astype(np.float32)
    blurred = ndimage.gaussian_filter(drawn, sigma=(0, BLUR_SIGMA, BLUR_SIGMA))
    return blurred.reshape(len(images), -1)


def fit_pca(images: np.ndarray) -> Embed:
    """Fit the first 50 principal components of the pixels and return the projection onto them."""
    from sklearn.decomposition import PCA

    components = min(NUM_COMPONENTS, len(images), images[0].size)
    projection = PCA(components, svd_solver="covariance_eigh").fit(pixels(images))
    return lambda others: projection.transform(pixels(others))


def to_unit_length(embed: Embed) -> Embed:
    """Return the embedding scaled to length 1, so that Euclidean distance orders as cosine does.

    D = sqrt(2 - 2 cos). An embedding of nothing but zeros stays where it is.
    """

    def embed_to_unit_length(images: np.ndarray) -> np.ndarray:
        embeddings = embed(images)
        length = np.linalg.norm(embeddings, axis=1, keepdims=True)
        return embeddings / np.maximum(length, np.finfo(np.float32).tiny)

    return embed_to_unit_length


# name -> training images -> embed
BASELINES: dict[str, Callable[[np.ndarray], Embed]] = {
    "raw pixels": fit_pixels,
    "silhouette": fit_foreground_mask,
    "PCA": fit_pca,
}
