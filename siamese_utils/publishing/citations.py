"""Citations of a page, numbered, with the list of what they cite; pandoc's citeproc makes both."""

import re
from copy import copy
from functools import cache
from pathlib import Path

from bs4 import BeautifulSoup, Tag

from siamese_utils import settings

BIBLIOGRAPHY = settings.NOTEBOOKS / "references.bib"
STYLE = Path(__file__).parent / "templates" / "numbered.csl"
CITATION = re.compile(r"\[@[\w-]+(?:; ?@[\w-]+)*\]")  # as pandoc has them: [@platt1999; @hou2019]


def cite(soup: BeautifulSoup) -> None:
    """Turn the citations of a page into links to a list at its end, if there are any.

    A link tells what it leads to, so that it is read without going there. What names something
    that is not in the bibliography is no citation; where there is no pandoc, all stay as written.
    """
    texts = [
        text
        for text in soup.find_all(string=CITATION)
        if not text.find_parent(["code", "pre", "script"])
    ]
    wanted = list(dict.fromkeys(one for text in texts for one in _citations(text)))
    if not wanted:
        return
    try:
        made, listed = _process(wanted)
    except (ImportError, OSError):
        return
    meanings = {one["id"]: one.get_text(" ", strip=True) for one in listed.select("[id^=ref-]")}
    for link in (link for one in made.values() for link in one.select("a")):
        link["data-meaning"] = meanings.get(link["href"].removeprefix("#"), "")
        link["class"] = "preview"
    for text in texts:
        parts = re.split(f"({CITATION.pattern})", text)
        text.replace_with(*(copy(made[part]) if part in made else part for part in parts))
    soup.append(soup.new_tag("h2", string="References"))
    soup.append(listed)


def _citations(text: str) -> list[str]:
    """Return the citations in a text, of what is in the bibliography."""
    return [one for one in CITATION.findall(text) if set(re.findall(r"@([\w-]+)", one)) <= _known()]


@cache
def _known() -> set[str]:
    return set(re.findall(r"@\w+\{([\w-]+),", BIBLIOGRAPHY.read_text(encoding="utf-8")))


def _process(wanted: list[str]) -> tuple[dict[str, Tag], Tag]:
    """Return each citation as a part of a page, and the list of all that they cite."""
    import pypandoc

    options = ["--citeproc", f"--bibliography={BIBLIOGRAPHY}", f"--csl={STYLE}"]
    options += ["--metadata=link-citations:true", "--wrap=none"]
    html = pypandoc.convert_text("\n\n".join(wanted), "html", "markdown", extra_args=options)
    found = BeautifulSoup(html, "html.parser")
    made = dict(zip(wanted, found.select("p > span.citation"), strict=True))
    return made, found.find(id="refs").extract()
