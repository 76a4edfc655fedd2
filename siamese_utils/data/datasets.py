"""The data sets by name."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy import ndimage

from siamese_utils.data import fashion_mnist, image_folder
from siamese_utils.data.dataset import Dataset
from siamese_utils.data.fashion_mnist import DataError

DATASETS = ("fashion-mnist", "digits")
SEEN = (0, 1, 2, 4, 5, 9)  # the study's choice
UNSEEN = (3, 6, 7, 8)


@lru_cache(maxsize=64)
def load(
    name: str = "auto",
    images_per_class: int | None = None,
    seen: tuple[int, ...] | None = None,
) -> Dataset:
    """Return a data set by name, as `resolve` takes it.

    images_per_class: at most so many, the first ones; seen: other classes to train on than its own.
    Files are checked (size, SHA-256, header) the first time a process loads them.
    Raises DataError when the named data set cannot be had, ValueError for an unknown name or where
    the folder that the reader sets is none.
    """
    return _load_sample(resolve_name(name), images_per_class).with_seen(seen)


def resolve_name(name: str) -> str:
    """Return the data set that a name stands for here, fetched or read if need be.

    `auto` is Fashion-MNIST or the digits; a folder, as a path, is what its images are adopted as.
    """
    if name in DATASETS or image_folder.is_imported(name):
        return name
    if name != "auto":
        if not Path(name).is_dir():
            known = ", ".join(("auto", *DATASETS))
            raise ValueError(f"unknown data set {name!r}; choose {known} or a folder of images")
        return image_folder.import_folder(Path(name))
    try:
        _load("fashion-mnist")
    except DataError as error:
        print(f"Fashion-MNIST cannot be had, going on with digits ({error})")
        return "digits"
    return "fashion-mnist"


@lru_cache(maxsize=8)  # all choices of seen classes share one copy of the images
def _load_sample(name: str, images_per_class: int | None) -> Dataset:
    return _load(name).sample(images_per_class)


@lru_cache(maxsize=2)
def _load(name: str) -> Dataset:
    if image_folder.is_imported(name):
        return image_folder.load(name)
    return _load_digits() if name == "digits" else _load_fashion_mnist()


def _load_fashion_mnist() -> Dataset:
    images, labels = fashion_mnist.read()
    return Dataset(
        "fashion-mnist",
        images[..., np.newaxis],
        labels,
        fashion_mnist.CLASS_NAMES,
        SEEN,
        UNSEEN,
        has_study_figures=True,
    )


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
