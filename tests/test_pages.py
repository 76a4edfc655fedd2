"""The pages in a real browser: what a reader sees, clicks and types."""

import json
import re
import shutil

import html5lib
import nbformat
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from playwright.sync_api import sync_playwright

from siamese_utils import settings
from siamese_utils.publishing import chapters, html, search
from siamese_utils.reporting import results

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
RULES = {  # in the dark theme nothing but the colours is another
    "light": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "dark": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
}
MARGINS = "05-margin-study.html"  # a page with the threshold explorer

needs_browser = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The notebooks of the committed report, rendered afresh: this needs no kernel."""
    folder = tmp_path_factory.mktemp("report")
    committed = settings.REPORTS
    facts = json.loads((committed / "results" / "report.json").read_text(encoding="utf-8"))
    executed = {}
    for path in sorted((committed / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        executed[chapters.parse_chapter(path, notebook)] = notebook
    names = {chapter.name: chapter.page for chapter in executed}
    bodies = [html.render_body(chapter, nb, names) for chapter, nb in executed.items()]
    html.render_pages(bodies, folder, facts, banner="", with_pdf=False)
    (folder / search.FILE).write_text(search.make_index(bodies), encoding="utf-8")
    shutil.copytree(committed / "results", folder / "results")
    return folder


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )


@pytest.fixture
def open_page(browser, report):
    """Return a function that opens a page of the report; it fails on errors and outside requests."""
    heard, contexts = [], []

    def open_it(name, **how):
        context = browser.new_context(**how)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith("file:") else heard.append(r.url))
        page.goto((report / name).as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert [text for text in heard if not text.startswith("data:")] == []


def pages(report):
    return sorted(path.name for path in report.glob("*.html"))


def test_pages_are_valid_html(report):
    parser = html5lib.HTMLParser(strict=True)  # raises at the first error
    for name in pages(report):
        text = (report / name).read_text(encoding="utf-8")
        parser.parse(text)
        ids = re.findall(r'\sid="([^"]+)"', text)
        assert len(ids) == len(set(ids)), name


@needs_browser
@pytest.mark.parametrize("number", [3, pytest.param(None, marks=pytest.mark.slow)])
@pytest.mark.parametrize("theme", RULES)
def test_no_barrier_in_either_theme(open_page, report, theme, number):
    for name in reversed(pages(report)[-number:] if number else pages(report)):
        page = open_page(name, color_scheme=theme)
        found = Axe().run(page, options={"runOnly": RULES[theme], "resultTypes": ["violations"]})
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"
        page.context.close()


@needs_browser
def test_no_barrier_on_a_phone_with_search_and_preview_open(open_page):
    for theme, rules in RULES.items():
        page = open_page("index.html", color_scheme=theme, viewport={"width": 360, "height": 740})
        page.locator("details.menu > summary").click()
        page.locator("#search").fill("margin")
        page.locator("#found a").first.wait_for()
        page.locator("main a.preview").first.focus()
        found = Axe().run(page, options={"runOnly": rules, "resultTypes": ["violations"]})
        assert found.violations_count == 0, found.generate_report()


@needs_browser
def test_the_theme_is_the_systems_until_chosen_and_then_remembered(open_page):
    page = open_page("index.html", color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark, button = page.evaluate(ground), page.get_by_role("button", name="Dark")
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    light = page.evaluate(ground)
    assert light != dark
    page.reload()
    assert page.evaluate(ground) == light
    page.get_by_role("link", name="The base model").first.click()
    assert page.evaluate(ground) == light


@needs_browser
def test_code_is_folded_and_one_switch_opens_all(open_page):
    page = open_page("03-base-model.html", permissions=["clipboard-read", "clipboard-write"])
    opened = "[...document.querySelectorAll('details.code:not(.in-text)')].map(block => block.open)"
    assert not any(page.evaluate(opened))
    page.get_by_role("button", name="Code").click()
    assert all(page.evaluate(opened))
    page.locator("details.code button.copy").first.click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()").startswith("import")


@needs_browser
def test_a_click_sorts_a_table_by_numbers(open_page):
    page = open_page("05-margin-study.html")
    table = page.locator("table").filter(has_text="true accepts at 1 %").first
    heading = table.get_by_role("button", name="AUC")

    def column():
        index = table.locator("th").all_inner_texts().index("AUC")
        cells = [
            row.locator("td").nth(index).inner_text() for row in table.locator("tbody tr").all()
        ]
        return [float(cell.split()[0]) for cell in cells]

    heading.click()
    assert column() == sorted(column())
    heading.click()
    assert column() == sorted(column(), reverse=True)
    assert table.locator("th[aria-sort=descending]").count() == 1


def explorer_of(page):
    return page.get_by_role("group", name="Threshold explorer")


@needs_browser
@pytest.mark.parametrize("name", ["index.html", MARGINS])
def test_the_explorer_says_what_the_results_say(open_page, report, name):
    box = explorer_of(open_page(name))
    panel = results.read_measurements("panel", report / "results")
    networks = ("complex, m = 1", "complex, m = 5")
    for pair_set in ("seen", "unseen"):
        box.get_by_label("Set of pairs").select_option(pair_set)
        for button, figure in (("0.5", "accuracy, 0.5"), ("half the margin", "accuracy, m/2")):
            box.get_by_role("button", name=button, exact=True).click()
            means = [panel[network, pair_set, figure].mean for network in networks]
            for network, mean in zip(networks, means, strict=True):
                part = box.get_by_role("group", name=network)
                told = float(part.locator("dd").nth(1).inner_text().removesuffix(" %"))
                assert told == pytest.approx(mean, abs=0.02)
            gap = re.search("([−0-9.]+) points", box.get_by_role("status").inner_text())[1]
            assert float(gap.replace("−", "-")) == pytest.approx(means[1] - means[0], abs=0.04)


@needs_browser
def test_the_explorer_works_by_keyboard_and_not_without_scripts(open_page):
    page = open_page(MARGINS)
    slider = explorer_of(page).get_by_label("Threshold", exact=True).last
    before = slider.get_attribute("aria-valuetext")
    place = "document.querySelector('.roc circle:last-of-type').getAttribute('cx')"
    at = page.evaluate(place)
    slider.focus()
    page.keyboard.press("End")
    assert slider.get_attribute("aria-valuetext") != before
    assert page.evaluate(place) != at  # the point on the ROC curve moves with it
    still = page.locator("figure:has(.live) svg.drawing").first
    assert still.is_hidden()
    page.emulate_media(media="print")
    assert still.is_visible()
    plain = open_page(MARGINS, java_script_enabled=False)
    assert plain.locator(".live").count() == 0
    assert plain.locator("figure:has(script.live-data) svg.drawing").first.is_visible()
    assert plain.get_by_role("button").count() == 0


@needs_browser
def test_what_was_set_is_in_the_address_and_comes_back_with_it(open_page, report):
    page = open_page(MARGINS)
    box = explorer_of(page)
    box.get_by_label("Set of pairs").select_option("seen")
    box.get_by_role("button", name="half the margin").click()
    assert page.url.endswith("&set=seen&at=0.500+2.500")
    told = box.get_by_role("status").inner_text()
    again = open_page(MARGINS)
    again.goto(page.url)  # the same page, at another address
    assert explorer_of(again).get_by_role("status").inner_text() == told
    assert explorer_of(again).get_by_label("Set of pairs").input_value() == "seen"
    for wrong in ("set=toString&at=much", "set=nowhere"):
        again.goto("about:blank")
        again.goto(page.url.replace("set=seen&at=0.500+2.500", wrong))  # as at first
        assert explorer_of(again).get_by_label("Set of pairs").input_value() == "all"


@needs_browser
def test_an_answer_to_an_exercise_waits_to_be_opened(open_page):
    page = open_page("02-loss-tests.html")
    answer = page.locator("details.solution").first
    words = answer.locator("p").first
    assert not words.is_visible()
    answer.locator("summary").first.click()
    assert words.is_visible()
    page.emulate_media(media="print")
    assert not words.is_visible()  # a printed page asks


@needs_browser
def test_a_long_table_is_folded_behind_its_caption_and_printed(open_page):
    page = open_page("08-baselines.html")
    box = page.locator("details.folded").first
    rows = int(re.fullmatch(r"The (\d+) rows", box.locator("summary").inner_text())[1])
    assert rows == box.locator("tbody tr").count() > 10
    table = box.locator("table")
    assert not table.is_visible()
    page.emulate_media(media="print")
    assert table.bounding_box()["height"] > 100
    page.emulate_media(media="screen")
    box.locator("summary").click()
    assert table.is_visible()


def test_the_first_evidence_of_a_page_is_a_picture(report):
    for name in pages(report):
        soup = BeautifulSoup((report / name).read_text(), "html.parser")
        assert soup.select_one("figure[id], div.table, details.folded").name == "figure", name


@needs_browser
def test_a_preview_shows_the_picture_of_what_it_leads_to(open_page):
    page = open_page("index.html")
    link = page.locator('main a.preview[style*="--picture"]').first
    shown = "getComputedStyle(document.activeElement, '::after').backgroundImage"
    link.focus()
    with page.expect_event("requestfinished", lambda request: request.url.endswith(".svg")):
        link.hover()
        assert "/figures/figure-" in page.evaluate(shown)


@needs_browser
def test_on_a_phone_subplots_stand_below_each_other(open_page):
    page = open_page("04-complex-model.html", viewport={"width": 360, "height": 740})
    figure = page.locator("figure:has(svg.narrow)").first
    wide, narrow = (figure.locator("svg.drawing").nth(i) for i in (0, 1))
    assert narrow.is_visible()
    assert not wide.is_visible()
    box = narrow.bounding_box()
    assert box["x"] + box["width"] <= 360
    assert box["height"] > box["width"]
    page.set_viewport_size({"width": 1280, "height": 800})
    assert wide.is_visible()
    assert not narrow.is_visible()


@needs_browser
def test_a_phone_shows_all_without_scrolling_aside(open_page, report):
    for name in pages(report):
        page = open_page(name, viewport={"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
        page.context.close()
    page = open_page("index.html", viewport={"width": 360, "height": 740})
    link = page.locator("nav.side a", has_text="The margin study")
    assert not link.is_visible()
    page.locator("details.menu > summary").click()
    link.click()
    assert page.url.endswith(MARGINS)


@needs_browser
def test_the_heading_at_hand_is_marked(open_page):
    page = open_page("03-base-model.html")
    heading = "#where-the-errors-are"
    page.locator(heading).scroll_into_view_if_needed()
    page.evaluate(f"document.querySelector('{heading}').scrollIntoView({{behavior: 'instant'}})")
    page.wait_for_function(
        f"document.querySelector('[aria-current=location]')?.hash === '{heading}'"
    )


@needs_browser
def test_a_figure_can_be_enlarged_and_goes_back(open_page):
    page = open_page("04-complex-model.html")
    before = page.evaluate("document.body.innerHTML.length")
    drawing = page.locator("figure svg.drawing").first
    small = drawing.bounding_box()
    page.get_by_role("button", name="Enlarge").first.click()
    large = page.locator("dialog svg.drawing").bounding_box()
    assert large["width"] > small["width"]
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="hidden")
    assert page.locator("figure .drawn").first.locator("svg.drawing:not(.narrow)").count() == 1
    assert abs(page.evaluate("document.body.innerHTML.length") - before) < 100


@needs_browser
def test_on_a_phone_the_first_column_stays_and_what_scrolls_says_so(open_page):
    page = open_page("08-baselines.html", viewport={"width": 360, "height": 740})
    box = page.locator("div.table.scrolls").first
    cell = box.locator("tbody td").first
    left = cell.bounding_box()["x"]
    box.evaluate("box => { box.scrollLeft = 200 }")
    assert cell.bounding_box()["x"] == pytest.approx(left, abs=1)
    page = open_page("01-data-splits.html", viewport={"width": 360, "height": 740})
    hint = "getComputedStyle(document.querySelector('figcaption'), '::before').content"
    assert "sideways" in page.evaluate(hint)


@needs_browser
def test_figures_and_their_data_can_be_downloaded(open_page, report):
    page = open_page("03-base-model.html")
    links = [link.get_attribute("href") for link in page.locator(".get a").all()]
    assert len(links) > 8
    for link in links:
        assert (report / link).stat().st_size > 100
    assert len(pd.read_csv(report / next(link for link in links if link.endswith("csv")))) > 10


@needs_browser
def test_every_claim_leads_to_its_own_place(open_page):
    page = open_page("index.html")
    links = [a.get_attribute("href") for a in page.locator("td a[href*='#claim-']").all()]
    assert len(links) > 10
    for name, place in (link.split("#") for link in links[::5]):
        page = open_page(name)
        assert page.locator(f"[id='{place}']").is_visible()


@needs_browser
def test_the_search_finds_a_place_on_another_page_by_keyboard(open_page):
    page = open_page("index.html")
    page.locator("#search").focus()
    page.keyboard.type("tuned thresh")
    found = page.locator("#found a")
    found.first.wait_for()
    assert "place" in page.locator("#told").inner_text()
    page.locator("#search").fill("0.5 = m/2")  # split as the index was
    found.first.wait_for()
    page.keyboard.type(" qqq")
    page.get_by_text("no places").wait_for()
    page.locator("#search").fill("")
    page.keyboard.type("claim 5 adadelta")
    found.first.wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/06-optimizer-comparison.html#claim-5*")
    page.locator("#search").focus()
    page.keyboard.type("margin")
    assert Axe().run(page, options={"runOnly": RULES["light"]}).violations_count == 0
    page.keyboard.press("Escape")
    assert page.locator("#found a").count() == 0


@needs_browser
def test_a_word_is_explained_where_it_is_focused_until_escape(open_page):
    page = open_page("03-base-model.html")
    term = page.locator("a.term").first
    shown = "getComputedStyle(document.activeElement, '::after').content"
    term.focus()
    assert page.evaluate(shown) == f'"{term.get_attribute("data-meaning")}"'
    page.keyboard.press("Escape")
    assert page.evaluate(shown) == "none"
    page.locator("a.term").nth(1).focus()
    assert page.evaluate(shown) != "none"
    term.click()
    page.wait_for_url("**/index.html#term-*")


@needs_browser
def test_a_link_tells_what_is_read_where_it_leads(open_page):
    page = open_page("index.html")
    link = page.locator('a.preview[href*="#claim"]').first
    link.focus()
    shown = page.evaluate("getComputedStyle(document.activeElement, '::after').content")
    assert shown.startswith('"Claim ')
    link.click()
    page.wait_for_url("**.html#claim*")
    target = page.url.partition("#")[2]
    claim = re.sub(r"\s*#", "", page.locator(f"#{target}").inner_text())
    assert " ".join(claim.split())[:40] == shown[1:41]


@needs_browser
def test_every_place_has_a_link_of_its_own(open_page):
    page = open_page("03-base-model.html")
    links = [a.get_attribute("href") for a in page.locator(".permalink").all()]
    assert len(links) == len(set(links)) > 15
    for link in links:
        assert page.locator(f"[id='{link[1:]}']").count() == 1
    heading = page.locator("h2").first
    assert page.locator("h2 .permalink").first.evaluate("a => getComputedStyle(a).opacity") == "0"
    heading.hover()
    assert page.locator("h2 .permalink").first.evaluate("a => getComputedStyle(a).opacity") == "1"


def test_links_between_pages_lead_somewhere(report):
    soups = {
        name: BeautifulSoup((report / name).read_text(), "html.parser") for name in pages(report)
    }
    ids = {name: {place["id"] for place in soup.select("[id]")} for name, soup in soups.items()}
    for name, soup in soups.items():
        for link in soup.select("main a[href], search a[href]"):
            target, _, place = link["href"].partition("#")
            if "://" in target or target.startswith("mailto:"):
                continue
            assert (report / (target or name)).exists(), link
            if place and target.endswith((".html", "")) and (target or name) in soups:
                assert place in ids[target or name], f"{name}: {link['href']}"
    index = json.loads((report / "search.js").read_text().removeprefix("searchIndex = ")[:-2])
    assert len(index) > 100
    for place in index:
        target, _, part = place["link"].partition("#")
        assert not part or part in ids[target], place
