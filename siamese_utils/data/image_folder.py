"""A reader's folder of images as a data set: read once, and kept by its content beside the store."""

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

NAME_PREFIX = "images-"  # of the name of such a data set; the SHA-256 of its content follows
FEWEST_CLASSES = 4
UNSEEN_SHARE = 0.4  # of the classes, as in the study
CHECKED_SEEDS = 5  # seeds whose splits are looked at beforehand


def import_folder(
    folder: Path, size: int = user_images.DEFAULT_SIDE, unseen: Sequence[str] = ()
) -> str:
    """Return the name of the data set that a folder's images are, which are read if need be.

    folder: with a subfolder of images for each class; size: to which all are brought, pixels of a
    side; unseen: names of the classes that nothing is trained on, two at least and two fewer than
    there are; by default four tenths of them, drawn once. Raises ValueError, OSError.
    """
    user_images.check_side(size)
    paths = pictures.list_class_files(folder)
    classes = _check_classes(folder, [path.relative_to(folder).parts[0] for path in paths])
    chosen = _choose_unseen(classes, unseen)
    name = _dataset_name(folder, paths, size, chosen)
    try:
        load(name)
    except DataError:
        found = pictures.read(paths, size)
        print(f"{folder}: {found.summary()}", file=sys.stderr)
        labels = found.labels(folder)
        _check_classes(folder, labels, classes)
        packed = _pack(folder.resolve().name, found, labels, classes, chosen)
        _check_copies(folder, _unpack(packed))
        checksummed_npz.write(_path_of(name), name, packed)
    return name


def is_imported(name: str) -> bool:
    """Return whether a data set of this name is one that was adopted."""
    return re.fullmatch(f"{NAME_PREFIX}[0-9a-f]{{20}}", name) is not None


def load(name: str) -> Dataset:
    """Return a data set that was adopted. Raises DataError where the store has none such, or no whole one."""
    kept = checksummed_npz.read(_path_of(name), name)
    if kept is None:
        raise DataError(f"the store has no {name}: give the folder of the images again")
    return _unpack(kept)


def _unpack(kept: checksummed_npz.Arrays) -> Dataset:
    told = json.loads(str(kept["told"]))
    classes, unseen = tuple(told["classes"]), tuple(told["unseen"])
    return Dataset(
        told["name"],
        kept["images"],
        kept["labels"],
        classes,
        seen=tuple(c for c in range(len(classes)) if c not in unseen),
        unseen=unseen,
        banner=told["banner"],
    )


def _path_of(name: str) -> Path:
    return settings.cache_dir() / f"{name}.npz"


def _check_classes(folder: Path, labels: Iterable[str], wanted: Sequence[str] = ()) -> list[str]:
    """Return the classes in order. Raises ValueError where they are too few or many, or one too small."""
    sizes = dict.fromkeys(wanted, 0) | Counter(labels)
    if not FEWEST_CLASSES <= len(sizes) <= user_images.MAX_CLASSES:
        raise ValueError(
            f"{folder} has {len(sizes)} subfolders with files; a report wants {FEWEST_CLASSES} to "
            f"{user_images.MAX_CLASSES}, each a class"
        )
    user_images.check_class_sizes(folder, sizes)
    for name in (*sizes, folder.resolve().name):
        try:
            name.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{folder}: the name {name!r} is no text; rename it") from None
    return sorted(sizes)


def _check_copies(folder: Path, dataset: Dataset) -> None:
    """Raise ValueError where copies of an image, which share a side, leave a side too few images."""
    for seed in range(CHECKED_SEEDS):
        split = dataset.split(seed)
        for rows in (split.train, split.validation, split.seen):
            sizes = np.bincount(dataset.labels[rows], minlength=len(dataset.class_names))
            if few := [c for c in dataset.seen if sizes[c] < 2]:
                name = folder / dataset.class_names[few[0]]
                raise ValueError(f"{name} has too many copies of one image to be split")


def _choose_unseen(classes: Sequence[str], unseen: Sequence[str]) -> list[int]:
    """Return the numbers of the unseen classes. Raises ValueError."""
    if unknown := sorted(set(unseen) - set(classes)):
        raise ValueError(
            f"no class {', '.join(unknown)} to leave unseen; there are {', '.join(classes)}"
        )
    most = len(classes) - 2
    if unseen and not 2 <= len(set(unseen)) <= most:
        raise ValueError(
            f"2 to {most} of {len(classes)} classes can be unseen, not {len(set(unseen))}"
        )
    if unseen:
        return sorted(map(classes.index, set(unseen)))
    number = max(2, round(UNSEEN_SHARE * len(classes)))
    return sorted(np.random.default_rng(0).choice(len(classes), number, replace=False).tolist())


def _dataset_name(folder: Path, paths: Sequence[Path], size: int, unseen: Sequence[int]) -> str:
    """Return a name that changes with all that shapes the data set."""
    told = [folder.resolve().name, size, unseen, pictures.digest(folder, paths)]
    return f"{NAME_PREFIX}{hashlib.sha256(repr(told).encode()).hexdigest()[:20]}"


def _pack(
    name: str,
    found: pictures.ImageFiles,
    labels: np.ndarray,
    classes: Sequence[str],
    unseen: Sequence[int],
) -> checksummed_npz.Arrays:
    """Return what is kept of a data set."""
    banner = f"Made from the images in “{name}”: {found.summary(names=False)}."
    told = {"name": name, "classes": classes, "unseen": unseen, "banner": banner}
    numbers = np.searchsorted(classes, labels)
    return {"images": found.images, "labels": numbers, "told": np.array(json.dumps(told))}
