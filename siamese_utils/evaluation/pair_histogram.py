"""Histograms of the distances of all pairs of images, one for each pair of classes."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from siamese_utils.evaluation.roc_curve import RocCurve

BLOCK_ROWS = 512  # images compared with a whole class at a time: 14 MB of distances for 7,000
NUM_THREADS = 2
# Half the margin must be an edge of a bin, and so must 0.5 for the margins of the report.
BINS_PER_MARGIN = 2000
MIN_BINS = 4000  # in the range of possible distances


@dataclass(frozen=True)
class PairHistogram:
    """Numbers of pairs of images by distance, for each pair of classes.

    Attributes:
        counts: (classes, classes, bins) int64; only cells with first class <= second are filled.
        bin_width: Bin k holds the distances from k to k + 1 times this width.
        classes: The class numbers, in the order of `counts`.
    """

    counts: np.ndarray
    bin_width: float
    classes: tuple[int, ...]

    @property
    def edges(self) -> np.ndarray:
        """The distances between which the bins lie: (bins + 1,)."""
        return self.bin_width * np.arange(self.counts.shape[2] + 1)

    def cell(self, first: int, second: int) -> np.ndarray:
        """Return the counts of the pairs of two classes, or of one class with itself: (bins,)."""
        a, b = sorted((self.classes.index(first), self.classes.index(second)))
        return self.counts[a, b]

    def shares(self, cells: Sequence[tuple[int, int]]) -> np.ndarray:
        """Return the share of pairs in each bin, averaged over cells.

        Each cell has the same weight, as each class has in the study's pairs. Empty cells are
        skipped.

        Args:
            cells: Pairs of class numbers.

        Returns:
            (bins,), with sum 1.
        """
        counts = [self.cell(*cell) for cell in cells]
        return np.mean([count / count.sum() for count in counts if count.sum()], axis=0)

    def curve(
        self, positive: Sequence[tuple[int, int]], negative: Sequence[tuple[int, int]]
    ) -> RocCurve:
        """Return the ROC curve of the positive and the negative pairs in the given cells."""
        return RocCurve.from_histogram(self.edges, self.shares(positive), self.shares(negative))

    def shares_by_label(self, classes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return the shares of the positive and of the negative pairs of classes: (bins,) each."""
        return self.shares([(c, c) for c in classes]), self.shares(class_pairs(classes))

    def curve_of_classes(self, classes: Sequence[int]) -> RocCurve:
        """Return the ROC curve of all pairs of images of these classes."""
        return RocCurve.from_histogram(self.edges, *self.shares_by_label(classes))


def class_pairs(classes: Sequence[int]) -> list[tuple[int, int]]:
    """Return all pairs of two different classes, each once."""
    return [(a, b) for i, a in enumerate(classes) for b in classes[i + 1 :]]


def choose_bin_width(embeddings: np.ndarray, margin: float | None = None) -> float:
    """Choose a bin width that resolves the distances and divides the margin.

    Args:
        embeddings: (images, dimensions).
        margin: Margin of the loss; None if the embeddings have none.
    """
    centred = embeddings - embeddings.mean(axis=0)
    finest = 2 * float(np.sqrt(np.square(centred).sum(axis=1).max())) / MIN_BINS
    # If all embeddings are equal, any width will do.
    if margin is None:
        return finest or 1.0
    width = margin / BINS_PER_MARGIN
    return width / max(1, int(np.ceil(width / finest))) if finest else width


def count_pairs(
    embeddings: np.ndarray, labels: np.ndarray, bin_width: float | None = None
) -> PairHistogram:
    """Count all pairs of images by distance, each once and none of an image with itself.

    Distances are exact to about one bin. Small distances have the largest errors, since they are
    roots of differences of squares in float32.

    Args:
        embeddings: (images, dimensions).
        labels: (images,).
        bin_width: Width of a bin; None chooses one by `choose_bin_width`.
    """
    if bin_width is None:
        bin_width = choose_bin_width(embeddings)
    # Centred values are smaller, so the expanded square in `_count_block` loses fewer digits.
    centred = np.float32(embeddings - embeddings.mean(axis=0, dtype=np.float64))
    # Two embeddings are at most twice as far apart as the farthest one is from the mean.
    bins = int(2 * np.sqrt(np.square(centred).sum(axis=1).max()) / bin_width) + 2
    classes = tuple(int(c) for c in np.unique(labels))
    by_class = [np.ascontiguousarray(centred[labels == c]) for c in classes]
    blocks = [
        (a, b, start)
        for a in range(len(classes))
        for b in range(a, len(classes))
        for start in range(0, len(by_class[a]), BLOCK_ROWS)
    ]
    counts = np.zeros((len(classes), len(classes), bins), dtype=np.int64)
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        block_counts = pool.map(partial(_count_block, by_class, bin_width, bins), blocks)
        for (a, b, _), block_count in zip(blocks, block_counts, strict=True):
            counts[a, b] += block_count
    return PairHistogram(counts, bin_width, classes)


def count_pairs_in_groups(
    embeddings: np.ndarray, labels: np.ndarray, groups: np.ndarray, bin_width: float
) -> list[PairHistogram]:
    """Count the pairs inside each group of images.

    The groups share no images, so for a given encoder their results are independent: their spread
    estimates the variance over test images.

    Args:
        embeddings: (images, dimensions).
        labels: (images,).
        groups: (images,), the group of each image: 0, 1, ...
        bin_width: Width of a bin.
    """
    return [
        count_pairs(embeddings[groups == group], labels[groups == group], bin_width)
        for group in range(groups.max() + 1)
    ]


def assign_groups(labels: np.ndarray, number: int) -> np.ndarray:
    """Assign images to groups so that each class is spread evenly.

    The assignment follows the order of the data set, so it is the same for all seeds.

    Args:
        labels: (images,).
        number: Number of groups.

    Returns:
        (images,) int64, 0..number - 1.
    """
    groups = np.empty(len(labels), dtype=np.int64)
    for c in np.unique(labels):
        members = np.flatnonzero(labels == c)
        groups[members] = np.arange(len(members)) % number
    return groups


def _count_block(
    by_class: list[np.ndarray], bin_width: float, bins: int, block: tuple[int, int, int]
) -> np.ndarray:
    """Count the pairs of a block of images of one class with the images of a class.

    Args:
        by_class: (images, dimensions) for each class.
        bin_width: Width of a bin.
        bins: Number of bins.
        block: Index of the first class, index of the second class, and first row of the block. If
            both classes are the same, an image is paired with the later images only.

    Returns:
        (bins,) int64.
    """
    a, b, start = block
    rows = by_class[a][start : start + BLOCK_ROWS]
    others = by_class[b][start:] if a == b else by_class[b]
    # |x - y|^2 = |x|^2 - 2xy + |y|^2, in place
    distance = rows @ others.T
    distance *= -2
    distance += np.square(rows).sum(axis=1)[:, np.newaxis]
    distance += np.square(others).sum(axis=1)
    np.maximum(distance, 0, out=distance)
    np.sqrt(distance, out=distance)
    distance *= np.float32(1 / bin_width)
    bin_index = distance.astype(np.int64)
    if a == b:
        bin_index = bin_index[np.triu_indices(len(rows), k=1, m=len(others))]
    return np.bincount(bin_index.ravel(), minlength=bins)
