"""The data sets by name.

To add a data set, write a function here that returns a `Dataset` and add an entry to DATASETS.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy import ndimage

from siamese_utils.data import fashion_mnist, image_folder
from siamese_utils.data.dataset import Dataset
from siamese_utils.data.fashion_mnist import DataError

SEEN = (0, 1, 2, 4, 5, 9)  # the study's class split
UNSEEN = (3, 6, 7, 8)


@lru_cache(maxsize=64)
def load(
    name: str = "auto",
    images_per_class: int | None = None,
    seen: tuple[int, ...] | None = None,
) -> Dataset:
    """Load a data set by name.

    Files are checked (size, SHA-256, header) the first time that a process loads them.

    Args:
        name: As in `resolve_name`.
        images_per_class: Images of each class at most, the first ones; None: all.
        seen: Classes to train on; None: the data set's own.

    Returns:
        The data set.

    Raises:
        DataError: The data set cannot be found or downloaded.
        ValueError: The name is unknown, or SIAMESE_DATA_DIR is no folder.
    """
    return _load_sample(resolve_name(name), images_per_class).with_seen(seen)


def resolve_name(name: str) -> str:
    """Return the name of the data set that a name or a folder stands for here.

    Args:
        name: A name in DATASETS; `auto`, for Fashion-MNIST, or digits if it cannot be had; or the
            path of a folder of images, which are then read and cached.
    """
    if name in DATASETS or image_folder.is_imported(name):
        return name
    if name != "auto":
        if not Path(name).is_dir():
            known = ", ".join(("auto", *DATASETS))
            raise ValueError(f"unknown data set {name!r}; choose {known} or a folder of images")
        return image_folder.import_folder(Path(name))
    try:
        _load_complete("fashion-mnist")
    except DataError as error:
        print(f"Fashion-MNIST cannot be had, going on with digits ({error})")
        return "digits"
    return "fashion-mnist"


def load_fashion_mnist() -> Dataset:
    """Load Fashion-MNIST: 70,000 images of 28 x 28 pixels in ten classes."""
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


def load_digits() -> Dataset:
    """Load scikit-learn's digits, enlarged: 1,797 images of 28 x 28 pixels in ten classes."""
    # scikit-learn takes a second to import, which most runs need not pay.
    from sklearn.datasets import load_digits as load_sklearn_digits

    digits = load_sklearn_digits()
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


DATASETS: dict[str, Callable[[], Dataset]] = {
    "fashion-mnist": load_fashion_mnist,
    "digits": load_digits,
}


@lru_cache(maxsize=8)  # all class splits share one copy of the images
def _load_sample(name: str, images_per_class: int | None) -> Dataset:
    return _load_complete(name).sample(images_per_class)


@lru_cache(maxsize=2)
def _load_complete(name: str) -> Dataset:
    return DATASETS[name]() if name in DATASETS else image_folder.load(name)
