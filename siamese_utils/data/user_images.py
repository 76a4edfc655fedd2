"""A reader's own images as arrays: looked at before anything is learned from them."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from siamese_utils.data.dataset import Dataset, Split, _split

MAX_SIDE, MAX_CHANNELS = 256, 4  # of an image
MIN_SIDE = 8  # pixels: the side of an image, of which a network's layers leave one
MAX_ENSEMBLE_SIDE = 48  # pixels: the side of an image that the recipe takes
DEFAULT_SIDE = 28  # pixels, to which images are brought unless another side is asked for
MAX_CLASSES = 60  # that are measured, memory growing with their square
MIN_IMAGES = 20  # of each class: a tenth is held out, and a pair needs two
MIN_BRIGHTNESS = 32  # of 255: images that are nowhere brighter were hardly meant to be of 0..255


def check_training_set(
    images: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return images (images, h, w, c) uint8, labels as numbers, and the classes' names.

    Raises ValueError for what is of another form, too large, or too little; warns of dark images.
    """
    images = to_uint8(images)
    images = images[..., np.newaxis] if images.ndim == 3 else images
    if images.ndim != 4:
        raise ValueError(f"images must be (images, h, w) or (images, h, w, c), not {images.shape}")
    check_image_shape(images.shape[1:])
    names, labels = encode_labels(labels, len(images))
    fewest = np.bincount(labels).min() if len(labels) else 0
    if len(names) < 2 or fewest < MIN_IMAGES:
        raise ValueError(
            f"two classes of {MIN_IMAGES} images at least, not {len(names)} with {fewest} in one"
        )
    if images.max() < MIN_BRIGHTNESS:
        warnings.warn(
            f"no image is brighter than {images.max()} of 255: scale them, or give float of 0..1",
            stacklevel=3,
        )
    return images, labels, names


def check_image_shape(shape: tuple[int, ...]) -> None:
    """Raise ValueError where an image of this shape, (h, w, c), is more than can be taken."""
    if max(shape[:2]) > MAX_SIDE or not 1 <= shape[2] <= MAX_CHANNELS:
        raise ValueError(
            f"images may have {MAX_SIDE} pixels a side and {MAX_CHANNELS} channels at most, "
            f"not {shape}: shrink them"
        )


def check_side(size: int, largest: int = MAX_ENSEMBLE_SIDE) -> None:
    """Raise ValueError where squares of this side are too small or too large to be learned from."""
    if not MIN_SIDE <= size <= largest:
        raise ValueError(f"--image-size must be {MIN_SIDE} to {largest}, not {size}")


def check_class_sizes(folder: Path, sizes: Mapping[str, int]) -> None:
    """Raise ValueError where a class of a folder has too few images; sizes: by its subfolder."""
    name, fewest = min(sizes.items(), key=lambda item: item[1])
    if fewest < MIN_IMAGES:
        raise ValueError(
            f"{folder / name} has {fewest} images; {MIN_IMAGES} are needed of each class"
        )


def to_uint8(images: np.ndarray, name: str = "images") -> np.ndarray:
    """Return images as uint8 of 0..255. Raises ValueError unless they are that or float of 0..1."""
    try:
        images = np.asarray(images)
    except ValueError:  # a list of unlike ones
        raise ValueError(f"{name} must be of one size") from None
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"{name} must be uint8 of 0..255 or float of 0..1, not {images.dtype}")
    if images.size and not (images.min() >= 0 and images.max() <= 1):
        span = f"{images.min():g}..{images.max():g}"
        raise ValueError(f"{name} of float must lie in 0..1, not in {span}")
    return np.rint(images * 255).astype(np.uint8)


def encode_labels(labels: np.ndarray, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the names of the classes, and the labels as numbers.

    Raises ValueError unless there is one for each image.
    """
    labels = np.asarray(labels)
    if labels.shape != (images,):
        raise ValueError(f"labels must be ({images},), one for each image, not {labels.shape}")
    if labels.dtype.kind in "fc" and not np.isfinite(labels).all():
        raise ValueError("labels hold values that are no numbers")
    return np.unique(labels, return_inverse=True)


def warn_if_unbalanced(labels: np.ndarray) -> None:
    """Warn where the study's pairs, as many of each class as the smallest has, leave out much."""
    sizes = np.bincount(labels)
    if 2 * (used := sizes.min() * len(sizes)) < len(labels):
        warnings.warn(
            f"the study's network is shown as many images of each class as the smallest one has: "
            f"{used} of {len(labels)}",
            stacklevel=3,
        )


def hold_out(dataset: Dataset, seed: int) -> Split:
    """Hold out a tenth of each class; there is no test set, so the rest is all for training."""
    split = _split.__wrapped__(dataset, seed)  # past its cache, which would keep the images
    held_out = np.bincount(dataset.labels[split.validation], minlength=len(dataset.class_names))
    if held_out.min() < 2:
        name = dataset.class_names[held_out.argmin()]
        raise ValueError(f"class {name} has too many copies of one image to hold out a pair")
    nothing = np.array([], dtype=np.int64)
    return Split(np.concatenate([split.train, split.seen]), split.validation, nothing, nothing)
