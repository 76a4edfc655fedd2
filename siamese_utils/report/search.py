"""The index that the pages' search asks: where each word of the report stands."""

import json
import re
from collections.abc import Iterable

from bs4 import BeautifulSoup, Tag

from siamese_utils.report.html import Body

FILE = "search.js"  # beside the pages; a script, since a page read from a disk may load no JSON


def make_index(bodies: Iterable[Body]) -> str:
    """Return a script that sets `searchIndex`: a place of the report each, with its words.

    Places are the sections, figures, tables and claims of all pages.
    """
    places = [place for body in bodies for place in _places_of(body)]
    return f"searchIndex = {json.dumps(places, ensure_ascii=False)};\n".replace("<", "\\u003c")


def _places_of(body: Body) -> list[dict[str, str]]:
    soup = BeautifulSoup(body.html, "html.parser")
    for unread in soup.select("details.code, .permalink, math"):
        unread.decompose()
    found = [_place(body, "", body.chapter.title, _section(soup.find("h1")))]
    for heading in soup.find_all("h2"):
        found.append(_place(body, heading["id"], _text(heading), _section(heading)))
    for place in soup.select("figure[id] figcaption, table caption[id], div.claim[id]"):
        target = place.get("id") or place.parent["id"]
        title, _, rest = _text(place).partition(". ")
        found.append(_place(body, target, f"{title}. {rest[:90]}", _text(place)))
    return found


def _section(heading: Tag) -> str:
    """Return the text from a heading to the next one; figures, tables and claims speak for themselves."""
    parts = []
    for element in heading.find_all_next(["h2", "p", "li"]):
        if element.name == "h2":
            break
        if not element.find_parent(["figure", "table", "div"], class_="claim"):
            parts.append(_text(element))
    return " ".join(parts)


def _place(body: Body, target: str, title: str, text: str) -> dict[str, str]:
    words = sorted(set(re.findall(r"\w+(?:[.-]\w+)*", f"{title} {text}".lower())))
    link = body.chapter.page + (f"#{target}" if target else "")
    page = "" if not target else body.chapter.title
    return {"link": link, "title": title, "page": page, "words": " ".join(words)}


def _text(element: Tag) -> str:
    return element.get_text(" ", strip=True)
