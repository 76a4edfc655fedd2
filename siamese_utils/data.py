"""Fetch, verify, read and split the images. Nothing else knows which data set it is."""

import gzip
import hashlib
import os
import warnings
import zlib
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from scipy import ndimage

from siamese_utils import settings

DATASETS = ("fashion-mnist", "digits")
SEEN = (0, 1, 2, 4, 5, 9)
UNSEEN = (3, 6, 7, 8)
TEST_SETS = ("seen", "all", "unseen")
TEST_SHARE = 0.2
VALIDATION_SHARE = 0.1

# File name -> (bytes, SHA-256) of the official files.
FILES = {
    "train-images-idx3-ubyte.gz": (
        26421880,
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    ),
    "train-labels-idx1-ubyte.gz": (
        29515,
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    ),
    "t10k-images-idx3-ubyte.gz": (
        4422102,
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    ),
    "t10k-labels-idx1-ubyte.gz": (
        5148,
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
}
SOURCES = (
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
)
TIMEOUT_SECONDS = 5

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


class DataError(Exception):
    """The images cannot be had; the message says where they were looked for and what to do."""


@dataclass(frozen=True)
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
        return {name: getattr(self, name) for name in ("train", "validation", *TEST_SETS)}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of which image is where."""
        digest = hashlib.sha256()
        for indices in self.sets().values():
            digest.update(indices.astype(np.int64).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
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

    def sample(self, images_per_class: int | None) -> "Dataset":
        """Return the data set with at most so many images of each class: the first ones."""
        if images_per_class is None:
            return self
        if (np.bincount(self.labels) <= images_per_class).all():
            return self
        chosen = [np.flatnonzero(self.labels == c)[:images_per_class] for c in self.classes]
        rows = np.sort(np.concatenate(chosen))
        banner = self.banner or (
            f"A quick look at {images_per_class:,} images of each class: "
            "no figure here compares with those of 2019."
        )
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

    @property
    def classes(self) -> tuple[int, ...]:
        """All class numbers in order."""
        return tuple(sorted(self.seen + self.unseen))


def load(name: str = "auto", images_per_class: int | None = None) -> Dataset:
    """Return a data set by name: `fashion-mnist`, `digits`, or `auto` for the better one to be had.

    Files are checked (size, SHA-256, header) the first time a process loads them.
    Raises DataError when the named data set cannot be had, ValueError for an unknown name.
    """
    return _load(resolve(name)).sample(images_per_class)


def resolve(name: str) -> str:
    """Return `name`, or for `auto` the data set it stands for here, fetching it if need be."""
    if name != "auto":
        if name not in DATASETS:
            raise ValueError(f"unknown data set {name!r}; choose auto, {' or '.join(DATASETS)}")
        return name
    try:
        _load("fashion-mnist")
    except DataError as error:
        print(f"Fashion-MNIST cannot be had, going on with digits ({error})")
        return "digits"
    return "fashion-mnist"


@lru_cache(maxsize=2)
def _load(name: str) -> Dataset:
    return _load_digits() if name == "digits" else _load_fashion_mnist()


# Fashion-MNIST ---------------------------------------------------------------


def _load_fashion_mnist() -> Dataset:
    paths = fetch_fashion_mnist()
    parts = [_read_part(paths, prefix) for prefix in ("train", "t10k")]
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Dataset(
        "fashion-mnist",
        images[..., np.newaxis],
        labels.astype(np.int64),
        CLASS_NAMES,
        SEEN,
        UNSEEN,
        has_study_figures=True,
    )


def _read_part(paths: dict[str, Path], prefix: str) -> tuple[np.ndarray, np.ndarray]:
    images = read_idx(paths[f"{prefix}-images-idx3-ubyte.gz"])
    labels = read_idx(paths[f"{prefix}-labels-idx1-ubyte.gz"])
    return images, labels


def fetch_fashion_mnist() -> dict[str, Path]:
    """Return the verified official files by name: the reader's own ones, else downloaded ones.

    Raises DataError where a file of the reader's own is damaged (it is left alone), or where
    a file is neither here nor to be downloaded.
    """
    return {name: find_own_file(name) or _download(name) for name in FILES}


def own_folders() -> list[Path]:
    """Return the folders that may hold the reader's own copy, in the order they are looked at."""
    keras_home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    folders = [settings.ROOT.parent / "shared", keras_home / "datasets"]
    if own := os.environ.get(settings.DATA_VARIABLE):
        folders.insert(0, Path(own))
    return [place for folder in folders for place in (folder / "fashion-mnist", folder)]


def find_own_file(name: str) -> Path | None:
    """Return the reader's own copy of an official file, or None.

    Raises DataError where the first copy found is damaged.
    """
    for folder in own_folders():
        path = folder / name
        if path.is_file():
            if fault := find_fault(path):
                raise DataError(f"{path} is not the official file: {fault}; replace or remove it")
            return path
    return None


def find_fault(path: Path) -> str:
    """Return what is wrong with a copy of an official file, or an empty string."""
    size, sha256 = FILES[path.name]
    try:
        if path.stat().st_size != size:
            return f"{path.stat().st_size} bytes instead of {size}"
        if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            return "its SHA-256 differs"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return ""


def _download(name: str) -> Path:
    """Return the file from the user cache; pooch fetches it where it is missing or damaged."""
    with warnings.catch_warnings():  # it regrets the lack of a widget that nothing here wants
        warnings.simplefilter("ignore")
        import pooch

    pooch.get_logger().setLevel("WARNING")  # its progress bar says enough
    folder = Path(pooch.os_cache("siamese-utils")) / "fashion-mnist"
    downloader = pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT_SECONDS)
    for source in SOURCES:
        try:
            path = pooch.retrieve(
                source + name, f"sha256:{FILES[name][1]}", name, folder, downloader=downloader
            )
            return Path(path)
        except (OSError, ValueError):  # no network, no such file, a wrong hash: the next source
            continue
    looked = ", ".join(str(place) for place in [*own_folders()[::2], folder])
    raise DataError(
        f"{name} is not in {looked} and could not be downloaded; "
        f"put the four official files into a folder and set {settings.DATA_VARIABLE} to it"
    )


def read_idx(path: Path) -> np.ndarray:
    """Return the array of a gzipped IDX file of unsigned bytes.

    Raises DataError where the header and the content disagree.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file: {error}") from error
    dimensions = content[3] if len(content) > 3 else 0
    start = 4 + 4 * dimensions
    if content[:3] != b"\0\0\x08" or not dimensions or len(content) < start:
        raise DataError(f"{path} has no IDX header of unsigned bytes")
    shape = np.frombuffer(content, ">i4", dimensions, offset=4)
    if (shape < 0).any() or len(content) - start != shape.prod(dtype=np.int64):
        raise DataError(
            f"{path} announces {shape.tolist()} values and holds {len(content) - start}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


# Digits ----------------------------------------------------------------------


def _load_digits() -> Dataset:
    # Imported here: scikit-learn's data module takes a second that most runs need not pay.
    from sklearn.datasets import load_digits

    digits = load_digits()
    enlarged = ndimage.zoom(digits.images, (1, 3.5, 3.5), order=3, mode="nearest")
    images = np.clip(enlarged * (255 / 16), 0, 255).round().astype(np.uint8)
    return Dataset(
        "digits",
        images[..., np.newaxis],
        digits.target.astype(np.int64),
        tuple(str(digit) for digit in range(10)),
        SEEN,
        UNSEEN,
        banner="Made with scikit-learn's digits, not with Fashion-MNIST: "
        "the figures of 2019 do not apply.",
    )


# Split -----------------------------------------------------------------------


def split(dataset: Dataset, seed: int) -> Split:
    """Split at random by class: of each seen class 70 % to train, 10 % to tune and 20 % to test on.

    All images of the unseen classes are test images. Images that agree in every pixel share a
    side: the test side where one of them is of an unseen class. The order in each set is random.
    """
    rng = np.random.default_rng([seed, 0])
    for _ in range(100):  # the first deal nearly always does; the shares are then exact
        sides = _deal(dataset, rng)
        torn = _torn_ids(dataset, sides)
        if not torn.size:
            break
    sides[np.isin(dataset.image_ids, torn) & np.isin(dataset.labels, dataset.seen)] = "seen"
    order = rng.permutation(len(sides))
    names = ("train", "validation", "seen", "unseen")
    return Split(**{name: order[sides[order] == name] for name in names})


def _deal(dataset: Dataset, rng: np.random.Generator) -> np.ndarray:
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


def _torn_ids(dataset: Dataset, sides: np.ndarray) -> np.ndarray:
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
