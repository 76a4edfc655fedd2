"""Geometry of embeddings: separation of the classes, spectrum, and maps in two dimensions."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from siamese_utils.evaluation import pair_histogram
from siamese_utils.training import cache
from siamese_utils.training.cache import Arrays


def scatter_ratio(embeddings: np.ndarray, labels: np.ndarray) -> float:
    """Compute the variance within classes divided by the variance between classes.

    Each class has the same weight. A simpler form of the metric of Papyan, Han and Donoho 2020.

    Args:
        embeddings: (images, dimensions).
        labels: (images,).

    Returns:
        0 or more. 0: every class is one point; above 1: the spread of the classes exceeds the
        distances of their means; infinite: all classes have the same mean.
    """
    clouds = [embeddings[labels == c] for c in np.unique(labels)]
    means = np.stack([cloud.mean(axis=0) for cloud in clouds])
    within = np.mean([np.square(cloud - cloud.mean(axis=0)).sum(axis=1).mean() for cloud in clouds])
    between = np.square(means - means.mean(axis=0)).sum(axis=1).mean()
    # Rounding makes equal means differ slightly.
    is_apart = between > 1e-12 * (within + np.square(means).sum(axis=1).mean())
    return float(within / between) if is_apart else float("inf")


def spectrum(embeddings: np.ndarray) -> np.ndarray:
    """Compute each principal direction's share of the variance: (dimensions,), largest first."""
    centred = np.asarray(embeddings - embeddings.mean(axis=0), dtype=np.float64)
    variance = np.linalg.eigvalsh(centred.T @ centred)[::-1].clip(min=0)
    return variance / variance.sum()


def effective_rank(embeddings: np.ndarray) -> float:
    """Compute the effective number of directions that the embeddings vary in.

    It is the exponential of the spectrum's entropy. Source: Roy and Vetterli 2007, here of the
    covariance matrix.

    Args:
        embeddings: (images, dimensions).

    Returns:
        1 to the number of dimensions: n if the variance is equal in n directions and 0 in others.
    """
    shares = spectrum(embeddings)
    shares = shares[shares > 0]
    return float(np.exp(-np.sum(shares * np.log(shares))))


def describe(embeddings: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Compute the scatter ratio, the effective rank, and the AUC on all pairs of images.

    Args:
        embeddings: (images, dimensions).
        labels: (images,).
    """
    pairs = pair_histogram.count_pairs(embeddings, labels)
    return {
        "scatter ratio": scatter_ratio(embeddings, labels),
        "effective rank": effective_rank(embeddings),
        "AUC": pairs.curve_of_classes(pairs.classes).auc,
    }


def project(embeddings: np.ndarray) -> dict[str, np.ndarray]:
    """Project embeddings onto two dimensions by PCA and by t-SNE: method -> (images, 2)."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    # With more threads, OpenMP and TensorFlow compete for the cores, which can take a minute.
    with threadpool_limits(limits=1):
        return {
            "PCA": PCA(2, random_state=0).fit_transform(embeddings),
            "t-SNE": TSNE(init="pca", random_state=0).fit_transform(embeddings),
        }


def project_jointly(clouds: Mapping[Any, np.ndarray]) -> dict[Any, np.ndarray]:
    """Project several sets of embeddings by one PCA, fitted to all of them: name -> (images, 2)."""
    from sklearn.decomposition import PCA

    with threadpool_limits(limits=1):  # for the same reason as in `project`
        pca = PCA(2, random_state=0).fit(np.concatenate(list(clouds.values())))
        return {name: pca.transform(cloud) for name, cloud in clouds.items()}


def cached_projections(embeddings: np.ndarray) -> Arrays:
    """Return what `project` returns, from the cache if possible: t-SNE takes seconds."""
    content = np.ascontiguousarray(embeddings)
    parts = {"maps of": hashlib.sha256(content).hexdigest(), "shape": content.shape}
    return cache.cached(parts, ["evaluation.geometry.project"], lambda: project(embeddings))
