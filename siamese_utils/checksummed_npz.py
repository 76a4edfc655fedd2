"""Arrays in files that are whole and hold what their name says, or are taken for none."""

import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from siamese_utils import atomic_io

Arrays = dict[str, np.ndarray]


def write(path: Path, name: str, arrays: Mapping[str, np.ndarray], compress: bool = False) -> None:
    """Write arrays, under a name of ASCII, to a file that appears whole or not at all.

    It is an npz file with a seal behind its end, which ```numpy.load` passes over.
    """
    buffer = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(buffer, **arrays)
    atomic_io.write_atomically(path, buffer.getvalue() + _checksum(name, buffer.getvalue()))


def read(path: Path, name: str) -> Arrays | None:
    """Return the arrays of a file, or None where it is not there or does not end with the right seal."""
    try:
        content = path.read_bytes()
        if not is_intact(name, content):
            return None  # damaged, or another's: to be made again and replaced
        with np.load(io.BytesIO(content[: -_length(name)]), allow_pickle=False) as arrays:
            return dict(arrays)
    except Exception:  # sealed by someone else: there are too many ways to be no npz file
        return None


def is_intact(name: str, content: bytes) -> bool:
    """Return whether the content of a file is what was written under this name."""
    body, seal = content[: -_length(name)], content[-_length(name) :]
    return seal == _checksum(name, body)


def checksum_of(path: Path, name: str) -> str:
    """Return what such a file ends with, without reading the rest: its name and its SHA-256."""
    with path.open("rb") as file:
        file.seek(-min(_length(name), path.stat().st_size), os.SEEK_END)
        return file.read().decode("latin-1")


def _checksum(name: str, body: bytes) -> bytes:
    return f"{name:>20} {hashlib.sha256(body).hexdigest()}".encode()


def _length(name: str) -> int:
    return len(_checksum(name, b""))
