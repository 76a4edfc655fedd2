"""Random textures with or without a rectangle: the images of the second study's transfer."""

import numpy as np

from siamese_utils.data.pairs import Pairs

SIDE = 32  # pixels
RECTANGLE_GREY = 25 / 255
GREY_WEIGHTS = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)
CLASS_NAMES = ("without", "with a rectangle")


def sample_textures(
    labels: np.ndarray, rng: np.random.Generator, contrast: float = 1.0
) -> np.ndarray:
    """Sample one texture for each label.

    A texture is uniform noise in three colours, converted to grey. With label 1 it has a filled
    rectangle, from a corner in the first quarter of each axis to one in the second half.

    Args:
        labels: (images,), 0 or 1.
        rng: Random generator.
        contrast: Opacity of the rectangle, 0..1; the study's is 1.

    Returns:
        (images, 32, 32, 1) float32 of 0..1. Source: the second study, whose fill of 25 is scaled to 0..1.
    """
    labels = np.asarray(labels)
    colours = rng.random((len(labels), SIDE, SIDE, 3), dtype=np.float32)
    images = colours @ np.float32(GREY_WEIGHTS)
    start = rng.integers(0, SIDE // 4, size=(len(labels), 2))
    stop = rng.integers(SIDE // 2, SIDE, size=(len(labels), 2))
    position = np.arange(SIDE)
    rows, columns = (
        (position >= start[:, axis, np.newaxis]) & (position <= stop[:, axis, np.newaxis])
        for axis in (0, 1)
    )
    inside = rows[:, :, np.newaxis] & columns[:, np.newaxis, :] & (labels == 1)[:, None, None]
    images[inside] = (1 - contrast) * images[inside] + contrast * RECTANGLE_GREY
    return images[..., np.newaxis]


def sample_texture_pairs(
    num_pairs: int, rng: np.random.Generator, contrast: float = 1.0
) -> tuple[np.ndarray, np.ndarray, Pairs]:
    """Sample independent pairs of textures, in random order.

    No image occurs in two pairs. Half of the pairs, rounded up, are positive; their two classes
    are equally frequent, up to one pair.

    Args:
        num_pairs: Number of pairs, at least 2.
        rng: Random generator.
        contrast: As in `sample_textures`.

    Returns:
        Images (2 num_pairs, 32, 32, 1), their labels, and the pairs.

    Raises:
        ValueError: There are fewer than two pairs.
    """
    if num_pairs < 2:
        raise ValueError(f"num_pairs must be two pairs or more, one of each label, not {num_pairs}")
    different = rng.permutation(np.arange(num_pairs) >= -(-num_pairs // 2))
    first = rng.permutation(num_pairs) % 2
    first[~different] = rng.permutation(np.count_nonzero(~different)) % 2
    second = np.where(different, 1 - first, first)
    labels = np.stack([first, second], axis=1).ravel()
    position = np.arange(num_pairs) * 2
    return (
        sample_textures(labels, rng, contrast),
        labels,
        Pairs(position, position + 1, different.astype(np.float32)),
    )
