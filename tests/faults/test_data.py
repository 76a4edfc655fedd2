"""What may be wrong with the images, and with the way to them."""

import gzip
import http.server
import os
import subprocess
import sys
import threading
import tracemalloc

import pytest

import run_all
from siamese_utils import settings
from siamese_utils.data import fashion_mnist as files
from siamese_utils.publishing import build

LABELS = "t10k-labels-idx1-ubyte.gz"


@pytest.mark.parametrize("kind", ["nothing", "a file"])
@pytest.mark.parametrize("dataset", ["auto", "fashion-mnist"])
@pytest.mark.fault("the data variable names no folder", "one line, exit 2")
def test_the_data_variable_names_no_folder(
    fresh, store, tmp_path, monkeypatch, capsys, kind, dataset
):
    place = tmp_path / "place"
    if kind == "a file":
        place.touch()
    monkeypatch.setenv(settings.DATA_VARIABLE, str(place))
    monkeypatch.setattr(build, "build", lambda *_: pytest.fail("work was begun"))
    assert run_all.main(["--dataset", dataset, "--output", str(tmp_path / "report")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"{settings.DATA_VARIABLE} is {place}, which is not a folder" in line


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
@pytest.mark.fault("a pipe bears the name of a data file", "it is not waited for")
def test_a_pipe_is_no_data_file(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / LABELS)
    monkeypatch.setenv(settings.DATA_VARIABLE, str(tmp_path))
    found = files.find_local_file(LABELS)
    assert found is None or found.parent != tmp_path


@pytest.mark.fault("a data file would unpack to a gigabyte", "it is refused before it is unpacked")
def test_a_file_that_would_unpack_to_a_gigabyte(tmp_path, monkeypatch):
    piece = gzip.compress(bytes(2**20))
    (tmp_path / LABELS).write_bytes(piece * 1024)  # parts of a gzip file follow each other
    monkeypatch.setenv(settings.DATA_VARIABLE, str(tmp_path))
    tracemalloc.start()
    try:
        with pytest.raises(files.DataError, match="is not the official file"):
            files.fetch() if files.find_local_file(LABELS) else None
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


LOADS = """
import sys
opened = []
sys.addaudithook(lambda event, _: opened.append(event) if event.startswith("socket.") else None)
from siamese_utils.data import datasets
assert datasets.load("fashion-mnist").labels.size == 70000
assert not opened, opened
"""


@pytest.mark.fault("no network, and the data are here", "no connection is tried")
def test_with_data_no_network_is_touched(fashion_mnist):
    subprocess.run([sys.executable, "-c", LOADS], cwd=settings.ROOT, check=True)


FETCHES = """
import sys
from siamese_utils.data import fashion_mnist as files
files.SOURCES = (sys.argv[1],)
files.TIMEOUT_SECONDS = 60
print(files._download("t10k-labels-idx1-ubyte.gz"))
"""


def fetch(address, cache):
    return subprocess.Popen(
        [sys.executable, "-c", FETCHES, address],
        cwd=settings.ROOT,
        env=os.environ | {"XDG_CACHE_HOME": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.fault(
    "kill -9 while a data file is downloaded", "no half of it is taken; it is fetched again"
)
def test_a_killed_download_is_begun_again(fashion_mnist, tmp_path):
    whole = files.find_local_file(LABELS).read_bytes()
    half_sent, go_on, stalls = threading.Event(), threading.Event(), [True]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(whole)))
            self.end_headers()
            self.wfile.write(whole[: len(whole) // 2])
            if stalls:
                stalls.pop()
                half_sent.set()
                go_on.wait(60)
            else:
                self.wfile.write(whole[len(whole) // 2 :])

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        process = fetch(address, tmp_path)
        assert half_sent.wait(60)
        process.kill()
        process.communicate()
        go_on.set()
        assert not list(tmp_path.rglob(LABELS))
        out, err = fetch(address, tmp_path).communicate(timeout=60)
        [path] = tmp_path.rglob(LABELS)
        assert out.strip() == str(path), err
        assert path.read_bytes() == whole
        server.shutdown()


@pytest.mark.fault(
    "the folder for downloads cannot be written", "one line says where to put the files"
)
def test_an_unwritable_cache(tmp_path, monkeypatch):
    (tmp_path / "cache").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(files.DataError, match=settings.DATA_VARIABLE):
        files._download(LABELS)
