"""Publication of a report: a complete new one replaces the old one, even if interrupted."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from siamese_utils import atomic_io

# A report is built in the first folder. When it is complete, that folder is renamed to the second
# one, and its files are moved into place. Each function that finds the second folder first finishes
# the move, so an interruption does no harm.
STAGING, COMPLETE = ".staging", ".whole"
FOLDERS = ("figures", "notebooks", "results")  # the folders of a report
MANIFEST = "report.json"  # lists the files of a report; lies in its folder of results
LOCK = ".lock"  # the system releases the lock when the process ends


@contextmanager
def lock_output(output: Path) -> Iterator[None]:
    """Create the output folder and lock it against other runs.

    Raises:
        ValueError: Another run holds the lock.
        OSError: The folder cannot be written.
    """
    output.mkdir(parents=True, exist_ok=True)
    lock = FileLock(output / LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise ValueError(
            f"another run writes to {output}; wait until it ends, or choose another --output"
        ) from None
    try:
        yield
    finally:
        with suppress(OSError):  # Windows does not delete an open file
            (output / LOCK).unlink()
        lock.release()


def open_staging(output: Path) -> Path:
    """Return an empty folder inside `output` for a new report; finish an interrupted move first."""
    finish_move(output)
    staging = output / STAGING
    shutil.rmtree(staging, ignore_errors=True)
    (staging / "results").mkdir(parents=True)
    return staging


def publish(output: Path, facts: dict[str, Any]) -> None:
    """Replace the report in `output` by the staged one, and store facts about it in its manifest."""
    staging = output / STAGING
    names = sorted(path.name for path in staging.iterdir())
    text = json.dumps(facts | {"files": names}, indent=1) + "\n"
    (staging / "results" / MANIFEST).write_text(text, encoding="utf-8")
    atomic_io.move_atomically(staging, output / COMPLETE)
    finish_move(output)


def finish_move(output: Path) -> None:
    """Move a complete new report into place, if there is one; other files stay."""
    complete = output / COMPLETE
    if not complete.is_dir():
        return
    # The results move late; until then the new manifest shows which old files are obsolete.
    if (complete / "results").is_dir():
        for name in set(list_files(output)) - set(list_files(complete)):
            _remove(output / name)
    # The front page moves last; until then readers have the old one or none.
    order = {"results": 1, "index.html": 2}
    for path in sorted(complete.iterdir(), key=lambda path: order.get(path.name, 0)):
        target = output / path.name
        if path.is_dir() or target.is_dir():
            _remove(target)
        os.replace(path, target)
    complete.rmdir()


def _remove(path: Path) -> None:
    """Remove a file, a folder or a symbolic link, but not the target of a link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def list_files(folder: Path) -> list[str]:
    """Return the names of a report's files and folders from its manifest.

    Returns:
        The names; none if the manifest is missing or malformed, or names a file outside the folder.
    """
    try:
        text = (folder / "results" / MANIFEST).read_text(encoding="utf-8")
        names = json.loads(text)["files"]
        is_valid = all(name == Path(name).name and name not in ("", ".", "..") for name in names)
        return list(names) if is_valid else []
    except (OSError, ValueError, TypeError, KeyError):
        return []


def check_foreign_files(output: Path, names: list[str]) -> None:
    """Check that a new report replaces only files of an old one.

    Args:
        output: The folder of the report.
        names: The files and folders of the new report.

    Raises:
        ValueError: A file or folder in `output` would be replaced that no report left there.
    """
    finish_move(output)
    old_names = list_files(output)
    for name in sorted({*names, *old_names}):
        path = output / name
        is_ours = name in old_names and path.is_dir() == (name in FOLDERS)
        if path.is_symlink() or (path.exists() and not is_ours):
            raise ValueError(
                f"{output} holds {name}, which no report left there; move it, or choose another "
                "--output"
            )
