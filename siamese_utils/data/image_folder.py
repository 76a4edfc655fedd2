"""Folders of images as data sets: imported once, and cached under a name that digests their content."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from siamese_utils import checksummed_npz, settings
from siamese_utils.data import image_files as pictures
from siamese_utils.data import user_images
from siamese_utils.data.dataset import Dataset
from siamese_utils.data.fashion_mnist import DataError

NAME_PREFIX = "images-"  # an imported data set has this name and 20 hex digits of its digest
FEWEST_CLASSES = 4
UNSEEN_SHARE = 0.4  # of the classes, as in the study
CHECKED_SEEDS = 5  # seeds whose splits are checked during the import


def import_folder(
    folder: Path, size: int = user_images.DEFAULT_SIDE, unseen: Sequence[str] = ()
) -> str:
    """Import a folder of images as a data set, unless it is in the cache.

    Args:
        folder: Folder with a subfolder of images for each class.
        size: Pixels a side to which all images are resized.
        unseen: Names of the unseen classes, at least two, which leave at least two seen ones;
            empty: 40 % of the classes, sampled with a fixed seed.

    Returns:
        The name of the data set, for `load`.

    Raises:
        ValueError: The folder has too few or too many classes, a class has too few images or too
            many copies of one, `size` is out of range, or `unseen` does not fit.
        OSError: A folder cannot be read.
    """
    user_images.check_side(size)
    paths = pictures.list_class_files(folder)
    classes = _check_classes(folder, [path.relative_to(folder).parts[0] for path in paths])
    unseen_numbers = _choose_unseen(classes, unseen)
    name = _dataset_name(folder, paths, size, unseen_numbers)
    try:
        load(name)
    except DataError:
        files = pictures.read(paths, size)
        print(f"{folder}: {files.summary()}", *files.warnings(folder), sep="\n", file=sys.stderr)
        labels = files.labels(folder)
        _check_classes(folder, labels, classes)
        arrays = _pack(folder.resolve().name, files, labels, classes, unseen_numbers)
        _check_copies(folder, _unpack(arrays))
        checksummed_npz.write(_path_of(name), name, arrays)
    return name


def is_imported(name: str) -> bool:
    """Return whether a name has the form that `import_folder` gives."""
    return re.fullmatch(f"{NAME_PREFIX}[0-9a-f]{{20}}", name) is not None


def load(name: str) -> Dataset:
    """Load an imported data set from the cache.

    Raises:
        DataError: The cache does not have the data set, or its file is damaged.
    """
    arrays = checksummed_npz.read(_path_of(name), name)
    if arrays is None:
        raise DataError(f"{name} is not in the cache: give the folder of the images again")
    return _unpack(arrays)


def _path_of(name: str) -> Path:
    return settings.cache_dir() / f"{name}.npz"


def _pack(
    name: str,
    files: pictures.ImageFiles,
    labels: np.ndarray,
    classes: Sequence[str],
    unseen: Sequence[int],
) -> checksummed_npz.Arrays:
    """Return the arrays that are cached for a data set."""
    banner = f"Made from the images in “{name}”: {files.summary(names=False)}."
    images = files.images
    is_inverted = images.shape[3] == 1 and user_images.has_white_background(images)
    metadata = {"name": name, "classes": classes, "unseen": unseen, "banner": banner}
    metadata |= {"is_inverted": is_inverted}
    return {
        "images": user_images.invert(images) if is_inverted else images,
        "labels": np.searchsorted(classes, labels),
        "metadata": np.array(json.dumps(metadata)),
    }


def _unpack(arrays: checksummed_npz.Arrays) -> Dataset:
    """Return the data set of cached arrays."""
    metadata = json.loads(str(arrays["metadata"]))
    classes, unseen = tuple(metadata["classes"]), tuple(metadata["unseen"])
    return Dataset(
        metadata["name"],
        arrays["images"],
        arrays["labels"],
        classes,
        seen=tuple(c for c in range(len(classes)) if c not in unseen),
        unseen=unseen,
        banner=metadata["banner"],
        is_inverted=metadata["is_inverted"],
    )


def _check_classes(folder: Path, labels: Iterable[str], expected: Sequence[str] = ()) -> list[str]:
    """Check the classes of a folder.

    Args:
        folder: The folder, for messages.
        labels: The class of each image.
        expected: Classes that must have images.

    Returns:
        The sorted names of the classes.

    Raises:
        ValueError: There are too few or too many classes, one has too few images, or a name is not
            valid UTF-8.
    """
    sizes = dict.fromkeys(expected, 0) | Counter(labels)
    if not FEWEST_CLASSES <= len(sizes) <= user_images.MAX_CLASSES:
        raise ValueError(
            f"{folder} has {len(sizes)} subfolders with files; a report needs {FEWEST_CLASSES} to "
            f"{user_images.MAX_CLASSES}, one for each class"
        )
    user_images.check_class_sizes(folder, sizes)
    for name in (*sizes, folder.resolve().name):
        try:
            name.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{folder}: the name {name!r} is not valid UTF-8; rename it") from None
    return sorted(sizes)


def _check_copies(folder: Path, dataset: Dataset) -> None:
    """Raise ValueError if copies of an image, which share a set, leave too few images for another."""
    for seed in range(CHECKED_SEEDS):
        split = dataset.split(seed)
        for rows in (split.train, split.validation, split.seen):
            sizes = np.bincount(dataset.labels[rows], minlength=len(dataset.class_names))
            if too_small := [c for c in dataset.seen if sizes[c] < 2]:
                raise ValueError(
                    f"{folder / dataset.class_names[too_small[0]]} has too many copies of one "
                    "image to be split; remove copies or add other images"
                )


def _choose_unseen(classes: Sequence[str], unseen: Sequence[str]) -> list[int]:
    """Return the numbers of the unseen classes: those named, or else a random choice.

    Raises:
        ValueError: A name is unknown, or there are too few or too many of them.
    """
    if unknown := sorted(set(unseen) - set(classes)):
        raise ValueError(
            f"no class {', '.join(unknown)} to leave unseen; choose from {', '.join(classes)}"
        )
    largest = len(classes) - 2
    if unseen and not 2 <= len(set(unseen)) <= largest:
        raise ValueError(
            f"2 to {largest} of {len(classes)} classes can be unseen, not {len(set(unseen))}"
        )
    if unseen:
        return sorted(map(classes.index, set(unseen)))
    number = count_unseen(len(classes))
    return sorted(np.random.default_rng(0).choice(len(classes), number, replace=False).tolist())


def count_unseen(num_classes: int) -> int:
    """Return how many of a number of classes are unseen, if the user does not choose them."""
    return max(2, round(UNSEEN_SHARE * num_classes))


def _dataset_name(folder: Path, paths: Sequence[Path], size: int, unseen: Sequence[int]) -> str:
    """Return a name that changes with everything that shapes the data set."""
    parts = [folder.resolve().name, size, unseen, pictures.digest(folder, paths)]
    parts.append("grey images on white are inverted")
    return f"{NAME_PREFIX}{hashlib.sha256(repr(parts).encode()).hexdigest()[:20]}"
