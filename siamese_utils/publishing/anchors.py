"""Link targets of the pages, with their text, for the search and the previews of links."""

from collections.abc import Iterable
from typing import NamedTuple

from bs4 import BeautifulSoup, Tag

from siamese_utils.publishing.chapters import Chapter

PREVIEW_LENGTH = 260  # characters of a preview


class Anchor(NamedTuple):
    """A link target: a page, or a section, figure, table or claim of a page.

    Attributes:
        link: Address of the target, such as `05-margins.html#figure-5-1`.
        title: Its heading, or the start of its text.
        text: Its text.
        picture: File of its first figure; empty for none.
    """

    link: str
    title: str
    text: str
    picture: str = ""

    @property
    def preview(self) -> str:
        """The text, cut after a word to a few lines."""
        text = self.text or self.title
        if len(text) <= PREVIEW_LENGTH:
            return text
        return f"{text[:PREVIEW_LENGTH].rsplit(' ', 1)[0]} …"


def find_anchors(chapter: Chapter, html: str) -> list[Anchor]:
    """Return the link targets of a chapter's page, the page itself first.

    Args:
        chapter: The chapter.
        html: The content of its page.
    """
    soup = BeautifulSoup(html, "html.parser")
    for element in soup.select("details.code, details.solution, .permalink"):
        element.decompose()
    page = chapter.page
    title = soup.find("h1")
    anchors = [Anchor(page, chapter.title, _section(title), _picture(title.find_next("figure")))]
    for heading in soup.find_all("h2"):
        link, picture = f"{page}#{heading['id']}", _picture(_first_figure(heading))
        anchors.append(Anchor(link, _text(heading), _section(heading), picture))
    for element in soup.select("figure[id] figcaption, table caption[id], div.claim[id]"):
        figure = element.find_parent("figure")
        target = figure["id"] if figure else element["id"]
        label, _, rest = _text(element).partition(". ")
        link, title = f"{page}#{target}", f"{label}. {rest[:90]}"
        anchors.append(Anchor(link, title, _text(element), _picture(figure)))
    return anchors


def add_previews(soup: BeautifulSoup, page: str, places: Iterable[Anchor]) -> None:
    """Add a preview of the target to each link of a page.

    Args:
        soup: The content of the page, which is changed.
        page: The file name of the page.
        places: The link targets of all pages.
    """
    anchors = {anchor.link: anchor for anchor in places}
    for link in soup.select("a[href]:not(.permalink, [data-meaning])"):
        address = f"{page}{link['href']}" if link["href"].startswith("#") else link["href"]
        if anchor := anchors.get(address):
            link["data-meaning"] = anchor.preview
            link["class"] = [*link.get("class", ()), "preview"]
            if anchor.picture:
                link["style"] = f"--picture: url({anchor.picture})"


def _section(heading: Tag) -> str:
    """Return the text from a heading to the next one, without figures, tables and claims."""
    parts = []
    for element in heading.find_all_next(["h2", "p", "li"]):
        if element.name == "h2":
            break
        if not element.find_parent(["figure", "table", "div"], class_="claim"):
            parts.append(_text(element))
    return " ".join(parts)


def _first_figure(heading: Tag) -> Tag | None:
    """Return the first figure between a heading and the next one."""
    element = heading.find_next(["h2", "figure"])
    return element if element and element.name == "figure" else None


def _picture(figure: Tag | None) -> str:
    """Return the file of a figure's drawing; empty for none."""
    image = figure and figure.select_one('img[src^="figures/"]')
    return image["src"] if image else ""


def _text(element: Tag) -> str:
    return element.get_text(" ", strip=True)
