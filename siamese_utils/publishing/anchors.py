"""The places of a page that can be led to, and what is read there."""

from collections.abc import Iterable
from typing import NamedTuple

from bs4 import BeautifulSoup, Tag

from siamese_utils.publishing.chapters import Chapter

PREVIEW_LENGTH = 260  # characters of a preview


class Anchor(NamedTuple):
    """A page, or a section, figure, table or claim of it."""

    link: str
    title: str
    text: str
    picture: str = ""  # the file of the first figure there

    @property
    def preview(self) -> str:
        """What is read there, cut to a few lines."""
        words = self.text or self.title
        return (
            words
            if len(words) <= PREVIEW_LENGTH
            else f"{words[:PREVIEW_LENGTH].rsplit(' ', 1)[0]} …"
        )


def find_anchors(chapter: Chapter, html: str) -> list[Anchor]:
    """Return the places of a chapter's page, itself first; html: its content."""
    soup = BeautifulSoup(html, "html.parser")
    for unread in soup.select("details.code, details.solution, .permalink"):
        unread.decompose()
    page = chapter.page
    title = soup.find("h1")
    found = [Anchor(page, chapter.title, _section(title), _picture(title.find_next("figure")))]
    for heading in soup.find_all("h2"):
        link, picture = f"{page}#{heading['id']}", _picture(_first_figure(heading))
        found.append(Anchor(link, _text(heading), _section(heading), picture))
    for place in soup.select("figure[id] figcaption, table caption[id], div.claim[id]"):
        figure = place.find_parent("figure")
        target = figure["id"] if figure else place["id"]
        title, _, rest = _text(place).partition(". ")
        words = f"{title}. {rest[:90]}"
        found.append(Anchor(f"{page}#{target}", words, _text(place), _picture(figure)))
    return found


def add_previews(soup: BeautifulSoup, page: str, places: Iterable[Anchor]) -> None:
    """Have the links of a page tell what is read where they lead, as its words do, and show it."""
    by_link = {place.link: place for place in places}
    for link in soup.select("a[href]:not(.permalink, [data-meaning])"):
        address = f"{page}{link['href']}" if link["href"].startswith("#") else link["href"]
        if place := by_link.get(address):
            link["data-meaning"] = place.preview
            link["class"] = [*link.get("class", ()), "preview"]
            if place.picture:
                link["style"] = f"--picture: url({place.picture})"


def _section(heading: Tag) -> str:
    """Return the text from a heading to the next one; figures, tables and claims speak for themselves."""
    parts = []
    for element in heading.find_all_next(["h2", "p", "li"]):
        if element.name == "h2":
            break
        if not element.find_parent(["figure", "table", "div"], class_="claim"):
            parts.append(_text(element))
    return " ".join(parts)


def _first_figure(heading: Tag) -> Tag | None:
    """Return the first figure between a heading and the next one."""
    place = heading.find_next(["h2", "figure"])
    return place if place and place.name == "figure" else None


def _picture(figure: Tag | None) -> str:
    """Return the file of a figure's drawing."""
    image = figure and figure.select_one('img[src^="figures/"]')
    return image["src"] if image else ""


def _text(element: Tag) -> str:
    return element.get_text(" ", strip=True)
