import matplotlib
import numpy as np
import pytest

from siamese_utils.data import textures


def has_rectangle(image):
    """Whether there is a block of one grey that covers 9 x 9 pixels, the smallest rectangle.

    It is looked for where every rectangle lies: from row and column 7, the last start, to 16, the
    first end, which is exclusive.
    """
    return bool(np.isclose(image[7:16, 7:16], textures.RECTANGLE_GREY).all())


def orders_from(mask, start):
    """The paths that start at a pixel, out of those through many copies of a mask, at least one."""
    copies = np.repeat(np.float64([mask]), 200, axis=0)
    orders = textures.follow_paths(copies, np.random.default_rng(0))
    chosen = [order.tolist() for order in orders if order[start] == 0]
    assert chosen
    return chosen


def test_a_path_goes_on_to_the_neighbour_of_the_nearest_value():
    # The values grow along a snake, by more and more, so that from 0 it runs along to the end.
    snake = [[0, 1, 4], [25, 16, 9], [36, 49, 64]]
    for order in orders_from(snake, (0, 0)):
        assert order == [[0, 1, 2], [5, 4, 3], [6, 7, 8]]
    # From the middle, 16: to 9 (7 away), 4, 1, 0, then all that is left: 25, 36, 49, 64.
    for order in orders_from(snake, (1, 1)):
        assert order == [[4, 3, 2], [5, 0, 1], [6, 7, 8]]


def test_a_path_that_is_stuck_goes_on_at_the_nearest_pixel_left():
    # The corner of 100 is passed over; from 10.8 all neighbours are visited.
    for order in orders_from([[100, 1, 2.1], [6, 4.6, 3.3], [7.5, 9.1, 10.8]], (0, 1)):
        assert order == [[8, 0, 1], [4, 3, 2], [5, 6, 7]]


def is_nearest(mask, seen, pixel, following):
    """Whether a path may go on to a pixel: loops over all pixels, without arrays of neighbours.

    Returns:
        Whether it may, and whether the path was stuck.
    """
    side = len(mask)
    left = [(r, c) for r in range(side) for c in range(side) if (r, c) not in seen]
    apart = {p: (p[0] - pixel[0]) ** 2 + (p[1] - pixel[1]) ** 2 for p in left}
    gaps = {p: abs(mask[p] - mask[pixel]) for p in left if apart[p] <= 2}
    cost = gaps or apart
    return following in cost and cost[following] == min(cost.values()), not gaps


@pytest.mark.parametrize("side", [2, 3, 5, 8])
def test_paths_obey_their_rule_at_each_step(side):
    rng = np.random.default_rng(side)
    masks = rng.normal(size=(40, side, side))
    times_stuck = 0
    for mask, order in zip(masks, textures.follow_paths(masks, rng), strict=True):
        assert sorted(order.ravel()) == list(range(side * side))
        path = [divmod(int(pixel), side) for pixel in np.argsort(order, axis=None)]
        for step in range(1, len(path)):
            right, stuck = is_nearest(mask, set(path[:step]), path[step - 1], path[step])
            assert right, (mask, path[: step + 1])
            times_stuck += stuck
    assert (times_stuck > 0) == (side > 2)  # in 2 x 2 pixels all are neighbours


def test_paths_start_anywhere_and_do_not_depend_on_the_masks_beside_them():
    masks = np.random.default_rng(0).normal(size=(300, 3, 3))
    orders = textures.follow_paths(masks, np.random.default_rng(1))
    assert {tuple(np.argwhere(order == 0)[0]) for order in orders} == {
        (r, c) for r in range(3) for c in range(3)
    }
    start_of = [tuple(np.argwhere(order == 0)[0]) for order in orders[:20]]
    for mask, order, start in zip(masks, orders, start_of, strict=False):
        assert order.tolist() in orders_from(mask, start)


def test_rectangles_lie_where_the_article_puts_them(monkeypatch):
    monkeypatch.setattr(textures, "_sample_backgrounds", lambda count, _: np.zeros((count, 32, 32)))
    images = textures.sample_textures(np.ones(300, dtype=int), np.random.default_rng(0))[..., 0]
    corners = []
    for image in images:
        rows, columns = np.nonzero(image)
        corners.append((rows.min(), columns.min(), rows.max(), columns.max()))
        top, left, bottom, right = corners[-1]
        assert len(rows) == (bottom + 1 - top) * (right + 1 - left)  # it is filled
    corners = np.array(corners)
    # A start is 0 to 7 and an end is 16 to 31, exclusive: the last pixel is 15 to 30.
    assert corners[:, :2].min(axis=0).tolist() == [0, 0]
    assert corners[:, :2].max(axis=0).tolist() == [7, 7]
    assert corners[:, 2:].min(axis=0).tolist() == [15, 15]
    assert corners[:, 2:].max(axis=0).tolist() == [30, 30]


def test_a_rectangle_has_the_grey_that_25_becomes_in_a_byte():
    byte = np.array([25 * 255]).astype(np.uint8)[0]  # 6375 - 24 * 256 = 231
    assert byte == 231
    images = textures.sample_textures(np.ones(20, dtype=int), np.random.default_rng(0))
    assert np.round(255 * images[:, 7:16, 7:16]).astype(int).tolist() == [[[[231]] * 9] * 9] * 20
    assert textures.RECTANGLE_GREY > 0.9  # bright


def test_a_label_changes_nothing_but_the_rectangle():
    bare, marked = (
        textures.sample_textures(np.full(30, label), np.random.default_rng(0)) for label in (0, 1)
    )
    changed = bare != marked
    assert changed.any(axis=(1, 2, 3)).all()
    assert np.allclose(marked[changed], 231 / 255)
    assert not changed[:, 31].any()
    assert not changed[:, :, 31].any()  # the last row and column lie beyond every end
    mixed = textures.sample_textures(np.arange(30) % 2, np.random.default_rng(0))
    assert np.array_equal(mixed[::2], bare[::2])
    assert np.array_equal(mixed[1::2], marked[1::2])


def test_textures_are_grey_from_0_to_1_in_steps_of_a_byte():
    images = textures.sample_textures(np.zeros(200, dtype=int), np.random.default_rng(0))
    assert images.shape == (200, 32, 32, 1)
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert np.allclose(255 * images, np.round(255 * images), atol=1e-4)
    assert len(np.unique(images.reshape(200, -1), axis=0)) == 200
    assert not any(map(has_rectangle, images))


def test_a_texture_takes_each_colour_of_its_map_equally_often(monkeypatch):
    # The map gray has 256 levels, which 1024 pixels visit four times each.
    monkeypatch.setattr(textures, "COLOUR_MAPS", ("gray",))
    images = textures.sample_textures(np.zeros(5, dtype=int), np.random.default_rng(0))
    for image in images:
        levels, counts = np.unique(np.round(255 * image), return_counts=True)
        assert levels.tolist() == list(range(256))
        assert (counts == 4).all()


def test_most_pixels_of_a_texture_have_a_neighbour_of_nearly_the_same_grey(monkeypatch):
    # A step of the path to a neighbour changes the map gray by one of its 256 levels at most.
    monkeypatch.setattr(textures, "COLOUR_MAPS", ("gray",))
    images = textures.sample_textures(np.zeros(5, dtype=int), np.random.default_rng(0))[..., 0]

    def share_near(image):
        near = 0
        for r in range(1, 31):
            for c in range(1, 31):
                around = np.delete(image[r - 1 : r + 2, c - 1 : c + 2].ravel(), 4)
                near += np.abs(around - image[r, c]).min() < 1.5 / 255
        return near / 30**2

    shuffled = np.random.default_rng(0).permuted(images.reshape(5, -1), axis=1).reshape(5, 32, 32)
    assert min(map(share_near, images)) > 0.95
    assert max(map(share_near, shuffled)) < 0.2


def test_masks_are_as_smooth_as_noise_after_a_gaussian_filter(monkeypatch):
    masks = []

    def follow(of_textures, _):
        masks.append(of_textures)
        return np.zeros(of_textures.shape, dtype=int)

    monkeypatch.setattr(textures, "follow_paths", follow)
    textures.sample_textures(np.zeros(4000, dtype=int), np.random.default_rng(0))
    middle = masks[0][:, 16, 16]
    # noise that a Gaussian of standard deviation s smoothes correlates by exp(-d^2 / (4 s^2))
    for apart in (1, 4, 8):
        for other in (masks[0][:, 16, 16 - apart], masks[0][:, 16 - apart, 16]):
            expected = np.exp(-(apart**2) / (4 * 4.0**2))
            assert np.corrcoef(middle, other)[0, 1] == pytest.approx(expected, abs=0.04)
    assert np.corrcoef(middle[1:], middle[:-1])[0, 1] == pytest.approx(0, abs=0.06)


def test_colours_become_grey_by_the_weights_of_red_green_and_blue(monkeypatch):
    # The map winter goes from (0, 0, 1) to (0, 1, 0.5): grey from 0.114 to 0.587 + 0.114 / 2.
    monkeypatch.setattr(textures, "COLOUR_MAPS", ("winter",))
    images = textures.sample_textures(np.zeros(3, dtype=int), np.random.default_rng(0))
    assert np.round(255 * images.min(axis=(1, 2, 3))).tolist() == [29] * 3
    assert np.round(255 * images.max(axis=(1, 2, 3))).tolist() == [164] * 3


def test_every_colour_map_is_one_of_matplotlib_and_occurs_once():
    assert set(textures.COLOUR_MAPS) <= set(matplotlib.colormaps)
    assert len(set(textures.COLOUR_MAPS)) == len(textures.COLOUR_MAPS)


@pytest.mark.parametrize("num_pairs", [2, 5, 50])
def test_pairs_share_no_image_and_are_of_every_kind(num_pairs):
    images, labels, pairs = textures.sample_texture_pairs(
        num_pairs, np.random.default_rng(num_pairs)
    )
    assert len(images) == 2 * num_pairs
    assert sorted([*pairs.first, *pairs.second]) == list(range(2 * num_pairs))
    has_one = [has_rectangle(image) for image in images]
    assert has_one == (labels == 1).tolist()
    kinds = [(has_one[a], has_one[b]) for a, b in zip(pairs.first, pairs.second, strict=True)]
    assert [a != b for a, b in kinds] == pairs.different.astype(bool).tolist()
    assert pairs.different.sum() == num_pairs // 2
    positives = [a for a, b in kinds if a == b]
    assert abs(sum(positives) - len(positives) / 2) <= 0.5


def test_the_same_seed_draws_the_same_and_one_pair_is_refused():
    draw = [textures.sample_texture_pairs(9, np.random.default_rng(1))[0] for _ in range(2)]
    assert np.array_equal(*draw)
    with pytest.raises(ValueError, match="two pairs"):
        textures.sample_texture_pairs(1, np.random.default_rng(0))
