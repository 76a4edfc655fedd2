"""Random textures with or without a bright rectangle: the scarce images of the article.

A texture is a path through all pixels of a smooth random mask, coloured along a colour map. The
article's package randimage (MIT licence) makes such textures with three kinds of masks and two of
paths, of which this module has one each.
"""

import matplotlib
import numpy as np
from scipy import ndimage

from siamese_utils.data.pairs import Pairs

SIDE = 32  # pixels
SMOOTHNESS = 4.0  # standard deviation, in pixels, of the filter that makes a mask smooth
# The article writes 25 into an image of 0..1, which is then multiplied by 255 and cut to a byte:
# 6375 modulo 256 is 231, so that the rectangle is bright.
RECTANGLE_GREY = 231 / 255
GREY_WEIGHTS = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)
CLASS_NAMES = ("without", "with a rectangle")
# Some of Matplotlib's colour maps; randimage takes any of them.
COLOUR_MAPS = (
    *("viridis", "plasma", "inferno", "magma", "cividis", "Greys", "Purples", "Blues", "Greens"),
    *("Oranges", "Reds", "YlOrBr", "PuRd", "GnBu", "bone", "pink", "spring", "summer", "autumn"),
    *("winter", "cool", "hot", "copper", "PiYG", "BrBG", "RdGy", "RdBu", "Spectral", "coolwarm"),
    *("twilight", "hsv", "Pastel1", "Paired", "Set1", "tab20", "ocean", "terrain", "rainbow"),
)


def sample_textures(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sample one texture for each label.

    With label 1 a texture has a filled rectangle, whose top left corner lies in the first quarter
    of each axis and whose bottom right corner lies in the second half.

    Args:
        labels: (images,), 0 or 1.
        rng: Random generator.

    Returns:
        (images, 32, 32, 1) float32 of 0..1, in steps of 1/255.
    """
    labels = np.asarray(labels)
    images = _sample_backgrounds(len(labels), rng)
    start = rng.integers(0, SIDE // 4, size=(len(labels), 2))
    stop = rng.integers(SIDE // 2, SIDE, size=(len(labels), 2))
    position = np.arange(SIDE)
    rows, columns = (
        (position >= start[:, axis, np.newaxis]) & (position < stop[:, axis, np.newaxis])
        for axis in (0, 1)
    )
    inside = rows[:, :, np.newaxis] & columns[:, np.newaxis, :] & (labels == 1)[:, None, None]
    images[inside] = RECTANGLE_GREY
    return np.float32(np.round(images * 255) / 255)[..., np.newaxis]


def _sample_backgrounds(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return grey textures (count, 32, 32), 0..1."""
    noise = rng.normal(size=(count, SIDE, SIDE))
    masks = ndimage.gaussian_filter(noise, (0, SMOOTHNESS, SMOOTHNESS))
    position = follow_paths(masks, rng) / SIDE**2  # along the path, 0..1
    maps = rng.integers(len(COLOUR_MAPS), size=count)
    grey = np.empty_like(position)
    for i, name in enumerate(COLOUR_MAPS):
        colours = matplotlib.colormaps[name](position[maps == i])[..., :3]
        grey[maps == i] = colours @ np.array(GREY_WEIGHTS)
    return grey


def follow_paths(masks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return when a path through all pixels visits each pixel of a mask.

    The path starts at a random pixel. It goes on to the neighbour, out of eight, that is not visited
    yet and whose mask value is nearest; if there is none, to the nearest pixel not visited yet.

    Args:
        masks: (masks, side, side).
        rng: Random generator.

    Returns:
        (masks, side, side) int, 0 for the first pixel of the path.
    """
    count, side, _ = masks.shape
    width = side + 2  # with a border, which counts as visited
    padded = np.pad(masks, ((0, 0), (1, 1), (1, 1))).reshape(count, -1)
    visited = np.ones((count, width, width), dtype=bool)
    visited[:, 1:-1, 1:-1] = False
    visited = visited.reshape(count, -1)
    order = np.zeros((count, width * width), dtype=int)
    row, column = np.divmod(np.arange(width * width), width)
    offsets = np.array([a * width + b for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b])
    i = np.arange(count)
    start = rng.integers(1, side + 1, size=(2, count))
    current = start[0] * width + start[1]
    visited[i, current] = True
    for step in range(1, side * side):
        neighbours = current[:, np.newaxis] + offsets  # (masks, 8)
        gap = np.abs(padded[i[:, np.newaxis], neighbours] - padded[i, current][:, np.newaxis])
        gap[visited[i[:, np.newaxis], neighbours]] = np.inf
        best = gap.argmin(axis=1)
        following = neighbours[i, best]
        stuck = np.flatnonzero(np.isinf(gap[i, best]))
        if stuck.size:
            at = current[stuck, np.newaxis]
            distance = (row - row[at]) ** 2.0 + (column - column[at]) ** 2
            distance[visited[stuck]] = np.inf
            following[stuck] = distance.argmin(axis=1)
        current = following
        visited[i, current] = True
        order[i, current] = step
    return order.reshape(count, width, width)[:, 1:-1, 1:-1]


def sample_texture_pairs(
    num_pairs: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, Pairs]:
    """Sample independent pairs of textures, in random order.

    No image occurs in two pairs. Half of the pairs, rounded up, are positive; their two classes
    are equally frequent, up to one pair.

    Args:
        num_pairs: Number of pairs, at least 2.
        rng: Random generator.

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
        sample_textures(labels, rng),
        labels,
        Pairs(position, position + 1, different.astype(np.float32)),
    )
