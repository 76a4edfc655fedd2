"""Executed notebooks to one PDF: nbconvert's HTML through pandoc to Typst. No TeX, no browser."""

import tempfile
from pathlib import Path

import pypandoc
import typst
from bs4 import BeautifulSoup, Tag

from siamese_utils.report.html import TEMPLATES, Body

LINE_LENGTH = 110  # characters of a table's text that fit beside each other


class PdfError(Exception):
    """The PDF could not be made; the message is the typesetter's."""


def render_pdf(bodies: list[Body], target: Path, banner: str, subtitle: str) -> None:
    """Write the bodies (without code) as one document with contents and page numbers.

    Raises PdfError where pandoc or Typst refuses the document.
    """
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        content = "\n".join(_chapter(body, scratch) for body in bodies)
        try:
            text = pypandoc.convert_text(
                content, "typst", format="html", extra_args=["--wrap=none"]
            )
            template = (TEMPLATES / "report.typ").read_text(encoding="utf-8")
            (scratch / "report.typ").write_text(template + text, encoding="utf-8")
            pdf = typst.compile(
                str(scratch / "report.typ"),
                sys_inputs={"banner": banner, "subtitle": subtitle},
            )
        except (RuntimeError, typst.TypstError) as error:
            raise PdfError(str(error).strip()) from error
        target.write_bytes(pdf)


def _chapter(body: Body, scratch: Path) -> str:
    """Return a body with its figures as files and ids that are one document's."""
    soup = BeautifulSoup(body.html, "html.parser")
    for drawing in body.drawings:
        drawing.write(scratch / "figures")
    for image in soup.find_all("img"):
        image["width"] = "100%"
    title = soup.find("h1")
    title["id"] = body.chapter.name
    for heading in soup.find_all("h2"):
        heading["id"] = f"{body.chapter.name}-{heading['id']}"
    for table in soup.find_all("table"):
        _share_width(soup, table)
    for box in soup.find_all("div"):
        box.unwrap()  # Typst turns them into blocks, in which no page may end
    return str(soup)


def _share_width(soup: BeautifulSoup, table: Tag) -> None:
    """Give the columns of a wide table shares of the page that follow their longest text."""
    rows = [[len(cell.get_text()) for cell in row.find_all(["th", "td"])] for row in table("tr")]
    longest = [min(max(column), 60) + 7 for column in zip(*rows, strict=True)]
    if sum(longest) > LINE_LENGTH:
        columns = soup.new_tag("colgroup")
        for length in longest:
            share = f"width: {100 * length / sum(longest):.0f}%"
            columns.append(soup.new_tag("col", attrs={"style": share}))
        table.caption.insert_after(columns)
