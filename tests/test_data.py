import gzip
import http.server
import struct
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamese_utils import data, settings


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A machine with no copy of the files and no network: the four places are empty folders."""
    monkeypatch.setattr(settings, "ROOT", tmp_path / "checkout")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(settings.DATA_VARIABLE, str(tmp_path / "own"))
    monkeypatch.setattr(data, "SOURCES", ("http://127.0.0.1:9/",))  # nothing listens there
    data._load.cache_clear()
    yield tmp_path
    data._load.cache_clear()


def idx(array, kind=8):
    header = struct.pack(">BBBB", 0, 0, kind, array.ndim)
    return header + struct.pack(f">{array.ndim}i", *array.shape) + array.tobytes()


def test_idx_is_read(tmp_path):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = tmp_path / "sample.gz"
    path.write_bytes(gzip.compress(idx(array)))
    assert np.array_equal(data.read_idx(path), array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no gzip at all", "not a whole gzip"),
        (gzip.compress(idx(np.zeros(9, np.uint8)))[:-12], "not a whole gzip"),
        (gzip.compress(b""), "no IDX header"),
        (gzip.compress(b"\0\0\x08"), "no IDX header"),
        (gzip.compress(idx(np.zeros(4, np.uint8), kind=13)), "no IDX header"),
        (gzip.compress(idx(np.zeros(9, np.uint8))[:-1]), "announces"),
        (gzip.compress(idx(np.zeros(9, np.uint8)) + b"x"), "announces"),
    ],
)
def test_a_broken_idx_file_is_refused(tmp_path, content, message):
    path = tmp_path / "broken.gz"
    path.write_bytes(content)
    with pytest.raises(data.DataError, match=message):
        data.read_idx(path)


def test_without_files_and_network_the_error_says_where_and_what_to_do(nowhere):
    with pytest.raises(data.DataError) as caught:
        data.load("fashion-mnist")
    for place in ("own", "shared", "keras", "cache"):
        assert str(nowhere / place) in str(caught.value)
    assert settings.DATA_VARIABLE in str(caught.value)


def test_auto_goes_on_with_digits_and_says_so_in_one_line(nowhere, capsys):
    dataset = data.load("auto")
    assert dataset.name == "digits"
    assert dataset.banner
    assert not dataset.has_study_figures
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "digits" in said


def test_a_damaged_file_of_ones_own_is_named_and_left_alone(nowhere):
    name = "t10k-labels-idx1-ubyte.gz"
    path = nowhere / "own" / "fashion-mnist" / name
    path.parent.mkdir(parents=True)
    for content, fault in [(b"short", "5 bytes"), (b"x" * data.FILES[name][0], "SHA-256")]:
        path.write_bytes(content)
        with pytest.raises(data.DataError, match=fault) as caught:
            data.find_own_file(name)
        assert str(path) in str(caught.value)
        assert path.read_bytes() == content


def test_a_damaged_downloaded_file_is_fetched_again(nowhere, monkeypatch):
    content = b"the true content"
    digest = data.hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(data, "FILES", {"sample.gz": (len(content), digest)})
    served = nowhere / "served"
    served.mkdir()
    (served / "sample.gz").write_bytes(content)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(served))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        good = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setattr(data, "SOURCES", ("http://127.0.0.1:9/", good))
        path = data._download("sample.gz")
        assert path.read_bytes() == content
        path.write_bytes(b"half of")
        assert data._download("sample.gz").read_bytes() == content
        # a server that hands out something else is not believed
        (served / "sample.gz").write_bytes(b"something else")
        path.unlink()
        with pytest.raises(data.DataError):
            data._download("sample.gz")
        assert not path.exists()
        server.shutdown()


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="unknown data set 'mnist'"):
        data.load("mnist")


def test_the_real_files(fashion_mnist):
    assert fashion_mnist.images.shape == (70000, 28, 28, 1)
    assert np.bincount(fashion_mnist.labels).tolist() == [7000] * 10
    split = data.split(fashion_mnist, seed=0)
    sizes = {name: len(indices) for name, indices in split.sets().items()}
    # Table 1 of the study, with 4,200 of its 33,600 training images set apart
    assert sizes == {
        "train": 29400,
        "validation": 4200,
        "seen": 8400,
        "all": 36400,
        "unseen": 28000,
    }
    # the duplicates of August 2017 (zalandoresearch/fashion-mnist, issue 44) are gone from these
    assert len({image.tobytes() for image in fashion_mnist.images}) == 70000
    assert len(np.unique(fashion_mnist.image_ids)) == 70000


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


def make_dataset(labels, contents):
    images = np.array(contents, dtype=np.uint8).reshape(-1, 1, 1, 1)
    names = tuple("abcd")
    return data.Dataset("made", images, np.array(labels), names, seen=(0, 1), unseen=(2, 3))


# few different contents: nearly every image has copies, in its own class and in others
tiny = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 255)), min_size=4, max_size=120)


@given(tiny, st.integers(0, 2**32 - 1))
def test_no_image_stands_on_two_sides(rows, seed):
    dataset = make_dataset(*zip(*rows, strict=True))
    split = data.split(dataset, seed)
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
    split = data.split(dataset, seed)
    assert len(split.seen) == 2 * round(0.2 * size)
    assert len(split.validation) == 2 * round(0.1 * size)


def test_the_split_follows_the_seed(digits):
    first, again, other = (data.split(digits, seed) for seed in (0, 0, 1))
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
    assert set(data.split(other, 0).train) <= set(np.flatnonzero(np.isin(other.labels, other.seen)))


@pytest.mark.parametrize("seen", [(1,), (1, 1), (0, 1, 2, 3, 4, 5, 6, 7, 8), (1, 77)])
def test_seen_classes_that_leave_no_pairs_are_refused(digits, seen):
    with pytest.raises(ValueError, match="seen must be"):
        digits.with_seen(seen)


def test_a_split_is_named_by_its_images(digits):
    assert (
        data.split(digits, 0).digest == data.split(digits, 0).digest != data.split(digits, 1).digest
    )
