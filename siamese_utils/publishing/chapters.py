"""The chapters of the report: one notebook each, which describes itself."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siamese_utils import settings

SUMMARY = "00-summary"  # opens the report
USER_IMAGES = "20-your-images"  # the only chapter of a report on a user's own images
FRONT_PAGE = "index.html"


@dataclass(frozen=True)
class Chapter:
    """A notebook of the report.

    Attributes:
        path: The notebook.
        title: Its title.
        question: The question below the title.
        reads_results: Whether it reads the results of all other chapters, and so runs after them.
    """

    path: Path
    title: str
    question: str
    reads_results: bool = False

    @property
    def name(self) -> str:
        """The file's name without its ending, such as `03-base-model`."""
        return self.path.stem

    @property
    def number(self) -> str:
        """The two digits that the file's name begins with."""
        return self.name[:2]

    @property
    def is_front(self) -> bool:
        """Whether it is the front page of its report, which has the glossary."""
        return self.name in (SUMMARY, USER_IMAGES)

    @property
    def page(self) -> str:
        """The file name of its page in the report."""
        return FRONT_PAGE if self.is_front else f"{self.name}.html"


def list_chapters() -> list[Chapter]:
    """Return the chapters in the order of the report."""
    return [_read(path) for path in sorted(settings.NOTEBOOKS.glob("[0-9][0-9]-*.ipynb"))]


def user_images_chapter() -> Chapter:
    """Return the chapter on a user's own images."""
    return _read(settings.NOTEBOOKS / "own" / f"{USER_IMAGES}.ipynb")


def _read(path: Path) -> Chapter:
    return parse_chapter(path, json.loads(path.read_text(encoding="utf-8")))


def parse_chapter(path: Path, notebook: dict[str, Any]) -> Chapter:
    """Return the chapter that a notebook describes.

    Args:
        path: Of the notebook; the file's name begins with two digits.
        notebook: Its JSON. The first cell has a title and, below an empty line, a question in
            asterisks. The metadata may hold `"siamese": {"reads_results": true}`.

    Raises:
        ValueError: The notebook has another form.
    """
    source = notebook["cells"][0]["source"] if notebook["cells"] else ""
    lines = "".join(source).splitlines()
    if not path.name[:2].isdigit() or len(lines) < 3 or not lines[0].startswith("# "):
        raise ValueError(
            f"{path.name}: the file's name must begin with two digits, and the first cell must hold "
            "'# Title', an empty line and '*Question?*'"
        )
    metadata = notebook["metadata"].get("siamese", {})
    reads_results = bool(metadata.get("reads_results", False))
    return Chapter(path, lines[0].removeprefix("# "), lines[2].strip("*"), reads_results)
