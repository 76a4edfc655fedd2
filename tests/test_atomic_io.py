import os
import stat
import subprocess
import sys

import pytest

from siamese_utils import atomic_io


def test_a_file_is_written_over_an_older_one_and_its_folder_made(tmp_path):
    path = tmp_path / "deeper" / "a.csv"
    atomic_io.write_atomically(path, b"one")
    atomic_io.write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["a.csv"]
    plain = tmp_path / "plain"
    plain.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.fault(
    "the disk is full, or Ctrl-C, while a file is written", "the old file stays whole"
)
def test_a_failure_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch, error):
    path = tmp_path / "a.csv"
    atomic_io.write_atomically(path, b"old")

    def fail(_):
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(type(error)):
        atomic_io.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.fault("a file may grow to 100 bytes (RLIMIT_FSIZE)", "the old file stays whole")
def test_a_limit_on_the_size_of_files(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    program = """
import resource, signal, sys
from pathlib import Path
from siamese_utils import atomic_io
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
atomic_io.write_atomically(Path(sys.argv[1]), bytes(1000))
"""
    run = [sys.executable, "-c", program, str(tmp_path / "a")]
    ended = subprocess.run(run, capture_output=True, text=True, check=False)
    assert "File too large" in ended.stderr
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_all_of_a_folder_is_on_the_disk_before_it_is_renamed(tmp_path, monkeypatch):
    folder = tmp_path / "new"
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "a").write_bytes(b"a")
    (folder / "link").symlink_to(tmp_path / "nowhere")
    done = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append(_name(handle)), real(handle)))
    atomic_io.move_atomically(folder, tmp_path / "there")
    assert sorted(done[:-1]) == sorted([f"{folder}/in/a", f"{folder}/in", str(folder)])
    assert done[-1] == str(tmp_path)
    assert (tmp_path / "there" / "in" / "a").read_bytes() == b"a"
    assert not folder.exists()


def _name(handle):
    return os.readlink(f"/proc/self/fd/{handle}")


def test_a_new_folder_appears_whole(tmp_path):
    target = tmp_path / "deep" / "model"
    with atomic_io.create_folder_atomically(target) as scratch:
        (scratch / "a").write_text("a")
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["a"]
    assert os.listdir(target.parent) == ["model"]
    with (
        pytest.raises(FileExistsError, match="already exists"),
        atomic_io.create_folder_atomically(target),
    ):
        pytest.fail("it was begun")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_new_folder_that_fails_leaves_nothing(tmp_path, error):
    def begin():
        with atomic_io.create_folder_atomically(tmp_path / "model") as scratch:
            (scratch / "a").write_text("a")
            raise error

    with pytest.raises(type(error)):
        begin()
    assert not list(tmp_path.iterdir())
