"""Atomic writing of files and folders: they appear complete or not at all."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file atomically and durably; create its folder if necessary.

    An older file of that name is replaced in the last step. A power failure leaves either the old
    or the new content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        with scratch.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except BaseException:  # after Ctrl-C, too, no temporary file is left
        scratch.unlink(missing_ok=True)
        raise
    _sync(path.parent)


@contextmanager
def create_folder_atomically(folder: Path) -> Iterator[Path]:
    """Create a folder atomically.

    Args:
        folder: The new folder.

    Yields:
        An empty folder to fill. It is renamed to `folder` at the end, or deleted after an error.

    Raises:
        FileExistsError: `folder` exists.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} already exists; choose another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        yield scratch
        scratch.chmod(0o755)
        move_atomically(scratch, folder)
    except BaseException:  # after Ctrl-C, too, no temporary folder is left
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def move_atomically(folder: Path, target: Path) -> None:
    """Rename a folder after all of its content has reached the disk."""
    for path in [*folder.rglob("*"), folder]:
        if not path.is_symlink():
            _sync(path)
    os.replace(folder, target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk, if the file system supports it."""
    # Windows cannot open folders, and some network file systems have no fsync.
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
