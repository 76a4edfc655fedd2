"""The notebooks of the series: their files, titles and questions, read from the notebooks themselves."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siamese_utils import settings

SUMMARY = "00-summary"  # runs last, from the results of the others, and opens the report
RESULT_READERS = (SUMMARY, "14-how-it-was-made")  # they need what the others leave
FRONT_PAGE = "index.html"  # the page that opens a report
USER_IMAGES = "20-your-images"  # is all of a report on a reader's own images, and not of the series


@dataclass(frozen=True)
class Chapter:
    """One notebook of the series."""

    path: Path
    title: str
    question: str

    @property
    def name(self) -> str:
        """The file's name without its ending, such as `03-base-model`."""
        return self.path.stem

    @property
    def number(self) -> str:
        """The two digits in front."""
        return self.name[:2]

    @property
    def is_front(self) -> bool:
        """Whether it opens its report, and explains the words."""
        return self.name in (SUMMARY, USER_IMAGES)

    @property
    def page(self) -> str:
        """The file of its page in the report."""
        return FRONT_PAGE if self.is_front else f"{self.name}.html"


def list_chapters() -> list[Chapter]:
    """Return the notebooks in the order of the report: the summary first."""
    return [_read(path) for path in sorted(settings.NOTEBOOKS.glob("[0-9][0-9]-*.ipynb"))]


def user_images_chapter() -> Chapter:
    """Return the notebook that looks at a reader's own images."""
    return _read(settings.NOTEBOOKS / "own" / f"{USER_IMAGES}.ipynb")


def _read(path: Path) -> Chapter:
    return parse_chapter(path, json.loads(path.read_text(encoding="utf-8")))


def parse_chapter(path: Path, notebook: dict[str, Any]) -> Chapter:
    """Return what a notebook says of itself. Raises ValueError where it is not of this form.

    Its file's name begins with two digits, and its first cell with a title and, below an empty
    line, a question in asterisks.
    """
    source = notebook["cells"][0]["source"] if notebook["cells"] else ""
    lines = "".join(source).splitlines()
    if not path.name[:2].isdigit() or len(lines) < 3 or not lines[0].startswith("# "):
        raise ValueError(
            f"{path.name}: wanted two digits in front, and a first cell of '# Title' and '*Question?*'"
        )
    return Chapter(path, lines[0].removeprefix("# "), lines[2].strip("*"))
