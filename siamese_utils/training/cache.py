"""The store of finished work: nothing is done twice, and nothing is reused stale or damaged."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from siamese_utils import atomic_io, checksummed_npz, settings
from siamese_utils.checksummed_npz import Arrays
from siamese_utils.training.code_digest import code_digest

TRAININGS_FILE = "trainings.jsonl"  # in a report's results: the record of each training it uses
USED_FILE = "used.txt"  # in a notebook's results: the seal of each stored file that it uses
LIBRARIES = ("tensorflow", "keras", "numpy", "scipy", "scikit-learn")  # that shape what is stored


@dataclass(frozen=True)
class TrainingResult:
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
    `code_digest.code_digest` takes them. The versions of the libraries count too.
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
    return settings.cache_dir() / f"{key}.npz"


def contains(key: str) -> bool:
    """Return whether there is a file of that name, fresh enough, whole or not."""
    try:
        return path_of(key).stat().st_mtime >= float(os.environ.get(settings.FRESH_VARIABLE) or 0)
    except OSError:
        return False


def load(key: str) -> TrainingResult | None:
    """Return a stored training, or None where there is no whole one (or none fresh enough)."""
    arrays = load_arrays(key)
    if arrays is None:
        return None
    try:
        text = json.loads(str(arrays["text"]))
        run = TrainingResult(
            text["record"], text["history"], _numbered_arrays(arrays, "weight"), {}
        )
    except (KeyError, TypeError, ValueError):
        return None  # whole, and no training
    run.distances.update(
        {name.removeprefix("distances "): a for name, a in arrays.items() if "distances " in name}
    )
    _record_use(TRAININGS_FILE, json.dumps(run.record))
    return run


def save(run: TrainingResult) -> Path:
    """Store a training under its key and return its file, which appears whole or not at all."""
    arrays = {"text": np.array(json.dumps({"record": run.record, "history": run.history}))}
    arrays |= {f"weight {i:03d}": weight for i, weight in enumerate(run.weights)}
    arrays |= {f"distances {name}": values for name, values in run.distances.items()}
    _record_use(TRAININGS_FILE, json.dumps(run.record))
    return save_arrays(run.key, arrays)


def cached(parts: dict[str, Any], code: Sequence[str], work: Callable[[], Arrays]) -> Arrays:
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
    """Return stored arrays by name, or None where there is no whole file (or none fresh enough)."""
    found = checksummed_npz.read(path_of(key), key) if contains(key) else None
    if found is not None:
        _record_use(USED_FILE, checksummed_npz.checksum_of(path_of(key), key))
    return found


def save_arrays(key: str, arrays: Arrays, compress: bool = False) -> Path:
    """Store arrays and return their file, which appears whole or not at all."""
    path = path_of(key)
    checksummed_npz.write(path, key, arrays, compress)
    _record_use(USED_FILE, checksummed_npz.checksum_of(path, key))
    return path


def import_file(key: str, content: bytes) -> None:
    """Store a file that another store has under a key. Raises ValueError where it is not whole."""
    if not checksummed_npz.is_intact(key, content):
        raise ValueError(f"what came as {key} is damaged")
    atomic_io.write_atomically(path_of(key), content)


def is_unchanged(seal: str) -> bool:
    """Return whether a stored file ends as it did when it was noted in USED."""
    key = seal.split()[0]
    return contains(key) and checksummed_npz.checksum_of(path_of(key), key) == seal


def _numbered_arrays(arrays: Arrays, kind: str) -> list[np.ndarray]:
    return [arrays[name] for name in sorted(arrays) if name.startswith(f"{kind} ")]


_recorded: set[tuple[Path, str]] = set()


def _record_use(name: str, line: str) -> None:
    """Note once, in a file of the report's results, what it uses; by hand there is no report."""
    path = settings.results_dir() / name
    if settings.RESULTS_VARIABLE in os.environ and (path, line) not in _recorded:
        _recorded.add((path, line))
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
