"""A recipe for classes never seen: outlines, gradients and small networks, evened out and joined.

All that is fitted is fitted on labelled images of the seen classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from siamese_utils.evaluation import baselines
from siamese_utils.evaluation.baselines import Embed

NUM_COMPONENTS = 50  # principal ones, in which the variance within classes is evened out
SHRINKAGE = 0.3  # of that variance towards the same in every direction
BLOCK_SIZE = 5000  # images that are embedded
HOG_CELL, HOG_ORIENTATIONS, HOG_BLOCK = 4, 9, 2  # of the gradients: pixels, directions, cells


@dataclass(frozen=True)
class Whitening:
    """What evens features out: subtract the middle, then multiply by the transform."""

    middle: np.ndarray  # (dimensions,)
    transform: np.ndarray  # (dimensions, components)

    def __call__(self, found: np.ndarray) -> np.ndarray:
        """Return whitened features: (images, dimensions) -> (images, components)."""
        return (found - self.middle) @ self.transform


def fit_whitening(found: np.ndarray, labels: np.ndarray) -> Whitening:
    """Even out the variance within classes, in the first principal components.

    What varies much inside a class counts little; what does not vary at all, such as the outline
    of images without a dark ground, becomes 0. found: (images, dimensions) of seen classes; labels:
    (images,). Source: within-class covariance normalisation, Hatch, Kajarekar and
    Stolcke 2006.
    """
    means = class_means(found, labels)
    inside = found - means[np.searchsorted(np.unique(labels), labels)]
    size = min(NUM_COMPONENTS, found.shape[1])
    axes = np.linalg.eigh(np.cov(found.T))[1][:, ::-1][:, :size]
    within = np.cov((inside @ axes).T)
    # what is the same in all images of a class varies by rounding alone
    varies = np.trace(within) > 1e-10 * np.trace(np.cov(found.T))
    within = (1 - SHRINKAGE) * within + SHRINKAGE * np.trace(within) / size * np.eye(size)
    transform = axes @ np.linalg.cholesky(np.linalg.inv(within)) if varies else 0 * axes
    return Whitening(np.float32(means.mean(axis=0)), np.float32(transform))


def class_means(found: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the mean of each class: (images, dimensions), (images,) -> (classes, dimensions)."""
    return np.array([found[labels == c].mean(axis=0) for c in np.unique(labels)])


def whiten(embed: Embed, images: np.ndarray, labels: np.ndarray) -> Embed:
    """Return an embedding whitened by what it makes of labelled images of the seen classes."""
    whitening = fit_whitening(embed(images), labels)
    return lambda others: whitening(embed(others))


def concatenate(parts: Sequence[Embed]) -> Embed:
    """Put embeddings side by side, each of length 1: the cosine is then the mean of theirs."""
    directions = [baselines.to_unit_length(part) for part in parts]
    return lambda images: np.concatenate([embed(images) for embed in directions], axis=1)


def fit(images: np.ndarray, labels: np.ndarray, networks: Sequence[Embed]) -> list[Whitening]:
    """Fit the recipe: even out silhouette, gradients and networks, each by itself.

    images: (images, h, w, c) uint8 of the seen classes; labels: (images,); networks: small encoders
    trained on these.
    """
    return [fit_whitening(part(images), labels) for part in _parts(networks)]


def embed_with(networks: Sequence[Embed], whitenings: Sequence[Whitening]) -> Embed:
    """Return the recipe: its parts, evened out, side by side.

    Two networks, from different first weights, weigh as much as silhouette and gradients together.
    whitenings: as `fit` returns them.
    """
    evened = [
        lambda images, part=part, whiten=whiten: whiten(part(images))
        for part, whiten in zip(_parts(networks), whitenings, strict=True)
    ]
    return embed_in_blocks(concatenate(evened))


def embed_in_blocks(embed: Embed) -> Embed:
    """Embed so many images at a time: the gradients of all would take much memory."""
    return lambda images: np.concatenate(
        [embed(images[i : i + BLOCK_SIZE]) for i in range(0, len(images), BLOCK_SIZE)]
    )


def _parts(networks: Sequence[Embed]) -> list[Embed]:
    return [baselines.foreground_mask, hog_features, *networks]


def hog_features(images: np.ndarray) -> np.ndarray:
    """Return histograms of oriented gradients: (images, h, w, c) uint8 -> (images, dimensions).

    Source: Dalal and Triggs 2005.
    """
    return np.array([_hog(image.tobytes(), image.shape) for image in images])


@lru_cache(maxsize=20_000)  # images, of which each is described in many splits
def _hog(content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    from skimage.feature import hog

    return hog(
        np.frombuffer(content, np.uint8).reshape(shape),
        orientations=HOG_ORIENTATIONS,
        pixels_per_cell=(HOG_CELL, HOG_CELL),
        cells_per_block=(HOG_BLOCK, HOG_BLOCK),
        channel_axis=-1,
    ).astype(np.float32)
