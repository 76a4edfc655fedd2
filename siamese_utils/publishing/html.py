"""Pages of the report: executed notebooks as HTML files that load nothing from elsewhere."""

import copy
import html as html_module
import json
import re
from collections import Counter
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
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from nbformat import NotebookNode
from pygments.styles import get_style_by_name
from pygments.token import STANDARD_TYPES

from siamese_utils.publishing.anchors import Anchor, add_previews, find_anchors
from siamese_utils.publishing.chapters import FRONT_PAGE, Chapter
from siamese_utils.publishing.citations import cite
from siamese_utils.reporting import glossary, plots

TEMPLATES = Path(__file__).parent / "templates"
# The ids in page.html.j2, which a heading must not take.
RESERVED_IDS = ("content", "theme", "code", "search", "told", "found")
MAX_OPEN_ROWS = 12  # a longer table of numbers is folded
ALLOWED_SCHEMES = ("", "http", "https", "mailto")  # a link with another scheme becomes text
CODE_STYLES = "default", "github-dark"  # Pygments styles of the light and the dark theme
# TensorFlow's messages on loading, on tracing and on missing GPUs; other messages stay.
TENSORFLOW_NOISE = re.compile(
    r"^([IW]0000 |E0000 .*cuInit|WARNING: All log messages before absl|WARNING:tensorflow:).*\n?",
    re.MULTILINE,
)
# colour of a figure -> variable of style.css that has its value in both themes
COLOURS = {
    getattr(plots, name).lower(): f"var(--fig-{name.lower()})"
    for name in (
        *("BLUE", "ORANGE", "GREEN", "VERMILION", "PURPLE", "SKY", "GREY", "INDIGO", "BROWN"),
        *("INK", "PAPER", "GRID"),
    )
}


@dataclass(frozen=True)
class Drawing:
    """A figure of a page without its caption.

    Attributes:
        id: Such as `figure-3-1`.
        svg: The figure as an SVG file.
        alt: Its alternative text.
        data: The plotted data as CSV; empty if the figure shows images.
        narrow: The figure for a phone as an SVG file; empty if `svg` serves both.
        live: Data of the interactive figure that replaces the drawing, if there is one; its `kind`
            names the script.
    """

    id: str
    svg: str
    alt: str
    data: str
    narrow: str
    live: dict[str, object] | None

    def write(self, folder: Path) -> None:
        """Write the drawing and its data into a folder, as files to download or to typeset."""
        folder.mkdir(exist_ok=True)
        (folder / f"{self.id}.svg").write_text(self.svg, encoding="utf-8")
        if self.data:
            (folder / f"{self.id}.csv").write_text(self.data + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Check:
    """The result of a check on a page, as `show.check` recorded it.

    Attributes:
        link: Such as `03-base-model.html#check-1`.
        sentence: The statement that was checked.
        passed: Whether the statement is true.
    """

    link: str
    sentence: str
    passed: bool


@dataclass(frozen=True)
class Body:
    """The content of a notebook as HTML, without the page around it.

    Attributes:
        chapter: The notebook's chapter.
        html: The content; its images refer to the drawings' files.
        headings: (id, text) of each section.
        drawings: The figures.
        checks: The checks.
    """

    chapter: Chapter
    html: str
    headings: list[tuple[str, str]]
    drawings: list[Drawing]
    checks: list[Check]

    @cached_property
    def places(self) -> list[Anchor]:
        """The link targets of the page, for the search and the previews."""
        return find_anchors(self.chapter, self.html)


class MathRenderer(IPythonRenderer):
    """A Markdown renderer that writes formulas as MathML, which browsers show without a script."""

    def inline_math(self, body: str) -> str:
        """Return a formula within a sentence as MathML."""
        return converter.convert(body)

    def block_math(self, body: str) -> str:
        """Return a displayed formula as MathML."""
        return converter.convert(body.strip(), display="block")


class BodyExporter(HTMLExporter):
    """An nbconvert exporter that writes the body of a page with the report's template."""

    def __init__(self, **kwargs: Any) -> None:
        """Select the template `body` of this package."""
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
        renderer = MathRenderer(escape=False, exclude_anchor_links=True)
        return MarkdownWithMath(renderer=renderer)(source)


def render_body(chapter: Chapter, executed: NotebookNode, pages: dict[str, str]) -> Body:
    """Render an executed notebook as HTML: answer first, figures and tables numbered.

    Args:
        chapter: The notebook's chapter.
        executed: The notebook with its outputs; it is not changed.
        pages: Name of a notebook -> its page. Links to other notebooks become text.
    """
    notebook = copy.deepcopy(executed)
    _move_answer_up(notebook)
    _clean_streams(notebook)
    drawings, checks = _number_captions(notebook, chapter), _number_checks(notebook, chapter)
    html, _ = BodyExporter().from_notebook_node(notebook)
    return _post_process(chapter, html, pages, drawings, checks)


def failed_checks(bodies: Sequence[Body]) -> list[Check]:
    """Return the failed checks of all pages in order."""
    return [check for body in bodies for check in body.checks if not check.passed]


def render_pages(
    bodies: list[Body], folder: Path, facts: dict[str, Any] | None, banner: str, with_pdf: bool
) -> list[Path]:
    """Write a page for each body, with navigation between the pages.

    The drawings are part of the pages, and are also written into `figures` for download. A page
    links to its notebook if `notebooks` has it.

    Args:
        bodies: The pages in order.
        folder: Where the files are written.
        facts: Facts about the report for the footer, if the bodies are the whole report. The pages
            then have a search field, which needs the index of `search.make_index`.
        banner: A note at the top of each page; empty for none.
        with_pdf: Whether the pages link to the PDFs.

    Returns:
        The files of the pages.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html.j2", "html"]),
        undefined=jinja2.StrictUndefined,
    )
    template = environment.get_template("page.html.j2")
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8") + _code_styles()
    chapters = [body.chapter for body in bodies]
    anchors = [anchor for body in bodies for anchor in body.places]
    terms = {term for body in bodies for term in re.findall(r'id="(term-[\w-]+)"', body.html)}
    paths = []
    for i, body in enumerate(bodies):
        for drawing in body.drawings:
            drawing.write(folder / "figures")
        page = template.render(
            body=replace(body, html=_insert_drawings(body, anchors, terms)),
            chapters=chapters,
            previous=chapters[i - 1] if i else None,
            next=chapters[i + 1] if i + 1 < len(chapters) else None,
            style=style,
            script=_script(body),
            banner=banner,
            facts=facts,
            with_pdf=with_pdf,
            with_search=facts is not None,
            # The front page lists the failed checks of all pages.
            failed=failed_checks(bodies if body.chapter.is_front else [body]),
            notebook=_notebook_download(folder / "notebooks" / f"{body.chapter.name}.ipynb"),
        )
        path = folder / body.chapter.page
        path.write_text(page, encoding="utf-8")
        paths.append(path)
    return paths


def _script(body: Body) -> str:
    """Return the script of a page, including those of its interactive figures."""
    kinds = sorted({drawing.live["kind"] for drawing in body.drawings if drawing.live})
    names = ["script.js", *(f"{kind}.js" for kind in kinds), "begin.js"]
    return "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in names)


def _notebook_download(notebook: Path) -> dict[str, str] | None:
    """Return the address and the size of a notebook for download, or None if it is missing."""
    if not notebook.exists():
        return None
    size = f"{notebook.stat().st_size / 1e6:.1f} MB"
    return {"file": f"{notebook.parent.name}/{notebook.name}", "size": size}


def _move_answer_up(notebook: NotebookNode) -> None:
    """Move the output of the cell tagged `answer` below title and question; hide its code.

    The rest of the first cell is dropped: it addresses users who run the notebook.
    """
    notebook.cells[0].source = "\n".join(notebook.cells[0].source.splitlines()[:3])
    for cell in list(notebook.cells):
        if "answer" in cell.metadata.get("tags", ()):
            notebook.cells.remove(cell)
            # nbconvert's own preprocessors hide code by this key.
            cell.metadata["transient"] = {"remove_source": True}
            notebook.cells.insert(1, cell)


def _clean_streams(notebook: NotebookNode) -> None:
    """Remove TensorFlow's messages from the outputs, and join the parts of printed text."""
    for cell in notebook.cells:
        for output in list(cell.get("outputs", ())):
            if output.output_type == "stream":
                output.text = TENSORFLOW_NOISE.sub("", output.text)
                if not output.text.strip():
                    cell.outputs.remove(output)
        CoalesceStreamsPreprocessor().preprocess_cell(cell, {}, 0)


def _number_captions(notebook: NotebookNode, chapter: Chapter) -> list[Drawing]:
    """Number figures and tables by chapter in their captions, and return the drawings."""
    number, tables, drawings = int(chapter.number), 0, []
    prefix = "" if chapter.is_front else f"{number}."
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            metadata = output.get("metadata", {}).get("image/svg+xml", {})
            if "caption" in metadata:  # `show.figure` displayed it
                metadata["id"] = f"figure-{number}-{len(drawings) + 1}"
                metadata["caption"] = f"Figure {prefix}{len(drawings) + 1}. {metadata['caption']}"
                drawings.append(
                    Drawing(
                        metadata["id"],
                        data["image/svg+xml"],
                        metadata["alt"],
                        metadata["data"],
                        metadata.get("narrow", ""),  # missing if an older version ran the notebook
                        _known_live(metadata.get("live")),
                    )
                )
            elif "<caption>" in data.get("text/html", ""):
                tables += 1
                numbered = f"<caption>Table {prefix}{tables}. "
                data["text/html"] = data["text/html"].replace("<caption>", numbered, 1)
    return drawings


def _known_live(live: dict[str, object] | None) -> dict[str, object] | None:
    """Return the data of an interactive figure, or None if no script is left for its kind.

    A notebook that an older version executed may hold such data.
    """
    return live if live and (TEMPLATES / f"{live['kind']}.js").exists() else None


def _number_checks(notebook: NotebookNode, chapter: Chapter) -> list[Check]:
    """Give each check of a notebook an id, and return the checks."""
    checks = []
    for output in (output for cell in notebook.cells for output in cell.get("outputs", ())):
        if result := output.get("metadata", {}).get("text/html", {}).get("check"):
            name = f"check-{len(checks) + 1}"
            html = output.data["text/html"]
            output.data["text/html"] = html.replace("<p ", f'<p id="{name}" ', 1)
            checks.append(Check(f"{chapter.page}#{name}", result["sentence"], result["passed"]))
    return checks


def _post_process(
    chapter: Chapter,
    html: str,
    pages: dict[str, str],
    drawings: list[Drawing],
    checks: list[Check],
) -> Body:
    """Return the body with links to pages, ids, permalinks, citations and scrollable tables."""
    soup = BeautifulSoup(html, "html.parser")
    _fix_links(soup, pages)
    cite(soup)
    headings = _name_headings(soup)
    for listing in soup.select(".highlight pre"):
        listing["tabindex"] = "0"  # lets the keyboard scroll it
    _wrap_tables(soup, chapter)
    for figure in soup.select("figure[id]"):
        _add_permalink(soup, figure.figcaption, figure["id"], "this figure")
    for claim in soup.select("div.claim[id]"):
        _add_permalink(soup, claim.p, claim["id"], "this claim")
    if FRONT_PAGE in pages.values():  # the front page has the glossary
        _link_terms(soup, FRONT_PAGE)
    return Body(chapter, str(soup), headings, drawings, checks)


def _fix_links(soup: BeautifulSoup, pages: dict[str, str]) -> None:
    """Point links to notebooks at their pages; broken links and links that run code become text."""
    for link in soup.find_all("a", href=True):
        if urlsplit(link["href"]).scheme not in ALLOWED_SCHEMES:  # such as javascript:
            link.unwrap()
    for link in soup.find_all("a", href=re.compile(r"^[0-9]{2}-[\w-]+\.ipynb(#.*)?$")):
        name, _, fragment = link["href"].partition(".ipynb")
        if page := pages.get(name):
            link["href"] = page + fragment
        else:
            link.unwrap()


def _name_headings(soup: BeautifulSoup) -> list[tuple[str, str]]:
    """Give each section and subsection an id and a permalink.

    Returns:
        (id, text) of each section.
    """
    sections = []
    taken: Counter[str] = Counter()
    for heading in soup.find_all(["h2", "h3"]):
        text = heading.get_text(" ", strip=True)
        name = re.sub(r"\W+", "-", text.lower()).strip("-")
        taken[name] += 1
        if taken[name] > 1 or name in RESERVED_IDS:
            name = f"{name}-{taken[name]}"
        heading["id"] = name
        if heading.name == "h2":
            sections.append((heading["id"], text))
        _add_permalink(soup, heading, heading["id"], text)
    return sections


def _wrap_tables(soup: BeautifulSoup, chapter: Chapter) -> None:
    """Wrap each table in a scrollable box, in which the caption stays in place."""
    captioned = [table for table in soup.find_all("table") if table.caption]
    for number, table in enumerate(captioned, 1):
        text = soup.new_tag("span")  # stays visible while the table is scrolled
        text.extend(list(table.caption.contents))
        table.caption.append(text)
        table.caption["id"] = f"table-{int(chapter.number)}-{number}"
        _add_permalink(soup, text, table.caption["id"], "this table")
        attributes = {"class": "table", "tabindex": "0", "role": "group"}
        table.wrap(soup.new_tag("div", attrs=attributes | {"aria-labelledby": table.caption["id"]}))


def _fold_tables(soup: BeautifulSoup) -> None:
    """Fold long tables of numbers below their captions; tables of words stay open."""
    for box in soup.select("div.table"):
        rows = len(box.select("tbody tr"))
        # A table of links, such as that of the claims, stays open.
        has_links = box.select_one("tbody a") is not None
        if rows <= MAX_OPEN_ROWS or has_links or not box.select_one('tbody td[style*="right"]'):
            continue
        caption = box.caption.extract()
        caption.name = "p"  # outside the summary, since it holds a link
        caption["class"] = "caption"
        box.table["aria-labelledby"] = caption["id"]
        summary = soup.new_tag("summary", string=f"The {rows} rows")
        folded = box.wrap(soup.new_tag("details", attrs={"class": "folded"}))
        folded.insert(0, summary)
        folded.insert_before(caption)


def _link_terms(soup: BeautifulSoup, page: str) -> None:
    """Link the first use of each glossary term in the running text to its definition.

    Args:
        soup: The body of a page.
        page: The page with the glossary.
    """
    terms = list(glossary.TERMS)  # those not linked yet
    question = soup.h1.find_next_sibling("p") if soup.h1 else None
    for element in soup.select("p:not(.verdicts), li"):
        if element is question or element.find_parent(["figure", "table"]):
            continue
        for text in list(element.find_all(string=True)):
            if not text.find_parent(["a", "code", "math", "pre"]):
                _link_terms_in(soup, text, terms, page)


def _link_terms_in(
    soup: BeautifulSoup, text: NavigableString, terms: list[glossary.Term], page: str
) -> None:
    """Link the terms in a text from its start to its end, and remove them from `terms`."""
    while matches := [(m, term) for term in terms if (m := term.pattern.search(text))]:
        match, term = min(matches, key=lambda pair: (pair[0].start(), -pair[0].end()))
        terms.remove(term)
        attributes = {
            "class": "term",
            "href": f"{page}#{term.anchor}",
            "data-meaning": term.meaning,
        }
        rest = NavigableString(text[match.end() :])
        link = soup.new_tag("a", attrs=attributes, string=match[0])
        text.replace_with(NavigableString(text[: match.start()]), link, rest)
        text = rest


def _add_permalink(soup: BeautifulSoup, element: Tag, target: str, what: str) -> None:
    """Append a link to the id `target` to an element; `what` names it for screen readers."""
    attributes = {"class": "permalink", "href": f"#{target}", "aria-label": f"Link to {what}"}
    element.extend([" ", soup.new_tag("a", attrs=attributes, string="#")])


def _insert_drawings(body: Body, anchors: list[Anchor], terms: set[str]) -> str:
    """Return a body's HTML with its drawings, download links, previews of links and folded tables.

    Links to terms that are not among the ids `terms` become text: an older glossary lacks them.
    """
    soup = BeautifulSoup(body.html, "html.parser")
    for link in soup.select("a.term"):
        if link["href"].partition("#")[2] not in terms:
            link.unwrap()
    add_previews(soup, body.chapter.page, anchors)
    _fold_tables(soup)
    images = soup.select('figure > img[src^="figures/"]')
    for image, drawing in zip(images, body.drawings, strict=True):
        box = image.wrap(soup.new_tag("div", attrs={"class": "drawn", "tabindex": "0"}))
        image.replace_with(f"@@{drawing.id}@@")  # the parser would change the SVG
        if drawing.live:
            box.insert_after(f"@@{drawing.id}-live@@")
        links = soup.new_tag("span", attrs={"class": "get"})
        for kind in ("svg", *(["csv"] if drawing.data else [])):
            file = f"{drawing.id}.{kind}"
            label = f"Download {drawing.id} as {kind.upper()}"
            attributes = {"href": f"figures/{file}", "download": file, "aria-label": label}
            links.append(soup.new_tag("a", attrs=attributes, string=kind.upper()))
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
    """Return a drawing as HTML, followed by its version for a phone if there is one."""
    parts = [_inline_svg(drawing.svg, drawing.id, "drawing", drawing.alt)]
    if drawing.narrow:
        parts.append(_inline_svg(drawing.narrow, f"{drawing.id}-n", "drawing narrow", drawing.alt))
    return "".join(parts)


def _inline_svg(svg: str, prefix: str, kind: str, alt: str) -> str:
    """Return an SVG file as HTML, with ids that are unique on the page and the theme's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    svg = _in_theme(svg)
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    label = html_module.escape(alt, quote=True)
    return svg.replace("<svg", f'<svg class="{kind}" role="img" aria-label="{label}"', 1).strip()


def _in_theme(text: str) -> str:
    """Replace the figures' colours by the variables of the theme."""
    return re.sub(r"#[0-9a-fA-F]{6}\b", lambda match: COLOURS.get(match[0].lower(), match[0]), text)


def _code_styles() -> str:
    """Return CSS rules that colour each kind of token in both themes."""
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
