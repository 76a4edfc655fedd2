"""Citations of a page, numbered, with the list of what they cite; pandoc's citeproc makes both."""

import re
from pathlib import Path

from bs4 import BeautifulSoup, Tag

from siamese_utils import settings

BIBLIOGRAPHY = settings.NOTEBOOKS / "references.bib"
STYLE = Path(__file__).parent / "templates" / "numbered.csl"
CITATION = re.compile(r"\[@[^\]]+\]")  # as pandoc's Markdown has them: [@platt1999; @hou2019]


def cite(soup: BeautifulSoup) -> None:
    """Turn the citations of a page into links to a list at its end, if there are any.

    A link tells what it leads to, so that it is read without going there.
    """
    texts = [
        text
        for text in soup.find_all(string=CITATION)
        if not text.find_parent(["code", "pre", "script"])
    ]
    wanted = list(dict.fromkeys(one for text in texts for one in CITATION.findall(text)))
    if not wanted:
        return
    try:
        made, listed = _process(wanted)
    except (ImportError, OSError):  # no pandoc here: they stay as they are written
        return
    meanings = {one["id"]: one.get_text(" ", strip=True) for one in listed.select("[id^=ref-]")}
    for link in (link for one in made.values() for link in one.select("a")):
        link["data-meaning"] = meanings.get(link["href"].removeprefix("#"), "")
        link["class"] = "preview"
    for text in texts:
        parts = CITATION.sub(lambda found: str(made[found[0]]), str(text))
        text.replace_with(BeautifulSoup(parts, "html.parser"))
    soup.append(soup.new_tag("h2", string="References"))
    soup.append(listed)


def _process(wanted: list[str]) -> tuple[dict[str, Tag], Tag]:
    """Return each citation as a part of a page, and the list of all that they cite."""
    import pypandoc

    options = ["--citeproc", f"--bibliography={BIBLIOGRAPHY}", f"--csl={STYLE}"]
    options += ["--metadata=link-citations:true", "--wrap=none"]
    html = pypandoc.convert_text("\n\n".join(wanted), "html", "markdown", extra_args=options)
    found = BeautifulSoup(html, "html.parser")
    made = dict(zip(wanted, found.select("p > span.citation"), strict=True))
    return made, found.find(id="refs").extract()
