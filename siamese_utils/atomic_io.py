"""Files that are whole or not there, whatever happens while they are written."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file, in a folder that is made if need be, which appears whole or not at all.

    It is there after a pulled plug, too. Until then an older file of that name stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        with scratch.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except BaseException:  # Ctrl-C too: leave no litter
        scratch.unlink(missing_ok=True)
        raise
    _sync(path.parent)


@contextmanager
def create_folder_atomically(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to be filled, which then appears under its name whole, or not at all.

    Raises FileExistsError where there is something.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} is there already; choose another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        yield scratch
        scratch.chmod(0o755)
        move_atomically(scratch, folder)
    except BaseException:  # Ctrl-C too: leave no litter
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def move_atomically(folder: Path, target: Path) -> None:
    """Rename a folder, once all that is in it is on the disk."""
    for path in [*folder.rglob("*"), folder]:
        if not path.is_symlink():
            _sync(path)
    os.replace(folder, target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk, as far as its system knows how."""
    with suppress(OSError):  # Windows opens no folder, some network disks wait for none
        handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
