"""The places of a page that can be led to, and what is read there."""

from collections.abc import Iterable
from typing import NamedTuple

from bs4 import BeautifulSoup, Tag

from siamese_utils.report.series import Chapter

LENGTH = 260  # characters of a preview


class Place(NamedTuple):
    """A page, or a section, figure, table or claim of it."""

    link: str
    title: str
    text: str

    @property
    def preview(self) -> str:
        """What is read there, cut to a few lines."""
        words = self.text or self.title
        return words if len(words) <= LENGTH else f"{words[:LENGTH].rsplit(' ', 1)[0]} …"


def places_of(chapter: Chapter, html: str) -> list[Place]:
    """Return the places of a chapter's page, itself first; html: its content."""
    soup = BeautifulSoup(html, "html.parser")
    for unread in soup.select("details.code, .permalink, .reading"):
        unread.decompose()
    page = chapter.page
    found = [Place(page, chapter.title, _section(soup.find("h1")))]
    for heading in soup.find_all("h2"):
        found.append(Place(f"{page}#{heading['id']}", _text(heading), _section(heading)))
    for place in soup.select("figure[id] figcaption, table caption[id], div.claim[id]"):
        target = place.get("id") or place.find_parent("figure")["id"]
        title, _, rest = _text(place).partition(". ")
        found.append(Place(f"{page}#{target}", f"{title}. {rest[:90]}", _text(place)))
    return found


def add_previews(soup: BeautifulSoup, page: str, places: Iterable[Place]) -> None:
    """Have the links of a page tell what is read where they lead, as its words do."""
    previews = {place.link: place.preview for place in places}
    for link in soup.select("a[href]:not(.permalink, [data-meaning])"):
        address = f"{page}{link['href']}" if link["href"].startswith("#") else link["href"]
        if preview := previews.get(address):
            link["data-meaning"] = preview
            link["class"] = [*link.get("class", ()), "preview"]


def _section(heading: Tag) -> str:
    """Return the text from a heading to the next one; figures, tables and claims speak for themselves."""
    parts = []
    for element in heading.find_all_next(["h2", "p", "li"]):
        if element.name == "h2":
            break
        if not element.find_parent(["figure", "table", "div"], class_="claim"):
            parts.append(_text(element))
    return " ".join(parts)


def _text(element: Tag) -> str:
    return element.get_text(" ", strip=True)
