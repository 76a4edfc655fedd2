"""The store of finished work: no training is done twice, and none is reused stale."""

import ast
import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from siamese_utils import settings


@dataclass(frozen=True)
class Run:
    """A finished training."""

    record: dict[str, Any]  # the experiment, its circumstances and the time it took
    history: dict[str, list[float]]  # one value per epoch for each measure
    weights: list[np.ndarray]  # of the encoder, in Keras's order
    distances: dict[str, np.ndarray]  # set name -> (pairs,) float32, in the order of its pairs


TRAININGS = "trainings.jsonl"  # in a report's results: the record of each training it uses
_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef


def make_key(parts: dict[str, Any]) -> str:
    """Return the name of a training: 20 hex digits that change with any of the parts."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def source_digest(modules: list[ModuleType]) -> str:
    """Return a SHA-256 of the modules' code that comments, docstrings and layout leave alone."""
    digest = hashlib.sha256()
    for module in modules:
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, _DOCUMENTED) and ast.get_docstring(node) is not None:
                node.body = node.body[1:]
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()


def path_of(key: str) -> Path:
    """Return the file that holds the training of that name, whether it is there or not."""
    return settings.store_dir() / f"{key}.npz"


def load(key: str) -> Run | None:
    """Return the stored training, or None where there is no whole one (or none fresh enough)."""
    arrays = load_arrays(key)
    try:
        run = _unpack(arrays) if arrays else None
    except (ValueError, KeyError):
        return None  # not a training
    if run:
        _note(key, run)
    return run


def save(key: str, run: Run) -> Path:
    """Store a training and return its file, which appears whole or not at all."""
    _note(key, run)
    return save_arrays(key, _pack(run))


def load_arrays(key: str) -> dict[str, np.ndarray] | None:
    """Return stored arrays by name, or None where there is no whole file (or none fresh enough)."""
    path = path_of(key)
    try:
        if path.stat().st_mtime < float(os.environ.get(settings.FRESH_VARIABLE) or 0):
            return None
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError):
        return None  # damaged: to be made again and replaced


def save_arrays(key: str, arrays: dict[str, np.ndarray], compress: bool = False) -> Path:
    """Store arrays and return their file, which appears whole or not at all."""
    path = path_of(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{key}-")
    write = np.savez_compressed if compress else np.savez
    try:
        with os.fdopen(handle, "wb") as file:
            write(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:  # Ctrl-C too: leave no litter
        Path(name).unlink(missing_ok=True)
        raise
    return path


_noted: set[str] = set()


def _note(key: str, run: Run) -> None:
    """Note in a report's results that it uses this training; by hand there is no report."""
    if settings.RESULTS_VARIABLE in os.environ and key not in _noted:
        _noted.add(key)
        settings.results_dir().mkdir(parents=True, exist_ok=True)
        with (settings.results_dir() / TRAININGS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(run.record | {"key": key}) + "\n")


def _pack(run: Run) -> dict[str, np.ndarray]:
    text = json.dumps({"record": run.record, "history": run.history})
    arrays = {"text": np.array(text)}
    arrays |= {f"weight {i:03d}": weight for i, weight in enumerate(run.weights)}
    arrays |= {f"distances {name}": values for name, values in run.distances.items()}
    return arrays


def _unpack(arrays: dict[str, np.ndarray]) -> Run:
    text = json.loads(str(arrays["text"]))
    weights = [arrays[name] for name in sorted(arrays) if name.startswith("weight ")]
    distances = {
        name.removeprefix("distances "): values
        for name, values in arrays.items()
        if name.startswith("distances ")
    }
    return Run(text["record"], text["history"], weights, distances)
