from pathlib import Path

from bs4 import BeautifulSoup

from siamese_utils.publishing import anchors
from siamese_utils.publishing.chapters import Chapter
from siamese_utils.publishing.html import Body

HTML = """<h1>Margins</h1><p><em>Which one?</em></p><p>The first.</p>
<h2 id="how">How <a class="permalink" href="#how">#</a></h2><p>By trying.</p>
<details class="code"><p>margin = 1</p></details>
<figure id="figure-5-1"><img src="figures/figure-5-1.svg"><figcaption>Figure 5.1. Two lines.</figcaption></figure>
<div class="claim" id="claim-4"><p><strong>Claim 4: holds.</strong> Margin 5 is worse.</p></div>"""


def body():
    return Body(Chapter(Path("05-margins.ipynb"), "Margins", "Which one?"), HTML, [], [], [])


def test_the_places_of_a_page_by_hand():
    assert [tuple(place) for place in body().places] == [
        ("05-margins.html", "Margins", "Which one? The first.", "figures/figure-5-1.svg"),
        ("05-margins.html#how", "How", "By trying.", "figures/figure-5-1.svg"),
        ("05-margins.html#figure-5-1", *["Figure 5.1. Two lines."] * 2, "figures/figure-5-1.svg"),
        (
            "05-margins.html#claim-4",
            "Claim 4: holds. Margin 5 is worse.",
            "Claim 4: holds. Margin 5 is worse.",
            "",
        ),
    ]


def test_links_tell_what_they_lead_to():
    soup = BeautifulSoup(
        '<a href="05-margins.html">a</a> <a href="#claim-4">b</a> <a href="06.html#x">c</a>'
        '<a href="#how" data-meaning="its own">d</a> <a class="permalink" href="#how">#</a>',
        "html.parser",
    )
    anchors.add_previews(soup, "05-margins.html", body().places)
    assert [link.get("data-meaning") for link in soup("a")] == [
        "Which one? The first.",
        "Claim 4: holds. Margin 5 is worse.",
        None,
        "its own",
        None,
    ]
    picture = "--picture: url(figures/figure-5-1.svg)"
    assert [link.get("style") for link in soup("a")] == [picture, None, None, None, None]


def test_a_preview_is_short_and_ends_with_a_word():
    long = anchors.Anchor("a.html", "A", "seven letters " * 100)
    assert len(long.preview) < anchors.PREVIEW_LENGTH + 3
    assert long.preview.endswith((" seven …", " letters …"))
    assert anchors.Anchor("a.html#b", "A title", "").preview == "A title"
