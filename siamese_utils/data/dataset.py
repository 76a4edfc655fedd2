"""Labelled images, and their split into training, validation and test images."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

TEST_SETS = ("seen", "all", "unseen")
SETS = ("train", "validation", *TEST_SETS)
TEST_SHARE = 0.2
VALIDATION_SHARE = 0.1
MAX_LABELLED = 100  # images of each unseen class, at most, that are set aside to be labelled


@dataclass(frozen=True, eq=False)
class Split:
    """A split of a data set's images into sets, each as an array of image indices.

    Attributes:
        train: Training images.
        validation: Validation images of the seen classes; all thresholds and settings are tuned on
            them, and on nothing else.
        seen: Test images of the seen classes.
        unseen: Test images of the unseen classes.
    """

    train: np.ndarray
    validation: np.ndarray
    seen: np.ndarray
    unseen: np.ndarray

    @cached_property
    def all(self) -> np.ndarray:
        """The test images of all classes."""
        return np.concatenate([self.seen, self.unseen])

    def sets(self) -> dict[str, np.ndarray]:
        """Return the five sets by name, in the order of SETS."""
        return {name: getattr(self, name) for name in SETS}

    def with_labelled(self, dataset: "Dataset", number: int) -> "Split":
        """Return the split with labelled images of each unseen class among the training images.

        The images are taken from a pool of each class. The whole pool leaves the test images,
        whatever the number, and so do copies of its images: all numbers are compared on the same
        test images.

        Args:
            dataset: The data set of this split.
            number: Labelled images of each unseen class, at most; 0 or more.
        """
        pool = slice_classes(self.unseen, dataset.labels, 0, self.pool_size(dataset))
        labelled = slice_classes(pool, dataset.labels, 0, number)
        is_copy = np.isin(dataset.image_ids[self.unseen], dataset.image_ids[pool])
        train = np.concatenate([self.train, labelled])
        return replace(self, train=train, unseen=self.unseen[~is_copy])

    def pool_size(self, dataset: "Dataset") -> int:
        """Return how many images of each unseen class can be labelled.

        These are MAX_LABELLED, or half of the images of the smallest unseen class if that is less.
        """
        sizes = np.bincount(dataset.labels[self.unseen])[list(dataset.unseen)]
        return min(MAX_LABELLED, int(sizes.min()) // 2)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the indices in all sets."""
        digest = hashlib.sha256()
        for indices in self.sets().values():
            digest.update(indices.astype(np.int64).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set of labelled images, with its seen and unseen classes.

    Attributes:
        name: Name for the pages.
        images: (images, height, width, channels) uint8.
        labels: (images,) int64, indices into `class_names`.
        class_names: Name of each class.
        seen: Numbers of the classes to train on.
        unseen: Numbers of the other classes.
        has_study_figures: Whether the 2019 study published results for this data set.
        banner: Note on how the results compare with the study's, for the top of each page; empty
            for the study's own data.
        is_inverted: Whether grey images on a white background were inverted when they were read.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    seen: tuple[int, ...]
    unseen: tuple[int, ...]
    has_study_figures: bool = False
    banner: str = ""
    is_inverted: bool = False

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the images, the labels and the class split."""
        digest = hashlib.sha256(repr((self.images.shape, self.seen, self.unseen)).encode())
        digest.update(np.ascontiguousarray(self.images))
        digest.update(np.ascontiguousarray(self.labels))
        return digest.hexdigest()

    @cached_property
    def image_ids(self) -> np.ndarray:
        """(images,) int; two images have the same id exactly if they agree in every pixel."""
        flat = np.ascontiguousarray(self.images.reshape(len(self.images), -1))
        rows = flat.view(np.dtype((np.void, flat.shape[1] * flat.itemsize))).ravel()
        return np.unique(rows, return_inverse=True)[1]

    def split(self, seed: int) -> Split:
        """Split the images at random.

        Each seen class has 70 % training, 10 % validation and 20 % test images. All images of the
        unseen classes are test images. Copies of an image, which agree in every pixel, are never
        divided between training, validation and test; they are test images if one of them belongs
        to an unseen class. The order within each set is random.
        """
        return _split(self, seed)

    def sample(self, images_per_class: int | None) -> "Dataset":
        """Return the data set with the first images of each class; None: all of them."""
        if images_per_class is None:
            return self
        if (np.bincount(self.labels) <= images_per_class).all():
            return self
        by_class = [np.flatnonzero(self.labels == c)[:images_per_class] for c in self.classes]
        rows = np.sort(np.concatenate(by_class))
        note = f"A quick look at {images_per_class:,} images of each class"
        if self.has_study_figures:
            note += ": no figure here compares with those of 2019"
        return replace(
            self,
            images=self.images[rows],
            labels=self.labels[rows],
            has_study_figures=False,
            banner=f"{self.banner} {note}.".strip(),
        )

    def with_seen(self, seen: tuple[int, ...] | None) -> "Dataset":
        """Return the data set with another class split.

        Args:
            seen: Numbers of the seen classes; None: the data set's own.

        Raises:
            ValueError: There are fewer than two seen or two unseen classes, or an unknown one.
        """
        if seen is None or set(seen) == set(self.seen):
            return self
        unseen = tuple(c for c in self.classes if c not in seen)
        if not set(seen) <= set(self.classes) or min(len(set(seen)), len(unseen)) < 2:
            raise ValueError(
                f"seen must be at least two of the classes {self.classes} and leave at least two "
                f"unseen, not {seen}"
            )
        return replace(
            self,
            seen=tuple(sorted(set(seen))),
            unseen=unseen,
            has_study_figures=False,
            banner=self.banner or "Other seen classes than in 2019: no figure here compares.",
        )

    @property
    def classes_of(self) -> dict[str, tuple[int, ...]]:
        """The class numbers in each test set."""
        return {"seen": self.seen, "all": self.classes, "unseen": self.unseen}

    def names_of(self, classes: Iterable[int]) -> list[str]:
        """Return the names of classes."""
        return [self.class_names[c] for c in classes]

    @property
    def classes(self) -> tuple[int, ...]:
        """All class numbers in order."""
        return tuple(sorted(self.seen + self.unseen))


@lru_cache(maxsize=8)
def _split(dataset: Dataset, seed: int) -> Split:
    rng = np.random.default_rng([seed, 0])
    # The first assignment nearly always keeps all copies together; the shares are then exact.
    for _ in range(100):
        sets = _assign_sets(dataset, rng)
        divided = _find_divided_ids(dataset, sets)
        if not divided.size:
            break
    sets[np.isin(dataset.image_ids, divided) & np.isin(dataset.labels, dataset.seen)] = "seen"
    order = rng.permutation(len(sets))
    names = ("train", "validation", "seen", "unseen")
    return Split(**{name: order[sets[order] == name] for name in names})


def _assign_sets(dataset: Dataset, rng: np.random.Generator) -> np.ndarray:
    """Return the name of a set for each image; copies of an image are neighbours in the order."""
    ids, labels = dataset.image_ids, dataset.labels
    rank = rng.random(ids.max() + 1)
    # Copies of images of unseen classes come first, which makes them test images.
    rank[ids[np.isin(labels, dataset.unseen)]] = -1
    sets = np.full(len(labels), "unseen", dtype="<U10")
    for c in dataset.seen:
        members = np.flatnonzero(labels == c)
        members = members[np.argsort(rank[ids[members]], kind="stable")]
        num_test = round(TEST_SHARE * len(members))
        num_held_out = num_test + round(VALIDATION_SHARE * len(members))
        sets[members[:num_test]] = "seen"
        sets[members[num_test:num_held_out]] = "validation"
        sets[members[num_held_out:]] = "train"
    return sets


def _find_divided_ids(dataset: Dataset, sets: np.ndarray) -> np.ndarray:
    """Return the ids of images with copies in more than one of training, validation and test."""
    masks = (sets == "train", sets == "validation", np.isin(sets, ("seen", "unseen")))
    ids_by_set = [np.unique(dataset.image_ids[mask]) for mask in masks]
    ids, counts = np.unique(np.concatenate(ids_by_set), return_counts=True)
    return ids[counts > 1]


def slice_classes(rows: np.ndarray, labels: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Return the rows number start, ..., stop - 1 of each class, in the order of the classes.

    Args:
        rows: Indices of images.
        labels: Labels of all images of the data set.
        start: Position of the first row of each class.
        stop: Position after the last row; classes with fewer rows give fewer.
    """
    return np.concatenate([rows[labels[rows] == c][start:stop] for c in np.unique(labels[rows])])


def count_shared_images(dataset: Dataset, first: np.ndarray, second: np.ndarray) -> int:
    """Count the different images, compared pixel by pixel, that occur in both index arrays."""
    ids = dataset.image_ids
    return len(np.intersect1d(ids[first], ids[second]))
