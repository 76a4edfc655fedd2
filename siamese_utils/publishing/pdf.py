"""The PDF of the report: pages as HTML, converted by pandoc and typeset by Typst, without TeX."""

import base64
import json
import re
import tempfile
from itertools import zip_longest
from pathlib import Path

from bs4 import BeautifulSoup, Tag

from siamese_utils.publishing.chapters import Chapter
from siamese_utils.publishing.html import TEMPLATES, Body

LINE_LENGTH = 110  # characters of table text that fit on a line
MAX_UNBROKEN_LINES = 30  # a table with more lines of text may break across pages
# Appended to the caption of a table that may break; it survives pandoc and has no width.
BREAKABLE_MARK = "\u2060"
FILE = "report.pdf"
PDF_STANDARD = "a-2b"  # PDF/A, for archives


class PdfError(Exception):
    """pandoc or Typst cannot make a PDF; the message is theirs."""


def check() -> None:
    """Check that the packages that make PDFs are installed.

    Raises:
        ValueError: pandoc or Typst is missing or cannot be loaded.
    """
    try:
        import pypandoc
        import typst  # noqa: F401

        pypandoc.get_pandoc_path()
    except (ImportError, OSError) as error:
        raise ValueError(
            f"no PDF can be made here ({error}); install pypandoc_binary and typst, or use --no-pdf"
        ) from None


def render_pdf(bodies: list[Body], folder: Path, banner: str, subtitle: str) -> None:
    """Write the PDF of the report.

    Args:
        bodies: The chapters in order; the first one gives title and question.
        folder: Where the PDF is written.
        banner: A note on the front page; empty for none.
        subtitle: Shown below the title.

    Raises:
        PdfError: pandoc or Typst cannot make the PDF.
    """
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        soups = [_prepare_chapter(body, scratch) for body in bodies]
        html, has_findings = _compose(bodies, soups, scratch)
        front = bodies[0].chapter
        inputs = {"title": front.title, "question": front.question}
        inputs |= {"banner": banner, "subtitle": subtitle, "findings": has_findings}
        _typeset(html, inputs, scratch, folder / FILE)


def _compose(bodies: list[Body], soups: list[BeautifulSoup], scratch: Path) -> tuple[str, str]:
    """Compose one document of all bodies, without the code of their cells. Changes the soups.

    The front page has the first body's answer. The document ends with the answers to the exercises
    and the code listings.

    Returns:
        The document as HTML, and "yes" if the first body has an answer.
    """
    _link_chapters(soups, {body.chapter.page: body.chapter.name for body in bodies})
    ends = [_move_solutions(soups), _move_listings(soups)]
    findings = soups[0].find(class_="answer")
    if findings:
        findings.extract()
        soups[0].find("h1").find_next("p").extract()  # the question, which the front page repeats
    (scratch / "findings.typ").write_text(_to_typst(str(findings or "")), encoding="utf-8")
    return "\n".join(map(str, [*soups, *ends])), "yes" if findings else ""


def _typeset(html: str, inputs: dict[str, str], scratch: Path, target: Path) -> None:
    """Typeset HTML as a PDF, with the images in `scratch`."""
    import typst

    paths = (TEMPLATES / "style.typ", TEMPLATES / "report.typ")
    head = "".join(path.read_text(encoding="utf-8") for path in paths)
    source = scratch / "report.typ"
    source.write_text(head + _to_typst(html), encoding="utf-8")
    try:
        pdf = typst.compile(
            str(source),
            pdf_standards=PDF_STANDARD,
            timestamp=0,  # so that the same results give the same file
            sys_inputs=inputs,
        )
    except (RuntimeError, typst.TypstError) as error:
        raise PdfError(str(error).strip()) from error
    target.write_bytes(pdf)


def _to_typst(html: str) -> str:
    """Convert HTML to Typst, with the alternative texts and table breaks that pandoc drops.

    Raises:
        PdfError: pandoc cannot convert the HTML.
    """
    import pypandoc

    alts = {
        image["src"]: image["alt"] for image in BeautifulSoup(html, "html.parser")("img", alt=True)
    }
    try:
        text = pypandoc.convert_text(html, "typst", format="html", extra_args=["--wrap=none"])
    except RuntimeError as error:
        raise PdfError(str(error).strip()) from error
    text = re.sub(
        r'image\("([^"]+)"',
        lambda match: f"{match[0]}, alt: {json.dumps(alts.get(match[1], ''), ensure_ascii=False)}",
        text,
    )
    return re.sub(
        r"#figure\(\s*align\(center\)(\[#table\(.*?kind: table)", _align_table, text, flags=re.S
    )


def _align_table(match: re.Match) -> str:
    """Return the start of a table, aligned to the left; a marked table may break across pages."""
    function = "long-figure" if BREAKABLE_MARK in match[1] else "figure"
    return f"#{function}(align(left){match[1].replace(BREAKABLE_MARK, '')}"


def _prepare_chapter(body: Body, scratch: Path) -> BeautifulSoup:
    """Return a body for typesetting: images as files in `scratch`, ids unique in the document."""
    soup = BeautifulSoup(body.html, "html.parser")
    for element in soup.select("details.in-text"):
        element.summary.decompose()
        element.unwrap()
    for element in soup.select("details.code, .permalink"):
        element.decompose()
    for term in soup.select("a.term"):
        term.unwrap()
    for pill in soup.select(".pill"):
        pill.name = "strong"
    for drawing in body.drawings:
        drawing.write(scratch / "figures")
    for image in soup.select('img[src^="figures/"]'):
        image["width"] = "100%"
    _extract_images(soup, scratch / "figures", body.chapter.number)
    _rename_ids(soup, body.chapter)
    for table in soup.find_all("table"):
        _set_column_widths(soup, table)
    for box in soup.select("div:not(.answer, .csl-entry, .highlight)"):
        box.unwrap()  # as a Typst block it could not break across pages
    return soup


def _rename_ids(soup: BeautifulSoup, chapter: Chapter) -> None:
    """Number the title, and prefix the ids of sections and references with the chapter's name."""
    title = soup.find("h1")
    title["id"] = chapter.name
    if not chapter.is_front:
        title.insert(0, f"{int(chapter.number)}  ")
    renamed = {}
    for element in soup.select('h2[id], h3[id], [id^="ref-"]'):
        renamed[f"#{element['id']}"] = f"#{chapter.name}-{element['id']}"
        element["id"] = f"{chapter.name}-{element['id']}"
    for link in soup.select('a[href^="#"]'):
        link["href"] = renamed.get(link["href"], link["href"])


def _link_chapters(soups: list[BeautifulSoup], names: dict[str, str]) -> None:
    """Turn links to pages into links to chapters; names: page -> name of its chapter."""
    for link in (link for soup in soups for link in soup.select("a[href]")):
        if name := names.get(link["href"].partition("#")[0]):
            link["href"] = f"#{name}"


def _extract_images(soup: BeautifulSoup, folder: Path, prefix: str) -> None:
    """Write images inside the HTML, such as those of a plain plt.show(), as files."""
    folder.mkdir(exist_ok=True)
    for number, image in enumerate(soup.select('svg, img[src^="data:"]')):
        if image.name == "svg":
            suffix, content = "svg", str(image).encode()
        else:
            mime_type, _, data = image["src"].partition(";base64,")
            suffix, content = mime_type.rpartition("/")[2], base64.b64decode(data)
        path = folder / f"picture-{prefix}-{number}.{suffix}"
        path.write_bytes(content)
        attributes = {"src": f"figures/{path.name}", "alt": image.get("alt", "")}
        image.replace_with(soup.new_tag("img", attrs=attributes))


def _move_solutions(soups: list[BeautifulSoup]) -> BeautifulSoup:
    """Move the answers to the exercises into a new chapter, and return it."""
    end = BeautifulSoup("", "html.parser")
    for soup in soups:
        for number, solution in enumerate(soup.select("details.solution"), 1):
            solution.summary.decompose()
            title = soup.h1.get_text()
            end.append(end.new_tag("h3", string=f"{title}: exercise {number}"))
            end.append(solution.extract())
            solution.unwrap()
    if end.contents:
        end.insert(0, end.new_tag("h1", string="Answers to the exercises"))
    return end


def _move_listings(soups: list[BeautifulSoup]) -> BeautifulSoup:
    """Move the code listings into a new chapter, leave references to it, and return it.

    Listings that follow each other share a reference.
    """
    end = BeautifulSoup("", "html.parser")
    reference = None
    for number, code in enumerate((c for soup in soups for c in soup.select(".highlight")), 1):
        link = end.new_tag("a", href=f"#listing-{number}", string=f"listing {number}")
        before = code.previous_sibling
        while before and not isinstance(before, Tag) and not before.strip():
            before = before.previous_sibling
        if reference and before is reference:
            reference.extend([", ", link])
            code.extract()
        else:
            reference = end.new_tag("p")
            reference.extend(["Code at the end of this document: ", link])
            code.replace_with(reference)
        heading = end.new_tag("h2", id=f"listing-{number}", string=f"Listing {number}")
        end.extend([heading, end.new_tag("pre", string=code.get_text().strip())])
    if end.contents:
        end.insert(0, end.new_tag("h1", string="The code shown"))
    return end


def _column_lengths(row: Tag) -> list[int]:
    """Return the text length in each column; a cell that spans columns is shared between them."""
    spans = [(cell, int(cell.get("colspan", 1))) for cell in row.find_all(["th", "td"])]
    return [len(cell.get_text()) // span for cell, span in spans for _ in range(span)]


def _set_column_widths(soup: BeautifulSoup, table: Tag) -> None:
    """Set the columns of a wide table to widths that follow their longest text.

    A long table with a caption is marked as one that may break across pages.
    """
    rows = [_column_lengths(row) for row in table("tr")]
    longest = [min(max(column), 60) + 9 for column in zip_longest(*rows, fillvalue=0)]
    longest = [
        max(length, 0.08 * sum(longest)) for length in longest
    ]  # so that a header of one word fits
    shares = [length / max(sum(longest), LINE_LENGTH) for length in longest]
    if sum(longest) > LINE_LENGTH:
        columns = soup.new_tag("colgroup")
        for share in shares:
            columns.append(soup.new_tag("col", attrs={"style": f"width: {100 * share:.2f}%"}))
        (table.caption or table.contents[0]).insert_after(columns)
    lines = sum(
        max(
            1 + length // int(LINE_LENGTH * share)
            for length, share in zip(row, shares, strict=False)
        )
        for row in rows
    )
    if lines > MAX_UNBROKEN_LINES and table.caption:
        table.caption.append(BREAKABLE_MARK)
