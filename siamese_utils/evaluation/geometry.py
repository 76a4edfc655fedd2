"""The shape of a cloud of embeddings: how far its classes lie apart, how many directions it fills."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from siamese_utils.evaluation import pair_histogram
from siamese_utils.training import cache
from siamese_utils.training.cache import Arrays


def scatter_ratio(embeddings: np.ndarray, labels: np.ndarray) -> float:
    """Return the variance within classes over that between them, 0 or more.

    embeddings: (images, dimensions); labels: (images,). Each class weighs the same. 0: every class
    is one point; above 1: classes are wider than they lie apart. Infinite where all classes have
    one mean. A simpler form of the measure of Papyan, Han and Donoho, 2020.
    """
    members = [embeddings[labels == c] for c in np.unique(labels)]
    means = np.stack([cloud.mean(axis=0) for cloud in members])
    within = np.mean(
        [np.square(cloud - cloud.mean(axis=0)).sum(axis=1).mean() for cloud in members]
    )
    between = np.square(means - means.mean(axis=0)).sum(axis=1).mean()
    # equal means may differ by rounding
    is_apart = between > 1e-12 * (within + np.square(means).sum(axis=1).mean())
    return float(within / between) if is_apart else float("inf")


def spectrum(embeddings: np.ndarray) -> np.ndarray:
    """Return the shares of variance along the principal directions, largest first: sums to 1."""
    centred = np.asarray(embeddings - embeddings.mean(axis=0), dtype=np.float64)
    variance = np.linalg.eigvalsh(centred.T @ centred)[::-1].clip(min=0)
    return variance / variance.sum()


def effective_rank(embeddings: np.ndarray) -> float:
    """Return how many directions the variance fills, from 1 to the number of dimensions.

    It is the exponential of the spectrum's entropy: n equal directions give n. Source: Roy and
    Vetterli, The effective rank, 2007, of the covariance matrix.
    """
    shares = spectrum(embeddings)
    shares = shares[shares > 0]
    return float(np.exp(-np.sum(shares * np.log(shares))))


def describe(embeddings: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return the scatter ratio, the effective rank and the AUC on all pairs: shapes as above."""
    counted = pair_histogram.count_pairs(
        embeddings, labels, pair_histogram.choose_bin_width(embeddings)
    )
    return {
        "scatter ratio": scatter_ratio(embeddings, labels),
        "effective rank": effective_rank(embeddings),
        "AUC": counted.curve_of_classes(counted.classes).auc,
    }


def project(embeddings: np.ndarray) -> dict[str, np.ndarray]:
    """Return two maps of the embeddings, name -> (images, 2): by PCA and by t-SNE."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    # One thread: TensorFlow's own threads leave OpenMP's waiting for each other, up to a minute.
    with threadpool_limits(limits=1):
        return {
            "PCA": PCA(2, random_state=0).fit_transform(embeddings),
            "t-SNE": TSNE(init="pca", random_state=0).fit_transform(embeddings),
        }


def project_jointly(clouds: Mapping[Any, np.ndarray]) -> dict[Any, np.ndarray]:
    """Return several embeddings of the same images by one PCA of them all: name -> (images, 2)."""
    from sklearn.decomposition import PCA

    with threadpool_limits(limits=1):  # as above
        found = PCA(2, random_state=0).fit(np.concatenate(list(clouds.values())))
        return {name: found.transform(cloud) for name, cloud in clouds.items()}


def cached_projections(embeddings: np.ndarray) -> Arrays:
    """Return the maps of `flatten`, from the store where they are there: t-SNE takes seconds."""
    content = np.ascontiguousarray(embeddings)
    parts = {"maps of": hashlib.sha256(content).hexdigest(), "shape": content.shape}
    return cache.cached(parts, ["evaluation.geometry.project"], lambda: project(embeddings))
