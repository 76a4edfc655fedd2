"""All pairs of a set counted, none sampled: a histogram of distances for each pair of classes."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from siamese_utils.evaluation.roc_curve import RocCurve

BLOCK_ROWS = 512  # images compared with a whole class at a time: 14 MB of distances for 7,000
NUM_THREADS = 2
BINS_PER_MARGIN = 2000  # even, and 0.5 is a whole number of steps for the report's margins
MIN_BINS = 4000  # at least so many in the whole range of distances


@dataclass(frozen=True)
class PairHistogram:
    """How many pairs of images lie at which distance, for each pair of classes."""

    counts: np.ndarray  # (classes, classes, bins) int64, each cell once: first class <= second
    step: float  # the width of a bin; bin k holds the distances from k to k + 1 steps
    classes: tuple[int, ...]

    def cell(self, first: int, second: int) -> np.ndarray:
        """Return the counts of the pairs of two classes, or of one class with itself: (bins,)."""
        a, b = sorted((self.classes.index(first), self.classes.index(second)))
        return self.counts[a, b]

    def shares(self, cells: Sequence[tuple[int, int]]) -> np.ndarray:
        """Return the share of pairs in each bin, (bins,), each of the cells weighing the same.

        So the study's pairs are drawn: from each class as many. Empty cells are left out.
        """
        counted = [self.cell(*cell) for cell in cells]
        return np.mean([cell / cell.sum() for cell in counted if cell.sum()], axis=0)

    def curve(
        self, same: Sequence[tuple[int, int]], different: Sequence[tuple[int, int]]
    ) -> RocCurve:
        """Return the curve of the same and the different pairs in the cells given."""
        return self._curve(self.shares(same), self.shares(different))

    def shares_by_label(self, classes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return the shares of the same and of the different pairs of these classes: (bins,) each."""
        return self.shares([(c, c) for c in classes]), self.shares(class_pairs(classes))

    def curve_of_classes(self, classes: Sequence[int]) -> RocCurve:
        """Return the curve of all pairs of images of these classes."""
        return self._curve(*self.shares_by_label(classes))

    def _curve(self, same: np.ndarray, different: np.ndarray) -> RocCurve:
        edges = self.step * np.arange(self.counts.shape[2] + 1)
        return RocCurve.from_histogram(edges, same, different)


def class_pairs(classes: Sequence[int]) -> list[tuple[int, int]]:
    """Return all pairs of two different classes, each once."""
    return [(a, b) for i, a in enumerate(classes) for b in classes[i + 1 :]]


def choose_bin_width(embeddings: np.ndarray, margin: float | None = None) -> float:
    """Return a width of bins that resolves the distances and divides the margin, if there is one.

    Where all embeddings coincide any width will do.
    """
    centred = embeddings - embeddings.mean(axis=0)
    fine = 2 * float(np.sqrt(np.square(centred).sum(axis=1).max())) / MIN_BINS
    if margin is None:
        return fine or 1.0
    step = margin / BINS_PER_MARGIN
    return step / max(1, int(np.ceil(step / fine))) if fine else step


def count_pairs(embeddings: np.ndarray, labels: np.ndarray, step: float) -> PairHistogram:
    """Count the pairs of all images: embeddings (images, dimensions), labels (images,).

    No image is paired with itself and no pair counted twice. A distance is right to about a bin,
    the smallest ones least well, since they are differences of squares in float32.
    """
    # moved to their mean: small numbers lose less in the expanded square below
    centred = np.float32(embeddings - embeddings.mean(axis=0, dtype=np.float64))
    # no two can be farther apart than twice the farthest from the mean
    bins = int(2 * np.sqrt(np.square(centred).sum(axis=1).max()) / step) + 2
    classes = tuple(int(c) for c in np.unique(labels))
    members = [np.ascontiguousarray(centred[labels == c]) for c in classes]
    counts = np.zeros((len(classes), len(classes), bins), dtype=np.int64)
    tasks = [(a, b, i) for a in range(len(classes)) for b in range(a, len(classes))
             for i in range(0, len(members[a]), BLOCK_ROWS)]  # fmt: skip
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        for (a, b, _), found in zip(
            tasks, pool.map(partial(_count_block, members, step, bins), tasks), strict=True
        ):
            counts[a, b] += found
    return PairHistogram(counts, step, classes)


def count_pairs_in_groups(
    embeddings: np.ndarray, labels: np.ndarray, groups: np.ndarray, step: float
) -> list[PairHistogram]:
    """Count the pairs inside each group of images: groups (images,) of 0, 1, ...

    The groups share no image: given the encoder, what is measured in them is independent, and its
    spread is that of estimates from other images of the same kind.
    """
    counted = []
    for group in range(groups.max() + 1):
        chosen = groups == group
        counted.append(count_pairs(embeddings[chosen], labels[chosen], step))
    return counted


def assign_groups(labels: np.ndarray, number: int) -> np.ndarray:
    """Deal the images of each class into so many groups, in turn: (images,) of 0..number - 1.

    It goes by the images' order in the data set: whatever the seed, an image is in one group.
    """
    groups = np.empty(len(labels), dtype=np.int64)
    for c in np.unique(labels):
        members = np.flatnonzero(labels == c)
        groups[members] = np.arange(len(members)) % number
    return groups


def _count_block(
    members: list[np.ndarray], step: float, bins: int, task: tuple[int, int, int]
) -> np.ndarray:
    """Count the pairs of some images of one class with all of another, or with the later ones of its own."""
    a, b, start = task
    rows = members[a][start : start + BLOCK_ROWS]
    others = members[b][start:] if a == b else members[b]
    # |x - y|^2 = |x|^2 - 2xy + |y|^2, in place
    distance = rows @ others.T
    distance *= -2
    distance += np.square(rows).sum(axis=1)[:, np.newaxis]
    distance += np.square(others).sum(axis=1)
    np.maximum(distance, 0, out=distance)
    np.sqrt(distance, out=distance)
    distance *= np.float32(1 / step)
    place = distance.astype(np.int64)
    if a == b:  # only pairs of an image with a later one
        place = place[np.triu_indices(len(rows), k=1, m=len(others))]
    return np.bincount(place.ravel(), minlength=bins)
