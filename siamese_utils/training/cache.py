"""The cache of finished work on disk. Stale and damaged files count as missing."""

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

TRAININGS_FILE = "trainings.jsonl"  # in a notebook's results: the records of the results it uses
USED_FILE = "used.txt"  # in a notebook's results: the checksums of the cache files it uses
LIBRARIES = (
    "tensorflow",
    "keras",
    "numpy",
    "scipy",
    "scikit-learn",
    "matplotlib",
)  # those that shape results


@dataclass(frozen=True)
class TrainingResult:
    """A finished training run.

    Attributes:
        record: The config, the circumstances and the duration of the run.
        history: One value per epoch for each measure.
        weights: Weights of the encoder, in Keras's order; [] if they are not stored.
        distances: Set name -> (pairs,) float32, if the run has its own pairs.
    """

    record: dict[str, Any]
    history: dict[str, list[float]]
    weights: list[np.ndarray]
    distances: Arrays = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The name of the result in the cache."""
        return self.record["key"]

    @property
    def digest(self) -> str:
        """SHA-256 of the weights. On another machine, the same key has slightly other weights."""
        digest = hashlib.sha256()
        for weight in self.weights:
            digest.update(np.ascontiguousarray(weight))
        return digest.hexdigest()


def make_key(parts: dict[str, Any], code: Sequence[str]) -> str:
    """Return the cache key of a computation.

    The key also depends on the versions of LIBRARIES.

    Args:
        parts: Values, as JSON takes them, on which the result depends. Those that are None do not
            count: a new field with the default None leaves the old keys valid.
        code: Definitions that compute the result, as `code_digest.code_digest` takes them.

    Returns:
        20 hexadecimal digits.
    """
    parts = {name: value for name, value in parts.items() if value is not None}
    parts |= {"code": code_digest(*code), "versions": library_versions()}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


@cache
def library_versions() -> dict[str, str]:
    """Return the versions of LIBRARIES without importing them."""
    return {name: version(name) for name in LIBRARIES}


def path_of(key: str) -> Path:
    """Return the path of a cache file, which need not exist."""
    return settings.cache_dir() / f"{key}.npz"


def contains(key: str) -> bool:
    """Return whether a cache file exists, without checking its content.

    A file older than the time in the environment variable SIAMESE_FRESH_SINCE counts as missing.
    """
    try:
        return path_of(key).stat().st_mtime >= float(os.environ.get(settings.FRESH_VARIABLE) or 0)
    except OSError:
        return False


def load(key: str) -> TrainingResult | None:
    """Return a cached training result; None if it is missing, stale or damaged."""
    arrays = load_arrays(key)
    if arrays is None:
        return None
    weights = [arrays[name] for name in sorted(arrays) if name.startswith("weight ")]
    distances = {
        name.removeprefix("distances "): values
        for name, values in arrays.items()
        if name.startswith("distances ")
    }
    try:
        metadata = json.loads(str(arrays["text"]))
        result = TrainingResult(metadata["record"], metadata["history"], weights, distances)
    except (KeyError, TypeError, ValueError):
        return None  # The file is intact, but it does not hold a training result.
    _record_use(TRAININGS_FILE, json.dumps(result.record))
    return result


def save(result: TrainingResult) -> Path:
    """Store a training result atomically under its key, and return the path of the file."""
    arrays = {"text": np.array(json.dumps({"record": result.record, "history": result.history}))}
    arrays |= {f"weight {i:03d}": weight for i, weight in enumerate(result.weights)}
    arrays |= {f"distances {name}": values for name, values in result.distances.items()}
    _record_use(TRAININGS_FILE, json.dumps(result.record))
    return save_arrays(result.key, arrays)


def cached(parts: dict[str, Any], code: Sequence[str], work: Callable[[], Arrays]) -> Arrays:
    """Return the arrays of a computation, from the cache if possible.

    Args:
        parts: As in `make_key`.
        code: As in `make_key`.
        work: Computes the arrays.
    """
    key = make_key(parts, code)
    arrays = load_arrays(key)
    if arrays is None:
        arrays = work()
        save_arrays(key, arrays, compress=True)
    return arrays


def load_arrays(key: str) -> Arrays | None:
    """Return cached arrays by name; None if the file is missing, stale or damaged."""
    arrays = checksummed_npz.read(path_of(key), key) if contains(key) else None
    if arrays is not None:
        _record_use(USED_FILE, checksummed_npz.checksum_of(path_of(key), key))
    return arrays


def save_arrays(key: str, arrays: Arrays, compress: bool = False) -> Path:
    """Store arrays atomically, and return the path of the file."""
    path = path_of(key)
    checksummed_npz.write(path, key, arrays, compress)
    _record_use(USED_FILE, checksummed_npz.checksum_of(path, key))
    return path


def import_file(key: str, content: bytes) -> None:
    """Store the content of a file from another machine's cache.

    Raises:
        ValueError: The content does not match its checksum.
    """
    if not checksummed_npz.is_intact(key, content):
        raise ValueError(f"the cache file received for {key} is damaged; transfer it again")
    atomic_io.write_atomically(path_of(key), content)


def is_unchanged(checksum: str) -> bool:
    """Return whether a cache file still has a checksum that was recorded in USED_FILE."""
    key = checksum.split()[0]
    return contains(key) and checksummed_npz.checksum_of(path_of(key), key) == checksum


_recorded: set[tuple[Path, str]] = set()


def _record_use(name: str, line: str) -> None:
    """Append a line once to a file in the results folder; do nothing outside a report run."""
    path = settings.results_dir() / name
    if settings.RESULTS_VARIABLE in os.environ and (path, line) not in _recorded:
        _recorded.add((path, line))
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
