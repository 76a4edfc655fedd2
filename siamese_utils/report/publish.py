"""Put a whole new report in place of the old one, so that no reader ever meets half of one."""

import os
import shutil
from pathlib import Path

# A report is built in the first and, once it is whole, renamed to the second. Whoever finds
# the second finishes the move: that is what makes a pulled plug harmless.
STAGING, WHOLE = ".staging", ".whole"


def open_staging(output: Path) -> Path:
    """Return an empty folder inside `output` to build a report in; finish an interrupted move first."""
    finish(output)
    staging = output / STAGING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    return staging


def publish(output: Path) -> None:
    """Replace the report in `output` by the one built in its staging folder."""
    os.replace(output / STAGING, output / WHOLE)
    finish(output)


def finish(output: Path) -> None:
    """Move a whole new report into its place, if there is one; nothing else in `output` is touched."""
    whole = output / WHOLE
    if not whole.is_dir():
        return
    # the front page last: until then it is the old one, or there is none
    for path in sorted(whole.iterdir(), key=lambda path: path.name == "index.html"):
        target = output / path.name
        if path.is_dir() and target.is_dir():
            shutil.rmtree(target)
        os.replace(path, target)
    whole.rmdir()
