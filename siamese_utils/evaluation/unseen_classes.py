"""Methods to compare images of unseen classes, and their evaluation on class splits.

A method is fitted on the training images of the seen classes of a split. It then embeds images of
any class, which are compared by cosine similarity.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version

import numpy as np

from siamese_utils.evaluation import baselines, ensemble
from siamese_utils.evaluation.baselines import Embed
from siamese_utils.evaluation.pair_distances import PairDistances, of_embedding
from siamese_utils.training import cache, small_encoder, trainer
from siamese_utils.training.config import Config
from siamese_utils.training.small_encoder import SmallEncoderConfig

HOG_VERSION = f"scikit-image {version('scikit-image')}"  # computes the HOG features
ENSEMBLE, ENSEMBLE_WITHOUT_NETWORKS = "ensemble", "HOG and mask, whitened"
# Definitions whose code shapes embeddings, for cache keys.
CODE = ["evaluation.unseen_classes.embed_by", "training.trainer.embed"]
METHODS = {ENSEMBLE: True, ENSEMBLE_WITHOUT_NETWORKS: False}  # name -> whether it has networks


def embed_by(split: SmallEncoderConfig, method: str) -> Embed:
    """Fit a method on a split and return its embedding function.

    Args:
        split: The config whose training images are used.
        method: A name in METHODS.
    """
    networks = [network(config) for config in _trainings(split, method)]
    images, labels = small_encoder.training_data(split)
    return ensemble.embed_with(networks, ensemble.fit(images, labels, networks))


def _trainings(split: SmallEncoderConfig, method: str) -> list[SmallEncoderConfig]:
    return split.initialisations() if METHODS[method] else []


def network(config: Config) -> Embed:
    """Return the embedding function of a trained encoder."""
    return ensemble.embed_in_blocks(
        lambda images: _embed_cached(config, images.tobytes(), images.shape)
    )


# Methods share networks: two networks embed the training images and the evaluated images.
@lru_cache(maxsize=8)
def _embed_cached(config: Config, content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    encoder = trainer.rebuild_encoder(config.resolve(), trainer.train(config), shape[1:])
    return trainer.embed(encoder, np.frombuffer(content, np.uint8).reshape(shape))


def measure(split: SmallEncoderConfig, method: str) -> PairDistances:
    """Compute a method's distances on a split: Euclidean, between embeddings of length 1."""
    return of_embedding(
        " ".join(_dependencies(split, method)),
        lambda _: baselines.to_unit_length(embed_by(split, method)),
        split.load_data(),
        split.seed,
        code=CODE,
    )


def _dependencies(split: SmallEncoderConfig, method: str) -> list[str]:
    """Return what else shapes a method's embeddings: HOG version, training images, networks."""
    networks = [trainer.train(config).digest for config in _trainings(split, method)]
    return [method, HOG_VERSION, small_encoder.data_digest(split), *networks]


def embeddings(split: SmallEncoderConfig, method: str, rows: np.ndarray) -> np.ndarray:
    """Compute a method's embeddings of the images at `rows`: (rows, dimensions) float32."""
    dataset = split.load_data()
    parts = {
        "embeddings": _dependencies(split, method),
        "data": dataset.digest,
        "seed": split.seed,
        "rows": rows.tolist(),
    }
    return cache.cached(
        parts,
        CODE,
        lambda: {"embeddings": np.float32(embed_by(split, method)(dataset.images[rows]))},
    )["embeddings"]
