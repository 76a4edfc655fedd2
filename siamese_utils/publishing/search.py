"""The index of the search on the pages: link targets with their words."""

import json
import re
from collections.abc import Iterable

from siamese_utils.publishing.html import Body

FILE = "search.js"  # a script, since a page opened from a disk may not load JSON


def make_index(bodies: Iterable[Body]) -> str:
    """Return a script that sets `searchIndex` to the link targets of all pages and their words."""
    entries = []
    for body in bodies:
        for anchor in body.places:
            text = f"{anchor.title} {anchor.text}".lower()
            words = " ".join(sorted(set(re.findall(r"\w+(?:[.-]\w+)*", text))))
            page = body.chapter.title if "#" in anchor.link else ""
            entries.append(
                {"link": anchor.link, "title": anchor.title, "page": page, "words": words}
            )
    return f"searchIndex = {json.dumps(entries, ensure_ascii=False)};\n".replace("<", "\\u003c")
