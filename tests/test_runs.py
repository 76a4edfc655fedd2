import os
import subprocess
import sys
import time

import numpy as np
import pytest

from siamese_utils import runs, settings

RUN = runs.Run(
    record={"experiment": {"margin": 1.0}, "seconds": 2.5},
    history={"loss": [0.2, 0.1]},
    weights=[np.arange(6, dtype=np.float32).reshape(2, 3), np.float32([7])],
    distances={"seen": np.float32([0.1, 0.9])},
)


def test_what_is_saved_comes_back(store):
    path = runs.save("key", RUN)
    again = runs.load("key")
    assert again.record == RUN.record
    assert again.history == RUN.history
    assert all(map(np.array_equal, again.weights, RUN.weights))
    assert np.array_equal(again.distances["seen"], RUN.distances["seen"])
    assert list(store.iterdir()) == [path]


def test_what_is_not_there_is_none(store):
    assert runs.load("key") is None


@pytest.mark.parametrize("place", range(60, 400, 20))
def test_damaged_compressed_arrays_are_none(store, place):
    path = runs.save_arrays("key", {"counts": np.arange(500)}, compress=True)
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF  # in the stream, the lengths or the checksum
    path.write_bytes(content)
    assert runs.load_arrays("key") is None


@pytest.mark.parametrize("damage", ["cut", "empty", "flip"])
def test_a_damaged_file_is_not_used_and_can_be_replaced(store, damage):
    path = runs.save("key", RUN)
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[200] ^= 0xFF  # in the first array's bytes: the checksum no longer fits
    path.write_bytes({"cut": content[:-40], "empty": b"", "flip": content}[damage])
    assert runs.load("key") is None
    runs.save("key", RUN)
    assert runs.load("key").record == RUN.record


def test_a_failure_while_saving_leaves_no_litter(store, monkeypatch):
    runs.save("key", RUN)
    monkeypatch.setattr(np, "savez", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        runs.save("other", RUN)
    assert [path.name for path in store.iterdir()] == ["key.npz"]


def test_a_pulled_plug_leaves_the_old_file(store):
    runs.save("key", RUN)
    program = (
        "import os, numpy as np; from siamese_utils import runs\n"
        "np.savez = lambda file, **_: (file.write(b'half'), file.flush(), os._exit(9))\n"
        "runs.save('key', runs.Run({}, {}, [], {}))"
    )
    assert subprocess.run([sys.executable, "-c", program], env=os.environ).returncode == 9
    assert runs.load("key").record == RUN.record


def test_fresh_passes_over_what_is_older(store, monkeypatch):
    runs.save("key", RUN)
    monkeypatch.setenv(settings.FRESH_VARIABLE, str(time.time() + 60))
    assert runs.load("key") is None
    monkeypatch.setenv(settings.FRESH_VARIABLE, str(time.time() - 60))
    assert runs.load("key") is not None


def test_a_key_depends_on_values_and_not_on_their_order():
    assert runs.make_key({"a": 1, "b": 2}) == runs.make_key({"b": 2, "a": 1})
    assert runs.make_key({"a": 1}) != runs.make_key({"a": 2})
