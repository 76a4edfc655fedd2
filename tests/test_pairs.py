import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamese_utils.data import pairs

# the number of images of each class
class_sizes = st.lists(st.integers(2, 30), min_size=2, max_size=6)
seeds = st.integers(0, 2**32 - 1)


def labelled(sizes, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    order = np.random.default_rng(seed).permutation(len(labels))
    return order, labels


def pairs_by_plain_loop(indices, labels, rng):
    """The rule of the study, written as it reads."""
    lists = {c: [i for i in indices if labels[i] == c] for c in sorted(set(labels[indices]))}
    classes = list(lists)
    n = min(len(members) for members in lists.values())
    jumps = iter(rng.integers(1, len(classes), size=(len(classes) * (n - 1),)))
    positive, negative = [], []
    for number, c in enumerate(classes):
        for i in range(n - 1):
            positive.append((lists[c][i], lists[c][i + 1]))
            other = classes[(number + next(jumps)) % len(classes)]
            negative.append((lists[c][i], lists[other][i]))
    return positive + negative


@given(class_sizes, seeds)
def test_pairs_are_those_of_a_plain_loop(sizes, seed):
    indices, labels = labelled(sizes, seed)
    drawn = pairs.sample_pairs(indices, labels, np.random.default_rng(seed))
    expected = pairs_by_plain_loop(indices, labels, np.random.default_rng(seed))
    assert list(zip(drawn.first, drawn.second, strict=True)) == expected


@given(class_sizes, seeds)
def test_half_of_the_pairs_are_different_and_labelled_so(sizes, seed):
    indices, labels = labelled(sizes, seed)
    drawn = pairs.sample_pairs(indices, labels, np.random.default_rng(seed))
    assert len(drawn) == 2 * len(sizes) * (min(sizes) - 1)
    assert drawn.different.mean() == 0.5
    assert ((labels[drawn.first] != labels[drawn.second]) == drawn.different).all()
    assert (drawn.first != drawn.second).all()


def test_the_negative_partner_is_any_other_class():
    indices, labels = labelled([400] * 4, seed=0)
    drawn = pairs.sample_pairs(indices, labels, np.random.default_rng(0))
    negative = drawn.different == 1
    seen, counts = np.unique(
        np.stack([labels[drawn.first[negative]], labels[drawn.second[negative]]]),
        axis=1,
        return_counts=True,
    )
    assert seen.shape[1] == 12  # each ordered pair of two of four classes
    assert counts.min() > 0.7 * counts.max()


@pytest.mark.parametrize(
    ("sizes", "message"), [([5], "two classes"), ([5, 1], "two images"), ([], "two classes")]
)
def test_too_little_to_pair_is_refused(sizes, message):
    indices, labels = labelled(sizes, seed=0)
    with pytest.raises(ValueError, match=message):
        pairs.sample_pairs(indices, labels, np.random.default_rng(0))


@given(class_sizes, seeds, st.integers(12, 200))
def test_a_block_holds_the_pairs_of_the_study(sizes, seed, batch_size):
    indices, labels = labelled(sizes, seed)
    blocks = pairs.sample_pair_batches(indices, labels, batch_size, np.random.default_rng(seed))
    num_pairs = blocks.pairs.shape[1]
    assert num_pairs <= batch_size
    rows = np.arange(len(blocks))[:, np.newaxis]
    first = blocks.images[rows, blocks.pairs[..., 0]]
    second = blocks.images[rows, blocks.pairs[..., 1]]
    assert (first != second).all()
    different = labels[first] != labels[second]
    assert (different == np.tile(blocks.different, (len(blocks), 1))).all()
    # few pairs are left out, and each class has as many as the others
    length = num_pairs // (2 * len(sizes))
    assert 0 <= (max(sizes) - 1) - len(blocks) * length < length
    anchors = np.bincount(labels[first[~different]], minlength=len(sizes))
    assert set(anchors.tolist()) == {len(blocks) * length}
    if len(set(sizes)) == 1:  # no pair of a class comes twice in an epoch
        same = {tuple(pair) for pair in np.stack([first, second], -1)[~different]}
        assert len(same) == (~different).sum()


def test_a_small_class_comes_repeatedly_beside_a_large_one():
    labels = np.repeat([0, 1, 2], [4, 61, 56])
    blocks = pairs.sample_pair_batches(np.arange(121), labels, 12, np.random.default_rng(0))
    rows = np.arange(len(blocks))[:, np.newaxis]
    anchors = blocks.images[rows, blocks.pairs[..., 0]][:, blocks.different == 0]
    counts = np.bincount(anchors.ravel(), minlength=121)
    # 60 positions: those of the class of four images come 15 times each, give or take an end
    assert counts[:4].tolist() == [15] * 4
    assert sorted(set(counts[4:65])) == [0, 1]
    assert counts[4:65].sum() == counts[65:].sum() == 60
    assert counts[65:].max() == 2


def test_blocks_follow_each_other_in_the_class_lists():
    labels = np.repeat([0, 1], 21)
    blocks = pairs.sample_pair_batches(
        np.arange(42), labels, batch_size=20, rng=np.random.default_rng(0)
    )
    assert blocks.images.shape == (4, 12)  # 20 pairs: five positions of two classes
    assert (blocks.images[:-1, 5] == blocks.images[1:, 0]).all()
    assert blocks.pairs[0, :5].tolist() == [[0, 1], [1, 2], [2, 3], [3, 4], [4, 5]]


def test_a_batch_too_small_is_refused():
    with pytest.raises(ValueError, match="batch of 3"):
        pairs.sample_pair_batches(np.arange(8), np.repeat([0, 1], 4), 3, np.random.default_rng(0))


def test_shuffling_keeps_the_steps():
    labels = np.repeat([0, 1], 50)
    blocks = pairs.sample_pair_batches(
        np.arange(100), labels, batch_size=8, rng=np.random.default_rng(0)
    )
    shuffled = pairs.shuffle_batches(blocks, np.random.default_rng(1))
    assert sorted(map(tuple, shuffled.images)) == sorted(map(tuple, blocks.images))
    assert not np.array_equal(shuffled.images, blocks.images)
    joined = pairs.concatenate_batches([blocks, shuffled])
    assert len(joined) == 2 * len(blocks)
    assert np.array_equal(joined.pairs[: len(blocks)], blocks.pairs)
    assert np.array_equal(joined.different, blocks.different)
    assert np.array_equal(shuffled.different, blocks.different)
    alone = pairs.concatenate_batches([blocks])
    assert np.array_equal(alone.images, blocks.images)
    assert np.array_equal(alone.different, blocks.different)


def test_distances_by_hand():
    embeddings = np.float32([[0, 0], [3, 4], [3, 4], [0, 1]])
    drawn = pairs.Pairs(np.array([0, 1, 3]), np.array([1, 2, 0]), np.float32([1, 0, 1]))
    # sqrt(9 + 16) = 5; equal rows: sqrt(1e-7), as in the networks; sqrt(0 + 1) = 1
    assert pairs.distances(embeddings, drawn) == pytest.approx([5, np.sqrt(1e-7), 1])
