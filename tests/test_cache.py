import hashlib
import io
import json
import os
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

from siamese_utils import checksummed_npz, settings
from siamese_utils.training import cache
from siamese_utils.training.cache import TrainingResult

CODE = ["training.losses.contrastive_loss"]
RUN = TrainingResult(
    record={"config": {"margin": 1.0}, "seconds": 2.5, "key": "key"},
    history={"loss": [0.2, 0.1]},
    weights=[np.arange(6, dtype=np.float32).reshape(2, 3), np.float32([7])],
    distances={"seen": np.float32([0.1, 0.9])},
)
SMALL = {"counts": np.arange(3, dtype=np.int8)}


def same(run):
    return run is not None and (run.record, run.history) == (RUN.record, RUN.history)


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def seal(key, body):
    """Write a file that ends with the right key and the right digest, whatever it holds."""
    path = cache.path_of(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body + checksummed_npz._checksum(key, body))
    return path


def test_a_saved_result_is_loaded_unchanged(store):
    path = cache.save(RUN)
    again = cache.load("key")
    assert again.key == RUN.key == "key"
    assert again.record == RUN.record
    assert again.history == RUN.history
    assert [weight.dtype for weight in again.weights] == [np.float32] * 2
    assert all(map(np.array_equal, again.weights, RUN.weights))
    assert list(again.distances) == ["seen"]
    assert np.array_equal(again.distances["seen"], RUN.distances["seen"])
    assert list(store.iterdir()) == [path] == [cache.path_of("key")]
    assert cache.contains("key")


def test_many_weights_keep_their_order(store):
    run = TrainingResult({"key": "many"}, {}, [np.float32([i]) for i in range(120)])
    cache.save(run)
    assert np.concatenate(cache.load("many").weights).tolist() == list(range(120))


def test_the_digest_is_that_of_the_weights_bytes():
    content = b"".join(weight.tobytes() for weight in RUN.weights)
    assert RUN.digest == hashlib.sha256(content).hexdigest()
    turned = TrainingResult(
        {}, {}, [RUN.weights[0].T]
    )  # the same numbers, in another order in memory
    assert turned.digest == TrainingResult({}, {}, [RUN.weights[0].T.copy()]).digest


def test_a_missing_result_is_none(store):
    assert cache.load("key") is None
    assert cache.load_arrays("key") is None
    assert not cache.contains("key")


def test_a_folder_in_place_of_a_stored_file_is_none(store):
    cache.path_of("key").mkdir(parents=True)
    assert cache.load_arrays("key") is None


@pytest.mark.parametrize("compress", [False, True])
def test_numpy_reads_a_stored_file_by_itself(store, compress):
    values = np.arange(500).reshape(5, 100)
    path = cache.save_arrays("key", {"counts": values, "step": np.float64(0.5)}, compress)
    with np.load(path, allow_pickle=False) as arrays:
        assert sorted(arrays) == ["counts", "step"]
        assert np.array_equal(arrays["counts"], values)
        assert arrays["step"] == 0.5
    loaded = cache.load_arrays("key")
    assert np.array_equal(loaded["counts"], values)
    assert loaded["step"] == 0.5


@pytest.mark.parametrize("place", range(60, 400, 20))
def test_damaged_compressed_arrays_are_none(store, place):
    path = cache.save_arrays("key", {"counts": np.arange(500)}, compress=True)
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF  # in the stream, the lengths or the checksum
    path.write_bytes(content)
    assert cache.load_arrays("key") is None


@pytest.mark.parametrize("damage", ["cut", "empty", "flip"])
@pytest.mark.fault("a stored training is cut, emptied or altered", "it is done again")
def test_a_damaged_file_is_not_used_and_can_be_replaced(store, damage):
    path = cache.save(RUN)
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[200] ^= 0xFF  # in the first array's bytes: the checksum no longer fits
    path.write_bytes({"cut": content[:-40], "empty": b"", "flip": content}[damage])
    assert cache.load("key") is None
    cache.save(RUN)
    assert same(cache.load("key"))


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.fault("each single bit of a stored file is flipped", "it counts as not there")
def test_any_flipped_bit_of_a_small_file_is_seen(store, compress):
    path = cache.save_arrays("key", SMALL, compress)
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        assert cache.load_arrays("key") is None, f"bit {bit} of {8 * len(whole)}"
    path.write_bytes(whole)
    assert cache.load_arrays("key")["counts"].tolist() == [0, 1, 2]


def test_flipped_bits_of_a_larger_file_are_seen(store):
    rng = np.random.default_rng(0)
    run = TrainingResult(
        {"key": "large"}, {"loss": [0.5]}, [rng.random((300, 200), dtype=np.float32)]
    )
    path = cache.save(run)
    whole = path.read_bytes()
    for bit in rng.integers(0, 8 * len(whole), 300):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << int(bit % 8)
        path.write_bytes(content)
        assert cache.load("large") is None, f"bit {bit}"
    path.write_bytes(whole)
    assert np.array_equal(cache.load("large").weights[0], run.weights[0])


@pytest.mark.fault("a stored file ends at any of its bytes", "it counts as not there")
def test_a_file_cut_off_anywhere_is_none(store):
    path = cache.save(RUN)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert cache.load("key") is None, f"{length} of {len(whole)} bytes"
    path.write_bytes(whole + b"\0")  # nor does it grow
    assert cache.load("key") is None


@pytest.mark.fault("the file of another training lies under a key", "it counts as not there")
def test_the_file_of_another_training_is_none(store):
    path = cache.save(RUN)
    cache.path_of("other").write_bytes(path.read_bytes())
    assert cache.load("other") is None
    assert same(cache.load("key"))


@pytest.mark.fault("an array of a stored training is set to zero", "it counts as not there")
def test_a_zeroed_array_is_seen(store):
    path = cache.save(RUN)
    content = path.read_bytes()
    weight = RUN.weights[0].tobytes()
    assert content.count(weight) == 1
    path.write_bytes(content.replace(weight, bytes(len(weight))))
    assert cache.load("key") is None
    # a whole and valid npz with the array zeroed, under the old seal
    arrays = dict(np.load(io.BytesIO(content)))
    assert np.array_equal(arrays["weight 000"], RUN.weights[0])
    old_seal = content[-len(checksummed_npz._checksum("key", b"")) :]
    path.write_bytes(npz(**arrays | {"weight 000": np.zeros((2, 3), np.float32)}) + old_seal)
    assert cache.load("key") is None


def npy(header, data=b""):
    """The bytes of an npy file with this header, sound or not."""
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def zipped(name, content, **options):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as file:
        file.writestr(name, content)
    return buffer.getvalue()


def torn_stream():
    """An npz whose compressed bytes are none, with a directory that says all is well."""
    body = bytearray(zipped("a.npy", b"x" * 500, compression=zipfile.ZIP_DEFLATED))
    start = 30 + len("a.npy")
    body[start : start + 4] = b"\xff" * 4
    return bytes(body)


def of_unknown_method():
    body = bytearray(zipped("a.npy", b"x"))
    for signature, place in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        body[body.index(signature) + place] = 99
    return bytes(body)


def locked():
    body = bytearray(zipped("a.npy", b"x"))
    for signature, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        body[body.index(signature) + place] |= 1  # "encrypted"
    return bytes(body)


HEADER = "{'descr': '<f8', 'fortran_order': False, 'shape': (%s,)}"
GARBAGE = {
    "nothing": b"",
    "noise": np.random.default_rng(0).bytes(500),
    "words": b"no npz at all",
    "half an npz": npz(a=np.arange(9))[:-30],
    "a pickle": b"\x80\x04K\x01.",
    "an npy": npy(HEADER % 1, bytes(8)),
    "a huge array": zipped("a.npy", npy(HEADER % 10**15, bytes(8))),
    "an array below size 0": zipped("a.npy", npy(HEADER % -1, bytes(8))),
    "an array of any objects": zipped("a.npy", npy(HEADER.replace("<f8", "|O") % 1, bytes(8))),
    "a short array": zipped("a.npy", npy(HEADER % 9, bytes(8))),
    "an open bracket": zipped("a.npy", npy("((((")),
    "no header": zipped("a.npy", b"\x93NUMPY\x01\x00\xff\xff"),
    "a torn stream": torn_stream(),
    "an unknown method": of_unknown_method(),
    "a locked file": locked(),
}


@pytest.mark.parametrize("name", GARBAGE)
@pytest.mark.fault(
    "a pickle or garbage has the right seal", "it counts as not there; nothing in it runs"
)
def test_garbage_under_the_right_seal_is_none(store, name):
    seal("key", GARBAGE[name])
    assert cache.load_arrays("key") is None
    assert cache.load("key") is None
    cache.save(RUN)
    assert same(cache.load("key"))


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.fault("a whole file holds an object that runs when it is read", "it is never read")
def test_an_object_under_the_right_seal_never_runs(store, tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, text=np.array([Bomb(tmp_path / "ran")], dtype=object))
    seal("key", buffer.getvalue())
    assert cache.load_arrays("key") is None
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "arrays",
    [
        SMALL,
        {"text": np.array("no JSON")},
        {"text": np.array("[1, 2]")},
        {"text": np.array(json.dumps({"record": {"key": "key"}}))},
    ],
)
def test_an_intact_file_that_holds_no_training_run_is_none(store, arrays):
    cache.save_arrays("key", arrays)
    assert cache.load_arrays("key") is not None
    assert cache.load("key") is None


@pytest.mark.fault("saving a training fails half way", "the old file stays, no other is left")
def test_a_failure_while_saving_leaves_no_litter(store, monkeypatch):
    cache.save(RUN)
    monkeypatch.setattr(os, "fsync", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        cache.save_arrays("other", SMALL)
    assert [path.name for path in store.iterdir()] == ["key.npz"]


@pytest.mark.fault("the process ends at once while a training is saved", "the old file stays whole")
def test_a_process_that_ends_while_saving_leaves_the_old_file(store):
    cache.save(RUN)
    program = (
        "import os; from siamese_utils.training import cache\n"
        "os.fsync = lambda *_: os._exit(9)\n"
        "cache.save(cache.TrainingResult({'key': 'key'}, {}, [], {}))"
    )
    assert subprocess.run([sys.executable, "-c", program], env=os.environ).returncode == 9
    assert same(cache.load("key"))


def test_fresh_ignores_older_files(store, monkeypatch):
    cache.save(RUN)
    monkeypatch.setenv(settings.FRESH_VARIABLE, str(time.time() + 60))
    assert cache.load("key") is None
    assert not cache.contains("key")
    monkeypatch.setenv(settings.FRESH_VARIABLE, str(time.time() - 60))
    assert cache.load("key") is not None
    assert cache.contains("key")


def test_a_file_made_at_that_very_time_is_fresh(store, monkeypatch):
    path = cache.save(RUN)
    os.utime(path, (1000, 1000))
    for since, fresh in (("999", True), ("1000", True), ("1001", False), ("", True)):
        monkeypatch.setenv(settings.FRESH_VARIABLE, since)
        assert cache.contains("key") == fresh
    monkeypatch.delenv(settings.FRESH_VARIABLE)
    os.utime(path, (0, 0))  # as an archive may leave it
    assert cache.contains("key")


def test_a_key_depends_on_values_and_not_on_their_order():
    assert cache.make_key({"a": 1, "b": 2}, CODE) == cache.make_key({"b": 2, "a": 1}, CODE)
    assert cache.make_key({"a": 1}, CODE) != cache.make_key({"a": 2}, CODE)
    assert len(cache.make_key({"a": 1}, CODE)) == 20


def test_a_value_of_none_does_not_change_a_key():
    assert cache.make_key({"a": 1, "added later": None}, CODE) == cache.make_key({"a": 1}, CODE)


def test_a_key_depends_on_the_code_and_the_libraries(monkeypatch):
    key = cache.make_key({"a": 1}, CODE)
    assert cache.make_key({"a": 1}, ["training.losses.triplet_loss"]) != key
    assert cache.make_key({"a": 1}, []) != key
    newer = cache.library_versions() | {"numpy": "99.0"}
    monkeypatch.setattr(cache, "library_versions", lambda: newer)
    assert cache.make_key({"a": 1}, CODE) != key


def test_cached_work_is_done_once(store):
    done = []

    def work():
        done.append(1)
        return {"values": np.array([1, 2])}

    for _ in range(2):
        assert cache.cached({"a": 1}, CODE, work)["values"].tolist() == [1, 2]
    assert len(done) == 1
    cache.cached({"a": 2}, CODE, work)
    assert len(done) == 2
    for path in store.iterdir():  # damaged work is done again
        path.write_bytes(path.read_bytes()[:-1])
    cache.cached({"a": 1}, CODE, work)
    assert len(done) == 3


def test_cached_work_is_compressed(store):
    cache.cached({"a": 1}, CODE, lambda: {"values": np.zeros(10_000)})
    [path] = store.iterdir()
    assert path.stat().st_size < 1000


def test_a_report_records_each_training_run_that_it_uses_once(store, results):
    cache.save(RUN)
    cache.load("key")
    cache.load("key")
    [line] = (results / cache.TRAININGS_FILE).read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == RUN.record


@pytest.mark.fault("a cluster's worker sends damaged bytes", "they are refused")
def test_a_file_of_another_cache_is_imported_intact_or_not_at_all(store, monkeypatch, tmp_path):
    content = cache.save(RUN).read_bytes()
    monkeypatch.setenv(settings.CACHE_VARIABLE, str(tmp_path / "elsewhere"))
    altered = [content[:place] + b"?" + content[place + 1 :] for place in range(50, 58)]
    for wrong in (content[:-1], *altered, b""):
        with pytest.raises(ValueError, match="key is damaged"):
            cache.import_file("key", wrong)
    with pytest.raises(ValueError, match="other is damaged"):
        cache.import_file("other", content)  # a whole file, of another name
    assert cache.load("key") is None
    cache.import_file("key", content)
    assert same(cache.load("key"))


def test_a_report_records_which_files_it_uses_and_whether_they_changed(store, results):
    cache.save(RUN)
    cache.save_arrays("counts", SMALL)
    cache.load("key")
    used = (results / cache.USED_FILE).read_text().splitlines()
    assert [line.split()[0] for line in used] == ["key", "counts"]
    assert all(map(cache.is_unchanged, used))
    for line in used:
        for digit in "0123456789abcdef":
            assert cache.is_unchanged(line[:-1] + digit) == (digit == line[-1])
    cache.save_arrays("counts", {"counts": np.arange(4)})
    assert [cache.is_unchanged(line) for line in used] == [True, False]
    cache.path_of("key").write_bytes(b"short")
    cache.path_of("counts").unlink()
    assert [cache.is_unchanged(line) for line in used] == [False, False]


def test_the_folder_of_the_records_is_made(store, tmp_path, monkeypatch):
    monkeypatch.setenv(settings.RESULTS_VARIABLE, str(tmp_path / "report" / "results"))
    cache.save_arrays("counts", SMALL)
    assert (tmp_path / "report" / "results" / cache.USED_FILE).exists()


def test_a_notebook_run_by_hand_records_nothing(store):
    cache.save_arrays("counts", SMALL)
    assert [path.name for path in store.iterdir()] == ["counts.npz"]
