"""Sampling of image pairs from labels. A pair is two indices into the images."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pairs:
    """Pairs of images.

    Attributes:
        first: (pairs,) int, index of the first image.
        second: (pairs,) int, index of the second image.
        different: (pairs,) float32, 0.0 for a positive pair (one class), 1.0 for a negative one.
    """

    first: np.ndarray
    second: np.ndarray
    different: np.ndarray

    def __len__(self) -> int:
        return len(self.different)


@dataclass(frozen=True)
class PairBatches:
    """Training steps, each of which embeds a few images once and compares them in many pairs.

    Attributes:
        images: (steps, images) int32, indices of the images that a step embeds.
        pairs: (steps, pairs, 2) int32, positions within the step's images.
        different: (pairs,) float32, 0.0 or 1.0 as in `Pairs`; the same in every step.
    """

    images: np.ndarray
    pairs: np.ndarray
    different: np.ndarray

    def __len__(self) -> int:
        return len(self.images)


def sample_pairs(indices: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> Pairs:
    """Sample the study's pairs: half positive, half negative.

    For each class and each position i in the list of its images, the pairs are (i, i + 1) and (i, i
    of a random other class). All lists are cut to the size of the smallest class.

    Args:
        indices: Indices of the images to pair.
        labels: Labels of all images of the data set.
        rng: Random generator.

    Returns:
        The positive pairs, then the negative pairs. Source: Hou 2019, after the Keras example of a
        Siamese network.

    Raises:
        ValueError: There are fewer than two classes, or fewer than two images in one of them.
    """
    columns = _class_columns(indices, labels)
    num_classes, n = columns.shape
    position = np.tile(np.arange(n - 1), num_classes)
    own_class = np.repeat(np.arange(num_classes), n - 1)
    other_class = _sample_other_class(own_class, num_classes, rng)
    anchor = columns[own_class, position]
    partner = np.concatenate([columns[own_class, position + 1], columns[other_class, position]])
    return Pairs(np.tile(anchor, 2), partner, np.repeat(np.float32([0, 1]), len(anchor)))


def sample_pair_batches(
    indices: np.ndarray, labels: np.ndarray, batch_size: int, rng: np.random.Generator
) -> PairBatches:
    """Sample the study's pairs for one epoch, grouped into steps.

    The list of each class is shuffled. A step takes the same positions of each list, so its pairs
    consist of few images: a network that embeds each image once does a quarter of the work. Pairs
    at the end of the lists that do not fill a step are left out.

    If the classes differ in size, all lists get the length of the longest: the images of small
    classes occur repeatedly, so that every class has as many pairs.

    Args:
        indices: Indices of the images to pair.
        labels: Labels of all images of the data set.
        batch_size: Pairs in a step, at most.
        rng: Random generator.

    Raises:
        ValueError: As in `sample_pairs`, or `batch_size` is too small for one positive and one
            negative pair of each class.
    """
    columns = _shuffled_columns(indices, labels, rng)
    num_classes, n = columns.shape
    length = min(batch_size // (2 * num_classes), n - 1)  # pairs of each class and kind in a step
    if length < 1:
        raise ValueError(
            f"a batch of {batch_size} pairs is too small for {num_classes} classes; "
            f"use {2 * num_classes} or more"
        )
    starts = np.arange(0, n - length, length)
    positions = starts[:, np.newaxis] + np.arange(length + 1)
    images = columns[:, positions].transpose(1, 0, 2)  # (steps, classes, length + 1)
    return PairBatches(
        images.reshape(len(starts), -1).astype(np.int32),
        _pairs_in_batches(len(starts), num_classes, length, rng),
        np.repeat(np.float32([0, 1]), num_classes * length),
    )


def shuffle_batches(batches: PairBatches, rng: np.random.Generator) -> PairBatches:
    """Return the same steps in random order."""
    order = rng.permutation(len(batches))
    return PairBatches(batches.images[order], batches.pairs[order], batches.different)


def concatenate_batches(epochs: list[PairBatches]) -> PairBatches:
    """Return the steps of several epochs, one epoch after the other."""
    images = np.concatenate([epoch.images for epoch in epochs])
    pairs = np.concatenate([epoch.pairs for epoch in epochs])
    return PairBatches(images, pairs, epochs[0].different)


def distances(embeddings: np.ndarray, pairs: Pairs) -> np.ndarray:
    """Compute the Euclidean distance of each pair.

    Args:
        embeddings: (images, dimensions).
        pairs: Pairs of rows of `embeddings`.

    Returns:
        (pairs,), at least the square root of 1e-7, as in `losses.euclidean_distance`.
    """
    difference = embeddings[pairs.first] - embeddings[pairs.second]
    return np.sqrt(np.maximum(np.square(difference).sum(axis=1), 1e-7))


def _class_columns(indices: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the images of each class, cut to the smallest class: (classes, images of a class)."""
    by_class = _divide_by_class(indices, labels)
    n = min(map(len, by_class))
    return np.stack([members[:n] for members in by_class])


def _shuffled_columns(
    indices: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return as many images of each class in random order: (classes, size of the largest class)."""
    by_class = _divide_by_class(indices, labels)
    sizes = [len(members) for members in by_class]
    if len(set(sizes)) == 1:
        return rng.permuted(np.stack(by_class), axis=1)
    return np.stack([_repeat_shuffled(members, max(sizes), rng) for members in by_class])


def _repeat_shuffled(members: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return n of some images, in permutations that follow each other; neighbours are different."""
    parts = [rng.permutation(members)]
    for _ in range(n // len(members)):
        part = rng.permutation(members)
        if part[0] == parts[-1][-1]:
            part = np.roll(part, 1)
        parts.append(part)
    return np.concatenate(parts)[:n]


def _divide_by_class(indices: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """Return the images of each class, two or more of each of two or more classes."""
    by_class = [indices[labels[indices] == c] for c in np.unique(labels[indices])]
    if len(by_class) < 2:
        raise ValueError(f"pairs need two classes or more, not {len(by_class)}")
    if (n := min(map(len, by_class))) < 2:
        raise ValueError(f"pairs need two images or more of each class, not {n}")
    return by_class


def _sample_other_class(
    own_class: np.ndarray, num_classes: int, rng: np.random.Generator
) -> np.ndarray:
    """Sample a different class for each class number, all others being equally likely."""
    return (own_class + rng.integers(1, num_classes, size=own_class.shape)) % num_classes


def _pairs_in_batches(
    num_steps: int, num_classes: int, length: int, rng: np.random.Generator
) -> np.ndarray:
    """Sample positions within each step's images, (steps, pairs, 2), positive pairs first."""
    own_class = np.repeat(np.arange(num_classes), length)
    position = np.tile(np.arange(length), num_classes)
    anchor = own_class * (length + 1) + position
    other_class = _sample_other_class(np.tile(own_class, (num_steps, 1)), num_classes, rng)
    positive = np.stack([anchor, anchor + 1], axis=-1)
    negative = np.stack(np.broadcast_arrays(anchor, other_class * (length + 1) + position), axis=-1)
    positive = np.broadcast_to(positive, negative.shape)
    return np.concatenate([positive, negative], axis=1).astype(np.int32)
