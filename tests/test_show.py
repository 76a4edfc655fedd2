import io
import json
import math
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from IPython.core.formatters import DisplayFormatter
from IPython.display import HTML, SVG, Markdown

from siamese_utils.data.pairs import Pairs
from siamese_utils.evaluation.intervals import Interval, Measurement, measurement
from siamese_utils.publishing.html import MarkdownWithMath, MathRenderer
from siamese_utils.reporting import glossary, plots, show
from siamese_utils.reporting import results as kept

CLEAR = measurement([2.0, 2.1, 1.9], "points", signed=True)  # 2 ± 0.25
UNCLEAR = measurement([2.0, -2.0, 0.0], "points", signed=True)
POINTS = pd.DataFrame(
    [("seen", "base", 1, 0.5), ("seen", "base", 2, 1 / 3), ("all", "base", 1, 0.25)],
    columns=["subplot", "series", "x", "y"],
)


@pytest.fixture
def shown(monkeypatch):
    """What a page gets: each displayed thing and its metadata."""
    outputs = []
    monkeypatch.setattr(
        show, "display", lambda item, metadata=None: outputs.append((item, metadata))
    )
    return outputs


@pytest.fixture
def table(shown):
    """A function that shows a table and returns it as its page has it."""

    def show_it(rows, caption="A table.", **options):
        show.table(rows, caption, **options)
        item, _ = shown[-1]
        assert isinstance(item, HTML)
        return BeautifulSoup(item.data, "html.parser")

    return show_it


def test_a_check_shows_its_sentence_and_its_result(shown):
    show.check("1 < 2", np.bool_(True))
    show.check("2 & 3 are equal", False)
    passed, failed = (BeautifulSoup(item.data, "html.parser").p for item, _ in shown)
    assert passed.text == "✓ 1 < 2."
    assert "passed" in passed["class"]
    assert failed.text == "✗ Check failed: 2 & 3 are equal."
    assert "failed" in failed["class"]
    assert passed["style"] != failed["style"]
    results = [metadata["text/html"]["check"] for _, metadata in shown]
    assert results == [
        {"sentence": "1 < 2", "passed": True},
        {"sentence": "2 & 3 are equal", "passed": False},
    ]
    assert json.loads(json.dumps(results)) == results


def test_what_later_numbers_rest_on_stops_with_its_sentence(shown):
    show.require("Train and test share no image", True)
    with pytest.raises(show.CheckFailedError, match=r"^Train and test share no image$"):
        show.require("Train and test share no image", False)
    assert [m["text/html"]["check"]["passed"] for _, m in shown] == [True, False]


def cells_of(soup):
    """The texts of a table's rows."""
    return [[cell.text for cell in row("td")] for row in soup.tbody("tr")]


def sides_of(soup):
    """On which side each column stands, in its head and in its cells."""
    head = [cell["style"].removeprefix("text-align:") for cell in soup.thead("th")]
    for row in soup.tbody("tr"):
        assert [cell["style"].removeprefix("text-align:") for cell in row("td")] == head
    return head


def test_words_stand_to_the_left_and_figures_to_the_right(table):
    frame = pd.DataFrame(
        {
            "word": ["a", "b"],
            "list": [[1, 2], []],
            "link": [show.LinkCell("a", "a.html")] * 2,
            "whole": [1, 2],
            "part": [0.5, 0.25],
            "figure": [measurement([1, 1]), CLEAR],
            "both": ["a", 1],
            "yes or no": [True, np.False_],
        }
    )
    soup = table(frame)
    assert sides_of(soup) == ["left"] * 3 + ["right"] * 5
    assert cells_of(soup)[0][:5] == ["a", "1, 2", "a", "1", "0.5"]
    assert cells_of(soup)[1][1] == "none"
    assert [row[-1] for row in cells_of(soup)] == ["yes", "no"]
    assert soup.caption.text.startswith("A table.")
    assert all(cell["scope"] == "col" for cell in soup.thead("th"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (1234567, "1,234,567"),
        (33600.0, "33,600"),
        (np.int64(1000), "1,000"),
        (1234.5, "1,234.5"),
        (0.1234567, "0.123457"),
        (0, "0"),
        (math.nan, "–"),
        (None, "–"),
        (measurement([math.nan, math.nan]), "–"),
        (measurement([69, 71], "%"), "70.00 ± 12.71"),
        (measurement([0.5]), "0.500"),
        (Interval(-1.5, -2.0, -1.0, 3, "points", signed=True), "−1.50 (−2.00 to −1.00)"),
        ("99.85 / 99.73", "99.85 / 99.73"),
    ],
)
def test_cells_as_text(table, value, text):
    soup = table(pd.DataFrame({"of": ["a"], "value": pd.Series([value], dtype=object)}))
    assert cells_of(soup) == [["a", text]]


@pytest.mark.parametrize(
    ("value", "bold"),
    [
        (CLEAR, True),
        (CLEAR.interval, True),
        (CLEAR * -1, True),
        (UNCLEAR, False),
        (UNCLEAR.interval, False),
        (measurement([2.0], signed=True), False),  # no interval
        (measurement([2.0, 2.1, 1.9], "%"), False),  # no difference
        (Interval(1.0, 0.0, 2.0, 3, signed=True), False),  # it reaches 0
        (measurement([math.nan] * 3, signed=True), False),
        (2.0, False),
    ],
)
def test_a_difference_whose_interval_does_not_contain_0_stands_in_bold(table, value, bold):
    soup = table(pd.DataFrame({"value": pd.Series([value], dtype=object)}))
    assert bool(soup.tbody.strong) == bold
    if bold:
        assert soup.tbody.strong.text == f"{value}"


def test_printed_numbers_are_aligned_as_numbers_are(table):
    frame = pd.DataFrame(
        {
            "2019": ["95.99", "–"],
            "one more run": ["94.20 to 97.10", "−3 to 2"],
            "inside": ["yes", "no"],
            "mixed": ["95.99", "none"],
        }
    )
    assert sides_of(table(frame)) == ["right", "right", "left", "left"]


def test_links_lead_to_other_pages(table):
    link = show.LinkCell("a < b & c", "03-base-model.ipynb#claim-1a")
    soup = table(pd.DataFrame({"page": [link]}))
    assert soup.a["href"] == "03-base-model.ipynb#claim-1a"
    assert soup.a.text == "a < b & c"


def test_what_is_shown_is_text_and_no_markup(table):
    soup = table(pd.DataFrame({"<i>": ["<b>bold</b>"]}), "A < B & C")
    assert not soup("i") + soup("b")
    assert soup.caption.text == "A < B & C"
    assert soup.th.text == "<i>"
    assert cells_of(soup) == [["<b>bold</b>"]]


def test_a_named_index_stands_in_front(table):
    frame = pd.DataFrame({"value": [1, 2]}, index=["a", "b"])
    assert cells_of(table(frame)) == [["1"], ["2"]]
    soup = table(frame.rename_axis("of"))
    assert [cell.text for cell in soup.thead("th")] == ["of", "value"]
    assert cells_of(soup) == [["a", "1"], ["b", "2"]]
    assert frame.columns.tolist() == ["value"]  # as it was


def test_a_series_is_a_table(table):
    auc = pd.Series({("base", 5): 0.5, ("base", 50): 0.75}, name="AUC")
    soup = table(auc.rename_axis(["encoder", "pairs"]))
    assert [cell.text for cell in soup.thead("th")] == ["encoder", "pairs", "AUC"]
    assert cells_of(soup) == [["base", "5", "0.5"], ["base", "50", "0.75"]]


def test_heads_of_two_levels_are_one_line(table):
    frame = pd.DataFrame({("seen", "AUC"): [1], ("seen", ""): [2]}, ["a"]).rename_axis("encoder")
    assert [cell.text for cell in table(frame).thead("th")] == ["encoder", "seen, AUC", "seen"]


def test_the_caption_says_what_the_figures_are(table):
    def caption(**columns):
        frame = pd.DataFrame({name: [value] for name, value in columns.items()})
        return table(frame).caption.text.removeprefix("A table.")

    groups = Measurement(np.ones(3), np.ones((3, 2)))
    assert caption(a=1, b="word") == ""
    assert caption(a=measurement([1.0])) == " One seed, so no interval."
    means = " Means over 3 seeds ± half the width of the 95 % interval"
    assert caption(a=measurement([1, 2, 3])) == f"{means}."
    assert caption(a=groups) == f"{means}, over seeds and images."
    differences = (
        " Differences: means over 3 seeds (95 % interval); bold where it does not contain 0."
    )
    assert caption(a=CLEAR) == differences
    assert caption(a=CLEAR.interval, b=measurement([1, 2, 3])) == f"{means}.{differences}"
    assert "over the seeds ±" in caption(a=measurement([1, 2]), b=measurement([1, 2, 3]))


def test_a_shown_table_can_be_kept_as_numbers(table, results):
    frame = pd.DataFrame({"gain": [CLEAR, UNCLEAR]}, ["a", "b"]).rename_axis("encoder")
    table(frame, save="sample")
    found = kept.read_measurements("sample")
    assert found["a", "gain"].mean == CLEAR.interval.mean
    table(frame)
    assert [path.name for path in results.iterdir()] == ["sample.csv"]


def test_a_figure_travels_with_all_that_its_page_wants(shown):
    show.figure(plots.lines, POINTS, "A figure:\n  two  lines.", x="epoch", live={"kind": "a"})
    (drawing, metadata), (caption, mark) = shown
    assert isinstance(drawing, SVG)
    assert drawing.data.startswith("<svg")
    told = metadata["image/svg+xml"]
    assert told["caption"] == "A figure: two lines."
    assert told["alt"] == "Where the lines end. seen, base: 0.3333; all, base: 0.25."
    assert told["live"] == {"kind": "a"}
    assert told["narrow"].startswith("<?xml")
    assert told["narrow"] != drawing.data
    assert isinstance(caption, Markdown)
    assert caption.data == "*A figure: two lines.*"
    assert mark == {"text/markdown": {"caption": True}}  # a page has it in the figure
    # a notebook takes it
    data, _ = DisplayFormatter().format(drawing)
    assert data["image/svg+xml"].startswith("<svg")
    assert not plt.get_fignums()


def test_a_figures_data_read_back_are_its_frame(shown):
    show.figure(plots.lines, POINTS, "A figure.")
    told = shown[0][1]["image/svg+xml"]["data"]
    found = pd.read_csv(io.StringIO(told))
    pd.testing.assert_frame_equal(found, POINTS, rtol=1e-5)
    assert told.splitlines()[2] == "seen,base,2,0.333333"


def test_of_a_figures_data_what_says_nothing_is_left_out(shown):
    frame = POINTS.assign(subplot="", low=math.nan, high=math.nan)
    show.figure(plots.lines, frame, "A figure.")
    told = shown[0][1]["image/svg+xml"]["data"]
    assert told.splitlines()[0] == "series,x,y"
    assert frame["subplot"].tolist() == [""] * 3  # the frame stays as it was


def test_images_have_words_and_no_data(shown):
    images = np.zeros((2, 3, 4, 4, 1), dtype=np.uint8)
    show.figure(plots.image_grid, images, "Images.", alt="Black squares.", names=["a", "b"])
    told = shown[0][1]["image/svg+xml"]
    assert [told[name] for name in ("alt", "data", "live", "narrow")] == [
        "Black squares.",
        "",
        None,
        "",
    ]


def test_words_given_go_before_those_of_the_data(shown):
    frame = POINTS.copy()
    frame.attrs["alt"] = "As the frame says."
    show.figure(plots.lines, frame, "A figure.")
    show.figure(plots.lines, frame, "A figure.", alt="As the page says.")
    said = [metadata["image/svg+xml"]["alt"] for _, metadata in shown[::2]]
    assert said == ["As the frame says.", "As the page says."]


def test_the_same_figure_is_the_same_file(shown):
    for _ in range(2):
        show.figure(plots.lines, POINTS, "A figure.")
    assert shown[0][0].data == shown[2][0].data


def test_pairs_stand_under_their_classes_and_distances(shown, digits, monkeypatch):
    rows = [np.flatnonzero(digits.labels == c)[0] for c in (3, 8)]
    drawn = Pairs(np.array([rows[0]] * 3), np.array([rows[1], rows[0], rows[1]]), np.ones(3))
    drawings = []
    gallery = plots.pair_gallery
    monkeypatch.setattr(
        plots,
        "pair_gallery",
        lambda i, titles: drawings.append((i, titles)) or gallery(i, titles=titles),
    )
    show.pairs(digits, drawn, np.array([0, 1]), "Pairs.")
    show.pairs(digits, drawn, np.array([1, 2]), "Pairs.", np.array([0.1, 0.25, 2.0]))
    (images, titles), (_, with_distance) = drawings
    assert titles == ["3 / 8", "3"]
    assert with_distance == ["3\nD = 0.25", "3 / 8\nD = 2.00"]
    assert images.shape == (2, 2, 28, 28, 1)
    assert np.array_equal(images[0, 1], digits.images[rows[1]])
    told = [metadata["image/svg+xml"] for _, metadata in shown[::2]]
    assert told[0]["alt"] == "Pairs of images: 3 / 8; 3."
    assert told[1]["alt"] == "Pairs of images: 3, D = 0.25; 3 / 8, D = 2.00."
    assert [of["data"] for of in told] == ["", ""]


def test_an_answer_leaves_out_what_is_empty(shown):
    show.answer("No, on this split.", "", "It gains 3 points.", "")
    show.answer("Yes.", "It gains 3 points.", "It loses none.")
    assert [item.data for item, _ in shown] == [
        "**No, on this split.**\n\n- It gains 3 points.",
        "**Yes.**\n\n- It gains 3 points.\n- It loses none.",
    ]
    assert all(isinstance(item, Markdown) for item, _ in shown)


def test_sentences_and_source_are_markdown(shown):
    show.text("Some *words*.")
    show.source("data.pairs.sample_pairs")
    words, code = (item.data for item, _ in shown)
    assert words == "Some *words*."
    assert code.startswith("```python\ndef sample_pairs(")
    assert code.endswith("\n```")
    assert "rng.permutation" not in code  # that function alone


OWN, BAD = "seeds = 3\nprofile = 'full'", "# Parameters\nsedes = 5\n"


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["", "import x", OWN], None),
        (["", OWN, "# Parameters\nseeds = 5\n"], None),
        (["", OWN, BAD], "no parameter sedes; this notebook has profile, seeds"),
        (["", OWN, BAD, "%matplotlib inline", "# Parameters\nseeds = 5\n"], None),  # mended by hand
        (["", OWN, "# Parameters\nseeds = 5\n", "1 +", "# Parameters\nseeds = 5\n"], None),
    ],
)
def test_parameters_are_checked_against_the_notebooks_own(monkeypatch, cells, message):
    monkeypatch.setattr(show, "get_ipython", lambda: SimpleNamespace(user_ns={"In": cells}))
    if message:
        with pytest.raises(ValueError, match=message):
            show.check_parameters()
    else:
        show.check_parameters()
    monkeypatch.setattr(show, "get_ipython", lambda: None)
    show.check_parameters()  # where there is no notebook there is nothing to check


def test_a_cell_can_be_a_place_that_links_lead_to(table):
    rows = pd.DataFrame({"word": [show.AnchorCell("a < b", "term-a")], "meaning": ["less"]})
    shown = table(rows)
    cell = shown.find("td", id="term-a")
    assert cell.text == "a < b"
    assert cell["style"] == "text-align:left"


def test_every_word_of_the_glossary_has_a_place_of_its_own():
    rows = glossary.table()
    anchors = [place.anchor for place in rows["word"]]
    assert len(set(anchors)) == len(anchors) == len(glossary.TERMS)
    names = [place.text.lower() for place in rows["word"]]
    assert names == sorted(names)


@pytest.mark.parametrize("words", ["a_b_c *d* <b> $x$ #1 [e](f) `g` \\ & ~h~ !i |", "plain words"])
def test_names_of_a_reader_stand_as_they_are(words):
    html = MarkdownWithMath(renderer=MathRenderer(escape=False))(show.literal(words))
    paragraph = BeautifulSoup(html, "html.parser").p
    assert paragraph.get_text() == words
    assert not paragraph.find_all(True)
