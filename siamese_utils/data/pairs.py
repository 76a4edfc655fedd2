"""Labels and a random generator in, index pairs out. A pair is two positions in the images."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pairs:
    """Pairs of images by index; `different` is 1.0 for a pair of two classes, else 0.0."""

    first: np.ndarray  # (pairs,) int
    second: np.ndarray  # (pairs,) int
    different: np.ndarray  # (pairs,) float32

    def __len__(self) -> int:
        return len(self.different)


@dataclass(frozen=True)
class PairBatches:
    """Training steps: each embeds a few images once and compares them in many pairs."""

    images: np.ndarray  # (steps, images) int32: indices of the images that a step embeds
    pairs: np.ndarray  # (steps, pairs, 2) int32: positions within the step's images
    different: np.ndarray  # (pairs,) float32, the same in every step

    def __len__(self) -> int:
        return len(self.images)


def sample_pairs(indices: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> Pairs:
    """Draw the study's pairs from the images at `indices`: half of one class, half of two.

    For each class and each position i of the class's list: the positive pair (i, i + 1), and
    the negative pair (i, i of another class drawn at random), up to the smallest class's size
    minus 1. `labels` are those of the whole data set. Source: Hou 2019, after the Keras
    example of a Siamese network. Raises ValueError for fewer than two classes or images a class.
    """
    columns = _class_columns(indices, labels)  # (classes, n)
    num_classes, n = columns.shape
    position = np.tile(np.arange(n - 1), num_classes)
    own = np.repeat(np.arange(num_classes), n - 1)
    other = _sample_other_class(own, num_classes, rng)
    anchor = columns[own, position]
    partner = np.concatenate([columns[own, position + 1], columns[other, position]])
    return Pairs(np.tile(anchor, 2), partner, np.repeat(np.float32([0, 1]), len(anchor)))


def sample_pair_batches(
    indices: np.ndarray, labels: np.ndarray, batch_size: int, rng: np.random.Generator
) -> PairBatches:
    """Draw one epoch of the study's pairs, cut into steps of at most `batch` pairs.

    A step takes the same stretch of each class's list, so that all its pairs are formed from few
    images: a network that embeds each of them once does a quarter of the work. The lists are
    shuffled first. Pairs at the lists' ends that do not fill a step are left out. Raises
    ValueError as `draw_pairs` does, and for a batch too small for one pair of each kind and class.
    """
    columns = rng.permuted(_class_columns(indices, labels), axis=1)
    num_classes, n = columns.shape
    length = min(batch_size // (2 * num_classes), n - 1)  # positions of a class in a step
    if length < 1:
        raise ValueError(f"a batch of {batch_size} pairs is too small for {num_classes} classes")
    starts = np.arange(0, n - length, length)
    stretch = starts[:, np.newaxis] + np.arange(length + 1)
    images = columns[:, stretch].transpose(1, 0, 2)  # (steps, classes, length + 1)
    return PairBatches(
        images.reshape(len(starts), -1).astype(np.int32),
        _pairs_in_batches(len(starts), num_classes, length, rng),
        np.repeat(np.float32([0, 1]), num_classes * length),
    )


def shuffle_batches(blocks: PairBatches, rng: np.random.Generator) -> PairBatches:
    """Return the same steps in another order."""
    order = rng.permutation(len(blocks))
    return PairBatches(blocks.images[order], blocks.pairs[order], blocks.different)


def concatenate_batches(epochs: list[PairBatches]) -> PairBatches:
    """Return the steps of several epochs, one after the other."""
    images = np.concatenate([epoch.images for epoch in epochs])
    pairs = np.concatenate([epoch.pairs for epoch in epochs])
    return PairBatches(images, pairs, epochs[0].different)


def distances(embeddings: np.ndarray, drawn: Pairs) -> np.ndarray:
    """Return the Euclidean distance of each pair: embeddings (images, dimensions) -> (pairs,).

    A distance is at least the root of 1e-7, as the networks' own (`losses.euclidean_distance`).
    """
    gap = embeddings[drawn.first] - embeddings[drawn.second]
    return np.sqrt(np.maximum(np.square(gap).sum(axis=1), 1e-7))


def _class_columns(indices: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (classes, size of the smallest class): the images of each class, cut to one length."""
    lists = [indices[labels[indices] == c] for c in np.unique(labels[indices])]
    if len(lists) < 2:
        raise ValueError(f"pairs need two classes or more, got {len(lists)}")
    n = min(len(members) for members in lists)
    if n < 2:
        raise ValueError("pairs need two images or more of each class")
    return np.stack([members[:n] for members in lists])


def _sample_other_class(own: np.ndarray, num_classes: int, rng: np.random.Generator) -> np.ndarray:
    """Return for each class number another one, all others being equally likely."""
    return (own + rng.integers(1, num_classes, size=own.shape)) % num_classes


def _pairs_in_batches(
    num_steps: int, num_classes: int, length: int, rng: np.random.Generator
) -> np.ndarray:
    """Return (steps, pairs, 2): positions within a step, its positive pairs first."""
    own = np.repeat(np.arange(num_classes), length)
    position = np.tile(np.arange(length), num_classes)
    anchor = own * (length + 1) + position
    other = _sample_other_class(np.tile(own, (num_steps, 1)), num_classes, rng)
    positive = np.stack([anchor, anchor + 1], axis=-1)
    negative = np.stack(np.broadcast_arrays(anchor, other * (length + 1) + position), axis=-1)
    positive = np.broadcast_to(positive, negative.shape)
    return np.concatenate([positive, negative], axis=1).astype(np.int32)
