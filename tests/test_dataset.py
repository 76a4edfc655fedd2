import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamese_utils.data import dataset as data
from siamese_utils.data import datasets


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="unknown data set 'mnist'"):
        datasets.load("mnist")


def test_digits_are_of_the_same_form(digits):
    assert digits.images.shape == (1797, 28, 28, 1)
    assert digits.images.dtype == np.uint8
    assert digits.images.max() == 255
    assert digits.images.min() == 0


def test_a_sample_takes_so_many_of_each_class(digits):
    sample = digits.sample(20)
    assert np.bincount(sample.labels).tolist() == [20] * 10
    assert sample.digest != digits.digest
    assert not sample.has_study_figures
    assert sample.banner
    assert digits.sample(None) is digits
    assert digits.sample(1000) is digits  # it has no more


def test_a_data_set_is_loaded_with_its_sample_and_its_classes():
    found = datasets.load("digits", images_per_class=20, seen=(9, 1, 2))
    assert np.bincount(found.labels).tolist() == [20] * 10
    assert found.seen == (1, 2, 9)
    assert found is datasets.load("digits", images_per_class=20, seen=(9, 1, 2))
    assert datasets.resolve_name("digits") == "digits"


def make_dataset(labels, contents):
    images = np.array(contents, dtype=np.uint8).reshape(-1, 1, 1, 1)
    names = tuple("abcd")
    return data.Dataset("made", images, np.array(labels), names, seen=(0, 1), unseen=(2, 3))


# few different contents: nearly every image has copies, in its own class and in others
tiny = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 255)), min_size=4, max_size=120)


@given(tiny, st.integers(0, 2**32 - 1))
@pytest.mark.fault(
    "copies of images, within and across classes", "none stands on two sides of a split"
)
def test_no_image_stands_on_two_sides(rows, seed):
    dataset = make_dataset(*zip(*rows, strict=True))
    split = dataset.split(seed)
    parts = (split.train, split.validation, split.seen, split.unseen)
    assert sorted(np.concatenate(parts)) == list(range(len(rows)))
    assert set(dataset.labels[split.unseen]) <= {2, 3}
    assert set(dataset.labels[np.concatenate(parts[:3])]) <= {0, 1}
    contents = [{int(dataset.images[i].item()) for i in part} for part in parts]
    train, validation, seen, unseen = contents
    assert not train & validation
    assert not (train | validation) & (seen | unseen)


@given(st.integers(0, 2**32 - 1), st.integers(10, 100))
def test_shares_are_exact_where_no_image_has_a_copy(seed, size):
    dataset = make_dataset(np.repeat([0, 1], size), np.arange(2 * size))
    split = dataset.split(seed)
    assert len(split.seen) == 2 * round(0.2 * size)
    assert len(split.validation) == 2 * round(0.1 * size)


def test_the_split_follows_the_seed(digits):
    first, again, other = (digits.split(seed) for seed in (0, 0, 1))
    assert np.array_equal(first.train, again.train)
    assert not np.array_equal(first.train, other.train)


def test_shared_images_are_counted():
    dataset = make_dataset([0, 0, 1, 1], [7, 8, 7, 7])
    assert data.count_shared_images(dataset, np.array([0, 1]), np.array([2, 3])) == 1
    assert data.count_shared_images(dataset, np.array([1]), np.array([2, 3])) == 0


def test_other_classes_can_be_seen(digits):
    other = digits.with_seen((9, 1, 2, 3, 4, 5))
    assert other.seen == (1, 2, 3, 4, 5, 9)
    assert other.unseen == (0, 6, 7, 8)
    assert other.digest != digits.digest
    assert digits.with_seen(None) is digits.with_seen(digits.seen[::-1]) is digits
    assert set(other.split(0).train) <= set(np.flatnonzero(np.isin(other.labels, other.seen)))


@pytest.mark.parametrize("seen", [(1,), (1, 1), (0, 1, 2, 3, 4, 5, 6, 7, 8), (1, 77)])
def test_seen_classes_that_leave_no_pairs_are_refused(digits, seen):
    with pytest.raises(ValueError, match="seen must be"):
        digits.with_seen(seen)


def test_a_split_is_named_by_its_images(digits):
    assert digits.split(0).digest == digits.split(0).digest != digits.split(1).digest


def test_classes_have_names(digits):
    assert digits.names_of((9, 1)) == ["9", "1"]
