"""Checksummed npz files; a corrupt file counts as missing.

A file is an npz file followed by its name and the SHA-256 of the npz part. `numpy.load` ignores
what follows.
"""

import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from siamese_utils import atomic_io

Arrays = dict[str, np.ndarray]


def write(path: Path, name: str, arrays: Mapping[str, np.ndarray], compress: bool = False) -> None:
    """Write arrays to a checksummed npz file, atomically.

    Args:
        path: The file.
        name: An ASCII name, which `read` must be given, too.
        arrays: The arrays by name.
        compress: Whether to compress them.
    """
    buffer = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(buffer, **arrays)
    atomic_io.write_atomically(path, buffer.getvalue() + _checksum(name, buffer.getvalue()))


def read(path: Path, name: str) -> Arrays | None:
    """Return the arrays of a file; None if it is missing, corrupt or was written under another name."""
    try:
        content = path.read_bytes()
        if not is_intact(name, content):
            return None
        with np.load(io.BytesIO(content[: -_length(name)]), allow_pickle=False) as arrays:
            return dict(arrays)
    except Exception:  # NumPy raises errors of many types if other software wrote the file
        return None


def is_intact(name: str, content: bytes) -> bool:
    """Return whether the content of a file is what `write` wrote under this name."""
    body, checksum = content[: -_length(name)], content[-_length(name) :]
    return checksum == _checksum(name, body)


def checksum_of(path: Path, name: str) -> str:
    """Return the name and SHA-256 at the end of a file, without reading the rest."""
    with path.open("rb") as file:
        file.seek(-min(_length(name), path.stat().st_size), os.SEEK_END)
        return file.read().decode("latin-1")


def _checksum(name: str, body: bytes) -> bytes:
    return f"{name:>20} {hashlib.sha256(body).hexdigest()}".encode()


def _length(name: str) -> int:
    return len(_checksum(name, b""))
