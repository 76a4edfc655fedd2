"""Executed notebooks to pages that load nothing: no font, no outside address, all in one file."""

import copy
import html as html_module
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jinja2
from bs4 import BeautifulSoup, NavigableString, Tag
from latex2mathml import converter
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from pygments.styles import get_style_by_name
from pygments.token import STANDARD_TYPES

from siamese_utils.publishing.anchors import Anchor, add_previews, find_anchors
from siamese_utils.publishing.chapters import FRONT_PAGE, Chapter
from siamese_utils.publishing.citations import cite
from siamese_utils.reporting import glossary, plots

TEMPLATES = Path(__file__).parent / "templates"
RESERVED_IDS = (
    "content",
    "theme",
    "code",
    "search",
    "told",
    "found",
    "key",
)  # of the page around a body
MAX_OPEN_ROWS = 10  # rows of figures that stand unfolded
ALLOWED_SCHEMES = ("", "http", "https", "mailto")  # of links; others become text
CODE_STYLES = "default", "github-dark"  # light and dark
# What TensorFlow says of its own loading and tracing, and where it finds no GPU; other errors stay.
TENSORFLOW_NOISE = re.compile(
    r"^([IW]0000 |E0000 .*cuInit|WARNING: All log messages before absl|WARNING:tensorflow:).*\n?",
    re.MULTILINE,
)


# A figure's colours, each with the variable of style.css that stands for it in both themes.
COLOURS = {
    getattr(plots, name).lower(): f"var(--fig-{name.lower()})"
    for name in (
        *("BLUE", "ORANGE", "GREEN", "VERMILION", "PURPLE", "SKY", "GREY", "INDIGO", "BROWN"),
        *("INK", "PAPER", "GRID"),
    )
}


@dataclass(frozen=True)
class Drawing:
    """A figure of a page, beside its caption."""

    id: str  # such as figure-3-1
    svg: str
    alt: str
    data: str  # CSV, empty where it shows pictures
    narrow: str  # the same for a phone, empty where the one does for both
    live: dict[str, object] | None  # what is to be handled in its place; `kind` names the script

    def write(self, folder: Path) -> None:
        """Write the drawing and its data as files, for readers and for the typesetter."""
        folder.mkdir(exist_ok=True)
        (folder / f"{self.id}.svg").write_text(self.svg, encoding="utf-8")
        if self.data:
            (folder / f"{self.id}.csv").write_text(self.data + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Check:
    """The result of a check that a page shows, as `show.check` recorded it."""

    link: str  # such as 03-base-model.html#check-1
    sentence: str
    passed: bool


@dataclass(frozen=True)
class Body:
    """A notebook's content as HTML, without the page around it; its images are the drawings."""

    chapter: Chapter
    html: str
    headings: list[tuple[str, str]]  # (id, text) of its sections
    drawings: list[Drawing]
    checks: list[Check]

    @cached_property
    def places(self) -> list[Anchor]:
        """Its places that can be led to: the search and the previews ask for them."""
        return find_anchors(self.chapter, self.html)


class MathRenderer(IPythonRenderer):
    """Markdown to HTML with formulas as MathML, which browsers show by themselves."""

    def inline_math(self, body: str) -> str:
        """Turn a formula within a sentence into MathML."""
        return converter.convert(body)

    def block_math(self, body: str) -> str:
        """Turn a formula on a line of its own into MathML."""
        return converter.convert(body.strip(), display="block")


class BodyExporter(HTMLExporter):
    """nbconvert's HTML exporter with the report's own template, for the body alone."""

    def __init__(self, **kwargs: Any) -> None:
        """Use the template beside this module."""
        super().__init__(
            extra_template_basedirs=[str(TEMPLATES)],
            template_name="body",
            exclude_input_prompt=True,
            exclude_output_prompt=True,
            exclude_anchor_links=True,
            **kwargs,
        )

    @jinja2.pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        """Render Markdown with formulas as MathML."""
        return MarkdownWithMath(renderer=MathRenderer(escape=False, exclude_anchor_links=True))(
            source
        )


def render_body(chapter: Chapter, executed: NotebookNode, pages: dict[str, str]) -> Body:
    """Return an executed notebook as HTML: answer first, figures and tables numbered.

    pages: name of a notebook -> its page. Links to notebooks that are not among them become text.
    """
    notebook = copy.deepcopy(executed)
    _answer_first(notebook)
    _drop_noise(notebook)
    drawings, checks = _number(notebook, chapter), _number_checks(notebook, chapter)
    html, _ = BodyExporter().from_notebook_node(notebook)
    return _post_process(chapter, html, pages, drawings, checks)


def failed_checks(bodies: Sequence[Body]) -> list[Check]:
    """Return the failed checks of all pages, in their order."""
    return [check for body in bodies for check in body.checks if not check.passed]


def render_pages(
    bodies: list[Body], folder: Path, facts: dict[str, Any] | None, banner: str, with_pdf: bool
) -> list[Path]:
    """Write a page for each body, with navigation between them, and return the pages' files.

    The drawings lie inside the pages, and once more in the folder `figures`, to be downloaded.
    facts: of the report that these are all pages of, if they are; then there is an index to search
    beside them. A notebook that lies in the folder `notebooks` is offered on its page.
    """
    template = _page_template()
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8") + _code_styles()
    chapters = [body.chapter for body in bodies]
    places = [place for body in bodies for place in body.places]
    paths = []
    for place, body in enumerate(bodies):
        for drawing in body.drawings:
            drawing.write(folder / "figures")
        page = template.render(
            body=replace(body, html=_insert_drawings(body, places)),
            chapters=chapters,
            previous=chapters[place - 1] if place else None,
            next=chapters[place + 1] if place + 1 < len(chapters) else None,
            style=style,
            script=_script(body),
            banner=banner,
            facts=facts,
            with_pdf=with_pdf,
            with_search=facts is not None,
            # the front page links those of all pages, any other page its own
            failed=failed_checks(bodies if body.chapter.is_front else [body]),
            notebook=_notebook_download(folder / "notebooks" / f"{body.chapter.name}.ipynb"),
        )
        path = folder / body.chapter.page
        path.write_text(page, encoding="utf-8")
        paths.append(path)
    return paths


def _script(body: Body) -> str:
    """Return the script of a page, with those of what is to be handled on it."""
    kinds = sorted({drawing.live["kind"] for drawing in body.drawings if drawing.live})
    names = ["script.js", *(f"{kind}.js" for kind in kinds), "begin.js"]
    return "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in names)


def _notebook_download(notebook: Path) -> dict[str, str] | None:
    """Return the address and the size of a notebook to be downloaded, if it is there."""
    if not notebook.exists():
        return None
    size = f"{notebook.stat().st_size / 1e6:.1f} MB"
    return {"file": f"{notebook.parent.name}/{notebook.name}", "size": size}


def _page_template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html.j2", "html"]),
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("page.html.j2")


def _answer_first(notebook: NotebookNode) -> None:
    """Move the output of the cell tagged `answer` below title and question; its code is not shown.

    What the first cell says beyond these is for those who run the notebook.
    """
    notebook.cells[0].source = "\n".join(notebook.cells[0].source.splitlines()[:3])
    for cell in list(notebook.cells):
        if "answer" in cell.metadata.get("tags", ()):
            notebook.cells.remove(cell)
            cell.metadata["transient"] = {"remove_source": True}  # as nbconvert hides code
            notebook.cells.insert(1, cell)


def _drop_noise(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        for output in list(cell.get("outputs", ())):
            if output.output_type == "stream":
                output.text = TENSORFLOW_NOISE.sub("", output.text)
                if not output.text.strip():
                    cell.outputs.remove(output)


def _number(notebook: NotebookNode, chapter: Chapter) -> list[Drawing]:
    """Number figures and tables by chapter in their captions, and return the drawings."""
    number, tables, drawings = int(chapter.number), 0, []
    prefix = "" if chapter.is_front else f"{number}."
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            told = output.get("metadata", {}).get("image/svg+xml", {})
            if "caption" in told:  # one of show.figure
                told["id"] = f"figure-{number}-{len(drawings) + 1}"
                told["caption"] = f"Figure {prefix}{len(drawings) + 1}. {told['caption']}"
                drawings.append(
                    Drawing(
                        told["id"],
                        data["image/svg+xml"],
                        told["alt"],
                        told["data"],
                        told.get("narrow", ""),  # a notebook run by an older version has none
                        told.get("live"),
                    )
                )
            elif "<caption>" in data.get("text/html", ""):
                tables += 1
                numbered = f"<caption>Table {prefix}{tables}. "
                data["text/html"] = data["text/html"].replace("<caption>", numbered, 1)
    return drawings


def _number_checks(notebook: NotebookNode, chapter: Chapter) -> list[Check]:
    """Give each check of a notebook an id to link to, and return the checks."""
    checks = []
    for output in (output for cell in notebook.cells for output in cell.get("outputs", ())):
        if result := output.get("metadata", {}).get("text/html", {}).get("check"):
            name = f"check-{len(checks) + 1}"
            text = output.data["text/html"].replace("<p ", f'<p id="{name}" ', 1)
            output.data["text/html"] = text
            link = f"{chapter.page}#{name}"
            checks.append(Check(link, result["sentence"], result["passed"]))
    return checks


def _post_process(
    chapter: Chapter,
    html: str,
    pages: dict[str, str],
    drawings: list[Drawing],
    checks: list[Check],
) -> Body:
    """Point links at pages, give each place an address, and let wide tables scroll."""
    soup = BeautifulSoup(html, "html.parser")
    _fix_links(soup, pages)
    cite(soup)
    headings = _name_headings(soup)
    for listing in soup.select(".highlight pre"):
        listing["tabindex"] = "0"  # so that the keyboard can scroll it; as with the tables
    _wrap_tables(soup, chapter)
    for figure in soup.select("figure[id]"):
        _add_permalink(soup, figure.figcaption, figure["id"], "this figure")
    for claim in soup.select("div.claim[id]"):
        _add_permalink(soup, claim.p, claim["id"], "this claim")
    if FRONT_PAGE in pages.values():  # where the words are explained
        _link_terms(soup, FRONT_PAGE)
    return Body(chapter, str(soup), headings, drawings, checks)


def _fix_links(soup: BeautifulSoup, pages: dict[str, str]) -> None:
    """Point links to notebooks at their pages; those that lead nowhere, or run code, become text."""
    for link in soup.find_all("a", href=True):
        if urlsplit(link["href"]).scheme not in ALLOWED_SCHEMES:  # javascript: would run at a click
            link.unwrap()
    for link in soup.find_all("a", href=re.compile(r"^[0-9]{2}-[\w-]+\.ipynb(#.*)?$")):
        name, _, place = link["href"].partition(".ipynb")
        if page := pages.get(name):
            link["href"] = page + place
        else:
            link.unwrap()


def _name_headings(soup: BeautifulSoup) -> list[tuple[str, str]]:
    """Give the sections an id, and return (id, text) of each."""
    headings = []
    for heading in soup.find_all("h2"):
        text = heading.get_text(" ", strip=True)
        name = re.sub(r"\W+", "-", text.lower()).strip("-")
        taken = sum(name == other for other, _ in headings)
        heading["id"] = f"{name}-{taken + 1}" if taken or name in RESERVED_IDS else name
        headings.append((heading["id"], text))
        _add_permalink(soup, heading, heading["id"], text)
    return headings


def _wrap_tables(soup: BeautifulSoup, chapter: Chapter) -> None:
    """Let wide tables scroll below a caption that stays."""
    captioned = [table for table in soup.find_all("table") if table.caption]
    for number, table in enumerate(captioned, 1):
        words = soup.new_tag("span")  # stays in sight while the table below is scrolled
        words.extend(list(table.caption.contents))
        table.caption.append(words)
        table.caption["id"] = f"table-{int(chapter.number)}-{number}"
        _add_permalink(soup, words, table.caption["id"], "this table")
        box = {"class": "table", "tabindex": "0", "role": "group"}
        table.wrap(soup.new_tag("div", attrs=box | {"aria-labelledby": table.caption["id"]}))


def _fold_tables(soup: BeautifulSoup) -> None:
    """Fold long tables of figures behind their captions; those of words alone stay as they are."""
    for box in soup.select("div.table"):
        rows = len(box.select("tbody tr"))
        if rows <= MAX_OPEN_ROWS or not box.select_one('tbody td[style*="right"]'):
            continue
        caption = box.caption.extract()
        caption.name = "p"  # what can be clicked may hold no link
        caption["class"] = "caption"
        box.table["aria-labelledby"] = caption["id"]
        summary = soup.new_tag("summary", string=f"The {rows} rows")
        folded = box.wrap(soup.new_tag("details", attrs={"class": "folded"}))
        folded.insert(0, summary)
        folded.insert_before(caption)


def _link_terms(soup: BeautifulSoup, page: str) -> None:
    """Link the first use of each word of the glossary, in the running text, to its meaning.

    page: the one that explains them.
    """
    waiting, question = list(glossary.TERMS), _question_of(soup)
    for text in soup.select("p:not(.verdicts), li"):
        if text is question or text.find_parent(["figure", "table"]):
            continue
        for words in list(text.find_all(string=True)):
            if not words.find_parent(["a", "code", "math", "pre"]):
                _link_terms_of(soup, words, waiting, page)


def _link_terms_of(
    soup: BeautifulSoup, words: NavigableString, waiting: list[glossary.Term], page: str
) -> None:
    """Link the terms of a text that are still waiting, from its beginning to its end."""
    while found := [(f.start(), -f.end(), f, t) for t in waiting if (f := t.pattern.search(words))]:
        _, _, place, term = min(found, key=lambda one: one[:2])
        waiting.remove(term)
        name = {"class": "term", "href": f"{page}#{term.anchor}", "data-meaning": term.meaning}
        rest = NavigableString(words[place.end() :])
        link = soup.new_tag("a", attrs=name, string=place[0])
        words.replace_with(NavigableString(words[: place.start()]), link, rest)
        words = rest


def _question_of(soup: BeautifulSoup) -> Tag | None:
    """Return the paragraph below the title."""
    return soup.h1.find_next_sibling("p") if soup.h1 else None


def _add_permalink(soup: BeautifulSoup, place: Tag, target: str, what: str) -> None:
    """Add the address of a place to it, to be copied."""
    name = {"class": "permalink", "href": f"#{target}", "aria-label": f"Link to {what}"}
    place.extend([" ", soup.new_tag("a", attrs=name, string="#")])


def _insert_drawings(body: Body, places: list[Anchor]) -> str:
    """Return a body's HTML with its drawings inside, beside each the way to its files, and previews."""
    soup = BeautifulSoup(body.html, "html.parser")
    add_previews(soup, body.chapter.page, places)
    _fold_tables(soup)
    images = soup.select('figure > img[src^="figures/"]')
    for image, drawing in zip(images, body.drawings, strict=True):
        box = image.wrap(soup.new_tag("div", attrs={"class": "drawn", "tabindex": "0"}))
        image.replace_with(f"@@{drawing.id}@@")  # the parser would spoil the drawing itself
        if drawing.live:
            box.insert_after(f"@@{drawing.id}-live@@")
        links = soup.new_tag("span", attrs={"class": "get"})
        for kind in ("svg", *(["csv"] if drawing.data else [])):
            name = {"href": f"figures/{drawing.id}.{kind}", "download": f"{drawing.id}.{kind}"}
            name["aria-label"] = f"Download {drawing.id} as {kind.upper()}"
            links.append(soup.new_tag("a", attrs=name, string=kind.upper()))
        box.find_next("figcaption").extend([" ", links])
    html = str(soup)
    for drawing in body.drawings:
        html = html.replace(f"@@{drawing.id}@@", _inline(drawing))
        if drawing.live:
            data = _in_theme(json.dumps(drawing.live)).replace("<", "\\u003c")
            tag = f'<script type="application/json" class="live-data">{data}</script>'
            html = html.replace(f"@@{drawing.id}-live@@", tag)
    return html


def _inline(drawing: Drawing) -> str:
    """Return a drawing as a part of a page, and behind it the one for a phone if there is one."""
    drawn = [_inline_svg(drawing.svg, drawing.id, "drawing", drawing.alt)]
    if drawing.narrow:
        drawn.append(_inline_svg(drawing.narrow, f"{drawing.id}-n", "drawing narrow", drawing.alt))
    return "".join(drawn)


def _inline_svg(svg: str, prefix: str, kind: str, alt: str) -> str:
    """Return an SVG file as a part of a page: with ids of its own, in the theme's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    svg = _in_theme(svg)
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    label = html_module.escape(alt, quote=True)
    return svg.replace("<svg", f'<svg class="{kind}" role="img" aria-label="{label}"', 1).strip()


def _in_theme(text: str) -> str:
    """Put the theme's variables in the place of the figures' colours."""
    return re.sub(r"#[0-9a-fA-F]{6}\b", lambda found: COLOURS.get(found[0].lower(), found[0]), text)


def _code_styles() -> str:
    """Return the colours of code: each kind of token has one for either theme."""
    light, dark = (get_style_by_name(name) for name in CODE_STYLES)
    rules = []
    for token, look in light:
        colours = [
            f"#{style.style_for_token(token)['color'] or ink}"
            for style, ink in ((light, "1d2129"), (dark, "e4e7ec"))
        ]
        weight = "; font-weight: bold" if look["bold"] else ""
        if name := STANDARD_TYPES.get(token):
            rules.append(
                f".highlight .{name} {{ color: light-dark({', '.join(colours)}){weight} }}"
            )
    return "\n".join(rules)
