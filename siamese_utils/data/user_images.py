"""Checks and conversions of the user's images and labels before training."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from siamese_utils.data.dataset import Dataset, Split, _split

# Limits of an image, in pixels a side and channels.
MAX_SIDE, MAX_CHANNELS = 256, 4
MIN_SIDE = 8  # the encoder's layers shrink it to 1
MAX_ENSEMBLE_SIDE = 48
DEFAULT_SIDE = 28
MAX_CLASSES = 60  # the memory for counting pairs grows with the square of this
MIN_IMAGES = 20  # in each class: a tenth is held out, and a pair needs two
MIN_FOREGROUND = 13  # of 255; on an inverted background, smaller values are noise
MIN_BRIGHTNESS = 32  # of 255; darker images were probably not scaled to 0..255


def check_training_set(
    images: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check and convert images and labels to train on; warn if all images are dark.

    Args:
        images: (images, height, width) or (images, height, width, channels), uint8 or float of 0..1.
        labels: (images,), of any type that NumPy can sort.

    Returns:
        Images (images, height, width, channels) uint8, labels (images,) as numbers from 0, and the
        sorted names of the classes.

    Raises:
        ValueError: The shapes, types or values do not fit, the images are too large, or there are
            too few of them.
    """
    images = to_uint8(images)
    images = images[..., np.newaxis] if images.ndim == 3 else images
    if images.ndim != 4:
        raise ValueError(
            "images must have the shape (images, height, width) or "
            f"(images, height, width, channels), not {images.shape}"
        )
    check_image_shape(images.shape[1:])
    names, labels = encode_labels(labels, len(images))
    _check_number(names, labels, "images")
    if images.max() < MIN_BRIGHTNESS:
        warnings.warn(
            f"no image is brighter than {images.max()} of 255: scale them to 0..255, or pass "
            "floats of 0..1",
            stacklevel=3,
        )
    return images, labels, names


def check_features(
    features: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check and convert feature vectors and labels to fit to.

    Args:
        features: (vectors, dimensions), numbers.
        labels: (vectors,), of any type that NumPy can sort.

    Returns:
        Features float32, labels as numbers from 0, and the sorted names of the classes.

    Raises:
        ValueError: The shapes or values do not fit, or there are too few vectors.
    """
    features = to_float32(features)
    if features.ndim != 2 or not features.shape[1]:
        raise ValueError(
            f"features must have the shape (vectors, dimensions), not {features.shape}"
        )
    names, labels = encode_labels(labels, len(features))
    _check_number(names, labels, "vectors")
    return features, labels, names


def to_float32(features: np.ndarray, name: str = "features") -> np.ndarray:
    """Convert feature vectors to float32.

    Args:
        features: Finite numbers.
        name: Name of the argument, for messages.

    Raises:
        ValueError: They are not all finite numbers.
    """
    try:
        features = np.asarray(features)
    except ValueError:  # a list of arrays of different shapes
        raise ValueError(f"{name} must be of one length") from None
    if features.dtype.kind not in "fiu" or not np.isfinite(features).all():
        raise ValueError(f"{name} must be finite numbers")
    return features.astype(np.float32)


def _check_number(names: np.ndarray, labels: np.ndarray, what: str) -> None:
    """Raise ValueError if there are too few classes, or too few images or vectors of one."""
    fewest = np.bincount(labels).min() if len(labels) else 0
    if len(names) < 2 or fewest < MIN_IMAGES:
        raise ValueError(
            f"training needs two classes of {MIN_IMAGES} {what} at least, not {len(names)} with "
            f"{fewest} in one"
        )


def has_white_background(images: np.ndarray) -> bool:
    """Return whether most border pixels are nearer to white than to black.

    Args:
        images: (images, height, width, channels) uint8.
    """
    rows, columns = images[:, [0, -1]], images[:, :, [0, -1]]
    border = np.concatenate([rows.ravel(), columns.ravel()])
    return bool(np.median(border) > 127)


def invert(images: np.ndarray) -> np.ndarray:
    """Return images on a white background inverted, with nearly white pixels as 0."""
    inverted = 255 - images
    return np.where(inverted < MIN_FOREGROUND, 0, inverted)


def check_image_shape(shape: tuple[int, ...]) -> None:
    """Raise ValueError if images of shape (height, width, channels) are too large."""
    if max(shape[:2]) > MAX_SIDE or not 1 <= shape[2] <= MAX_CHANNELS:
        raise ValueError(
            f"images may have {MAX_SIDE} pixels a side and {MAX_CHANNELS} channels at most, "
            f"not {shape}: shrink them"
        )


def check_side(size: int, largest: int = MAX_ENSEMBLE_SIDE) -> None:
    """Raise ValueError if square images of this side are too small or too large to train on."""
    if not MIN_SIDE <= size <= largest:
        raise ValueError(f"--image-size must be {MIN_SIDE} to {largest}, not {size}")


def check_class_sizes(folder: Path, sizes: Mapping[str, int]) -> None:
    """Raise ValueError if a class has too few images.

    Args:
        folder: The folder of the classes, for the message.
        sizes: The number of images of each class, by the name of its subfolder.
    """
    name, fewest = min(sizes.items(), key=lambda item: item[1])
    if fewest < MIN_IMAGES:
        raise ValueError(
            f"{folder / name} has {fewest} images; {MIN_IMAGES} are needed in each class: "
            "add images, or remove the class"
        )


def to_uint8(images: np.ndarray, name: str = "images") -> np.ndarray:
    """Convert images to uint8 of 0..255.

    Args:
        images: uint8, or float of 0..1.
        name: Name of the argument, for messages.

    Raises:
        ValueError: The images differ in size, or have another type or range.
    """
    try:
        images = np.asarray(images)
    except ValueError:  # a list of arrays of different shapes
        raise ValueError(f"{name} must be of one size") from None
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"{name} must be uint8 of 0..255 or float of 0..1, not {images.dtype}")
    if images.size and not (images.min() >= 0 and images.max() <= 1):
        value_range = f"{images.min():g}..{images.max():g}"
        raise ValueError(f"{name} of float must lie in 0..1, not in {value_range}")
    return np.rint(images * 255).astype(np.uint8)


def encode_labels(labels: np.ndarray, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Encode labels as numbers.

    Args:
        labels: (images,).
        images: The number of images.

    Returns:
        The sorted names of the classes, and the labels as numbers from 0.

    Raises:
        ValueError: There is not one label for each image, or a label is NaN or infinite.
    """
    labels = np.asarray(labels)
    if labels.shape != (images,):
        raise ValueError(
            f"labels must have the shape ({images},), one for each image, not {labels.shape}"
        )
    if labels.dtype.kind in "fc" and not np.isfinite(labels).all():
        raise ValueError("labels hold values that are not finite; give each image a class")
    return np.unique(labels, return_inverse=True)


def hold_out(dataset: Dataset, seed: int) -> Split:
    """Hold out a tenth of each class for validation; the other images are all for training.

    Raises:
        ValueError: Copies of an image, which share a set, leave a class without a held-out pair.
    """
    # The function behind the cache is called, since the cache would keep the images in memory.
    split = _split.__wrapped__(dataset, seed)
    held_out = np.bincount(dataset.labels[split.validation], minlength=len(dataset.class_names))
    if held_out.min() < 2:
        name = dataset.class_names[held_out.argmin()]
        raise ValueError(
            f"class {name} has too many copies of one image to hold out a pair; remove copies or "
            "add other images"
        )
    empty = np.array([], dtype=np.int64)
    return Split(np.concatenate([split.train, split.seen]), split.validation, empty, empty)
