"""Classes that do not exist, made of images of those that do: new outlines to tell apart."""

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
    """Draw the images of training steps: so many of each class, and of new ones each time.

    images: (images, h, w, c) uint8; labels: (images,); size: images of each class in a step;
    made_up: number of made-up classes in a step; turned: of classes that are a real one, turned.
    Returns (steps, batch, h, w, c) uint8 and labels (steps, batch), which hold within a step:
    0, 1, ... for the classes, then the new ones.
    """
    members = {int(c): images[labels == c] for c in np.unique(labels)}
    drawn = [
        np.concatenate([
            *(of[rng.integers(len(of), size=size)] for of in members.values()),
            *(sample_class(members, rng, size) for _ in range(num_synthetic)),
        ])
        for _ in range(steps)
    ]  # fmt: skip
    number = len(members) + num_synthetic
    return np.stack(drawn), np.tile(np.repeat(np.arange(number), size), (steps, 1))


def sample_class(
    members: Mapping[int, np.ndarray], rng: np.random.Generator, size: int
) -> np.ndarray:
    """Draw images of one class that does not exist: (size, h, w, c) uint8.

    members: the images of each class, (images, h, w, c) uint8. Images of two classes are joined in
    one of JOINS; half of the classes are then turned, and half made narrower or lower. All that is
    drawn at random is the same for all images of the class.
    """
    one, other = rng.choice(sorted(members), size=2, replace=False)
    a, b = (members[c][rng.integers(len(members[c]), size=size)] for c in (one, other))
    made = join(a, b, JOINS[rng.integers(len(JOINS))], rng.uniform(0.3, 0.7))
    if rng.random() < 0.5:
        made = rotate(made, int(rng.integers(1, 4)))
    if rng.random() < 0.5:
        made = squeeze(made, int(rng.integers(1, 3)), rng.uniform(0.6, 1))
    return made


def join(a: np.ndarray, b: np.ndarray, how: str, cut: float) -> np.ndarray:
    """Join images pixel by pixel, (images, h, w, c) each; cut: share of the image before it, 0..1."""
    if how == "union":
        return np.maximum(a, b)
    if how == "one without the other":
        return np.where(b > 0, 0, a).astype(a.dtype)
    axis = 1 if how == "top and bottom" else 2
    place = np.arange(a.shape[axis]) < round(cut * a.shape[axis])
    return np.where(place.reshape([-1 if i == axis else 1 for i in range(a.ndim)]), a, b)


def rotate(images: np.ndarray, quarters: int) -> np.ndarray:
    """Turn images by so many right angles; by two where their sides differ."""
    if images.shape[1] != images.shape[2]:
        quarters = 2
    return np.rot90(images, quarters, axes=(1, 2))


def squeeze(images: np.ndarray, axis: int, share: float) -> np.ndarray:
    """Shrink images along an axis towards its middle, to a share of their length; the rest is 0."""
    length = images.shape[axis]
    middle = (length - 1) / 2
    source = np.rint((np.arange(length) - middle) / share + middle).astype(int)
    inside = (source >= 0) & (source < length)
    found = np.take(images, np.clip(source, 0, length - 1), axis=axis)
    return found * inside.reshape([-1 if i == axis else 1 for i in range(images.ndim)])
