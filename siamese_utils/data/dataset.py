"""Labelled images, and which of them train, tune and test. Nothing here knows where they come from."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

TEST_SETS = ("seen", "all", "unseen")
SETS = ("train", "validation", *TEST_SETS)
TEST_SHARE = 0.2
VALIDATION_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class Split:
    """Indices into a data set's images: which image serves which purpose."""

    train: np.ndarray
    validation: np.ndarray  # thresholds and choices are made here and nowhere else
    seen: np.ndarray  # test images of the classes trained on
    unseen: np.ndarray  # test images of the other classes

    @cached_property
    def all(self) -> np.ndarray:
        """Both test sets together."""
        return np.concatenate([self.seen, self.unseen])

    def sets(self) -> dict[str, np.ndarray]:
        """Return the five sets by name, in the order of the tables."""
        return {name: getattr(self, name) for name in SETS}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of which image is where."""
        digest = hashlib.sha256()
        for indices in self.sets().values():
            digest.update(indices.astype(np.int64).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images, and which of their classes are trained on."""

    name: str
    images: np.ndarray  # (images, height, width, channels), uint8
    labels: np.ndarray  # (images,), int64
    class_names: tuple[str, ...]
    seen: tuple[int, ...]
    unseen: tuple[int, ...]
    has_study_figures: bool = False  # whether the figures of 2019 were measured on it
    banner: str = ""  # what a reader must know before any number; empty for the real thing

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the images, the labels and the class rule."""
        digest = hashlib.sha256(repr((self.images.shape, self.seen, self.unseen)).encode())
        digest.update(np.ascontiguousarray(self.images))
        digest.update(np.ascontiguousarray(self.labels))
        return digest.hexdigest()

    @cached_property
    def image_ids(self) -> np.ndarray:
        """(images,) integers; two images have the same id exactly when all pixels agree."""
        flat = np.ascontiguousarray(self.images.reshape(len(self.images), -1))
        rows = flat.view(np.dtype((np.void, flat.shape[1]))).ravel()
        return np.unique(rows, return_inverse=True)[1]

    def split(self, seed: int) -> Split:
        """Split at random by class: of each seen class 70 % to train, 10 % to tune and 20 % to test on.

        All images of the unseen classes are test images. Images that agree in every pixel share a
        side: the test side where one of them is of an unseen class. The order in each set is random.
        """
        return _split(self, seed)

    def sample(self, images_per_class: int | None) -> "Dataset":
        """Return the data set with at most so many images of each class: the first ones."""
        if images_per_class is None:
            return self
        if (np.bincount(self.labels) <= images_per_class).all():
            return self
        chosen = [np.flatnonzero(self.labels == c)[:images_per_class] for c in self.classes]
        rows = np.sort(np.concatenate(chosen))
        quick = f"A quick look at {images_per_class:,} images of each class"
        if self.has_study_figures:
            quick += ": no figure here compares with those of 2019"
        banner = f"{self.banner} {quick}.".strip()
        sampled = {"images": self.images[rows], "labels": self.labels[rows]}
        return replace(self, **sampled, has_study_figures=False, banner=banner)

    def with_seen(self, seen: tuple[int, ...] | None) -> "Dataset":
        """Return the data set with other seen classes, the rest being unseen; None keeps its own.

        Raises ValueError unless `seen` leaves at least two known classes on either side.
        """
        if seen is None or set(seen) == set(self.seen):
            return self
        unseen = tuple(c for c in self.classes if c not in seen)
        if not set(seen) <= set(self.classes) or min(len(set(seen)), len(unseen)) < 2:
            raise ValueError(f"seen must be two or more of {self.classes} and leave two: {seen}")
        banner = self.banner or "Other seen classes than in 2019: no figure here compares."
        chosen = {"seen": tuple(sorted(set(seen))), "unseen": unseen}
        return replace(self, **chosen, has_study_figures=False, banner=banner)

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
    for _ in range(100):  # the first deal nearly always does; the shares are then exact
        sides = _assign_sides(dataset, rng)
        torn = _ids_on_several_sides(dataset, sides)
        if not torn.size:
            break
    sides[np.isin(dataset.image_ids, torn) & np.isin(dataset.labels, dataset.seen)] = "seen"
    order = rng.permutation(len(sides))
    names = ("train", "validation", "seen", "unseen")
    return Split(**{name: order[sides[order] == name] for name in names})


def _assign_sides(dataset: Dataset, rng: np.random.Generator) -> np.ndarray:
    """Return the name of a side for each image; copies of an image are dealt next to each other."""
    ids, labels = dataset.image_ids, dataset.labels
    rank = rng.random(ids.max() + 1)
    rank[ids[np.isin(labels, dataset.unseen)]] = -1  # dealt first, so to the test side
    sides = np.full(len(labels), "unseen", dtype="<U10")
    for c in dataset.seen:
        members = np.flatnonzero(labels == c)
        members = members[np.argsort(rank[ids[members]], kind="stable")]
        num_test = round(TEST_SHARE * len(members))
        num_held_out = num_test + round(VALIDATION_SHARE * len(members))
        sides[members[:num_test]] = "seen"
        sides[members[num_test:num_held_out]] = "validation"
        sides[members[num_held_out:]] = "train"
    return sides


def _ids_on_several_sides(dataset: Dataset, sides: np.ndarray) -> np.ndarray:
    """Return the ids of images that stand on more than one of the sides train, validation, test."""
    test = np.isin(sides, ("seen", "unseen"))
    places = [sides == "train", sides == "validation", test]
    present = [np.unique(dataset.image_ids[place]) for place in places]
    ids, counts = np.unique(np.concatenate(present), return_counts=True)
    return ids[counts > 1]


def count_shared_images(dataset: Dataset, first: np.ndarray, second: np.ndarray) -> int:
    """Return how many different images, compared pixel by pixel, stand in both index arrays."""
    ids = dataset.image_ids
    return len(np.intersect1d(ids[first], ids[second]))
