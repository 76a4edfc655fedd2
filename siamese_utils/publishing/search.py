"""The index that the pages' search asks: where each word of the report stands."""

import json
import re
from collections.abc import Iterable

from siamese_utils.publishing.html import Body

FILE = "search.js"  # beside the pages; a script, since a page read from a disk may load no JSON


def make_index(bodies: Iterable[Body]) -> str:
    """Return a script that sets `searchIndex`: a place of the report each, with its words.

    Places are the sections, figures, tables and claims of all pages.
    """
    found = []
    for body in bodies:
        for place in body.places:
            words = sorted(
                set(re.findall(r"\w+(?:[.-]\w+)*", f"{place.title} {place.text}".lower()))
            )
            page = body.chapter.title if "#" in place.link else ""
            found.append(
                {"link": place.link, "title": place.title, "page": page, "words": " ".join(words)}
            )
    return f"searchIndex = {json.dumps(found, ensure_ascii=False)};\n".replace("<", "\\u003c")
