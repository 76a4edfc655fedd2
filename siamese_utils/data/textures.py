"""Study B's scarce data: random textures, with a rectangle in them or without."""

import numpy as np

from siamese_utils.data.pairs import Pairs

SIDE = 32  # pixels
RECTANGLE_GREY = 25 / 255  # grey of the rectangle
GREY_WEIGHTS = (
    0.299,
    0.587,
    0.114,
)  # weights of red, green and blue in a grey value (ITU-R BT.601)
CLASS_NAMES = ("without", "with a rectangle")


def sample_textures(
    labels: np.ndarray, rng: np.random.Generator, contrast: float = 1.0
) -> np.ndarray:
    """Draw one image for each label: (images,) of 0 or 1 -> (images, 32, 32, 1) float32, 0..1.

    A texture is uniform noise in three colours, turned to grey. Images of label 1 hold a filled
    rectangle: its top left corner lies in the first quarter of each axis, its bottom right one in
    the second half. contrast: share of the rectangle's grey in it, 0..1; the rest is the texture,
    and 1 is the study's. Source: Study B, with the fill of 25 brought to the images' range.
    """
    labels = np.asarray(labels)
    colours = rng.random((len(labels), SIDE, SIDE, 3), dtype=np.float32)
    images = colours @ np.float32(GREY_WEIGHTS)
    start = rng.integers(0, SIDE // 4, size=(len(labels), 2))
    stop = rng.integers(SIDE // 2, SIDE, size=(len(labels), 2))
    place = np.arange(SIDE)
    rows, columns = (
        (place >= start[:, axis, np.newaxis]) & (place <= stop[:, axis, np.newaxis])
        for axis in (0, 1)
    )
    inside = rows[:, :, np.newaxis] & columns[:, np.newaxis, :] & (labels == 1)[:, None, None]
    images[inside] = (1 - contrast) * images[inside] + contrast * RECTANGLE_GREY
    return images[..., np.newaxis]


def sample_texture_pairs(
    num_pairs: int, rng: np.random.Generator, contrast: float = 1.0
) -> tuple[np.ndarray, np.ndarray, Pairs]:
    """Draw pairs of fresh images: images (2 num_pairs, 32, 32, 1), their labels, the pairs of them.

    No image stands in two pairs, so the pairs are independent of each other. Half of them, rounded
    up, are positive, and these are of either class in turn. The order is random. Raises ValueError
    for fewer than two pairs.
    """
    if num_pairs < 2:
        raise ValueError(f"two pairs at least, one of each kind, not {num_pairs}")
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
