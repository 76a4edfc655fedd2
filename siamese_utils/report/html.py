"""Executed notebooks to pages that load nothing: no script, no font, no outside address."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import nbformat
from bs4 import BeautifulSoup
from latex2mathml import converter
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from siamese_utils.series import SUMMARY, Chapter

TEMPLATES = Path(__file__).parent / "templates"
# What TensorFlow prints of its own loading and tracing; none of it bears on a result.
TENSORFLOW_NOISE = re.compile(
    r"^([IWE]0000 |WARNING: All log messages before absl|WARNING:tensorflow:).*\n?", re.MULTILINE
)


@dataclass(frozen=True)
class Body:
    """A notebook's content as HTML, without the page around it."""

    chapter: Chapter
    html: str
    headings: list[tuple[str, str]]  # (id, text) of its sections


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


def render_body(
    chapter: Chapter, executed: Path, pages: dict[str, str], with_code: bool = True
) -> Body:
    """Return an executed notebook as HTML: answer first, figures and tables numbered.

    pages: name of a notebook -> its page. Links to notebooks that are not among them become text.
    """
    notebook = nbformat.read(executed, as_version=4)
    _answer_first(notebook)
    _drop_noise(notebook)
    _number(notebook, chapter)
    exporter = BodyExporter(exclude_input=not with_code)
    html, _ = exporter.from_notebook_node(notebook)
    return _finish(chapter, html, pages)


def render_pages(
    bodies: list[Body], folder: Path, facts: dict[str, Any], banner: str, with_pdf: bool
) -> list[Path]:
    """Write a page for each body, with navigation between them, and return the files."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html.j2", "html"]),
        undefined=jinja2.StrictUndefined,
    )
    template = environment.get_template("page.html.j2")
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8") + _code_styles()
    chapters = [body.chapter for body in bodies]
    paths = []
    for place, body in enumerate(bodies):
        page = template.render(
            body=body,
            chapters=chapters,
            previous=chapters[place - 1] if place else None,
            next=chapters[place + 1] if place + 1 < len(chapters) else None,
            style=style,
            banner=banner,
            facts=facts,
            with_pdf=with_pdf,
        )
        path = folder / body.chapter.page
        path.write_text(page, encoding="utf-8")
        paths.append(path)
    return paths


def _answer_first(notebook: NotebookNode) -> None:
    """Move the output of the cell tagged `answer` below the title; its code is not shown."""
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


def _number(notebook: NotebookNode, chapter: Chapter) -> None:
    """Number figures and tables by chapter, and lay each figure's number into its caption."""
    counts = {"Figure": 0, "Table": 0}
    prefix = "" if chapter.name == SUMMARY else f"{int(chapter.number)}."
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/svg+xml" in data:
                counts["Figure"] += 1
                text = output.metadata["image/svg+xml"]
                text["caption"] = f"Figure {prefix}{counts['Figure']}. {text['caption']}"
            elif "<caption>" in data.get("text/html", ""):
                counts["Table"] += 1
                numbered = f"<caption>Table {prefix}{counts['Table']}. "
                data["text/html"] = data["text/html"].replace("<caption>", numbered, 1)


def _finish(chapter: Chapter, html: str, pages: dict[str, str]) -> Body:
    """Point links at pages, give sections an id, and let wide tables scroll."""
    soup = BeautifulSoup(html, "html.parser")
    for link in soup.find_all("a", href=re.compile(r"^[0-9]{2}-[\w-]+\.ipynb$")):
        if page := pages.get(link["href"].removesuffix(".ipynb")):
            link["href"] = page
        else:
            link.unwrap()
    headings = []
    for heading in soup.find_all("h2"):
        text = heading.get_text(" ", strip=True)
        heading["id"] = re.sub(r"\W+", "-", text.lower()).strip("-")
        headings.append((heading["id"], text))
    for table in soup.find_all("table"):
        table.wrap(soup.new_tag("div", attrs={"class": "table", "tabindex": "0"}))
    return Body(chapter, str(soup), headings)


def _code_styles() -> str:
    light = HtmlFormatter(style="friendly").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    return f"{light}\n@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}\n"
