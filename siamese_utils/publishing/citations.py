"""Numbered citations and the list of references of a page, formatted by pandoc's citeproc."""

import re
from copy import copy
from functools import cache
from pathlib import Path

from bs4 import BeautifulSoup, Tag

from siamese_utils import settings

BIBLIOGRAPHY = settings.NOTEBOOKS / "references.bib"
STYLE = Path(__file__).parent / "templates" / "numbered.csl"
CITATION = re.compile(r"\[@[\w-]+(?:; ?@[\w-]+)*\]")  # such as [@platt1999; @hou2019]


def cite(soup: BeautifulSoup) -> None:
    """Replace the citations of a page by links to a list of references at its end.

    Each link has the reference as its preview. Citations with an unknown key stay as text; without
    pandoc, all do.

    Args:
        soup: The content of the page, which is changed.
    """
    texts = [
        text
        for text in soup.find_all(string=CITATION)
        if not text.find_parent(["code", "pre", "script"])
    ]
    citations = list(dict.fromkeys(c for text in texts for c in _known_citations(text)))
    if not citations:
        return
    try:
        formatted, references = _format(citations)
    except (ImportError, OSError):
        return
    meanings = {r["id"]: r.get_text(" ", strip=True) for r in references.select("[id^=ref-]")}
    for link in (link for citation in formatted.values() for link in citation.select("a")):
        link["data-meaning"] = meanings.get(link["href"].removeprefix("#"), "")
        link["class"] = "preview"
    for text in texts:
        parts = re.split(f"({CITATION.pattern})", text)
        text.replace_with(*(copy(formatted[part]) if part in formatted else part for part in parts))
    soup.append(soup.new_tag("h2", string="References"))
    soup.append(references)


def _known_citations(text: str) -> list[str]:
    """Return the citations in a text whose keys are all in the bibliography."""
    return [c for c in CITATION.findall(text) if set(re.findall(r"@([\w-]+)", c)) <= _known_keys()]


@cache
def _known_keys() -> set[str]:
    return set(re.findall(r"@\w+\{([\w-]+),", BIBLIOGRAPHY.read_text(encoding="utf-8")))


def _format(citations: list[str]) -> tuple[dict[str, Tag], Tag]:
    """Return the HTML of each citation, and the list of all references."""
    import pypandoc

    options = ["--citeproc", f"--bibliography={BIBLIOGRAPHY}", f"--csl={STYLE}"]
    options += ["--metadata=link-citations:true", "--wrap=none"]
    html = pypandoc.convert_text("\n\n".join(citations), "html", "markdown", extra_args=options)
    soup = BeautifulSoup(html, "html.parser")
    formatted = dict(zip(citations, soup.select("p > span.citation"), strict=True))
    return formatted, soup.find(id="refs").extract()
