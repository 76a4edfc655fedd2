"""Put a whole new report in place of the old one, so that no reader ever meets half of one."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from siamese_utils import atomic_io

# A report is built in the first and, once it is whole, renamed to the second. Whoever finds
# the second finishes the move: that is what makes a pulled plug harmless.
STAGING, COMPLETE = ".staging", ".whole"
FOLDERS = ("figures", "notebooks", "results")  # of a report; all else in it are files
# Marks a folder as a report's, and lists its files. It stands in the folder of results.
MANIFEST = "report.json"
LOCK = ".lock"  # held while a run works on the folder; the system lets go of it with the process


@contextmanager
def lock_output(output: Path) -> Iterator[None]:
    """Make the folder and hold it, so that no second run writes there.

    Raises ValueError where another run holds it, OSError where it cannot be written.
    """
    output.mkdir(parents=True, exist_ok=True)
    lock = FileLock(output / LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise ValueError(
            f"another run writes to {output}; wait for it, or choose another --output"
        ) from None
    try:
        yield
    finally:
        with suppress(OSError):  # Windows does not delete an open file
            (output / LOCK).unlink()
        lock.release()


def open_staging(output: Path) -> Path:
    """Return an empty folder inside `output` to build a report in; finish an interrupted move first."""
    finish_move(output)
    staging = output / STAGING
    shutil.rmtree(staging, ignore_errors=True)
    (staging / "results").mkdir(parents=True)
    return staging


def publish(output: Path, facts: dict[str, Any]) -> None:
    """Replace the report in `output` by the one built in its staging folder; keep facts about it."""
    staging = output / STAGING
    names = sorted(path.name for path in staging.iterdir())
    text = json.dumps(facts | {"files": names}, indent=1) + "\n"
    (staging / "results" / MANIFEST).write_text(text, encoding="utf-8")
    atomic_io.move_atomically(staging, output / COMPLETE)
    finish_move(output)


def finish_move(output: Path) -> None:
    """Move a whole new report into its place, if there is one; files not of a report stay."""
    whole = output / COMPLETE
    if not whole.is_dir():
        return
    if (whole / "results").is_dir():  # moved last but one: until then the new list is here
        for name in set(list_files(output)) - set(list_files(whole)):
            _remove(output / name)  # such as the PDF of a report that had one
    # the front page last: until then it is the old one, or there is none
    order = {"results": 1, "index.html": 2}
    for path in sorted(whole.iterdir(), key=lambda path: order.get(path.name, 0)):
        target = output / path.name
        if path.is_dir() or target.is_dir():
            _remove(target)
        os.replace(path, target)
    whole.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():  # a link goes, and what it leads to stays
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def list_files(folder: Path) -> list[str]:
    """Return the names of a report's files and folders, as its manifest has them; [] for none.

    A manifest may be a stranger's: one that is not of our form, or that names anything outside the
    folder, is none.
    """
    try:
        text = (folder / "results" / MANIFEST).read_text(encoding="utf-8")
        names = json.loads(text)["files"]
        plain = all(name == Path(name).name and name not in ("", ".", "..") for name in names)
        return list(names) if plain else []
    except (OSError, ValueError, TypeError, KeyError):
        return []


def check_foreign_files(output: Path, names: list[str]) -> None:
    """Raise ValueError where a file of another origin in `output` would be replaced."""
    finish_move(output)
    ours = list_files(output)
    for name in sorted({*names, *ours}):
        path = output / name
        of_our_kind = name in ours and path.is_dir() == (name in FOLDERS)
        if path.is_symlink() or (path.exists() and not of_our_kind):
            raise ValueError(
                f"{output} holds {name}, which no report left there; choose another --output"
            )
