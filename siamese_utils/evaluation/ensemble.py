"""An ensemble for unseen classes: foreground mask, HOG features and small encoders, whitened.

Everything that is fitted is fitted on labelled images of the seen classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import linalg

from siamese_utils.evaluation import baselines
from siamese_utils.evaluation.baselines import Embed

NUM_COMPONENTS = 50  # principal components that whitening keeps, at most
UNLABELLED = -1  # label of images that only `fit_whitening` knows how to use
# Features that are constant still vary by rounding, by less than this part of the total variance.
ROUNDING = 1e-10
SHRINKAGE = 0.3  # of the covariance within classes towards a multiple of the identity, 0..1
BLOCK_SIZE = 5000  # images that are embedded at a time
HOG_CELL, HOG_ORIENTATIONS, HOG_BLOCK = 4, 9, 2  # pixels, directions, cells


@dataclass(frozen=True)
class Whitening:
    """A linear map that whitens features.

    Attributes:
        middle: (dimensions,), subtracted first.
        transform: (dimensions, components).
    """

    middle: np.ndarray
    transform: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return whitened features: (images, dimensions) -> (images, components)."""
        return (features - self.middle) @ self.transform


def fit_whitening(features: np.ndarray, labels: np.ndarray) -> Whitening:
    """Fit a whitening of the covariance within classes, in the first principal components.

    Features that vary much within a class get a small weight. Features that do not vary within
    classes at all, such as the foreground mask of images without a black background, become 0.

    Args:
        features: (images, dimensions).
        labels: (images,), the class of each image, or UNLABELLED. All classes have the same weight,
            whatever their numbers of images. Images without a label take part in the principal
            components; if there are any, the features are centred on their mean.

    Returns:
        The whitening, float32. Source: within-class covariance normalisation (Hatch, Kajarekar and
        Stolcke 2006).
    """
    is_labelled = labels != UNLABELLED
    labels = labels[is_labelled]
    _, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    means = class_means(features[is_labelled], labels)
    middle = means.mean(axis=0) if is_labelled.all() else features[~is_labelled].mean(axis=0)
    weights = (counts.mean() / counts)[index]
    all_weights = np.ones(len(features))
    all_weights[is_labelled] = weights
    total = np.atleast_2d(np.cov(features.T, aweights=all_weights))
    axes = _first_components(total)
    size = axes.shape[1]
    deviations = (features[is_labelled] - means[index]) @ axes
    within = np.atleast_2d(np.cov(deviations.T, aweights=weights))
    varies = np.trace(within) > ROUNDING * np.trace(total)
    within = (1 - SHRINKAGE) * within + SHRINKAGE * np.trace(within) / size * np.eye(size)
    transform = axes @ np.linalg.cholesky(np.linalg.inv(within)) if varies else 0 * axes
    return Whitening(np.float32(middle), np.float32(transform))


def _first_components(covariance: np.ndarray) -> np.ndarray:
    """Return the principal components with the largest variances: (dimensions, components).

    Components without variance are left out, since their directions are arbitrary: n images have
    at most n - 1 components.
    """
    dimensions = len(covariance)
    # Computing these alone takes half as long as computing all 1,296 of HOG features.
    last = (max(dimensions - NUM_COMPONENTS, 0), dimensions - 1)
    variances, axes = linalg.eigh(covariance, subset_by_index=last)
    number = max(np.sum(variances > ROUNDING * np.trace(covariance)), 1)
    return axes[:, ::-1][:, :number]


def class_means(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the mean of each class: (images, dimensions), (images,) -> (classes, dimensions)."""
    return np.array([features[labels == c].mean(axis=0) for c in np.unique(labels)])


def concatenate(parts: Sequence[Embed]) -> Embed:
    """Concatenate embeddings scaled to length 1; the cosine is then the mean of their cosines."""
    unit_parts = [baselines.to_unit_length(part) for part in parts]
    return lambda images: np.concatenate([embed(images) for embed in unit_parts], axis=1)


def fit(images: np.ndarray, labels: np.ndarray, networks: Sequence[Embed]) -> list[Whitening]:
    """Fit the ensemble: one whitening for each of its parts.

    Args:
        images: (images, height, width, channels) uint8 of the seen classes.
        labels: (images,).
        networks: Small encoders that were trained on these images.
    """
    return [fit_whitening(part(images), labels) for part in _parts(networks)]


def embed_with(networks: Sequence[Embed], whitenings: Sequence[Whitening]) -> Embed:
    """Return the embedding of a fitted ensemble: its whitened parts, concatenated.

    All parts have the same weight: two networks count as much as mask and HOG features together.

    Args:
        networks: As given to `fit`.
        whitenings: As returned by `fit`.
    """
    whitened = [
        lambda images, part=part, whitening=whitening: whitening(part(images))
        for part, whitening in zip(_parts(networks), whitenings, strict=True)
    ]
    return embed_in_blocks(concatenate(whitened))


def embed_in_blocks(embed: Embed) -> Embed:
    """Return an embedding computed in blocks of images, which bounds the memory of HOG features."""
    return lambda images: np.concatenate(
        [embed(images[i : i + BLOCK_SIZE]) for i in range(0, len(images), BLOCK_SIZE)]
    )


def _parts(networks: Sequence[Embed]) -> list[Embed]:
    return [baselines.foreground_mask, hog_features, *networks]


def hog_features(images: np.ndarray) -> np.ndarray:
    """Compute histograms of oriented gradients (HOG).

    Args:
        images: (images, height, width, channels) uint8.

    Returns:
        (images, dimensions) float32. Source: Dalal and Triggs 2005.
    """
    return np.array([_hog(image.tobytes(), image.shape) for image in images])


@lru_cache(maxsize=20_000)  # images; most of them occur in many splits
def _hog(content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    from skimage.feature import hog

    return hog(
        np.frombuffer(content, np.uint8).reshape(shape),
        orientations=HOG_ORIENTATIONS,
        pixels_per_cell=(HOG_CELL, HOG_CELL),
        cells_per_block=(HOG_BLOCK, HOG_BLOCK),
        channel_axis=-1,
    ).astype(np.float32)
