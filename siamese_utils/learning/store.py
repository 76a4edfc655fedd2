"""The store of finished work: nothing is done twice, and nothing is reused stale or damaged."""

import hashlib
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from siamese_utils import files, settings
from siamese_utils.learning.sources import code_digest

TRAININGS = "trainings.jsonl"  # in a report's results: the record of each training it uses
USED = "used.txt"  # in a notebook's results: the seal of each stored file that it uses
LIBRARIES = ("tensorflow", "keras", "numpy", "scipy", "scikit-learn")  # that shape what is stored
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Run:
    """A finished training."""

    record: dict[str, Any]  # the experiment, its circumstances and the time it took
    history: dict[str, list[float]]  # one value per epoch for each measure
    weights: list[np.ndarray]  # of the encoder, in Keras's order
    # set name -> (pairs,) float32, where a training has pairs of its own
    distances: Arrays = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its name in the store."""
        return self.record["key"]

    @property
    def digest(self) -> str:
        """SHA-256 of the weights: the same training gives others on another machine."""
        digest = hashlib.sha256()
        for weight in self.weights:
            digest.update(np.ascontiguousarray(weight))
        return digest.hexdigest()


def make_key(parts: dict[str, Any], code: Sequence[str]) -> str:
    """Return the name of a piece of work: 20 hex digits that change with all that shapes it.

    parts: plain values; what is None shapes nothing. code: the definitions that do the work, as
    `sources.code_digest` takes them. The versions of the libraries count too.
    """
    named = {name: value for name, value in parts.items() if value is not None}
    named |= {"code": code_digest(*code), "versions": library_versions()}
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:20]


@cache
def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that compute, without loading them."""
    return {name: version(name) for name in LIBRARIES}


def path_of(key: str) -> Path:
    """Return the file that holds the work of that name, whether it is there or not."""
    return settings.store_dir() / f"{key}.npz"


def has(key: str) -> bool:
    """Return whether there is a file of that name, fresh enough, whole or not."""
    try:
        return path_of(key).stat().st_mtime >= float(os.environ.get(settings.FRESH_VARIABLE) or 0)
    except OSError:
        return False


def load(key: str) -> Run | None:
    """Return a stored training, or None where there is no whole one (or none fresh enough)."""
    arrays = load_arrays(key)
    if arrays is None:
        return None
    try:
        text = json.loads(str(arrays["text"]))
        run = Run(text["record"], text["history"], _part(arrays, "weight"), {})
    except (KeyError, TypeError, ValueError):
        return None  # whole, and no training
    run.distances.update(
        {name.removeprefix("distances "): a for name, a in arrays.items() if "distances " in name}
    )
    _note(TRAININGS, json.dumps(run.record))
    return run


def save(run: Run) -> Path:
    """Store a training under its key and return its file, which appears whole or not at all."""
    arrays = {"text": np.array(json.dumps({"record": run.record, "history": run.history}))}
    arrays |= {f"weight {i:03d}": weight for i, weight in enumerate(run.weights)}
    arrays |= {f"distances {name}": values for name, values in run.distances.items()}
    _note(TRAININGS, json.dumps(run.record))
    return save_arrays(run.key, arrays)


def kept(parts: dict[str, Any], code: Sequence[str], work: Callable[[], Arrays]) -> Arrays:
    """Return the arrays of a piece of work, from the store where they are there, else done now.

    parts, code: as `make_key` takes them.
    """
    key = make_key(parts, code)
    arrays = load_arrays(key)
    if arrays is None:
        arrays = work()
        save_arrays(key, arrays, compress=True)
    return arrays


def load_arrays(key: str) -> Arrays | None:
    """Return stored arrays by name, or None where there is no whole file (or none fresh enough).

    A file that does not end with its own key and the right SHA-256 of its content is none.
    """
    if not has(key):
        return None
    try:
        content = path_of(key).read_bytes()
    except OSError:
        return None
    body, seal = content[:-SEAL], content[-SEAL:]
    if seal != _seal(key, body):
        return None  # damaged, or another's: to be made again and replaced
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
            found = dict(arrays)
    except Exception:  # sealed by someone else: there are too many ways to be no npz file
        return None
    _note(USED, seal.decode())
    return found


def save_arrays(key: str, arrays: Arrays, compress: bool = False) -> Path:
    """Store arrays and return their file, which appears whole or not at all.

    It is an npz file with a seal behind its end, which `numpy.load` passes over.
    """
    buffer = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(buffer, **arrays)
    seal = _seal(key, buffer.getvalue())
    _note(USED, seal.decode())
    return _write(key, buffer.getvalue() + seal)


def take(key: str, content: bytes) -> None:
    """Store a file that another store has under a key. Raises ValueError where it is not whole."""
    if content[-SEAL:] != _seal(key, content[:-SEAL]):
        raise ValueError(f"what came as {key} is damaged")
    _write(key, content)


def is_unchanged(seal: str) -> bool:
    """Return whether a stored file ends as it did when it was noted in USED."""
    key = seal.split()[0]
    if not has(key):
        return False
    with path_of(key).open("rb") as file:
        file.seek(-min(SEAL, path_of(key).stat().st_size), os.SEEK_END)
        return file.read() == seal.encode()


def _write(key: str, content: bytes) -> Path:
    path = path_of(key)
    files.write_whole(path, content)
    return path


def _seal(key: str, body: bytes) -> bytes:
    return f"{key:>20} {hashlib.sha256(body).hexdigest()}".encode()


SEAL = len(_seal("", b""))


def _part(arrays: Arrays, kind: str) -> list[np.ndarray]:
    return [arrays[name] for name in sorted(arrays) if name.startswith(f"{kind} ")]


_noted: set[tuple[Path, str]] = set()


def _note(name: str, line: str) -> None:
    """Note once, in a file of the report's results, what it uses; by hand there is no report."""
    path = settings.results_dir() / name
    if settings.RESULTS_VARIABLE in os.environ and (path, line) not in _noted:
        _noted.add((path, line))
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
