import gzip
import hashlib
import http.server
import struct
import threading

import numpy as np
import pytest

from siamese_utils import settings
from siamese_utils.data import datasets
from siamese_utils.data import fashion_mnist as files


@pytest.fixture
def nowhere(fresh, tmp_path, monkeypatch):
    """A machine with no copy of the files and no network: the four places are empty folders."""
    monkeypatch.setattr(settings, "ROOT", tmp_path / "checkout")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "own").mkdir()
    monkeypatch.setenv(settings.DATA_VARIABLE, str(tmp_path / "own"))
    monkeypatch.setattr(files, "SOURCES", ("http://127.0.0.1:9/",))  # nothing listens there
    return tmp_path


def idx(array, kind=8):
    header = struct.pack(">BBBB", 0, 0, kind, array.ndim)
    return header + struct.pack(f">{array.ndim}i", *array.shape) + array.tobytes()


def test_idx_is_read(tmp_path):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = tmp_path / "sample.gz"
    path.write_bytes(gzip.compress(idx(array)))
    assert np.array_equal(files.read_idx(path), array)


BROKEN = {
    "no gzip": (b"no gzip at all", "not a complete gzip"),
    "cut": (gzip.compress(idx(np.zeros(9, np.uint8)))[:-12], "not a complete gzip"),
    "empty": (gzip.compress(b""), "no IDX header"),
    "half a header": (gzip.compress(b"\0\0\x08"), "no IDX header"),
    "another type": (gzip.compress(idx(np.zeros(4, np.uint8), kind=13)), "no IDX header"),
    "one byte short": (gzip.compress(idx(np.zeros(9, np.uint8))[:-1]), "declares"),
    "one byte long": (gzip.compress(idx(np.zeros(9, np.uint8)) + b"x"), "declares"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN)
@pytest.mark.fault("a data file is cut, of another kind or another shape", "one line names it")
def test_a_broken_idx_file_is_refused(tmp_path, content, message):
    path = tmp_path / "broken.gz"
    path.write_bytes(content)
    with pytest.raises(files.DataError, match=message):
        files.read_idx(path)


@pytest.mark.fault("no data and no network", "one line says where to put the files")
def test_without_files_and_network_the_error_says_where_and_what_to_do(nowhere):
    with pytest.raises(files.DataError) as caught:
        datasets.load("fashion-mnist")
    for place in ("own", "shared", "keras", "cache"):
        assert str(nowhere / place) in str(caught.value)
    assert settings.DATA_VARIABLE in str(caught.value)


@pytest.mark.fault(
    "no data and no network, with `--dataset auto`", "the digits are taken, one line says so"
)
def test_auto_goes_on_with_digits_and_says_so_in_one_line(nowhere, capsys):
    dataset = datasets.load("auto")
    assert dataset.name == "digits"
    assert dataset.banner
    assert not dataset.has_study_figures
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "digits" in said


@pytest.mark.fault(
    "a bit of one's own data file is flipped", "one line names it; the file is left alone"
)
def test_a_damaged_file_of_ones_own_is_named_and_left_alone(nowhere):
    name = "t10k-labels-idx1-ubyte.gz"
    path = nowhere / "own" / "fashion-mnist" / name
    path.parent.mkdir(parents=True)
    for content, fault in [(b"short", "5 bytes"), (b"x" * files.FILES[name][0], "SHA-256")]:
        path.write_bytes(content)
        with pytest.raises(files.DataError, match=fault) as caught:
            files.find_local_file(name)
        assert str(path) in str(caught.value)
        assert path.read_bytes() == content


@pytest.mark.fault("a downloaded data file is damaged", "it is fetched again")
def test_a_damaged_downloaded_file_is_fetched_again(nowhere, monkeypatch):
    content = b"the true content"
    digest = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(files, "FILES", {"sample.gz": (len(content), digest)})
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
        monkeypatch.setattr(files, "SOURCES", ("http://127.0.0.1:9/", good))
        path = files._download("sample.gz")
        assert path.read_bytes() == content
        path.write_bytes(b"half of")
        assert files._download("sample.gz").read_bytes() == content
        # a server that hands out something else is not believed
        (served / "sample.gz").write_bytes(b"something else")
        path.unlink()
        with pytest.raises(files.DataError):
            files._download("sample.gz")
        assert not path.exists()
        server.shutdown()


def test_the_real_files(fashion_mnist):
    assert fashion_mnist.images.shape == (70000, 28, 28, 1)
    assert np.bincount(fashion_mnist.labels).tolist() == [7000] * 10
    split = fashion_mnist.split(seed=0)
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
