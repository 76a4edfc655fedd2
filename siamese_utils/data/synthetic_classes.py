"""Synthetic classes, whose images are combined from images of two real classes."""

from collections.abc import Mapping

import numpy as np

JOINS = ("top and bottom", "left and right", "union", "one without the other")


def sample_steps(
    images: np.ndarray,
    labels: np.ndarray,
    rng: np.random.Generator,
    steps: int,
    size: int,
    num_synthetic: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Sample the images of training steps, from all real classes and new synthetic ones.

    Args:
        images: (images, height, width, channels) uint8.
        labels: (images,), the class of each image.
        rng: Random generator.
        steps: Number of steps.
        size: Images of each class in a step.
        num_synthetic: Synthetic classes in a step; each step has others.

    Returns:
        Images (steps, batch, height, width, channels) uint8, and labels (steps, batch): 0, 1, ...
        for the real classes, then for the synthetic ones, which are new in each step.
    """
    images_by_class = {int(c): images[labels == c] for c in np.unique(labels)}
    batches = []
    for _ in range(steps):
        real = [c[rng.integers(len(c), size=size)] for c in images_by_class.values()]
        synthetic = [sample_class(images_by_class, rng, size) for _ in range(num_synthetic)]
        batches.append(np.concatenate(real + synthetic))
    num_classes = len(images_by_class) + num_synthetic
    return np.stack(batches), np.tile(np.repeat(np.arange(num_classes), size), (steps, 1))


def sample_class(
    images_by_class: Mapping[int, np.ndarray], rng: np.random.Generator, size: int
) -> np.ndarray:
    """Sample images of one synthetic class.

    Images of two real classes are joined by one of JOINS. Half of the synthetic classes are then
    rotated, and half squeezed along one axis. All images of a class are made with the same
    parameters.

    Args:
        images_by_class: (images, height, width, channels) uint8 for each real class.
        rng: Random generator.
        size: Number of images.

    Returns:
        (size, height, width, channels) uint8.
    """
    classes = rng.choice(sorted(images_by_class), size=2, replace=False)
    a, b = (images_by_class[c][rng.integers(len(images_by_class[c]), size=size)] for c in classes)
    joined = join(a, b, JOINS[rng.integers(len(JOINS))], rng.uniform(0.3, 0.7))
    if rng.random() < 0.5:
        joined = rotate(joined, int(rng.integers(1, 4)))
    if rng.random() < 0.5:
        joined = squeeze(joined, int(rng.integers(1, 3)), rng.uniform(0.6, 1))
    return joined


def join(a: np.ndarray, b: np.ndarray, method: str, share: float) -> np.ndarray:
    """Join two batches of images pixel by pixel.

    Args:
        a: (images, height, width, channels).
        b: As `a`.
        method: One of JOINS.
        share: Share of the height or width that comes from `a`, 0..1, if the method has two parts.
    """
    if method == "union":
        return np.maximum(a, b)
    if method == "one without the other":
        return np.where(b > 0, 0, a).astype(a.dtype)
    axis = 1 if method == "top and bottom" else 2
    from_a = np.arange(a.shape[axis]) < round(share * a.shape[axis])
    return np.where(from_a.reshape([-1 if i == axis else 1 for i in range(a.ndim)]), a, b)


def rotate(images: np.ndarray, quarters: int) -> np.ndarray:
    """Rotate images by a number of right angles; always by two if they are not square."""
    if images.shape[1] != images.shape[2]:
        quarters = 2
    return np.rot90(images, quarters, axes=(1, 2))


def squeeze(images: np.ndarray, axis: int, share: float) -> np.ndarray:
    """Shrink images along an axis, towards the middle, to a share of their length; pad with 0."""
    length = images.shape[axis]
    middle = (length - 1) / 2
    source = np.rint((np.arange(length) - middle) / share + middle).astype(int)
    inside = (source >= 0) & (source < length)
    shrunk = np.take(images, np.clip(source, 0, length - 1), axis=axis)
    return shrunk * inside.reshape([-1 if i == axis else 1 for i in range(images.ndim)])
